"""What a collection holds."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lookalike.storage import layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import images_of
from tests.support.pictures import ColourEncoder, stored_vectors
from tests.support.reindexing import CoarseEncoder

ENCODERS = {encoder.name: encoder for encoder in (ColourEncoder(), CoarseEncoder())}
Image = tuple[int, str, str | None, tuple[tuple[str, object], ...], bytes]


@dataclass(frozen=True)
class State:
    """What a collection holds.

    Attributes:
        model: the name of its encoder; "" if there is no collection.
        images: the id, key, label, attributes and stored vector of each image.
        skipped: the key and reason of each skipped file.
    """

    model: str = ""
    images: frozenset[Image] = frozenset()
    skipped: frozenset[tuple[str, str]] = frozenset()


def read(directory: Path) -> State:
    """Reads what the collection in a directory holds."""
    if not layout.find(directory):
        return State()
    manifest = manifests.read(directory)
    data = manifest.data_directory(directory)
    vectors = stored_vectors(data)
    with closing(Catalog(data / layout.CATALOG)) as catalog:
        images = [
            (image.id, image.key, image.label, tuple(sorted(image.attributes.items())), vectors[image.key].tobytes())
            for image in images_of(catalog)
        ]
        return State(manifest.made_by.model, frozenset(images), frozenset(catalog.skipped()))


def files(data_directory: Path) -> set[str]:
    """The files of vectors and of the index that there are."""
    found = (*data_directory.glob("vectors*"), *data_directory.glob("index/*"))
    return {str(path.relative_to(data_directory)) for path in found}


def named_files(data_directory: Path) -> set[str]:
    """Those that the catalog names."""
    with closing(Catalog(data_directory / layout.CATALOG)) as catalog:
        state = catalog.state()
    generation = layout.index_files(data_directory, state.generation.number) if state.generation else ()
    return {state.vectors, *(str(path.relative_to(data_directory)) for path in generation)}
