"""The encoder of a collection, loaded when it is first needed, and the vectors that it makes of queries."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike import encoders
from lookalike.collection import compatibility
from lookalike.encoders import Encoder, TextEncoder
from lookalike.errors import Hint, LookalikeError, UsageError
from lookalike.images.preprocessing import ImageSource
from lookalike.sources import places
from lookalike.storage.manifest import Manifest
from lookalike.storage.vectors import Vectors
from lookalike.system import forks
from lookalike.system.resources import cores
from lookalike.system.threads import Threads

_MANY = 64  # images, for which it is worth while to load an encoder for all cores
_threads = Threads("lookalike-queries")


class CollectionEncoder:
    """Turns images and text into a collection's vectors. Threads may share it."""

    def __init__(
        self, directory: Path, manifest: Manifest, encoder: Encoder | None, device: str, max_pixels: int
    ) -> None:
        """`encoder` is the encoder if it was given as an object; `device` is the one for indexing."""
        self.max_pixels = max_pixels
        self._directory, self._manifest, self._own, self._device = directory, manifest, encoder, device
        self._loaded: tuple[int, str, Encoder] | None = None  # for how many threads, on which device
        self._loaded_text: TextEncoder | None = None
        self._lock = forks.lock()
        forks.watch(self)

    def after_fork(self) -> None:
        """Lets go of the encoder of images, whose GPU only the parent can use; a child loads its own."""
        self._loaded = None

    def pickled(self) -> tuple[Encoder | None, str, int]:
        """What it was made of: the encoder, if it was given as an object, the device, and the limit of pixels.

        Raises:
            UsageError: the encoder cannot be pickled.
        """
        try:
            pickle.dumps(self._own)
        except Exception as error:  # pickle raises all kinds
            raise UsageError(
                f"a collection with an encoder that cannot be pickled ({error}); open the collection in each process",
                Hint("open_with_encoder", {"path": str(self._manifest.path(self._directory)), "encoder": ...}),
            ) from error
        return self.options

    def take_from(self, other: "CollectionEncoder") -> None:
        """Uses what another one has loaded, if both are of the same model and device, instead of loading it again."""
        if (other._manifest.made_by, other._device) == (self._manifest.made_by, self._device):
            self._loaded = other._loaded

    @property
    def options(self) -> tuple[Encoder | None, str, int]:
        """What it was made of: the encoder, if it was given as an object, the device, and the limit of pixels."""
        return self._own, self._device, self.max_pixels

    def for_indexing(self, threads: int) -> Encoder:
        """The encoder for at least that many threads, on the device that is best for many images.

        Raises:
            IncompatibleError: it is not available here, or is another version.
        """
        return self._load(threads, self._device)

    def for_queries(self, threads: int = 1) -> Encoder:
        """The encoder for at least that many threads, on the device that is best for few images.

        Raises:
            IncompatibleError: it is not available here, or is another version.
        """
        # Starting a GPU takes longer than a few images take on the CPU.
        return self._load(threads, "cpu" if self._device == "auto" else self._device)

    def image_vector(self, image: ImageSource) -> Vectors:
        """The unit vector of an image, float32 (1, dim).

        Raises:
            ImageError: it cannot be used.
        """
        from lookalike.images.decode import prepare
        from lookalike.ingest.embedding import embed

        encoder = self.for_queries()
        return embed(encoder, prepare(places.image_source(image), encoder.preprocessing, max_pixels=self.max_pixels))

    def image_vectors(self, images: Sequence[ImageSource]) -> Vectors:
        """The unit vectors of images, float32 (n, dim), which are made on all cores.

        Raises:
            ImageError: an image cannot be used; it is about the first such one.
        """
        self.for_queries(cores() if len(images) >= _MANY else 1)
        each = {id(image): image for image in images}  # no two threads read from the same object
        vectors = dict(zip(each, _threads.each(self.image_vector, [*each.values()]), strict=True))
        return np.concatenate([vectors[id(image)] for image in images])

    def part_vectors(self, image: ImageSource, count: int) -> Vectors:
        """The unit vectors of parts of an image, as `lookalike.images.region.grid` has them: float32 (count, dim).

        Raises:
            ImageError: it cannot be used.
        """
        from lookalike.images.region import parts
        from lookalike.ingest.embedding import embed_all

        encoder = self.for_queries()
        return embed_all(
            encoder, parts(places.image_source(image), count, encoder.preprocessing, max_pixels=self.max_pixels)
        )

    def text_vector(self, text: str) -> Vectors:
        """The unit vector of a text, float32 (1, dim).

        Raises:
            UsageError: the model does not take text.
        """
        from lookalike.ingest.embedding import embed_text

        return embed_text(self._load_text(), self._manifest.made_by.dim, text)

    @property
    def takes_text(self) -> bool:
        """Whether the model takes text, as its card says; nothing is loaded."""
        if self._own is not None:
            return isinstance(self._own, TextEncoder)
        try:
            return encoders.card(self._manifest.made_by.model).text is not None
        except LookalikeError:  # the model is not available here
            return False

    def _load(self, threads: int, device: str) -> Encoder:
        if self._own is not None:
            return self._own
        with self._lock:
            if not self._loaded or self._loaded[0] < threads or device not in ("cpu", self._loaded[1]):
                self._check_model()
                made_by = self._manifest.made_by
                loaded = encoders.load(made_by.model, precision=made_by.precision, threads=threads, device=device)
                self._loaded = threads, device, loaded
            return self._loaded[2]

    def _load_text(self) -> TextEncoder:
        if self._own is not None:
            if isinstance(self._own, TextEncoder):
                return self._own
            raise UsageError(f"{self._own.name} does not take text: it has no encode_text")
        with self._lock:
            if self._loaded_text is None:
                self._check_model()
                self._check_takes_text()
                made_by = self._manifest.made_by
                self._loaded_text = encoders.load_text(made_by.model, precision=made_by.precision)
            return self._loaded_text

    def _check_model(self) -> None:
        """Raises IncompatibleError unless the model is available here, and is the one that made the collection."""
        wanted = compatibility.wanted_identity(self._directory, self._manifest)
        compatibility.check(self._directory, self._manifest, wanted)

    def _check_takes_text(self) -> None:
        model = self._manifest.made_by.model
        if encoders.card(model).text is None and (others := encoders.text_models()):
            arguments = {"path": str(self._manifest.path(self._directory)), "model": others[0]}
            raise UsageError(f"{model} does not take text; {' and '.join(others)} would", Hint("reindex", arguments))
