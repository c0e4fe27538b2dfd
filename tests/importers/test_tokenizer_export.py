"""Converted tokenizers against OpenCLIP's own: the same ids for any text."""

import json
import unicodedata
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.encoders.openvino.text_encoder import token_ids
from lookalike.errors import ModelError
from lookalike.importers import tokenizer_export
from lookalike.importers.third_party import silenced
from tests.support.optional_packages import needs
from tests.support.torch_stubs import declare

needs("torch", "torchvision", "open_clip", "tokenizers")
declare()
with silenced():
    import ftfy
    import open_clip.tokenizer as theirs
    import torch
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

CLIP = theirs.SimpleTokenizer()
CONVERTED = Tokenizer.from_str(tokenizer_export.to_tokenizer_json(CLIP, "clip"))


def ours(text: str, made: Tokenizer = CONVERTED) -> list[int]:
    ids: list[int] = token_ids(made, [text], unescapes=True)[0].tolist()
    return ids


def own(text: str, tokenizer: Any = CLIP) -> list[int]:
    ids: list[int] = tokenizer([text])[0].tolist()
    return ids


def repaired_by_character(text: str) -> bool:
    """Whether ftfy repairs only single characters of it: no wrong decoding, no terminal colours."""
    plain = ftfy.fix_text(text, fix_encoding=False, remove_terminal_escapes=False, unescape_html=False)
    return bool(ftfy.fix_text(text, unescape_html=False) == plain)


def known_to_all(character: str) -> bool:
    """Whether libraries agree on a character: not on unassigned ones, and not on a subscript that is a letter."""
    return unicodedata.category(character) not in {"Cn", "Cs"} and character != "\u0345"


CHARACTERS = st.characters(max_codepoint=0x1FAFF).filter(known_to_all)
COMMON = """a photo of the CAT's dogs' we'LL 'S 1,234.5 x² ½ #1! ... -- &amp; &lt;b&gt; &amp;quot; café ΟΔΟΣ ΣΑΣ. straße
ﬁne ｶﾞ 猫 소파 😀"""
RARE = ("don\u2019t", "👩\u200d👩\u200d👧", "\u3000", "\x00", "\x85", "\u2028", "\r\n", "\t")
WORDS = st.sampled_from([*COMMON.split(), *RARE])


@settings(max_examples=250, deadline=None)
@given(st.text(CHARACTERS, min_size=1).filter(repaired_by_character))
def test_any_text_becomes_the_same_ids(text: str) -> None:
    assert ours(text) == own(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(CHARACTERS, max_size=3)), max_size=60), st.sampled_from(["", " ", "  \n"]))
def test_any_sequence_of_words_becomes_the_same_ids(words: Sequence[str], between: str) -> None:
    text = between.join(words)
    if repaired_by_character(text):
        assert ours(text) == own(text)


@pytest.mark.parametrize("text", ["<end_of_text>", "a <START_OF_TEXT> cat", "cat<end_of_text>dog", "<end_of_text"])
def test_special_tokens_in_a_text_become_the_same_ids(text: str) -> None:
    assert ours(text) == own(text)


def test_a_long_text_is_truncated_with_the_end_token_last() -> None:
    ids = ours("cats and dogs " * 100)
    assert ids == own("cats and dogs " * 100)
    assert (len(ids), ids[0], ids[-1]) == (77, CLIP.sot_token_id, CLIP.eot_token_id)


def test_a_short_text_is_padded_with_zeros() -> None:
    assert ours("a") == [CLIP.sot_token_id, CLIP.encoder["a</w>"], CLIP.eot_token_id] + [0] * 74


@pytest.mark.parametrize("text", ["cafÃ© crÃ¨me", "\x1b[31mred\x1b[0m", "<b> &rsquo;", "itâ€™s"])
def test_ftfys_repairs_of_several_characters_are_not_converted(text: str) -> None:
    """The difference is documented; if it disappears, so should the documentation."""
    assert ours(text) != own(text)


@pytest.mark.parametrize("clean", ["lower", "whitespace", "canonicalize"])
def test_every_cleaning_and_context_is_converted(clean: str) -> None:
    tokenizer = theirs.SimpleTokenizer(context_length=16, clean=clean)
    made = Tokenizer.from_str(tokenizer_export.to_tokenizer_json(tokenizer, "clip"))
    for text in ("Snake_case, isn't IT?  (yes)", "“Ça va” & \uff26\uff35ll", "one two three four " * 9):
        assert ours(text, made) == own(text, tokenizer)
        assert len(ours(text, made)) == 16
    assert (ours("Cat!", made) == ours("cat", made)) == (clean == "canonicalize")


def test_a_tokenizer_that_drops_tokens_at_random_is_refused() -> None:
    with pytest.raises(ModelError, match=r"^clipa: .*drops tokens at random.*choose"):
        tokenizer_export.to_tokenizer_json(theirs.SimpleTokenizer(reduction_mask="simple"), "clipa")


def test_a_tokenizer_that_would_return_other_ids_is_refused() -> None:
    class Odd(theirs.SimpleTokenizer):  # type: ignore[misc]
        def encode(self, text: str) -> list[int]:
            return [number + 1 if "✓" in text or "naïve" in text else number for number in super().encode(text)]

    with pytest.raises(ModelError, match=r"^odd: .*other tokens for 'Crème"):
        tokenizer_export.to_tokenizer_json(Odd(), "odd")


# Tokenizers of transformers, as OpenCLIP wraps them


class InTransformers:
    """A stub of transformers' fast tokenizers with what OpenCLIP uses, based on the tokenizers library as they are."""

    padding_side, truncation_side = "right", "right"
    pad_token, pad_token_id = "<pad>", 0

    def __init__(self, backend: Tokenizer | None) -> None:
        if backend:
            self.backend_tokenizer = backend
        self._used = Tokenizer.from_str(backend.to_str()) if backend else None

    def __call__(self, texts: list[str], *, max_length: int, **_: object) -> SimpleNamespace:
        assert self._used
        self._used.enable_truncation(max_length)
        self._used.enable_padding(length=max_length, pad_id=self.pad_token_id, pad_token=self.pad_token)
        return SimpleNamespace(input_ids=torch.tensor([encoding.ids for encoding in self._used.encode_batch(texts)]))


def like_siglip() -> Tokenizer:
    """A tokenizer like SigLIP's: unigrams with "▁" for spaces and "</s>" at the end, of a small vocabulary."""
    pieces = [
        "<pad>",
        "</s>",
        "<unk>",
        "▁",
        "▁a",
        "▁cat",
        "s",
        "▁photo",
        "▁of",
        *"abcdefghijklmnopqrstuvwxyz0123456789é猫",
    ]
    made = Tokenizer(models.Unigram([(piece, -float(rank)) for rank, piece in enumerate(pieces)], unk_id=2))
    made.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.add_special_tokens([AddedToken("<pad>", special=True), AddedToken("</s>", special=True)])
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made


def wrapped(inner: Any, *, clean: str = "canonicalize", **others: Any) -> Any:
    """OpenCLIP's wrapper around a tokenizer, which it can only make from a repository's name."""
    made = theirs.HFTokenizer.__new__(theirs.HFTokenizer)
    facts = {"tokenizer": inner, "tokenizer_mode": "", "context_length": 16, "strip_sep_token": False} | others
    vars(made).update(facts, clean_fn=theirs.get_clean_fn(clean))
    return made


@pytest.mark.parametrize("clean", ["whitespace", "canonicalize"])
def test_a_tokenizer_of_transformers_becomes_the_same_ids(clean: str) -> None:
    tokenizer = wrapped(InTransformers(like_siglip()), clean=clean)
    made = Tokenizer.from_str(tokenizer_export.to_tokenizer_json(tokenizer, "siglip"))
    for text in ("A photo_of  a CAT!", "“cats” &amp; 猫, Cafe\u0301", "a photo of a cat " * 9):
        assert ours(text, made) == own(text, tokenizer)
    assert ours("a cat", made)[:4] == [4, 5, 1, 0]


def test_a_tokenizer_whose_separator_is_removed_later_is_refused() -> None:
    inner = InTransformers(like_siglip())
    vars(inner)["sep_token_id"] = 1
    with pytest.raises(ModelError, match=r"^clipa: its tokenizer, a HFTokenizer, cannot be converted: .*other tokens"):
        tokenizer_export.to_tokenizer_json(wrapped(inner, strip_sep_token=True), "clipa")


def test_a_slow_tokenizer_of_transformers_is_refused() -> None:
    with pytest.raises(ModelError, match=r"InTransformers is not made with the tokenizers library"):
        tokenizer_export.to_tokenizer_json(wrapped(InTransformers(None)), "slow")


def test_the_file_contains_truncation_and_padding() -> None:
    facts = json.loads(CONVERTED.to_str())
    assert facts["truncation"]["max_length"] == 77
    assert facts["padding"]["strategy"] == {"Fixed": 77}
