"""Networks of Keras, downloaded from a server on loopback, against Keras itself.

A random network gives nearly the same vector for every image, so vectors are compared after the mean over all images is
subtracted.
"""

import hashlib
import inspect
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.demo import draw
from lookalike.encoders.card import NO_NORMALIZATION, Normalization
from lookalike.encoders.openvino.loading import core
from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing, prepare
from lookalike.importers import encoder_graph
from lookalike.importers import keras as from_keras
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.third_party import silenced
from tests.support.file_server import FileServer
from tests.support.golden_images import golden_images
from tests.support.optional_packages import needs

needs("keras", "tensorflow")

ADDRESS = "/storage.googleapis.com/tensorflow/keras-applications"
FILES = {
    "VGG16": f"{ADDRESS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "MobileNetV3Small": f"{ADDRESS}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    "MobileNet": f"{ADDRESS}/mobilenet/mobilenet_1_0_{{size}}_tf_no_top.h5",
}
# Where Keras has the checksums of the weights: in a table under a name, or in the constructor. MobileNet has none.
TABLED = {"MobileNetV3Small": "small_224_1.0_float"}
LITERAL = {"VGG16": "6d6bbae143d832006294945121d1f1fc"}
CAFFE = Normalization((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "BGR")
PLUS_MINUS_ONE = Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "RGB")
TORCH = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "RGB")


@pytest.fixture(scope="module")
def keras() -> Any:
    return from_keras._keras("any")


@pytest.fixture(autouse=True)
def _state_is_restored(keras: Any, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Checks after every test that Keras and the process are as before, and that nothing was printed."""

    def state() -> tuple[Any, ...]:
        config, files = keras.config, sys.modules["keras.src.utils.file_utils"]
        shapes = sys.modules["keras.src.applications.imagenet_utils"]
        functions = (files.get_file, files.urlretrieve, shapes.obtain_input_shape)
        settings = (config.image_data_format(), config.floatx(), config.dtype_policy().name)
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return functions, settings, environment

    before = state()
    yield
    assert state() == before
    assert capfd.readouterr() == ("", "")


# Published networks


class Published:
    """A network of random weights, for the address where Keras looks for the trained ones.

    Attributes:
        file: the file's content.
        path: of the file on the server.
    """

    def __init__(self, keras: Any, name: str, size: int) -> None:
        self._constructor = getattr(keras.applications, name)
        self._module = sys.modules[self._constructor.__module__]
        self.path = FILES[name].format(size=size)
        with silenced(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: "")
            patch.setattr("keras.Model.load_weights", lambda *_, **__: None)
            self._model = self._constructor(
                include_top=False, pooling="avg", weights="imagenet", input_shape=(size, size, 3)
            )
            self._randomize(keras, self.preprocess(squares(size)))
            self.file = self._saved()

    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        prepared: NDArray[np.float32] = self._module.preprocess_input(pixels.astype(np.float32))
        return prepared

    def vectors(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keras's vectors of preprocessed images."""
        with silenced():
            return np.asarray(self._model(prepared.astype(np.float32), training=False))

    def set_checksum(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Makes Keras expect the file's checksum instead of that of the trained weights."""
        name, md5 = self._constructor.__name__, hashlib.md5(self.file).hexdigest()
        if name in TABLED:
            monkeypatch.setitem(self._module.WEIGHTS_HASHES, TABLED[name], ("", md5))
        elif name in LITERAL:
            code = self._constructor.__code__
            constants = tuple(md5 if constant == LITERAL[name] else constant for constant in code.co_consts)
            assert constants != code.co_consts
            monkeypatch.setattr(self._constructor, "__code__", code.replace(co_consts=constants))

    def _randomize(self, keras: Any, images: NDArray[np.float32]) -> None:
        """Randomizes weights that are zeros and ones, and fits batch norms to the images.

        Otherwise all images would get the same vector, whatever the kernels are.
        """
        random = np.random.default_rng(0)
        for weight in self._model.weights:
            if weight.name in ("beta", "bias", "gamma"):
                weight.assign(random.uniform(-0.2, 0.2, weight.shape) + (weight.name == "gamma"))
        norms = [layer for layer in self._model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        for norm in norms:
            norm.momentum = 0.0
        if norms:
            self._model(images, training=True)

    def _saved(self) -> bytes:
        """The weights in the format of the published files."""
        from keras.src.legacy.saving import legacy_h5_format

        file = io.BytesIO()
        with legacy_h5_format.h5py.File(file, "w") as group:
            legacy_h5_format.save_weights_to_hdf5_group(group, self._model)
        return file.getvalue()


@pytest.fixture(scope="module")
def mobilenet(keras: Any) -> Published:
    return Published(keras, "MobileNet", 128)


def publish(monkeypatch: pytest.MonkeyPatch, server: FileServer, keras: Any, name: str, size: int) -> Published:
    network = Published(keras, name, size)
    network.set_checksum(monkeypatch)
    server.files[network.path] = network.file
    return network


def vectors_of(network: ImportedNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The imported network's vectors of images, (n, size, size, 3)."""
    compiled = core().compile_model(encoder_graph.build(network).graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(image[None])[0] for image in pixels])


def agreement(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """The smallest cosine between vectors after the mean over all images is subtracted."""
    a, b = (vectors - vectors.mean(axis=0) for vectors in (found, wanted))
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(cosines.min())


def squares(size: int) -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size))) for image in golden_images()])


# Agreement with Keras


@pytest.mark.parametrize(
    ("requested", "name", "size", "normalization"),
    [
        ("MobileNet", "MobileNet", 128, PLUS_MINUS_ONE),
        ("vgg16", "VGG16", 96, CAFFE),
        ("MobileNetV3Small", "MobileNetV3Small", 96, None),
    ],
)
def test_an_imported_network_gives_the_vectors_of_keras(
    monkeypatch: pytest.MonkeyPatch,
    server: FileServer,
    keras: Any,
    requested: str,
    name: str,
    size: int,
    normalization: Normalization | None,
) -> None:
    published = publish(monkeypatch, server, keras, name, size)
    reported: list[ImportProgress] = []
    network = from_keras.fetch(ImportRequest(requested, ImportOptions(size=size), reported.append))

    assert network.source == f"keras:{name}"
    assert network.sha256 == hashlib.sha256(published.file).hexdigest()
    assert network.preprocessing == Preprocessing(size=size, crop=0.875, resample="bilinear", fit="crop")
    assert (network.normalization, network.layout, network.licence) == (normalization, "NHWC", "")
    assert server.paths() == [published.path]
    assert any(progress.done == progress.total == len(published.file) for progress in reported)

    pixels = squares(size)
    found = vectors_of(network, pixels)
    assert agreement(found, published.vectors(published.preprocess(pixels))) >= 0.9999
    for wrong in wrong_normalizations(normalization):
        colours = pixels if wrong.channels == "RGB" else pixels[..., ::-1]
        assert agreement(found, published.vectors((colours - wrong.mean) / wrong.std)) < 0.999


def wrong_normalizations(right: Normalization | None) -> list[Normalization]:
    """Mistakes that the comparison has to detect: the other channel order, and another family's normalization."""
    right = right or NO_NORMALIZATION
    other_order = replace(right, channels="RGB" if right.channels == "BGR" else "BGR")
    return [other_order, TORCH if right == CAFFE else CAFFE]


def test_a_photo_is_prepared_as_with_keras_and_pillow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FileServer, keras: Any
) -> None:
    """The centre crop of 0.875 of the shorter side, resized with Pillow, then the family's preprocess_input."""
    published = publish(monkeypatch, server, keras, "MobileNet", 224)
    network = from_keras.fetch(ImportRequest("MobileNet"))
    photos = [photo(tmp_path, kind) for kind in ("balloon", "clock", "sailboat", "pizza")]
    part = ((640 - 420) / 2, (480 - 420) / 2, (640 + 420) / 2, (480 + 420) / 2)
    images = [keras.utils.load_img(path).resize((224, 224), Image.Resampling.BILINEAR, part) for path in photos]
    wanted = published.vectors(published.preprocess(np.stack([np.asarray(image) for image in images])))
    pixels = [
        prepare(path, preprocessing).pixels
        for preprocessing in (network.preprocessing, Preprocessing(fit="squash"))
        for path in photos
    ]
    found, squashed = np.split(vectors_of(network, np.stack(pixels)), 2)
    assert agreement(found, wanted) >= 0.99
    assert agreement(squashed, wanted) < 0.98


def photo(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.jpg"
    draw(kind, np.random.default_rng(1), 640).resize((640, 480)).save(path, quality=90)
    return path


def test_efficientnet_is_built_as_it_was_trained(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    """Keras rescales pixels twice in it, but only once in a network whose weights it does not load by itself."""
    application = from_keras._application(keras, "EfficientNetB0")
    monkeypatch.setattr("keras.Model.load_weights", lambda *_: None)
    monkeypatch.setattr(application, "_to_openvino", lambda model: model)
    layers = application.graph(64, Path("unused")).layers
    assert sum(isinstance(layer, keras.layers.Rescaling) for layer in layers) == 2


def small_network(keras: Any) -> Any:
    """A network with new random weights."""
    image = output = keras.Input((32, 32, 3))
    for _ in range(2):
        output = keras.layers.Dense(2048, activation="gelu", bias_initializer="normal")(output)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(output))


def test_a_graph_keeps_its_weights_when_keras_frees_its_memory(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    """OpenVINO would share the memory, and the graph would compute with what is written there next."""
    pixels = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    models = [small_network(keras)]
    wanted = np.asarray(models[0](pixels))
    application = from_keras._application(keras, "VGG16")
    monkeypatch.setattr(application, "_build", lambda _: models.pop())
    converted = application.graph(32, Path("unused"))
    written_next = [np.full(2048, np.nan, np.float32) for _ in range(5000)]
    found = core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    del written_next


def test_a_graph_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    convert, other, application = ov.convert_model, small_network(keras), from_keras._application(keras, "VGG16")
    monkeypatch.setattr(application, "_build", lambda _: small_network(keras))
    monkeypatch.setattr(ov, "convert_model", lambda _, **options: convert(other, **options))
    with pytest.raises(ModelError, match="keras:VGG16: OpenVINO computes something else than Keras"):
        application.graph(32, Path("unused"))


def test_every_application_has_its_documented_size_and_normalization(keras: Any) -> None:
    """As in https://keras.io/api/applications/."""
    names = [name for name, value in vars(keras.applications).items() if inspect.isfunction(value)]
    usual = {"InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}
    usual |= {f"EfficientNetB{n}": size for n, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))}
    usual |= {f"EfficientNetV2B{n}": size for n, size in enumerate((224, 240, 260, 300))}
    usual |= {"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480}
    assert len(names) > 30
    for name in names:
        application = from_keras._application(keras, name.upper())
        assert application.source == f"keras:{name}"
        assert application.sizes().default == usual.get(name, 224)
        caffe = name.startswith("VGG") or (name.startswith("ResNet") and not name.endswith("V2"))
        inside = name.startswith(("EfficientNet", "ConvNeXt", "MobileNetV3"))
        torch = name.startswith("DenseNet")
        assert application.normalization() == (
            CAFFE if caffe else None if inside else TORCH if torch else PLUS_MINUS_ONE
        )


def test_options_override_what_keras_says(keras: Any) -> None:
    application = from_keras._application(keras, "InceptionV3")
    options = ImportOptions(size=128, crop=1.0, resample="bicubic", fit="squash", std=(1.0, 2.0, 3.0))
    assert from_keras._preprocessing(application, options) == Preprocessing(128, 1.0, "bicubic", "squash")
    assert from_keras._preprocessing(application, ImportOptions(fit="squash")) == Preprocessing(
        299, 0.875, "bilinear", "squash"
    )
    assert options.normalization(PLUS_MINUS_ONE) == replace(PLUS_MINUS_ONE, std=(1.0, 2.0, 3.0))
    assert ImportOptions(channels="BGR").normalization(None) == replace(NO_NORMALIZATION, channels="BGR")
    assert options.normalization(None) == replace(NO_NORMALIZATION, std=(1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5", ImportOptions(), r"keras:resnet5: Keras has no such model; it has ResNet50, ResNet"),
        ("", ImportOptions(), "Keras has no such model; it has ConvNeXtBase"),
        (
            "ResNet50",
            ImportOptions(output="conv5"),
            "keras:ResNet50: the option `output` does not apply here; leave it out",
        ),
        ("ResNet50", ImportOptions(revision="main"), "the option `revision` does not apply here"),
        ("Xception", ImportOptions(size=70), r"size: 70 is too small for keras:Xception; give 71 or more"),
    ],
)
def test_impossible_requests_are_refused_before_any_download(
    server: FileServer, name: str, options: ImportOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        from_keras.fetch(ImportRequest(name, options))
    assert not server.requests


# Refusals


def test_weights_with_a_wrong_checksum_are_refused(server: FileServer) -> None:
    server.files[FILES["MobileNetV3Small"]] = b"other weights"
    with pytest.raises(ModelError, match=r"weights_mobilenet_v3_small_224.*: expected md5 [0-9a-f]{32}"):
        from_keras.fetch(ImportRequest("MobileNetV3Small"))


@pytest.mark.parametrize("data", [b"<html>busy</html>", b"\x89HDF\r\n\x1a\n"], ids=["another file", "cut off"])
def test_a_file_that_is_not_weights_is_refused(server: FileServer, data: bytes) -> None:
    server.files[FILES["MobileNet"].format(size=128)] = data
    with pytest.raises(ModelError, match=r"^keras:MobileNet: Keras [0-9.]+ cannot build it: ."):
        from_keras.fetch(ImportRequest("MobileNet", ImportOptions(size=128)))


@pytest.mark.parametrize("outside", ["a link", "a dataset"])
def test_weights_in_another_file_are_refused(
    tmp_path: Path, server: FileServer, mobilenet: Published, outside: str
) -> None:
    """HDF5 can refer to any file of the user's, and MobileNet has no checksum that would reject such a file."""
    from keras.src.legacy.saving.legacy_h5_format import h5py

    (tmp_path / "other.h5").write_bytes(mobilenet.file)
    changed = io.BytesIO(mobilenet.file)
    with h5py.File(changed, "r+") as group:
        if outside == "a link":
            del group["conv1"]
            group["conv1"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "conv1")
        else:
            layer = group["conv1"]
            name = layer.attrs["weight_names"][0]
            shape = layer[name].shape
            del layer[name]
            location = (str(tmp_path / "other.h5"), 0, 4 * int(np.prod(shape)))
            layer.create_dataset(name, shape, np.float32, external=[location])
    server.files[mobilenet.path] = changed.getvalue()
    with pytest.raises(ModelError, match=r"^keras:MobileNet: Keras [0-9.]+ cannot build it: .*[Ee]xternal"):
        from_keras.fetch(ImportRequest("MobileNet", ImportOptions(size=128)))


def test_an_exception_of_the_progress_callback_ends_the_import(server: FileServer) -> None:
    server.files[FILES["MobileNet"].format(size=128)] = bytes(1_000_000)

    def progress(progress: ImportProgress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_keras.fetch(ImportRequest("MobileNet", ImportOptions(size=128), progress))


@pytest.mark.parametrize("own", [True, False], ids=["its own download", "no download"])
def test_a_keras_that_gets_weights_in_another_way_downloads_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FileServer, keras: Any, own: bool
) -> None:
    """Nor does it return a network of random weights."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.Model.load_weights", lambda *_: None)
    get_file = keras.utils.get_file if own else lambda *_, **__: ""
    monkeypatch.setattr("keras.src.applications.vgg16.file_utils", SimpleNamespace(get_file=get_file))
    expected = "would download https://.*vgg16" if own else "gets its weights in an unknown way"
    with pytest.raises(ModelError, match=rf"keras:VGG16: Keras [0-9.]+ {expected}"):
        from_keras.fetch(ImportRequest("VGG16", ImportOptions(size=32)))
    assert not server.requests


def test_a_family_that_does_more_than_normalize_is_refused(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    application = from_keras._application(keras, "VGG16")
    odd = (
        lambda pixels, data_format: pixels**2 / 255,
        lambda pixels, data_format: pixels.mean(axis=-1, keepdims=True).repeat(3, -1),
        lambda pixels, data_format: pixels[..., [0, 2, 1]],
        lambda pixels, data_format: 255 - pixels,
    )
    for preprocess in odd:
        monkeypatch.setattr("keras.src.applications.vgg16.preprocess_input", preprocess)
        with pytest.raises(ModelError, match="keras:VGG16: the way it prepares pixels is not known"):
            application.normalization()


def test_keras_on_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ModelError, match="keras:VGG16: Keras runs on jax"):
        from_keras.fetch(ImportRequest("VGG16"))


def test_without_keras_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtraError, match=r"importing from Keras needs .*lookalike\[keras\]"):
        from_keras.fetch(ImportRequest("VGG16"))


def test_the_users_keras_settings_do_not_matter_and_are_kept(
    server: FileServer, keras: Any, mobilenet: Published
) -> None:
    """Such as channels first and 16 bits, for the user's own networks."""
    server.files[mobilenet.path] = mobilenet.file
    config, pixels = keras.config, squares(128)
    wanted = mobilenet.vectors(mobilenet.preprocess(pixels))
    try:
        config.set_image_data_format("channels_first")
        config.set_floatx("float16")
        config.set_dtype_policy("mixed_float16")
        network = from_keras.fetch(ImportRequest("MobileNet", ImportOptions(size=128, licence="MIT")))
        assert (config.image_data_format(), config.floatx()) == ("channels_first", "float16")
        assert config.dtype_policy().name == "mixed_float16"
    finally:
        config.set_image_data_format("channels_last")
        config.set_floatx("float32")
        config.set_dtype_policy("float32")
    assert agreement(vectors_of(network, pixels), wanted) >= 0.9999
    assert network.licence == "MIT"


CHILD = """
import os, sys
from lookalike.importers import keras as from_keras
before = dict(os.environ)
keras = from_keras._keras("any")
from_keras._application(keras, "MobileNetV3Small").sizes()
assert keras.backend.backend() == "tensorflow"
for name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"):
    assert os.environ.get(name) == before.get(name), name
os.write(2, b"stderr works")
print("stdout works", end="")
"""


def test_importing_tensorflow_prints_nothing_and_keeps_the_environment(tmp_path: Path) -> None:
    """Even if the user has set another backend, for the user's own networks."""
    environment = os.environ | {"KERAS_BACKEND": "torch", "HOME": str(tmp_path)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=False)
    assert (child.stderr, child.stdout) == ("stderr works", "stdout works")
    assert [path.name for path in tmp_path.iterdir()] in ([], [".keras"])
