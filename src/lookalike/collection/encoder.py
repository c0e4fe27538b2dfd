"""The encoder that a collection belongs to, loaded when it is first needed, and what it makes of queries."""

import threading
from pathlib import Path

from lookalike import encoders
from lookalike.encoders import Encoder, TextEncoder
from lookalike.errors import UsageError
from lookalike.images.decode import ImageSource, prepare
from lookalike.ingest.embedding import embed, embed_text
from lookalike.storage import manifest
from lookalike.storage.manifest import Origin
from lookalike.storage.vectors import Vectors


class CollectionEncoder:
    """What turns images and words into a collection's vectors. Threads may share it."""

    def __init__(
        self, directory: Path, origin: Origin, *, encoder: Encoder | None = None, device: str = "auto"
    ) -> None:
        """`encoder` is the network where it came as an object; `device` is the processor for indexing."""
        self.made_by, self._own, self._device = origin.made_by, encoder, device
        self._directory, self._origin = directory, origin
        self._loaded: tuple[int, str, Encoder] | None = None  # for how many threads, on which processor
        self._loaded_text: TextEncoder | None = None
        self._lock = threading.Lock()

    def for_indexing(self, threads: int) -> Encoder:
        """The network, for at least as many threads, on the processor that is best for many images.

        Raises:
            IncompatibleError: it is not to be had here, or is another version.
        """
        return self._load(threads, self._device)

    def vector_of_image(self, query: ImageSource) -> Vectors:
        """The unit vector of an image, float32 (1, dim).

        Raises:
            ImageError: it cannot be used.
        """
        # Waking a graphics processor takes longer than a few images do on the CPU.
        encoder = self._load(1, "cpu" if self._device == "auto" else self._device)
        return embed(encoder, prepare(query, encoder.preprocessing))

    def vector_of_text(self, text: str) -> Vectors:
        """The unit vector of words, float32 (1, dim).

        Raises:
            UsageError: the network knows no words.
        """
        return embed_text(self._load_text(), self.made_by.dim, text)

    def _load(self, threads: int, device: str) -> Encoder:
        if self._own is not None:
            return self._own
        with self._lock:
            if not self._loaded or self._loaded[0] < threads or device not in ("cpu", self._loaded[1]):
                self._check()
                name, precision = self.made_by.model, self.made_by.precision
                loaded = encoders.load(name, precision=precision, threads=threads, device=device)
                self._loaded = threads, device, loaded
            return self._loaded[2]

    def _load_text(self) -> TextEncoder:
        if self._own is not None:
            if isinstance(self._own, TextEncoder):
                return self._own
            raise UsageError(f"{self._own.name} knows no words: it has no encode_text")
        with self._lock:
            if self._loaded_text is None:
                self._check()
                self._loaded_text = encoders.load_text(self.made_by.model, precision=self.made_by.precision)
            return self._loaded_text

    def _check(self) -> None:
        """Raises IncompatibleError unless the network is here, and is the one that made the collection."""
        manifest.check(self._directory, self._origin, manifest.now(self._directory, self._origin))
