"""Converts OpenCLIP's tokenizers to files of the tokenizers library, which return the same ids without OpenCLIP.

OpenCLIP cleans a text before it tokenizes it: it repairs it with ftfy, decodes HTML entities, and then cleans in one of
three ways ("lower", "whitespace", "canonicalize"). Of ftfy's repairs, the file does those of single characters, such as
straight quotes for curly ones, and composes accents. It leaves text that was decoded wrongly ("cafÃ©") and terminal
colour codes as they are. HTML entities are decoded by the text encoder, as a file cannot describe that.
"""

import string
import unicodedata
from typing import TYPE_CHECKING, Any

from lookalike.encoders.openvino.text_encoder import token_ids
from lookalike.errors import MissingExtraError, ModelError
from lookalike.importers.error_summary import one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer, normalizers

# A converted tokenizer is accepted if it returns the same ids for all of these.
_SAMPLES = (
    "a photo of a cat",
    "Two RED bicycles,   leaning\tagainst\na wall!",
    "it's 3:45 pm; they're 1,234.5 km away (aren't they?) -- we'd've said so... #tag @home 50% <b>",
    "“curly” ‘quotes’, an ellipsis… and a dash—like this; ﬁne ﬂour, ＦＵＬＬ　ｗｉｄｔｈ, ｶﾞｷﾞ",  # noqa: RUF001 - on purpose
    "Crème brûlée, cafe\u0301, naïve, Ærøskøbing, Łódź, straße, İstanbul",
    "ΟΔΟΣ καὶ ὁδός, Красная площадь, שלום, مرحبا, नमस्ते",
    "一只猫坐在红色的沙发上 赤いソファの上の猫 소파 위의 고양이",
    "😀 a 👩‍👩‍👧 family 🏳️‍🌈 and a ☕️",
    "snake_case, e-mail@example.com, C++ & R&amp;D &lt;3 &amp;eacute;",
    "x" * 60 + " supercalifragilisticexpialidocious " + "0123456789" * 5,
    " ".join(f"image {number} of a long row of images" for number in range(40)),
    "?!",
    "a",
)

_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"  # as in open_clip.tokenizer.SimpleTokenizer
# A sigma at the end of a word has a lower case of its own, which Python knows and the tokenizers library does not.
_FINAL_SIGMA = r"(?<=\p{Cased}|\p{Cased}\p{Case_Ignorable})Σ(?!\p{Case_Ignorable}*\p{Cased})"


def to_tokenizer_json(tokenizer: Any, name: str) -> str:
    """Returns the `tokenizer.json` of one of OpenCLIP's tokenizers.

    It truncates to the tokenizer's context, keeping the end token last, and pads as the tokenizer does.

    Args:
        tokenizer: a SimpleTokenizer or an HFTokenizer.
        name: the model, for messages.

    Raises:
        MissingExtraError: the tokenizers library is not installed.
        ModelError: it cannot be converted, or returns other ids for one of some sample texts.
    """
    try:
        import tokenizers  # noqa: F401 - the functions below need it
    except ImportError as error:
        raise MissingExtraError("importing a model that embeds text", "text") from error
    from open_clip import tokenizer as theirs

    try:
        if isinstance(tokenizer, theirs.SimpleTokenizer):
            converted = _from_simple_tokenizer(tokenizer)
        else:
            converted = _from_hf_tokenizer(tokenizer)
        for text in _SAMPLES:
            if token_ids(converted, [text], unescapes=True)[0].tolist() != tokenizer([text])[0].tolist():
                raise ValueError(f"it would return other tokens for {text[:40]!r}")
    except Exception as error:  # of any type: there are tokenizers of many kinds
        raise ModelError(
            f"{name}: its tokenizer, a {type(tokenizer).__name__}, cannot be converted: {one_line(error)};"
            " choose a model with another tokenizer"
        ) from error
    return str(converted.to_str())


def _from_simple_tokenizer(tokenizer: Any) -> "Tokenizer":
    """Converts byte-pair encoding whose pieces end with "</w>" at the end of a word."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    if tokenizer.reduction_fn is not None:
        raise ValueError("it drops tokens at random, as in training")
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.get)
    converted = Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>", fuse_unk=False))
    converted.normalizer = normalizers.Sequence(_cleaning(tokenizer))
    converted.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    special = {tokenizer.decoder[number]: number for number in tokenizer.all_special_ids}
    converted.add_special_tokens([AddedToken(token, normalized=True, special=True) for token in special])
    start, end = tokenizer.decoder[tokenizer.sot_token_id], tokenizer.decoder[tokenizer.eot_token_id]
    converted.post_processor = processors.TemplateProcessing(
        single=[start, "$A", end], special_tokens=[(start, special[start]), (end, special[end])]
    )
    converted.enable_truncation(tokenizer.context_length)
    converted.enable_padding(length=tokenizer.context_length, pad_id=0, pad_token=tokenizer.decoder[0])
    return converted


def _from_hf_tokenizer(tokenizer: Any) -> "Tokenizer":
    """Takes the tokenizers library's tokenizer out of one of transformers, and puts OpenCLIP's cleaning before it."""
    from tokenizers import Tokenizer, normalizers

    inner: Any = tokenizer.tokenizer
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        raise ValueError(f"{type(inner).__name__} is not made with the tokenizers library")
    converted = Tokenizer.from_str(backend.to_str())
    own = [converted.normalizer] if converted.normalizer else []
    converted.normalizer = normalizers.Sequence([*_cleaning(tokenizer), *own])
    converted.enable_truncation(tokenizer.context_length, direction=inner.truncation_side)
    converted.enable_padding(
        length=tokenizer.context_length,
        pad_id=inner.pad_token_id,
        pad_token=inner.pad_token,
        direction=inner.padding_side,
    )
    return converted


def _cleaning(tokenizer: Any) -> list["normalizers.Normalizer"]:
    """OpenCLIP's cleaning of texts, except for the decoding of HTML entities."""
    from open_clip.tokenizer import get_clean_fn
    from tokenizers import Regex
    from tokenizers.normalizers import NFC, Lowercase, Replace, Strip

    steps = [*_repairs(), NFC()]
    if tokenizer.clean_fn is get_clean_fn("canonicalize"):
        steps += [Replace("_", " "), Replace(Regex(_any_of(string.punctuation)), "")]
    if tokenizer.clean_fn is not get_clean_fn("whitespace"):
        steps += [Replace(Regex(_FINAL_SIGMA), "ς"), Lowercase()]
    return [*steps, Replace(Regex(r"\s+"), " "), Strip()]


def _repairs() -> list["normalizers.Normalizer"]:
    """ftfy's replacements of single characters, from ftfy itself: quotes, ligatures, widths, control characters."""
    import ftfy
    from tokenizers import Regex
    from tokenizers.normalizers import Replace

    repaired: dict[str, str] = {}
    for character in map(chr, (*range(0x3400), *range(0xF900, 0x10000))):  # between are Chinese and Korean ones
        replacement = ftfy.fix_text(character)
        if replacement != unicodedata.normalize("NFC", character):
            repaired[replacement] = repaired.get(replacement, "") + character
    return [Replace(Regex(_any_of(characters)), replacement) for replacement, characters in repaired.items()]


def _any_of(characters: str) -> str:
    return "[" + "".join(f"\\x{{{ord(character):x}}}" for character in characters) + "]"
