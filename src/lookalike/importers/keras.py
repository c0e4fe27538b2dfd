"""Networks of keras.applications, with the weights that were trained on ImageNet: keras:InceptionV3, keras:VGG16.

A vector is the average over the last feature map. Keras downloads by itself, from addresses that only its constructors
know. So a network is built twice: once to learn what it would download, which Lookalike's own download then brings,
and once more with that file.

Keras publishes no way to prepare pictures but the scaling of pixels; its loaders squash the whole of a picture to the
size. Here it is the centre of it, 0.875 of the shorter side, which is how networks for ImageNet are mostly evaluated.
Nor does it say what licence the weights have, which come from various places: it stays unknown unless the user says it.
"""

import difflib
import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Normalization, Triple
from lookalike.errors import LookalikeError, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.download import download
from lookalike.importers.error_summary import reason
from lookalike.importers.torch_export import imported, quietly

_RECIPE = Preprocessing(crop=0.875, resample="bilinear", fit="crop")
_UNSCALED = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_TOLERANCE = 1e-5  # of a scaled pixel
_DIFFERENCE = 1e-3  # as a part of the largest number: both add up 32 bits in another order, which makes 1e-5 at most


def fetch(request: ImportRequest) -> ImportedNetwork:
    """A network of keras.applications, by the name of its constructor, in capital or small letters.

    Its weights are those for ImageNet, without the layers that name classes. MobileNet and MobileNetV2 come with other
    weights for other sizes, and for these two Keras has no checksum: they are what the server sends.

    Raises:
        UsageError: there is none of that name, or a wish does not apply.
        ModelError: it cannot be done with this Keras, or the weights cannot be had, or are not the published ones.
        MissingExtraError: Keras or TensorFlow is not installed.
        StorageError: the disk is full or failing.
    """
    options = request.options
    options.refuse(f"keras:{request.name}", "output", "revision")
    request.progress(ImportProgress("loading Keras"))
    application = _application(_keras(request.name), request.name)
    preprocessing = _recipe(application, options)
    normalization = options.normalization(application.normalization())
    weights = application.published(preprocessing.size)
    file = download.file(weights.url, request.progress, checksum=weights.checksum)
    request.progress(ImportProgress("converting the network"))
    return ImportedNetwork(
        graph=application.graph(preprocessing.size, file.path),
        layout="NHWC",
        preprocessing=preprocessing,
        normalization=normalization,
        source=application.source,
        licence=options.licence or "",
        sha256=file.sha256,
        output="avg_pool",
    )


def _keras(name: str) -> Any:
    """The module, on TensorFlow."""
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")
    with quietly(), _environment(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL=level):
        keras = imported("keras", "Keras", "keras")
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"keras:{name}: here Keras runs on {keras.backend.backend()}, and it has to run on TensorFlow;"
            " do the import in a process of its own, where Keras was not loaded before"
        )
    return keras


def _application(keras: Any, name: str) -> "_Application":
    known = {each.lower(): each for each, value in vars(keras.applications).items() if inspect.isfunction(value)}
    if name.lower() in known:
        return _Application(keras, known[name.lower()])
    near = difflib.get_close_matches(name.lower(), known) or sorted(known)
    raise UsageError(f"keras:{name}: Keras has no such network; it has {', '.join(known[each] for each in near)}")


def _recipe(application: "_Application", options: ImportOptions) -> Preprocessing:
    sizes = application.sizes()
    preprocessing = options.preprocessing(replace(_RECIPE, size=sizes.usual))
    if preprocessing.size < sizes.least:
        raise UsageError(
            f"size: {preprocessing.size} is too small for {application.source}; give {sizes.least} or more"
        )
    return preprocessing


@dataclass(frozen=True)
class _Sizes:
    """The sides of the pictures that a network takes: the one that it was made for, and the least, in pixels."""

    usual: int = 224
    least: int = 32


@dataclass(frozen=True)
class _Weights:
    """Where they are, and their checksum, where there is one."""

    url: str
    checksum: download.Checksum | None


class _Application:
    """One of keras.applications."""

    def __init__(self, keras: Any, name: str) -> None:
        self.source = f"keras:{name}"
        self._keras = keras
        self._constructor = getattr(keras.applications, name)
        # Those modules in which the constructors look the functions up that they call.
        self._files = sys.modules[keras.utils.get_file.__module__]
        self._shapes = sys.modules[keras.applications.imagenet_utils.preprocess_input.__module__]

    def sizes(self) -> _Sizes:
        """What the constructor says when it asks for its input's shape; MobileNetV3, which is for 224, does not ask."""
        with self._at_work():
            asked = _asked(
                self._shapes, "obtain_input_shape", lambda: self._constructor(include_top=False, weights=None)
            )
        return _Sizes(asked["default_size"], asked["min_size"]) if asked else _Sizes()

    def normalization(self) -> Normalization | None:
        """How pixels are scaled before they enter the network; None where the network does that by itself.

        Raises:
            ModelError: the family's `preprocess_input` does anything else than to scale the channels.
        """
        with self._at_work():
            normalization = _solved(self._preprocess)
            if normalization is None:
                raise ModelError(f"{self.source}: the way it prepares pixels is not known; import it from a file")
        return None if normalization == _UNSCALED else normalization

    def published(self, size: int) -> _Weights:
        """What Keras would download for pictures of that size.

        Raises:
            ModelError: it would do that in some other way than is known here.
        """
        with self._at_work():
            asked = _asked(self._files, "get_file", lambda: self._built(size))
        if asked is None:
            raise self._unknown("gets its weights")
        digits = asked.get("file_hash")
        # ConvNeXt has SHA-256, all others have MD5, and some nothing.
        checksum = download.Checksum("sha256" if len(digits) == 64 else "md5", digits) if digits else None
        return _Weights(asked["origin"], checksum)

    def graph(self, size: int, weights: Path) -> Any:
        """An openvino.Model with the weights of a file, from float32 (n, size, size, 3) to (n, dim)."""
        with self._at_work():
            with _replaced(self._files, "get_file", lambda *_, **__: str(weights)):
                graph = self._converted(self._built(size))
            gc.collect()  # what was built has cycles, and may have a gigabyte
            return graph

    def _converted(self, model: Any) -> Any:
        """The openvino.Model of one of Keras, which agrees with it."""
        from lookalike.encoders.openvino.loading import ov

        graph = ov.convert_model(model, share_weights=False)  # or some would be Keras's memory, which it gives up
        # Of little contrast: noise that is louder makes rounding errors grow without bound in some networks.
        pixels = np.random.default_rng(0).integers(110, 140, (2, *model.input_shape[1:])).astype(np.float32)
        prepared = self._preprocess(pixels)
        wanted = np.asarray(model(prepared, training=False))
        found = ov.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(prepared)[0]
        if np.abs(found - wanted).max() > _DIFFERENCE * np.abs(wanted).max():
            raise ModelError(f"{self.source}: OpenVINO computes something else than Keras; please report it")
        return graph

    def _preprocess(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """What the family does to pixels in 0..255, (n, h, w, 3) in RGB, for the network. It would do it in place."""
        module = sys.modules[self._constructor.__module__]
        return np.asarray(module.preprocess_input(pixels.copy(), data_format="channels_last"))

    def _built(self, size: int) -> Any:
        # Not with weights="path/to/the/file", with which EfficientNet leaves a part of its scaling out.
        return self._constructor(include_top=False, pooling="avg", weights="imagenet", input_shape=(size, size, 3))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Keras is quiet, downloads nothing, and computes as it does unless it is told otherwise."""
        try:
            with quietly(), _usual(self._keras.config), _replaced(self._files, "urlretrieve", self._refuse):
                yield
        except LookalikeError:
            raise
        except Exception as error:  # whatever it did not foresee of a file or of itself
            version = self._keras.__version__
            raise ModelError(f"{self.source}: Keras {version} cannot make it: {reason(error)}") from error

    def _refuse(self, url: str, *_: Any, **__: Any) -> None:
        raise self._unknown(f"would download {url}")

    def _unknown(self, does: str) -> ModelError:
        version = self._keras.__version__
        return ModelError(f"{self.source}: Keras {version} {does} in a way that is not known here; install another")


def _solved(preprocess: Callable[[NDArray[Any]], NDArray[Any]]) -> Normalization | None:
    """The scaling that does what a function does to pixels, (n, h, w, 3) in RGB; None if no scaling does."""
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])  # black, red, green and blue
    black, *colours = preprocess(probes[:, None, None]).reshape(4, 3)
    slopes = (np.stack(colours) - black) / 255  # from a channel of the picture (row) to one of the network's (column)
    for channels, slope in (("RGB", slopes.diagonal()), ("BGR", slopes[::-1].diagonal())):
        if (slope > 0).all():
            normalization = Normalization(
                _triple(-black / slope), _triple(1 / slope), "RGB" if channels == "RGB" else "BGR"
            )
            pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.float64)
            ordered = pixels if channels == "RGB" else pixels[..., ::-1]
            expected = (ordered - normalization.mean) / normalization.std
            return normalization if np.allclose(preprocess(pixels), expected, rtol=0, atol=_TOLERANCE) else None
    return None


def _triple(numbers: NDArray[np.float64]) -> Triple:
    """Rounded, so that another processor's last digits do not make another network; never -0."""
    first, second, third = (round(float(number), 6) + 0.0 for number in numbers)
    return first, second, third


class _Asked(Exception):  # noqa: N818 - it is no error
    """Ends a call at the function whose arguments it has."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def _asked(module: ModuleType, name: str, call: Callable[[], Any]) -> dict[str, Any] | None:
    """What `call` passes to a function of a module, at which it ends; None if it does not get there."""
    signature = inspect.signature(getattr(module, name))

    def end(*values: Any, **options: Any) -> None:
        raise _Asked(signature.bind(*values, **options).arguments)

    try:
        with _replaced(module, name, end):
            call()
    except _Asked as asked:
        return asked.arguments
    return None


@contextmanager
def _replaced(module: ModuleType, name: str, function: Callable[..., Any]) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, original)


@contextmanager
def _usual(config: Any) -> Iterator[None]:
    """Keras with its own settings, whatever the user's: they may be for channels first or 16 bits."""
    layout, floats, policy = config.image_data_format(), config.floatx(), config.dtype_policy()
    try:
        config.set_image_data_format("channels_last")
        config.set_floatx("float32")
        config.set_dtype_policy("float32")
        yield
    finally:
        config.set_image_data_format(layout)
        config.set_floatx(floats)
        config.set_dtype_policy(policy)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
