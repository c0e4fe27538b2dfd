"""Checks whether an encoder may be used with a collection, and says what to do if not."""

import hashlib
from pathlib import Path

from lookalike import encoders
from lookalike.collection.encoder_choice import EncoderChoice
from lookalike.encoders import Encoder, registry
from lookalike.errors import CorruptError, Hint, IncompatibleError, ModelError, UsageError
from lookalike.storage import layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest

_ELSEWHERE = "imported-"  # how fingerprints of models that are not here begin


def identity_of_encoder(encoder: Encoder) -> Identity:
    """The identity of collections made with an encoder that was given as an object.

    Raises:
        UsageError: its name or fingerprint cannot be shown, or its dimension is out of range.
    """
    for member in ("name", "fingerprint"):
        if not manifests.is_name(getattr(encoder, member)):
            raise UsageError(f"encoder: its {member} has to be a short text of printable characters")
    if not 1 <= encoder.dim <= manifests.MAX_DIM:
        raise UsageError(f"encoder: its dimension is {encoder.dim}, not from 1 to {manifests.MAX_DIM:,}")
    return Identity(encoder.name, "", encoder.fingerprint, encoder.dim)


def identity_of_model(name: str, precision: str | None) -> Identity:
    """The identity of collections made with a model that Lookalike has.

    Raises:
        UsageError: there is no such model.
        ModelError: its card is damaged.
    """
    card = encoders.card(name, precision=precision)
    return Identity(name, card.precision, card.fingerprint, card.dim, card.command or card.source)


def identity_elsewhere(name: str, version: str, dim: int) -> Identity:
    """The identity of collections of vectors that a model elsewhere made, of which only the name is known."""
    return Identity(name, "", f"{_ELSEWHERE}{hashlib.sha256(f'{version} {dim}'.encode()).hexdigest()[:16]}", dim)


def is_elsewhere(identity: Identity) -> bool:
    """Whether the vectors were imported, and nothing on this machine can make others."""
    return not identity.precision and identity.fingerprint.startswith(_ELSEWHERE)


def new_identity(choice: EncoderChoice) -> Identity:
    """The identity of a new collection.

    Raises:
        UsageError: there is no such model.
        ModelError: its card is damaged.
    """
    if (encoder := choice.get("encoder")) is not None:
        return identity_of_encoder(encoders.checked_encoder(encoder))
    return identity_of_model(choice.get("model") or encoders.BUNDLED, choice.get("precision"))


def check_choice(directory: Path, manifest: Manifest, choice: EncoderChoice) -> None:
    """Makes sure that a collection may be opened with an encoder: it made the collection, or none is available.

    Raises:
        IncompatibleError: another encoder or another version of it made the collection.
    """
    if any(choice.get(name) is not None for name in ("encoder", "model", "precision")):
        check(directory, manifest, wanted_identity(directory, manifest, choice))
    elif (available := available_identity(manifest.made_by)) is not None:
        check(directory, manifest, available)


def available_identity(stored: Identity) -> Identity | None:
    """The identity of a collection's own model as it is installed here; None if it is not available."""
    try:
        return identity_of_model(stored.model, stored.precision) if stored.precision else None
    except (UsageError, ModelError):
        return None


def wanted_identity(directory: Path, manifest: Manifest, choice: EncoderChoice | None = None) -> Identity:
    """The identity of the encoder that is to be used with a collection: the chosen one, or its own as installed here.

    Args:
        directory: the collection's.
        manifest: the collection's.
        choice: an encoder object goes before a model; without a model it is the collection's, and without a precision
            that of the collection or the default of the model.

    Raises:
        UsageError: there is no such model.
        ModelError: its card is damaged.
        IncompatibleError: no other model is named, and the collection's own is not available here.
    """
    stored, choice = manifest.made_by, choice or {}
    model, precision = choice.get("model"), choice.get("precision")
    if (encoder := choice.get("encoder")) is not None:
        return identity_of_encoder(encoders.checked_encoder(encoder))
    if model is not None and (model != stored.model or not stored.precision):
        return identity_of_model(model, precision)
    if is_elsewhere(stored):
        raise IncompatibleError(
            f"{directory}: its vectors were imported, and the model that made them ({stored}) is not on this machine:"
            " search by id or by vector; to search by image and to add images, import them again with that model"
        )
    if not stored.precision or stored.model not in encoders.names():
        reason = registry.why_unreadable() if stored.precision else None
        raise IncompatibleError(
            f"{directory}: its vectors were made by {stored}, which is not available here"
            + (f" ({reason})" if reason else ""),
            _get_model_hint(directory, manifest),
            Hint("reindex", {"path": str(manifest.path(directory)), "model": encoders.BUNDLED}),
        )
    return identity_of_model(stored.model, precision or stored.precision)


def check(directory: Path, manifest: Manifest, wanted: Identity) -> None:
    """Makes sure that an encoder is the one that made a collection.

    Raises:
        IncompatibleError: it is not; the message names both.
    """
    made_by = manifest.made_by
    if wanted == made_by:
        return
    made, other = str(made_by), str(wanted)
    hints = [reindex_hint(directory, manifest, wanted)]
    if made == other:
        made, other = _version(made_by), f"another version of it, {_version(wanted)}"
        hints = [*_get_version_hints(directory, manifest), *hints]
        if made_by.precision and made_by.model == encoders.BUNDLED:
            made += ", which came with another version of Lookalike,"
    raise IncompatibleError(
        f"{directory}: its vectors were made by {made} and cannot be compared with those of {other}", *hints
    )


def check_unchanged(directory: Path, manifest: Manifest) -> None:
    """Makes sure that a collection that was opened earlier has not been indexed again with another model.

    Raises:
        IncompatibleError: it has.
        CorruptError: its manifest is missing or damaged.
    """
    present = manifests.read(directory)
    if (present.made_by, present.data) != (manifest.made_by, manifest.data):
        raise IncompatibleError(
            f"{directory}: since it was opened, it has been indexed again with {present.made_by}; open it again"
        )
    if present.folder != manifest.folder:
        raise IncompatibleError(
            f"{directory}: since it was opened, its images have moved from {manifest.folder} to {present.folder};"
            " open it again"
        )


def check_catalog(directory: Path, manifest: Manifest, catalog: Catalog) -> None:
    """Makes sure that a collection's manifest and catalog belong together.

    Raises:
        CorruptError: they are of two collections, or of two backups of one.
    """
    if manifest.catalog not in (None, catalog.identity()) and manifests.read(directory) == manifest:
        raise CorruptError(
            f"{catalog.path}: it does not belong to the {layout.MANIFEST} beside it, but to another collection;"
            " restore both from one backup"
        )


def reindex_hint(directory: Path, manifest: Manifest, wanted: Identity) -> Hint:
    """How to index the images of a collection again with another encoder."""
    path = str(manifest.path(directory))
    if not wanted.precision:
        return Hint("reindex", {"path": path, "encoder": ...})
    return Hint("reindex", {"path": path, **model_options(manifest, wanted)})


def model_options(manifest: Manifest, wanted: Identity) -> dict[str, str]:
    """The options `model` and `precision` that name a model, without what is its default."""
    if wanted.model != manifest.made_by.model and wanted.precision == encoders.precisions(wanted.model)[0]:
        return {"model": wanted.model}
    return {"model": wanted.model, "precision": wanted.precision}


def _version(identity: Identity) -> str:
    source = f" from {identity.source}" if identity.source else ""
    return f"{identity} {identity.fingerprint[:8]}{source}"


def _get_model_hint(directory: Path, manifest: Manifest) -> Hint:
    stored = manifest.made_by
    if not stored.precision:
        return Hint("open_with_encoder", {"path": str(manifest.path(directory)), "encoder": ...})
    return registry.import_hint(stored.source or "", stored.model)


def _get_version_hints(directory: Path, manifest: Manifest) -> list[Hint]:
    """How to get the version of the model that made a collection; none for the bundled one."""
    stored = manifest.made_by
    if not stored.precision:
        return [Hint("open_with_encoder", {"path": str(manifest.path(directory)), "encoder": ...})]
    hint = registry.import_hint(stored.source or "", stored.model, again=True)
    return [] if stored.model == encoders.BUNDLED else [hint]
