"""Networks from hub repositories with ONNX files, against ONNX's own evaluation of these files."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.file_server import COMMIT, FileServer, hub_repository, mirrored
from tests.support.optional_packages import needs

needs("onnx", "tokenizers")

import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from lookalike import encoders
from lookalike.encoders.card import Normalization
from lookalike.encoders.openvino.loading import core
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import huggingface as from_hub
from lookalike.importers import import_model, isolated_read
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportRequest, TextTower

Content: TypeAlias = bytes | dict[str, Any] | None
NO_CHANGES: Mapping[str, Content] = {}
NO_OPTIONS = ImportOptions()
READ_ISOLATED = isolated_read.read

NAME = "owner/tiny-clip"
SIZE, WIDTH, DIM = 16, 10, 6
START, END, CONTEXT = "<|startoftext|>", "<|endoftext|>", 8
VOCABULARY = ["a", "cat", "dog", "red", "on", "sofa", "photo", "of", "the"]
TEXTS = ["a cat", "the red dog on a sofa", "photo of the red sofa on the red sofa on a dog", "cat"]
PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 20},
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
}
MEAN, STD = (0.48 * 255, 0.46 * 255, 0.41 * 255), (0.27 * 255, 0.26 * 255, 0.28 * 255)

RANDOM = np.random.default_rng(7)


def tensor(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RANDOM.normal(size=shape).astype(np.float32), name)


def constant(name: str, *numbers: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


PATCH, PROJECTION = tensor("patch", WIDTH, 3, 8, 8), tensor("projection", WIDTH, DIM)
TOKENS, POSITIONS, TEXT_PROJECTION = (
    tensor("tokens", 12, WIDTH),
    tensor("positions", CONTEXT, WIDTH),
    tensor("text_projection", WIDTH, DIM),
)

VISION = [
    helper.make_node("Conv", ["pixel_values", "patch"], ["patches"], strides=[8, 8]),
    helper.make_node("Reshape", ["patches", "flat"], ["flattened"]),
    helper.make_node("Transpose", ["flattened"], ["last_hidden_state"], perm=[0, 2, 1]),
    helper.make_node("ReduceMean", ["last_hidden_state", "one"], ["mean"], keepdims=0),
    helper.make_node("Tanh", ["mean"], ["pooler_output"]),
    helper.make_node("MatMul", ["mean", "projection"], ["image_embeds"]),
]
VISION_WEIGHTS = [PATCH, PROJECTION, constant("flat", 0, WIDTH, -1), constant("one", 1)]
# The mean of the tokens that are not padding, plus the first token with the highest id, as in CLIP.
TEXT = [
    helper.make_node("Gather", ["tokens", "input_ids"], ["looked_up"]),
    helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
    helper.make_node("Slice", ["positions", "zero", "length", "zero"], ["some_positions"]),
    helper.make_node("Add", ["looked_up", "some_positions"], ["placed"]),
    helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
    helper.make_node("Unsqueeze", ["mask", "two"], ["column"]),
    helper.make_node("Mul", ["placed", "column"], ["masked"]),
    helper.make_node("ReduceSum", ["masked", "one"], ["sum"], keepdims=0),
    helper.make_node("ReduceSum", ["mask", "one"], ["count"], keepdims=1),
    helper.make_node("Div", ["sum", "count"], ["average"]),
    helper.make_node("ArgMax", ["input_ids"], ["last"], axis=1, keepdims=0),
    helper.make_node("Squeeze", ["length"], ["depth"]),
    helper.make_node("OneHot", ["last", "depth", "off_on"], ["there"], axis=1),
    helper.make_node("Unsqueeze", ["there", "two"], ["there_column"]),
    helper.make_node("Mul", ["placed", "there_column"], ["chosen"]),
    helper.make_node("ReduceSum", ["chosen", "one"], ["end"], keepdims=0),
    helper.make_node("Add", ["average", "end"], ["pooled"]),
    helper.make_node("MatMul", ["pooled", "text_projection"], ["text_embeds"]),
]
TEXT_WEIGHTS = [
    *(TOKENS, POSITIONS, TEXT_PROJECTION, constant("zero", 0), constant("one", 1), constant("two", 2)),
    numpy_helper.from_array(np.array([0, 1], np.float32), "off_on"),
]
PIXELS = {"pixel_values": (TensorProto.FLOAT, ["n", "c", "h", "w"])}
IDS = {name: (TensorProto.INT64, ["n", "s"]) for name in ("input_ids", "attention_mask")}


def onnx_bytes(
    nodes: list[Any], weights: list[Any], inputs: Mapping[str, tuple[int, list[Any]]], outputs: Mapping[str, list[Any]]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        list({weight.name: weight for weight in weights}.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def vision(*outputs: str) -> bytes:
    shapes = {"last_hidden_state": ["n", 4, WIDTH], "pooler_output": ["n", WIDTH], "image_embeds": ["n", DIM]}
    return onnx_bytes(VISION, VISION_WEIGHTS, PIXELS, {name: shapes[name] for name in outputs})


VISION_FILE = vision("last_hidden_state", "pooler_output", "image_embeds")
TEXT_FILE = onnx_bytes(TEXT, TEXT_WEIGHTS, IDS, {"text_embeds": ["n", DIM]})


def tokenizer() -> Any:
    """A tokenizer like CLIP's: it marks start and end, and neither pads nor truncates by itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate([*VOCABULARY, "?", START, END])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([START, END])
    made.post_processor = processors.RobertaProcessing((END, vocabulary[END]), (START, vocabulary[START]))
    return made


def repository_files(others: Mapping[str, Content]) -> dict[str, bytes]:
    """The files of a network like CLIP; `others` replaces or omits some, by name without suffix."""
    files: dict[str, Content] = {
        "config": {"model_type": "clip", "text_config": {"max_position_embeddings": CONTEXT}},
        "preprocessor_config": PREPROCESSOR,
        "tokenizer_config": {"model_max_length": CONTEXT, "pad_token": END, "eos_token": {"content": END}},
        "tokenizer": json.loads(tokenizer().to_str()),
        "onnx/vision_model": VISION_FILE,
        "onnx/text_model": TEXT_FILE,
        **others,
    }
    return {
        f"{name}.{'json' if isinstance(content, dict) else 'onnx'}": json.dumps(content).encode()
        if isinstance(content, dict)
        else content
        for name, content in files.items()
        if content is not None
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    # In this process, as starting another for each file is slow.
    monkeypatch.setattr(isolated_read, "read", lambda _, data: core().read_model(data))
    with mirrored(monkeypatch, tmp_path) as server:
        yield server


def fetched(
    server: FileServer, others: Mapping[str, Content] = NO_CHANGES, options: ImportOptions = NO_OPTIONS
) -> ImportedNetwork:
    hub_repository(server, NAME, repository_files(others))
    return from_hub.fetch(ImportRequest(NAME, options))


def computed(model: ov.Model, inputs: NDArray[Any]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)[0]
    return result


def reference(file: bytes, output: str, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    [result] = ReferenceEvaluator(onnx.load_from_string(file)).run([output], inputs)
    return np.asarray(result, np.float32)


def images() -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)


def encoded(text: str, pad: str = END) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask, each (1, context), from the tokenizers library."""
    made = tokenizer()
    made.enable_truncation(CONTEXT)
    made.enable_padding(length=CONTEXT, pad_id=made.token_to_id(pad), pad_token=pad)
    encoding = made.encode(text)
    return np.array([encoding.ids], np.int64), np.array([encoding.attention_mask], np.int64)


def assert_text_tower(text_tower: TextTower | None, file: bytes, output: str, pad: str = END, *inputs: str) -> None:
    """The tower gives, for each text, what the file gives for the ids and mask of the tokenizers library."""
    from tokenizers import Tokenizer

    assert text_tower is not None
    made = Tokenizer.from_str(text_tower.tokenizer)
    for text in TEXTS:
        ids, mask = encoded(text, pad)
        assert made.encode(text).ids == ids[0].tolist()
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        expected = reference(file, output, **{name: given[name] for name in inputs or ("input_ids", "attention_mask")})
        np.testing.assert_allclose(computed(text_tower.graph, ids), expected, rtol=1e-4, atol=1e-5)


def test_images_and_text_get_the_vectors_of_onnx(server: FileServer) -> None:
    network = fetched(server)
    expected = reference(VISION_FILE, "image_embeds", pixel_values=images())
    np.testing.assert_allclose(computed(network.graph, images()), expected, rtol=1e-4, atol=1e-5)
    assert network.text_tower is not None
    assert network.text_tower.context == CONTEXT
    assert_text_tower(network.text_tower, TEXT_FILE, "text_embeds")


def test_an_imported_model_gives_the_vectors_of_onnx(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_read, "read", READ_ISOLATED)
    hub_repository(server, NAME, repository_files({}))
    assert import_model(f"hf:{NAME}").card.name == "tiny-clip"
    pixels = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    scaled = ((pixels - np.array(MEAN)) / STD).astype(np.float32).transpose(0, 3, 1, 2)
    expected = reference(VISION_FILE, "image_embeds", pixel_values=scaled)
    np.testing.assert_allclose(encoders.load("tiny-clip").encode(pixels), expected, rtol=1e-3, atol=1e-4)
    vectors = encoders.load_text("tiny-clip").encode_text(TEXTS)
    for vector, text in zip(vectors, TEXTS, strict=True):
        ids, mask = encoded(text)
        of_text = reference(TEXT_FILE, "text_embeds", input_ids=ids, attention_mask=mask)[0]
        np.testing.assert_allclose(vector, of_text, rtol=1e-3, atol=1e-4)


def test_a_network_has_its_source_preprocessing_and_digest(server: FileServer) -> None:
    network = fetched(server)
    assert (network.source, network.version, network.licence) == (f"hf:{NAME}", COMMIT, "apache-2.0")
    assert (network.output, network.layout) == ("image_embeds", "NCHW")
    assert network.preprocessing == Preprocessing(size=SIZE, crop=SIZE / 20, resample="bicubic", fit="crop")
    assert network.normalization == Normalization(pytest.approx(MEAN), pytest.approx(STD), "RGB")  # type: ignore[arg-type]
    digests = "".join(hashlib.sha256(file).hexdigest() for file in (VISION_FILE, TEXT_FILE))
    assert network.sha256 == hashlib.sha256(digests.encode()).hexdigest()


def test_a_revision_is_in_the_name_or_an_option(server: FileServer) -> None:
    hub_repository(server, NAME, repository_files({}), commit="a" * 40, revision="v1")
    hub_repository(server, NAME, repository_files({}), commit="b" * 40, revision="v2")
    assert from_hub.fetch(ImportRequest(f"{NAME}@v1")).version == "a" * 40
    assert from_hub.fetch(ImportRequest(f"{NAME}@v1", ImportOptions(revision="v2"))).version == "b" * 40


def test_options_override_what_the_repository_says(server: FileServer) -> None:
    options = ImportOptions(
        size=24,
        crop=0.5,
        resample="nearest",
        fit="squash",
        mean=(1, 2, 3),
        std=(4, 5, 6),
        channels="BGR",
        licence="MIT",
    )
    network = fetched(server, options=options)
    assert network.preprocessing == Preprocessing(24, 0.5, "nearest", "squash")
    assert network.normalization == Normalization((1, 2, 3), (4, 5, 6), "BGR")
    assert network.licence == "MIT"
    pixels = np.ones((1, 3, 24, 24), np.float32)
    expected = reference(VISION_FILE, "image_embeds", pixel_values=pixels)
    np.testing.assert_allclose(computed(network.graph, pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output", ["pooler_output", "last_hidden_state", "patches"])
def test_another_output_or_layer_can_be_chosen_and_has_no_text_tower(server: FileServer, output: str) -> None:
    network = fetched(server, options=ImportOptions(output=output))
    expected = reference(VISION_FILE, "last_hidden_state", pixel_values=images())
    if output == "pooler_output":
        expected = np.tanh(expected.mean(axis=1))
    if output == "patches":
        expected = expected.transpose(0, 2, 1).reshape(2, WIDTH, 2, 2)
    np.testing.assert_allclose(computed(network.graph, images()), expected, rtol=1e-4, atol=1e-5)
    assert (network.output, network.text_tower) == (output, None)
    assert not any("text_model" in path for path in server.paths())
    assert network.sha256 == hashlib.sha256(VISION_FILE).hexdigest()


def test_an_unknown_layer_is_refused(server: FileServer) -> None:
    with pytest.raises(UsageError, match="no layer 'nothing'"):
        fetched(server, options=ImportOptions(output="nothing"))


@pytest.mark.parametrize(
    ("outputs", "preferred"),
    [
        (["last_hidden_state", "pooler_output"], "pooler_output"),
        (["last_hidden_state"], "last_hidden_state"),
        (["image_embeds", "pooler_output"], "image_embeds"),
    ],
)
def test_outputs_for_whole_images_are_preferred(server: FileServer, outputs: list[str], preferred: str) -> None:
    network = fetched(server, {"onnx/vision_model": None, "onnx/text_model": None, "onnx/model": vision(*outputs)})
    expected = reference(VISION_FILE, preferred, pixel_values=images())
    np.testing.assert_allclose(computed(network.graph, images()), expected, rtol=1e-4, atol=1e-5)
    assert (network.output, network.text_tower) == (preferred, None)


def test_a_file_at_the_top_is_found(server: FileServer) -> None:
    network = fetched(server, {"onnx/vision_model": None, "onnx/text_model": None, "model": vision("image_embeds")})
    assert network.output == "image_embeds"


def test_images_and_text_may_be_in_one_file(server: FileServer) -> None:
    scores = helper.make_node("Einsum", ["image_embeds", "text_embeds"], ["logits_per_image"], equation="nd,md->nm")
    both = onnx_bytes(
        [*VISION, *TEXT, scores],
        [*VISION_WEIGHTS, *TEXT_WEIGHTS],
        IDS | PIXELS,
        {"logits_per_image": ["n", "m"], "text_embeds": ["n", DIM], "image_embeds": ["n", DIM]},
    )
    network = fetched(server, {"onnx/vision_model": None, "onnx/text_model": None, "onnx/model": both})
    expected = reference(VISION_FILE, "image_embeds", pixel_values=images())
    np.testing.assert_allclose(computed(network.graph, images()), expected, rtol=1e-4, atol=1e-5)
    assert_text_tower(network.text_tower, TEXT_FILE, "text_embeds")
    assert network.sha256 == hashlib.sha256(both).hexdigest()
    with pytest.raises(ModelError, match=r"cannot be used for images of 16 x 16: .*input"):
        fetched(
            server,
            {"onnx/vision_model": None, "onnx/text_model": None, "onnx/model": both},
            ImportOptions(output="text_embeds"),
        )


# Text


def test_a_padding_token_of_its_own_is_masked_everywhere(server: FileServer) -> None:
    network = fetched(server, {"tokenizer_config": {"model_max_length": CONTEXT, "pad_token": "?", "eos_token": END}})
    assert_text_tower(network.text_tower, TEXT_FILE, "text_embeds", "?")


def test_a_siglip_network_needs_no_mask(server: FileServer) -> None:
    """It has pooler_output for images and text, and no attention_mask."""
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["looked_up"]),
        helper.make_node("Add", ["looked_up", "positions"], ["placed"]),
        helper.make_node("ReduceMean", ["placed", "one"], ["pooler_output"], keepdims=0),
    ]
    file = onnx_bytes(
        nodes, [TOKENS, POSITIONS, constant("one", 1)], {"input_ids": IDS["input_ids"]}, {"pooler_output": ["n", WIDTH]}
    )
    siglip: dict[str, Content] = {
        "config": {"model_type": "siglip", "text_config": {"max_position_embeddings": CONTEXT}},
        "onnx/vision_model": vision("last_hidden_state", "pooler_output"),
        "onnx/text_model": file,
    }
    network = fetched(server, siglip)
    assert network.output == "pooler_output"
    assert_text_tower(network.text_tower, file, "pooler_output", END, "input_ids")
    siglip["config"] = {"model_type": "clip"}  # its vectors before the projection are in two spaces
    assert fetched(server, siglip).text_tower is None


def test_token_types_are_zeros(server: FileServer) -> None:
    types = helper.make_node("Gather", ["tokens", "token_type_ids"], ["typed"])
    nodes = [types, *TEXT]
    nodes[4] = helper.make_node("Sum", ["looked_up", "some_positions", "typed"], ["placed"])
    inputs = IDS | {"token_type_ids": IDS["input_ids"]}
    file = onnx_bytes(nodes, TEXT_WEIGHTS, inputs, {"text_embeds": ["n", DIM]})
    assert_text_tower(fetched(server, {"onnx/text_model": file}).text_tower, file, "text_embeds", END, *inputs)


def test_a_tokenizer_without_an_attention_mask_gets_one_of_ones(server: FileServer) -> None:
    config = {"model_max_length": CONTEXT, "pad_token": "?", "model_input_names": ["input_ids"]}
    text_tower = fetched(server, {"tokenizer_config": config}).text_tower
    assert text_tower is not None
    ids, _ = encoded(TEXTS[0], "?")
    expected = reference(TEXT_FILE, "text_embeds", input_ids=ids, attention_mask=np.ones_like(ids))
    np.testing.assert_allclose(computed(text_tower.graph, ids), expected, rtol=1e-4, atol=1e-5)


def test_a_graph_with_a_fixed_context_decides_the_context(server: FileServer) -> None:
    fixed = {name: (TensorProto.INT64, [1, 5]) for name in IDS}
    file = onnx_bytes(TEXT, TEXT_WEIGHTS, fixed, {"text_embeds": [1, DIM]})
    text_tower = fetched(server, {"onnx/text_model": file}).text_tower
    assert text_tower is not None
    assert text_tower.context == 5


@pytest.mark.parametrize(
    ("config", "network", "context"),
    [
        ({"model_max_length": 6}, {"max_position_embeddings": 8}, 6),
        ({"model_max_length": 10**30}, {"max_position_embeddings": 7}, 7),
        ({}, {"max_position_embeddings": 7}, 7),
        ({"model_max_length": 6}, {}, 6),
    ],
)
def test_the_context_is_the_limit_of_tokenizer_and_network(
    server: FileServer, config: dict[str, Any], network: dict[str, Any], context: int
) -> None:
    found = fetched(
        server,
        {
            "tokenizer_config": config | {"pad_token": END, "eos_token": END},
            "config": {"model_type": "other", "text_config": network},
        },
    )
    assert found.text_tower is not None
    assert found.text_tower.context == context


def test_without_a_tokenizer_or_text_file_there_is_no_text_tower(server: FileServer) -> None:
    assert fetched(server, {"tokenizer": None}).text_tower is None
    assert fetched(server, {"onnx/text_model": None}).text_tower is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"tokenizer_config": {"model_max_length": 8}}, "does not say what it pads with"),
        ({"tokenizer_config": {"pad_token": END, "padding_side": "left"}}, "on the left"),
        ({"tokenizer_config": {"pad_token": "<pad>"}}, "tokenizer is not valid: '<pad>' is missing"),
        ({"tokenizer": {"model": 7}}, "tokenizer is not valid: ."),
        ({"tokenizer_config": {"pad_token": END}, "config": {}}, "says how many tokens"),
        ({"onnx/text_model": onnx_bytes(TEXT, TEXT_WEIGHTS, IDS, {"pooled": ["n", WIDTH]})}, "no output 'text_embeds'"),
    ],
)
def test_text_that_cannot_be_tokenized_is_refused(server: FileServer, others: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"hf:{NAME}: .*{message}"):
        fetched(server, others)


# Refusals


@pytest.mark.parametrize(
    ("name", "file", "advice"),
    [
        ("timm/resnet18.a1_in1k", "model.safetensors", "timm:resnet18.a1_in1k"),
        ("laion/CLIP", "open_clip_config.json", "open_clip:MODEL/TAG"),
        ("owner/net", "pytorch_model.bin", "optimum-cli export onnx --model owner/net"),
    ],
)
def test_a_repository_without_onnx_files_is_refused_with_advice(
    server: FileServer, name: str, file: str, advice: str
) -> None:
    hub_repository(server, name, {file: b"{}", "onnx/model_quantized.onnx": b""})
    with pytest.raises(ModelError, match=f"hf:{name}: it has neither .*{advice}"):
        from_hub.fetch(ImportRequest(name))
    assert len(server.requests) == 1


@pytest.mark.parametrize("data", ["onnx/vision_model.onnx_data", "onnx/text_model.onnx.data"])
def test_weights_in_another_file_are_refused_before_any_download(server: FileServer, data: str) -> None:
    hub_repository(server, NAME, repository_files({}) | {data: b"weights"})
    with pytest.raises(ModelError, match=f"weights in another file, {data}"):
        from_hub.fetch(ImportRequest(NAME))
    assert len(server.requests) == 1


def test_weights_in_a_file_outside_the_repository_are_refused(server: FileServer) -> None:
    model = onnx.load_from_string(VISION_FILE)
    patch = model.graph.initializer[0]
    patch.ClearField("raw_data")
    patch.data_location = TensorProto.EXTERNAL
    patch.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelError, match="other files"):
        fetched(server, {"onnx/vision_model": model.SerializeToString()})


def test_a_file_that_takes_no_images_is_refused(server: FileServer) -> None:
    with pytest.raises(ModelError, match="takes images"):
        fetched(server, {"onnx/vision_model": TEXT_FILE})


@pytest.mark.parametrize("name", ["net", "a/b/c", "../x", ""])
def test_malformed_repository_names_are_refused(server: FileServer, name: str) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        from_hub.fetch(ImportRequest(name))


def test_a_config_that_is_not_an_object_is_refused(server: FileServer) -> None:
    hub_repository(server, NAME, repository_files({}) | {"config.json": b"[]"})
    with pytest.raises(ModelError, match=r"config\.json is not a JSON object"):
        from_hub.fetch(ImportRequest(NAME))
