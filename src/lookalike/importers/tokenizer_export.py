"""Turns the tokenizers of OpenCLIP into files of the tokenizers library, which give the same ids without OpenCLIP.

OpenCLIP cleans a text before it cuts it into pieces: it repairs it with ftfy, unescapes HTML, and then does one of
three things ("lower", "whitespace", "canonicalize"). Of what ftfy does, the file repeats what concerns single
characters, such as straight quotes for curly ones, and composes accents. It leaves alone text that was decoded wrongly
("cafÃ©") and the codes that colour a terminal. HTML is unescaped by the runtime, as a file cannot describe it.
"""

import string
import unicodedata
from typing import TYPE_CHECKING, Any

from lookalike.encoders.openvino.text_encoder import token_ids
from lookalike.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer, normalizers

# What has to come out the same, for a tokenizer to be taken.
_SENTENCES = (
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
    " ".join(f"picture {number} of a long row of pictures" for number in range(40)),
    "?!",
    "a",
)

_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"  # as in open_clip.tokenizer.SimpleTokenizer
# At the end of a word it has a small letter of its own, which Python heeds and the tokenizers library does not.
_LAST_SIGMA = r"(?<=\p{Cased}|\p{Cased}\p{Case_Ignorable})Σ(?!\p{Case_Ignorable}*\p{Cased})"


def converted(tokenizer: Any, name: str) -> str:
    """The `tokenizer.json` of a tokenizer of OpenCLIP's, a SimpleTokenizer or an HFTokenizer; `name` is for the error.

    It cuts to the tokenizer's context, keeping the last token that marks the end, and pads as it does.

    Raises:
        MissingExtraError: the tokenizers library is not installed.
        ModelError: it gives other ids for any of some sample sentences, or is of another kind.
    """
    try:
        import tokenizers  # noqa: F401 - or else what follows cannot be done
    except ImportError as error:
        raise MissingExtraError("importing a network with words", "text") from error
    from open_clip import tokenizer as theirs

    try:
        made = _of_simple(tokenizer) if isinstance(tokenizer, theirs.SimpleTokenizer) else _of_transformers(tokenizer)
        for sentence in _SENTENCES:
            if token_ids(made, [sentence], unescapes=True)[0].tolist() != tokenizer([sentence])[0].tolist():
                raise ValueError(f"it would give other tokens for {sentence[:40]!r}")
    except Exception as error:  # of whatever type: there are tokenizers of many kinds
        raise ModelError(
            f"{name}: its tokenizer, a {type(tokenizer).__name__}, cannot be converted: {error};"
            " choose a model with another one"
        ) from error
    return str(made.to_str())


def _of_simple(tokenizer: Any) -> "Tokenizer":
    """Pairs of bytes merged into longer pieces, which end with "</w>" where a word does."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    if tokenizer.reduction_fn is not None:
        raise ValueError("it drops words at random, as for training")
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.get)
    made = Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>", fuse_unk=False))
    made.normalizer = normalizers.Sequence(_cleaning(tokenizer))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    special = {tokenizer.decoder[number]: number for number in tokenizer.all_special_ids}
    made.add_special_tokens([AddedToken(token, normalized=True, special=True) for token in special])
    start, end = tokenizer.decoder[tokenizer.sot_token_id], tokenizer.decoder[tokenizer.eot_token_id]
    made.post_processor = processors.TemplateProcessing(
        single=[start, "$A", end], special_tokens=[(start, special[start]), (end, special[end])]
    )
    made.enable_truncation(tokenizer.context_length)
    made.enable_padding(length=tokenizer.context_length, pad_id=0, pad_token=tokenizer.decoder[0])
    return made


def _of_transformers(tokenizer: Any) -> "Tokenizer":
    """The tokenizers library's own tokenizer, which is inside those of transformers, with the cleaning before it."""
    from tokenizers import Tokenizer, normalizers

    inner: Any = tokenizer.tokenizer
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        raise ValueError(f"{type(inner).__name__} is not made with the tokenizers library")
    made = Tokenizer.from_str(backend.to_str())
    own = [made.normalizer] if made.normalizer else []
    made.normalizer = normalizers.Sequence([*_cleaning(tokenizer), *own])
    made.enable_truncation(tokenizer.context_length, direction=inner.truncation_side)
    made.enable_padding(
        length=tokenizer.context_length,
        pad_id=inner.pad_token_id,
        pad_token=inner.pad_token,
        direction=inner.padding_side,
    )
    return made


def _cleaning(tokenizer: Any) -> list["normalizers.Normalizer"]:
    from open_clip.tokenizer import get_clean_fn
    from tokenizers import Regex
    from tokenizers.normalizers import NFC, Lowercase, Replace, Strip

    steps = [*_repairs(), NFC()]
    if tokenizer.clean_fn is get_clean_fn("canonicalize"):
        steps += [Replace("_", " "), Replace(Regex(_any_of(string.punctuation)), "")]
    if tokenizer.clean_fn is not get_clean_fn("whitespace"):
        steps += [Replace(Regex(_LAST_SIGMA), "ς"), Lowercase()]
    return [*steps, Replace(Regex(r"\s+"), " "), Strip()]


def _repairs() -> list["normalizers.Normalizer"]:
    """What ftfy makes of single characters, asked of ftfy itself: quotes, ligatures, widths, control characters."""
    import ftfy
    from tokenizers import Regex
    from tokenizers.normalizers import Replace

    repaired: dict[str, str] = {}
    for character in map(chr, (*range(0x3400), *range(0xF900, 0x10000))):  # between are Chinese and Korean ones
        with_what = ftfy.fix_text(character)
        if with_what != unicodedata.normalize("NFC", character):
            repaired[with_what] = repaired.get(with_what, "") + character
    return [Replace(Regex(_any_of(characters)), with_what) for with_what, characters in repaired.items()]


def _any_of(characters: str) -> str:
    return "[" + "".join(f"\\x{{{ord(character):x}}}" for character in characters) + "]"
