"""Networks from files of every format, against the frameworks that made them; and files that are refused unloaded."""

import functools
import os
import pickle
import platform
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op

from lookalike.encoders.openvino.loading import core
from tests.support.optional_packages import needs

needs("onnx")

import onnx
from onnx import TensorProto, helper

from lookalike.encoders.card import Normalization
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import file as from_file
from lookalike.importers import isolated_read
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportRequest
from lookalike.importers.encoder_graph import build
from lookalike.importers.output_layer import layers
from tests.support.onnx_samples import SIZE, classifier, images, model, node, planes, reference, tensor

IMAGENET = ImportOptions(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
PIXELS = images()


def fetch(path: Path, options: ImportOptions = IMAGENET) -> ImportedNetwork:
    return from_file.fetch(ImportRequest(str(path), options))


def vectors(network: ImportedNetwork, pixels: NDArray[np.uint8] = PIXELS) -> NDArray[np.float32]:
    run = core().compile_model(build(network).graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([run(image[None])[0].copy() for image in pixels])


def assert_near(found: NDArray[Any], expected: NDArray[Any], part: float = 1e-4) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=part * np.abs(expected).max())


def saved(network: onnx.ModelProto, folder: Path, name: str = "network.onnx") -> Path:
    (folder / name).write_bytes(network.SerializeToString())
    return folder / name


def ir(folder: Path, *, kind: Any = np.uint8, layout: str = "NHWC") -> Path:
    """Saves OpenVINO's own network of the mean colour, once as it is and once multiplied by 1, 2 and 3."""
    sides = {"N": 1, "C": 3, "H": SIZE, "W": SIZE}
    pixels = op.parameter([sides[side] for side in layout], kind, name="pixels")
    mean = op.reduce_mean(op.convert(pixels, "f32"), np.array([layout.index("H"), layout.index("W")]), False)
    both = op.concat([mean, op.multiply(mean, np.array([[1, 2, 3]], np.float32))], 1)
    ov.save_model(ov.Model([both], [pixels]), folder / "network.xml", compress_to_fp16=False)
    return folder / "network.xml"


# ONNX


def test_an_onnx_file_gives_the_vectors_of_onnx_for_normalized_pixels(tmp_path: Path) -> None:
    network = fetch(saved(classifier(), tmp_path))
    normalized = (PIXELS - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    assert_near(vectors(network), reference(classifier(), "flat", planes(normalized)))
    assert (network.output, network.layout, network.preprocessing) == ("flat", "NCHW", Preprocessing(SIZE))
    assert network.normalization == Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    assert (network.source, network.licence, network.version) == ("network.onnx", "", "")


def test_options_override_the_defaults(tmp_path: Path) -> None:
    options = ImportOptions(
        output="conv",
        size=20,
        crop=1.0,
        resample="bicubic",
        fit="squash",
        mean=(1.0, 2.0, 3.0),
        std=(4.0, 5.0, 6.0),
        channels="BGR",
        licence="MIT",
    )
    network = fetch(saved(classifier(shape=("n", 3, None, None)), tmp_path), options)
    assert network.preprocessing == Preprocessing(20, 1.0, "bicubic", "squash")
    assert network.normalization == Normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR")
    assert (network.output, network.licence) == ("conv", "MIT")
    assert build(network).output == "conv (mean over 10 x 10)"


def test_the_sha256_of_a_file_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path)
    printed = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    assert fetch(path).sha256 == printed.split()[0]


def test_a_size_that_the_file_leaves_open_is_required(tmp_path: Path) -> None:
    for shape in (("n", 3, "height", "width"), ("n", "channels", "height", "width")):
        path = saved(classifier(shape=shape), tmp_path)
        with pytest.raises(UsageError, match=r"network\.onnx: it takes images of any size; give the `size`"):
            fetch(path)
        network = fetch(path, ImportOptions(size=24, mean=(0, 0, 0), std=(1, 1, 1)))
        assert (network.layout, network.preprocessing.size) == ("NCHW", 24)
        np.testing.assert_equal(vectors(network, images(24)).shape, (3, 8))


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    nodes = [node("Reshape", "pixels sizes", "flat"), node("MatMul", "flat weights", "logits")]
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [2], [1, 3 * SIZE * SIZE])
    network = model(
        nodes, [sizes, tensor("weights", 3 * SIZE * SIZE, 10)], {"logits": (1, 10)}, shape=(1, 3, SIZE, SIZE)
    )
    with pytest.raises(UsageError, match=r"network\.onnx: it does not take images of 20 x 20"):
        fetch(saved(network, tmp_path), ImportOptions(size=20, mean=(0, 0, 0), std=(1, 1, 1)))


# Normalization


def test_a_missing_normalization_is_refused_with_the_usual_ones(tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path)
    with pytest.raises(
        UsageError, match=r"give `mean` and `std`.* 0 and 255 .* 127\.5 .* 123\.675,116\.28,103\.53 and"
    ):
        fetch(path, ImportOptions())
    with pytest.raises(UsageError, match="give both `mean` and `std`, or neither"):
        fetch(path, ImportOptions(mean=(0, 0, 0)))


def normalizing(*steps: tuple[str, list[float]]) -> onnx.ModelProto:
    """The classifier, preceded by arithmetic with constants."""
    network, name = classifier(), "pixels"
    for number, (kind, constant) in enumerate(steps):
        values = np.array(constant, np.float32).reshape(1, -1, 1, 1)
        network.graph.initializer.append(onnx.numpy_helper.from_array(values, f"constant{number}"))
        network.graph.node.insert(number, node(kind, f"{name} constant{number}", f"scaled{number}"))
        name = f"scaled{number}"
    network.graph.node[len(steps)].input[0] = name
    return network


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("Mul", [1 / 255])], True),
        ([("Mul", [1 / 127.5]), ("Add", [-1])], True),
        ([("Sub", [123.675, 116.28, 103.53]), ("Div", [58.395, 57.12, 57.375])], True),
        ([("Sub", [103.939, 116.779, 123.68])], True),
        ([("Sub", [0.485, 0.456, 0.406]), ("Div", [0.229, 0.224, 0.225])], False),  # of pixels in 0..1
        ([("Mul", [2]), ("Sub", [1])], False),
        ([], False),
    ],
)
def test_arithmetic_that_normalizes_pixels_is_recognized(steps: list[tuple[str, list[float]]], expected: bool) -> None:
    network = core().read_model(normalizing(*steps).SerializeToString())
    assert from_file.normalizes(network) is expected


def test_a_network_that_normalizes_by_itself_takes_unchanged_pixels(tmp_path: Path) -> None:
    network = normalizing(("Mul", [1 / 127.5]), ("Add", [-1]))
    found = fetch(saved(network, tmp_path), ImportOptions())
    assert found.normalization is None
    assert_near(vectors(found), reference(network, "flat", planes(PIXELS)))


# OpenVINO's own format


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_openvino_network_of_pixels_needs_no_normalization(layout: str, tmp_path: Path) -> None:
    network = fetch(ir(tmp_path, layout=layout), ImportOptions())
    means = PIXELS.astype(np.float64).mean(axis=(1, 2))
    assert_near(vectors(network), np.hstack([means, means * [1, 2, 3]]))
    assert (network.normalization, network.layout, network.source) == (None, layout, "network.xml")


def test_the_sha256_of_several_files_is_that_of_sha256sums_output(tmp_path: Path) -> None:
    network = fetch(ir(tmp_path), ImportOptions())
    command = "sha256sum network.bin network.xml | sha256sum"
    printed = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert network.sha256 == printed.split()[0]


def test_a_network_of_uint8_pixels_takes_a_channel_order_but_no_mean(tmp_path: Path) -> None:
    path = ir(tmp_path)
    with pytest.raises(UsageError, match=r"network\.xml: it takes pixels as they are; leave out `mean` and `std`"):
        fetch(path)
    assert_near(vectors(fetch(path, ImportOptions(channels="BGR")))[:, :3], PIXELS.mean(axis=(1, 2))[:, ::-1])


def test_a_network_without_its_weights_is_refused(tmp_path: Path) -> None:
    path = ir(tmp_path)
    (tmp_path / "network.bin").unlink()
    with pytest.raises(ModelError, match=r"network\.xml: its weights are missing; put network\.bin next to it"):
        fetch(path)


# Inputs that are not images


def test_several_inputs_are_refused_with_their_names(tmp_path: Path) -> None:
    network = classifier()
    network.graph.input.append(helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, ("n", 10)))
    network.graph.node.append(node("Add", "logits input_ids", "both"))
    network.graph.output[0].name = "both"
    with pytest.raises(ModelError, match=r"network\.onnx: it has 2 inputs \(pixels, input_ids\); export the part"):
        fetch(saved(network, tmp_path))


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (("n", 77), TensorProto.FLOAT, r"its input pixels is f32 \[\?,77\], and not an image of 3 channels"),
        (("n", 1, SIZE, SIZE), TensorProto.FLOAT, r"its input pixels is f32 \[\?,1,16,16\], and not an image"),
        (("n", 3, SIZE, SIZE), TensorProto.INT64, r"its input pixels is i64 \[\?,3,16,16\], and not an image"),
        (("n", 3, SIZE, 8), TensorProto.FLOAT, "its input pixels is an image of 8 x 16, and Lookalike's are square"),
        (
            ("n", 3, 9999, 9999),
            TensorProto.FLOAT,
            "its input pixels is an image of 9999 x 9999; the limit is 4096",
        ),
    ],
)
def test_inputs_that_are_not_images_are_refused(shape: Any, kind: int, message: str, tmp_path: Path) -> None:
    network = model([node("Abs", "pixels", "out")], [], {"out": ()}, shape=shape, kind=kind)
    network.graph.output[0].type.tensor_type.elem_type = kind
    with pytest.raises(ModelError, match=message):
        fetch(saved(network, tmp_path))


# Files that are refused unloaded


class Trap:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.path), "w")


def zipped(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["network.pt", "network.onnx", "network.tflite", "network.xml", "network", "network.pkl"]
)
@pytest.mark.parametrize("how", ["pickle", "oldest pickle", "zip"])
def test_pickles_of_any_name_are_refused_and_not_executed(
    name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_read, "read", lambda *_, **__: pytest.fail("it was loaded"))
    data = pickle.dumps(Trap(tmp_path / "sprung"), protocol=0 if how == "oldest pickle" else 2)
    path = tmp_path / name
    if how == "zip":
        zipped(path, **{"archive/data.pkl": data})
    else:
        path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        fetch(path)
    if how != "oldest pickle" or path.suffix in (".pt", ".pkl"):
        assert "a PyTorch file or a pickle" in str(caught.value)
        assert "export the network to ONNX" in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_keras_files_are_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "network.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    zipped(tmp_path / "network.keras", **{"config.json": b"{}", "model.weights.h5": b""})
    for name in ("network.h5", "network.keras"):
        with pytest.raises(ModelError, match=rf"{name}: this is a Keras file; make a SavedModel .*export\(FOLDER\)"):
            fetch(tmp_path / name)


def test_safetensors_are_refused_as_weights_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((20).to_bytes(8, "little") + b'{"__metadata__":{}}  ')
    (tmp_path / "model.onnx").write_bytes((20).to_bytes(8, "little") + b'{"__metadata__":{}}  ')
    for name in ("model.safetensors", "model.onnx"):
        with pytest.raises(ModelError, match=rf"{name}: this is safetensors, which are weights without a network"):
            fetch(tmp_path / name)


@pytest.mark.parametrize("name", ["network.onnx", "network.tflite", "network.xml", "network", "network.jpg"])
@pytest.mark.parametrize("data", [b"", b"\x00", b"<", b"GIF89a" + bytes(90), b"PK\x03\x04" + bytes(90)])
def test_garbage_is_refused(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "network.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=rf"{name}: (not in a format that Lookalike reads|refused as an ONNX file)"):
        fetch(tmp_path / name)


def test_damaged_networks_are_refused_in_one_line(tmp_path: Path) -> None:
    tflite = bytes.fromhex("1c000000") + b"TFL3" + bytes(100)
    cases = {
        "network.xml": b"<?xml version='1.0'?><net><layers>",
        "network.tflite": tflite,
        "saved_model.pb": b"\x08\x09garbage",
    }
    (tmp_path / "network.bin").write_bytes(b"")
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        path = tmp_path if name == "saved_model.pb" else tmp_path / name
        with pytest.raises(ModelError, match="it cannot be read: ") as caught:
            fetch(path)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 400


def test_missing_files_and_other_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"network\.onnx: there is no such file"):
        fetch(tmp_path / "network.onnx")
    with pytest.raises(ModelError, match=r"not a SavedModel, as it has no saved_model\.pb"):
        fetch(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match=r"pipe\.onnx: this is neither a file nor a folder"):
        fetch(tmp_path / "pipe.onnx")


@pytest.mark.parametrize("within", ["variables", "assets/vocabulary.txt"])
def test_folders_with_links_that_lead_outside_are_refused(
    within: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_read, "read", lambda *_, **__: pytest.fail("it was loaded"))
    (tmp_path / "network" / "assets").mkdir(parents=True)
    (tmp_path / "network" / "saved_model.pb").write_bytes(b"\x08\x01")
    (tmp_path / "outside").mkdir()
    (tmp_path / "network" / within).symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match=rf"{within}: it leads out of .*network; replace it by a copy"):
        fetch(tmp_path / "network")


def test_reading_a_file_imports_no_local_module_tensorflow_or_telemetry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO would report its use with openvino_telemetry."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (tmp_path / "openvino.py").write_text("raise SystemExit('the wrong one')")
    for name in ("tensorflow", "openvino_telemetry"):
        (modules / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.chdir(tmp_path)
    from_file.read(saved(classifier(), tmp_path))
    assert {entry.name for entry in tmp_path.iterdir()} == {"network.onnx", "openvino.py", "modules"}


# TensorFlow


@pytest.fixture(scope="module")
def keras_network() -> Any:
    """A Keras classifier that begins with a rescaling and ends with a softmax."""
    needs("keras", "tensorflow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        keras.utils.set_random_seed(1)
        return keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 3)),
                keras.layers.Rescaling(1 / 127.5, -1),
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.GlobalAveragePooling2D(name="average"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )


@pytest.fixture(scope="module")
def keras_vectors(keras_network: Any) -> NDArray[np.float32]:
    """What Keras computes up to the layer before the classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = np.float32(PIXELS)
        for layer in keras_network.layers[:-1]:
            x = layer(x)
        return np.asarray(x)


@pytest.fixture(scope="module")
def saved_model(keras_network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorflow") / "network"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_network.export(folder, verbose=False)
    return folder


@pytest.fixture(scope="module")
def tflite(saved_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a TFLite file by the type of its inputs and outputs: float32, uint8 or int8."""
    folder = tmp_path_factory.mktemp("tflite")

    @functools.cache
    def made(kind: str) -> Path:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        if kind != "float32":
            ramp = np.linspace(0, 255, PIXELS[0].size, dtype=np.float32).reshape(1, *PIXELS[0].shape)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: [
                [ramp],
                *([image[None]] for image in PIXELS.astype(np.float32)),
            ]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(kind)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (folder / f"{kind}.tflite").write_bytes(converter.convert())
        return folder / f"{kind}.tflite"

    return made


def test_a_saved_model_gives_the_vectors_of_keras(saved_model: Path, keras_vectors: Any) -> None:
    network = fetch(saved_model, ImportOptions())
    assert_near(vectors(network), keras_vectors)
    assert (network.layout, network.normalization, network.source) == ("NHWC", None, "network")
    assert network.output.endswith("/average_1/Mean")


def test_a_tflite_file_of_floats_gives_the_vectors_of_keras(tflite: Any, keras_vectors: Any) -> None:
    """Its converter folds the normalization into the first weights, so that it has to be given."""
    network = fetch(tflite("float32"), ImportOptions(mean=(0, 0, 0), std=(1, 1, 1)))
    assert_near(vectors(network), keras_vectors)


def has_exact_int8() -> bool:
    """Whether this processor adds products of 8 bits in 32; without that, OpenVINO adds them in 16, which saturate."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return "vnni" in Path("/proc/cpuinfo").read_text()


@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_a_tflite_file_of_integers_nearly_gives_the_vectors_of_keras(
    kind: str, tflite: Any, keras_vectors: Any
) -> None:
    network = fetch(tflite(kind), ImportOptions())
    assert_near(vectors(network), keras_vectors, part=0.03 if has_exact_int8() else 0.12)
    assert (network.normalization, network.source) == (None, f"{kind}.tflite")


def test_quantized_codes_are_not_a_layer(tflite: Any, keras_network: Any) -> None:
    """The last layer is the softmax itself, not its quantized output."""
    [last, *_] = layers(from_file.read(tflite("uint8")))
    assert last.kind == "Softmax"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(keras_network(np.float32(PIXELS)))
    assert_near(vectors(fetch(tflite("uint8"), ImportOptions(output=last.name))), expected, part=0.03)


def test_a_saved_model_without_its_variables_is_refused(saved_model: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_model, tmp_path / "network")
    shutil.rmtree(tmp_path / "network" / "variables")
    with pytest.raises(ModelError, match="network: it cannot be read: "):
        fetch(tmp_path / "network", ImportOptions())
