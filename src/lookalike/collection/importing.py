"""Makes a collection of embeddings that were made elsewhere."""

import os
import secrets
from collections.abc import Callable, Iterable

from lookalike import arguments
from lookalike.collection import compatibility
from lookalike.collection.rearranging import places
from lookalike.errors import UsageError
from lookalike.exchange import sources
from lookalike.exchange.import_embeddings import Import, ImportReport
from lookalike.storage import making
from lookalike.storage import manifest as manifests
from lookalike.storage.manifest import Identity, Manifest

UNNAMED = "unnamed model"


def import_embeddings(
    embeddings: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    directory: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    model: str | None = None,
    precision: str | None = None,
    made_by: str | None = None,
    key: str | None = None,
    hash_files: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Makes a collection of embeddings that were made elsewhere.

    They are taken from .npy files, with Parquet files beside that describe the images row by row, as clip-retrieval
    and img2dataset write them; from Parquet files that have them in a column; or from a FAISS index that holds the
    vectors themselves. Each is scaled to length 1 and kept in half precision. The column that names the images gives
    their keys: paths, relative to the folder where they are in it, or URLs. The other columns become attributes, by
    which searches can be filtered; one named `label` gives the labels.

    An image is shown if its file has the SHA-256 that a column `sha256` says, or that it has now, with `hash_files`.

    Args:
        embeddings: the files, or folders of such files, which are taken in the order of the numbers in their names.
        directory: of the new collection.
        folder: that relative paths are relative to (default: the one that the directory is in).
        model: the model that made them, if it is here (`encoders.names`): searches by image and text then work.
        precision: the inference precision of that model.
        made_by: the name of a model that is not here. What has one name can be merged.
        key: the column that names the images (default: `image_path`, `path`, `url`, `key` or the like).
        hash_files: read the files of the images, as far as they are there, so that they can be shown.
        progress: called with the number of rows that are done, and of all; an exception that it raises ends the import,
            and there is no collection.

    Returns:
        What was made, and which rows were left out; open it with `lookalike.open(directory)`.

    Raises:
        UsageError: a file cannot be read, they do not fit together, the model makes vectors of another dimension, or
            there is something in the directory.
        StorageError: the disk is full or failing.
    """
    if isinstance(embeddings, str | os.PathLike):
        given = [arguments.path(embeddings, "embeddings")]
    else:
        given = [arguments.path(each, "embeddings") for each in arguments.several(embeddings, "embeddings")]
    if not given:
        raise UsageError("embeddings: name a file, or a folder of files")
    place, here = places(directory, folder)
    column = None if key is None else arguments.text(key, "key")
    hash_files, report = arguments.flag(hash_files, "hash_files"), arguments.callback(progress, "progress")
    identity = _identity(model, precision, made_by)
    making.check(place)
    files = sources.files_of(given)
    with sources.opened(files, column) as source:
        manifest = Manifest(_of_dimension(identity, source.dim), here)

        def show(done: int) -> None:
            if report:
                report(done, source.count)

        with making.making(place, manifest) as collection:
            importing = Import(collection, source, here, hash_files=hash_files, progress=show)
            found = importing.run(place, str(manifest.made_by))
    return found


def _identity(model: str | None, precision: str | None, made_by: str | None) -> Identity | str | None:
    """The model that is here, or the name of one that is not."""
    if made_by is not None:
        if model is not None or precision is not None:
            raise UsageError("made_by: a model is named by `model` if it is here, else by `made_by`; give one of them")
        if not manifests.is_name(made_by) or not made_by:
            raise UsageError(f"made_by={arguments.shown(made_by)}: give a short text of printable characters")
        return made_by
    if model is None:
        if precision is not None:
            raise UsageError("precision: it is that of a model; name the model, too")
        return None
    return compatibility.identity_of_model(
        arguments.text(model, "model"), None if precision is None else arguments.text(precision, "precision")
    )


def _of_dimension(identity: Identity | str | None, dim: int) -> Identity:
    """The identity of a collection of vectors of that dimension; raises UsageError if the model makes others."""
    if isinstance(identity, Identity):
        if identity.dim != dim:
            raise UsageError(
                f"model: {identity} makes vectors of {identity.dim:,} dimensions, and these have {dim:,}: it has not"
                " made them"
            )
        return identity
    return compatibility.identity_elsewhere(identity or UNNAMED, identity or secrets.token_hex(8), dim)
