"""What a service is and holds, as values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceLimits:
    """How much may be asked of a service at once.

    Attributes:
        body_bytes: the most bytes of a request: of an image, or of several in base64.
        k: the most matches of a search.
        page: the most images of a page; `Client.images` asks for several.
        batch: the most queries of a request; `Client.search_many` sends several.
        thumbnail_sizes: the sides of its thumbnails, in pixels.
    """

    body_bytes: int
    k: int
    page: int
    batch: int
    thumbnail_sizes: tuple[int, ...]


@dataclass(frozen=True)
class ServiceInfo:
    """What a service is and holds.

    Attributes:
        name: of the folder of its collection.
        version: of its Lookalike.
        images: the number of images.
        missing: the number of images that are not found since their files are gone or cannot be used.
        skipped: the number of files that were left out.
        model: the name of the model that made the vectors.
        precision: of that model: "int8", "f32", "bf16" or "".
        dim: the dimension of the vectors.
        fingerprint: of that model; only scores with the same fingerprint can be compared.
        takes_text: whether that model takes text, so that `search_text` finds images.
        generation: the number of the index; None if every search is exact.
        recall: what the index reached when it was measured; None if every search is exact.
        regions: how many parts of each image searches can look at (`regions=True`); 0 if it keeps no vectors of them.
        damage: why there is no index although there should be; else None.
        revision: another text after every change of the images or the index.
        attributes: the names of the attributes that images have.
        is_writable: whether images may be added and deleted.
        limits: how much may be asked for at once.
    """

    name: str
    version: str
    images: int
    missing: int
    skipped: int
    model: str
    precision: str
    dim: int
    fingerprint: str
    takes_text: bool
    generation: int | None
    recall: float | None
    regions: int
    damage: str | None
    revision: str
    attributes: tuple[str, ...]
    is_writable: bool
    limits: ServiceLimits
