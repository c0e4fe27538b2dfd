"""The text encoder on the CPU: a small one whose vectors are computed with NumPy."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op

from lookalike import encoders
from lookalike.encoders.card import Card, TextSpec
from lookalike.encoders.openvino.text_encoder import OpenVinoTextEncoder, token_ids
from lookalike.errors import Hint, MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from tests.support.optional_packages import needs
from tests.support.project import ROOT

needs("tokenizers")
from tokenizers import Tokenizer, models, pre_tokenizers, processors

CONTEXT, DIM = 6, 5
VOCABULARY = {"<pad>": 0, "<end>": 1, "<unknown>": 2, "a": 3, "red": 4, "cat": 5, "&": 6, "é": 7, "\ufffd": 8}
# The embedding of each token; a text's vector is the mean over its tokens, padding included.
TABLE = np.random.default_rng(0).normal(size=(len(VOCABULARY), DIM)).astype(np.float32)


def tokenizer(context: int = CONTEXT) -> Tokenizer:
    made = Tokenizer(models.WordLevel(VOCABULARY, "<unknown>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 1)])
    made.enable_truncation(context)
    made.enable_padding(length=context)
    return made


def card(*, precision: str = "f32", context: int = CONTEXT, dim: int = DIM) -> Card:
    return Card(
        "clip",
        "open_clip:x/y",
        "mit",
        "0" * 64,
        dim,
        Preprocessing(),
        precision,
        "1",
        text=TextSpec(context, "", unescapes=True),
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The paths of a graph and a tokenizer, as in the directory of an imported model."""
    ids = op.parameter([1, CONTEXT], np.int64)
    vector = op.reduce_mean(op.gather(op.constant(TABLE), ids, np.int64(0)), np.array([1]), False)
    graph = tmp_path / "text.xml"
    ov.save_model(ov.Model([vector], [ids], "text"), graph, compress_to_fp16=False)
    (tmp_path / "tokenizer.json").write_text(tokenizer().to_str(), encoding="utf-8")
    return graph, tmp_path / "tokenizer.json"


def by_hand(rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """The vectors of token ids, each followed by the end and the padding."""
    padded = [[*row, 1, *[0] * (CONTEXT - 1 - len(row))] for row in rows]
    vectors: NDArray[np.float32] = np.stack([TABLE[row].mean(axis=0) for row in padded])
    return vectors


def test_texts_get_the_vectors_of_their_tokens(files: tuple[Path, Path]) -> None:
    encoder = OpenVinoTextEncoder(card(), *files)
    found = encoder.encode_text(["a red cat", "cat", "a dog"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand([[3, 4, 5], [5], [3, 2]]), atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_no_texts_give_no_vectors(files: tuple[Path, Path]) -> None:
    assert OpenVinoTextEncoder(card(), *files).encode_text([]).shape == (0, DIM)


def test_it_is_a_text_encoder(files: tuple[Path, Path]) -> None:
    assert isinstance(OpenVinoTextEncoder(card(), *files), encoders.TextEncoder)


def test_a_long_text_is_truncated(files: tuple[Path, Path]) -> None:
    encoder = OpenVinoTextEncoder(card(), *files)
    long, cut = encoder.encode_text(["a red cat a red cat cat cat", "a red cat a red"])
    np.testing.assert_array_equal(long, cut)
    np.testing.assert_allclose(cut, by_hand([[3, 4, 5, 3, 4]])[0], atol=1e-6)


def test_bfloat16_stays_near_float32(files: tuple[Path, Path]) -> None:
    found = OpenVinoTextEncoder(card(precision="bf16"), *files).encode_text(["a red cat"])
    np.testing.assert_allclose(found, by_hand([[3, 4, 5]]), atol=0.02)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_a_blank_text_is_refused(files: tuple[Path, Path], text: str) -> None:
    encoder = OpenVinoTextEncoder(card(), *files)
    with pytest.raises(UsageError, match="is blank"):
        encoder.encode_text(["cat", text])


@pytest.mark.parametrize(("text", "ids"), [("&amp; &amp;amp;", [6, 6]), ("&eacute;", [7]), ("red \udcff", [4, 8])])
def test_html_entities_are_decoded_and_lone_surrogates_replaced(text: str, ids: list[int]) -> None:
    assert token_ids(tokenizer(), [text], unescapes=True)[0].tolist() == [*ids, 1, *[0] * (CONTEXT - 1 - len(ids))]


def test_many_threads_get_the_vectors_that_one_gets(files: tuple[Path, Path]) -> None:
    encoder = OpenVinoTextEncoder(card(), *files)
    known = list(VOCABULARY)[3:6]
    texts = [f"{a} {b} {c}" for a in known for b in known for c in known] * 8
    expected = encoder.encode_text(texts)
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate(list(pool.map(lambda text: encoder.encode_text([text]), texts)))
    np.testing.assert_array_equal(found, expected)


def test_without_the_tokenizers_package_it_says_how_to_install_it(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"searching by text .*lookalike\[text\]"):
        OpenVinoTextEncoder(card(), *files)


def test_a_damaged_tokenizer_is_named(files: tuple[Path, Path]) -> None:
    files[1].write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: it cannot be read as a tokenizer"):
        OpenVinoTextEncoder(card(), *files)


def test_a_damaged_graph_is_named(files: tuple[Path, Path]) -> None:
    files[0].write_text("<net")
    with pytest.raises(ModelError, match=r"text\.xml: OpenVINO cannot run it"):
        OpenVinoTextEncoder(card(), *files)


@pytest.mark.parametrize("wrong", [card(context=7), card(dim=4)])
def test_a_graph_that_does_not_match_the_card_is_refused(files: tuple[Path, Path], wrong: Card) -> None:
    with pytest.raises(ModelError, match=r"text\.xml: it turns \[1,6\] into \[1,5\], .* but its card says") as error:
        OpenVinoTextEncoder(wrong, *files)
    assert error.value.hints == (Hint("import_model_again", {"source": "open_clip:x/y", "name": "clip"}),)


def test_a_tokenizer_that_does_not_match_the_graph_is_refused(files: tuple[Path, Path]) -> None:
    files[1].write_text(tokenizer(4).to_str(), encoding="utf-8")
    with pytest.raises(ModelError, match="its tokenizer makes 4 tokens"):
        OpenVinoTextEncoder(card(), *files)


CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.encoders.openvino.test_text_encoder import OpenVinoTextEncoder, card
encoder = OpenVinoTextEncoder(card(), Path(sys.argv[2]), Path(sys.argv[3]))
encoder.encode_text(["a red cat"] * 4)
if os.fork() == 0:
    encoder._tokenizer.encode("a red cat")
    os._exit(0)
os.wait()
"""


def test_it_prints_nothing_even_if_the_process_forks(files: tuple[Path, Path]) -> None:
    command = [sys.executable, "-W", "error", "-c", CHILD, str(ROOT), *map(str, files)]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (child.stdout, child.stderr) == ("", "")
