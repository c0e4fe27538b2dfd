"""Imports networks of keras.applications with their ImageNet weights: keras:InceptionV3, keras:VGG16.

A vector is the average over the last feature map. Keras downloads weights by itself, from addresses that only its
constructors know. So a network is built twice: once to learn what Keras would download, which Lookalike then downloads
itself, and once with that file.

Of how images are prepared, Keras publishes only the normalization; its loaders squash the whole image to the size. Here
it is the centre crop of 0.875 of the shorter side, as ImageNet networks are mostly evaluated. Keras does not publish a
licence of the weights, which come from various sources: it is unknown unless the user gives it.
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

from lookalike.encoders.card import NO_NORMALIZATION, Normalization, Triple, triple
from lookalike.errors import LookalikeError, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.download import download
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import optional_module, silenced

_PREPROCESSING = Preprocessing(crop=0.875, resample="bilinear", fit="crop")
_NORMALIZATION_TOLERANCE = 1e-5  # of a normalized pixel
# Relative to the largest value: both compute in 32 bits and add up in another order, which makes 1e-5 at most.
_VECTOR_TOLERANCE = 1e-3


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns a network of keras.applications, by the name of its constructor, in upper or lower case.

    It has the ImageNet weights and no classifier. The weights of MobileNet and MobileNetV2 depend on the size, and for
    these two Keras has no checksum: they are accepted as the server sends them.

    Raises:
        UsageError: there is no such network, or an option does not apply.
        ModelError: this version of Keras cannot build it, or its weights cannot be downloaded or have a checksum
            mismatch.
        MissingExtraError: Keras or TensorFlow is not installed.
        StorageError: the disk is full or failing.
    """
    options = request.options
    options.reject(f"keras:{request.name}", "output", "revision")
    request.progress(ImportProgress("loading Keras"))
    application = _application(_keras(request.name), request.name)
    preprocessing = _preprocessing(application, options)
    normalization = options.normalization(application.normalization())
    weights = application.published_weights(preprocessing.size)
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
    """The module keras, on TensorFlow."""
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")
    with silenced(), _environment(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL=level):
        keras = optional_module("keras", "Keras", "keras")
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"keras:{name}: Keras runs on {keras.backend.backend()} in this process, and has to run on TensorFlow;"
            " import the model in a new process, before Keras is loaded"
        )
    return keras


def _application(keras: Any, name: str) -> "_Application":
    known = {each.lower(): each for each, value in vars(keras.applications).items() if inspect.isfunction(value)}
    if name.lower() in known:
        return _Application(keras, known[name.lower()])
    similar = difflib.get_close_matches(name.lower(), known) or sorted(known)
    raise UsageError(f"keras:{name}: Keras has no such model; it has {', '.join(known[each] for each in similar)}")


def _preprocessing(application: "_Application", options: ImportOptions) -> Preprocessing:
    sizes = application.sizes()
    preprocessing = options.preprocessing(replace(_PREPROCESSING, size=sizes.default))
    if preprocessing.size < sizes.minimum:
        raise UsageError(
            f"size: {preprocessing.size} is too small for {application.source}; give {sizes.minimum} or more"
        )
    return preprocessing


@dataclass(frozen=True)
class _Sizes:
    """The default and the smallest side of a network's images, in pixels."""

    default: int = 224
    minimum: int = 32


@dataclass(frozen=True)
class _Weights:
    """The address of a file of weights, and its checksum, if Keras has one."""

    url: str
    checksum: download.Checksum | None


class _Application:
    """A network of keras.applications."""

    def __init__(self, keras: Any, name: str) -> None:
        self.source = f"keras:{name}"
        self._keras = keras
        self._constructor = getattr(keras.applications, name)
        # The modules that constructors look up the functions in which they call.
        self._files = sys.modules[keras.utils.get_file.__module__]
        self._shapes = sys.modules[keras.applications.imagenet_utils.preprocess_input.__module__]

    def sizes(self) -> _Sizes:
        """Returns what the constructor passes to `obtain_input_shape`; MobileNetV3, for 224, does not call it."""
        with self._sandbox():
            arguments = _intercepted_arguments(
                self._shapes, "obtain_input_shape", lambda: self._constructor(include_top=False, weights=None)
            )
        return _Sizes(arguments["default_size"], arguments["min_size"]) if arguments else _Sizes()

    def normalization(self) -> Normalization | None:
        """Returns how pixels are normalized before they enter the network; None if the network does it itself.

        Raises:
            ModelError: the family's `preprocess_input` is not a per-channel normalization.
        """
        with self._sandbox():
            normalization = _solve_normalization(self._preprocess)
            if normalization is None:
                raise ModelError(f"{self.source}: the way it prepares pixels is not known; import it from a file")
        return None if normalization == NO_NORMALIZATION else normalization

    def published_weights(self, size: int) -> _Weights:
        """Returns what Keras would download for images of a size.

        Raises:
            ModelError: this version of Keras does not download with `get_file`.
        """
        with self._sandbox():
            arguments = _intercepted_arguments(self._files, "get_file", lambda: self._build(size))
        if arguments is None:
            raise self._unsupported("gets its weights")
        digits = arguments.get("file_hash")
        # ConvNeXt has SHA-256, all others have MD5 or nothing.
        checksum = download.Checksum("sha256" if len(digits) == 64 else "md5", digits) if digits else None
        return _Weights(arguments["origin"], checksum)

    def graph(self, size: int, weights: Path) -> Any:
        """Returns an openvino.Model with the weights of a file, from float32 (n, size, size, 3) to (n, dim)."""
        with self._sandbox():
            with _replaced(self._files, "get_file", lambda *_, **__: str(weights)):
                graph = self._to_openvino(self._build(size))
            gc.collect()  # Keras's network has reference cycles, and may take a gigabyte
            return graph

    def _to_openvino(self, model: Any) -> Any:
        """Converts a Keras network, and checks that both compute the same."""
        from lookalike.encoders.openvino.compiling import compile_model
        from lookalike.encoders.openvino.loading import ov

        graph = ov.convert_model(model, share_weights=False)  # else it would use memory that Keras frees
        # Of low contrast: stronger noise makes rounding errors grow without bound in some networks.
        pixels = np.random.default_rng(0).integers(110, 140, (2, *model.input_shape[1:])).astype(np.float32)
        prepared = self._preprocess(pixels)
        expected = np.asarray(model(prepared, training=False))
        found = compile_model(graph, {"INFERENCE_PRECISION_HINT": "f32"})(prepared)[0]
        if np.abs(found - expected).max() > _VECTOR_TOLERANCE * np.abs(expected).max():
            raise ModelError(f"{self.source}: OpenVINO computes something else than Keras; please report it")
        return graph

    def _preprocess(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The family's `preprocess_input` of pixels in 0..255, (n, h, w, 3), RGB, on a copy, as it works in place."""
        module = sys.modules[self._constructor.__module__]
        return np.asarray(module.preprocess_input(pixels.copy(), data_format="channels_last"))

    def _build(self, size: int) -> Any:
        # Not with weights="path/to/the/file", with which EfficientNet omits a part of its normalization.
        return self._constructor(include_top=False, pooling="avg", weights="imagenet", input_shape=(size, size, 3))

    @contextmanager
    def _sandbox(self) -> Iterator[None]:
        """Keeps Keras silent, off the network, and at its own default settings."""
        try:
            with silenced(), _default_settings(self._keras.config), _replaced(self._files, "urlretrieve", self._refuse):
                yield
        except LookalikeError:
            raise
        except Exception as error:  # of any type: the file is not trusted
            version = self._keras.__version__
            raise ModelError(f"{self.source}: Keras {version} cannot build it: {one_line(error)}") from error

    def _refuse(self, url: str, *_: Any, **__: Any) -> None:
        raise self._unsupported(f"would download {url}")

    def _unsupported(self, does: str) -> ModelError:
        version = self._keras.__version__
        return ModelError(f"{self.source}: Keras {version} {does} in an unknown way; install another version")


def _solve_normalization(preprocess: Callable[[NDArray[Any]], NDArray[Any]]) -> Normalization | None:
    """The normalization equal to a function of pixels, (n, h, w, 3), RGB; None if there is none."""
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])  # black, red, green and blue
    black, *colours = preprocess(probes[:, None, None]).reshape(4, 3)
    slopes = (np.stack(colours) - black) / 255  # from the image's channels (rows) to the network's (columns)
    for channels, slope in (("RGB", slopes.diagonal()), ("BGR", slopes[::-1].diagonal())):
        if (slope > 0).all():
            normalization = Normalization(
                _rounded(-black / slope), _rounded(1 / slope), "RGB" if channels == "RGB" else "BGR"
            )
            pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.float64)
            ordered = pixels if channels == "RGB" else pixels[..., ::-1]
            expected = (ordered - normalization.mean) / normalization.std
            close = np.allclose(preprocess(pixels), expected, rtol=0, atol=_NORMALIZATION_TOLERANCE)
            return normalization if close else None
    return None


def _rounded(numbers: NDArray[np.float64]) -> Triple:
    """Three numbers, rounded so that the last digits of another processor change no fingerprint; never -0."""
    return triple(round(float(number), 6) + 0.0 for number in numbers)


class _Intercepted(Exception):  # noqa: N818 - it is not an error
    """Ends a call at an intercepted function, and carries the function's arguments."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def _intercepted_arguments(module: ModuleType, name: str, call: Callable[[], Any]) -> dict[str, Any] | None:
    """The arguments that `call` passes to a module's function, where it is ended; None if it never calls that."""
    signature = inspect.signature(getattr(module, name))

    def intercept(*values: Any, **options: Any) -> None:
        raise _Intercepted(signature.bind(*values, **options).arguments)

    try:
        with _replaced(module, name, intercept):
            call()
    except _Intercepted as intercepted:
        return intercepted.arguments
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
def _default_settings(config: Any) -> Iterator[None]:
    """Sets Keras's defaults, as the user's settings may be for channels first or 16 bits, and restores those after."""
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
