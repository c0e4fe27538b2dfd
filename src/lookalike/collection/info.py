"""What a collection is and holds, as values."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import CorruptError
from lookalike.index.generation import Generation
from lookalike.search.probability import FittedCurve, FittedCurves
from lookalike.search.snapshot import Snapshots
from lookalike.storage import layout
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Identity, Manifest

if TYPE_CHECKING:
    from lookalike.evaluation.kept import ComparedOrders


@dataclass(frozen=True)
class RegionInfo:
    """What a collection keeps of parts of its images.

    Attributes:
        per_image: how many parts an image has.
        vectors: the number of stored vectors of parts.
        without: the number of images whose parts have no vectors yet; the next `add` or `update` makes them.
        spec: the FAISS index factory string of their index, or None if every search of parts is exact.
    """

    per_image: int
    vectors: int
    without: int
    spec: str | None


@dataclass(frozen=True)
class ShardInfo:
    """What is known of one shard of a sharded collection.

    Attributes:
        number: of it, of which the ids of its images are made.
        name: the directory of its collection, relative to that of the whole.
        directory: the same, absolute.
        images: the number of its images; None if it cannot be used.
        spec: the FAISS index factory string of its index, or None if every search of it is exact.
        problem: why it cannot be used, or None.
    """

    number: int
    name: str
    directory: Path
    images: int | None
    spec: str | None
    problem: str | None = None


@dataclass(frozen=True)
class Info:
    """What a collection is and holds.

    Attributes:
        directory: the directory of the collection.
        folder: the folder that the keys of its images are relative to.
        made_by: the encoder that made its vectors.
        images: the number of images.
        vectors: the number of stored vectors; byte-identical images share one.
        dead: the number of these that belong to no image any more.
        skipped: the number of files that were left out.
        missing: the number of images that are not found since their files are gone or cannot be used.
        excluded: the number of images that are not found since their files are left out.
        outdated: the number of images and skipped files that an earlier version has read. The next `add` looks at them
            again, and encodes those anew that are decoded otherwise now.
        bytes: its size on the disk.
        young: the number of vectors younger than the index, which are compared one by one.
        index: what is known of the index, or None if every search is exact.
        made_of: the folders and lists that it was made of, and what is left out.
        generation: the number of the index, which no earlier one has had; None if there is none.
        orders: what `evaluate` has found of the orders that a search can give, or None.
        probability: what it has learned of the probability of labels (`Match.probability`), or None.
        copy_probability: what it has learned of that of edited copies (`Match.copy_probability`), or None.
        is_probability_outdated: whether one of them is not told any more, since many images have come or gone.
        regions: what is known of the vectors of parts of the images, or None if there are none.
        augmented: the number of augmented vectors that a refined order goes by; None if they are not kept.
        shards: those of a sharded collection; none of any other.
        damage: why there is no index although there should be, as far as can be told without reading it; else None.
    """

    directory: Path
    folder: Path
    made_by: Identity
    images: int
    vectors: int
    dead: int
    skipped: int
    missing: int
    excluded: int
    outdated: int
    bytes: int
    young: int
    index: Generation | None
    made_of: MadeOf
    damage: str | None
    generation: int | None = None
    orders: "ComparedOrders | None" = None
    probability: FittedCurve | None = None
    copy_probability: FittedCurve | None = None
    is_probability_outdated: bool = False
    regions: RegionInfo | None = None
    augmented: int | None = None
    shards: tuple[ShardInfo, ...] = ()


def info_of(
    directory: Path,
    manifest: Manifest,
    snapshots: Snapshots,
    made_of: MadeOf,
    leaves_out: Callable[[str], bool],
    fitted: FittedCurves,
) -> Info:
    """Looks up what a collection is and holds, without reading its vectors or index.

    `leaves_out` says of a key whether its file is left out; `fitted` is what the collection keeps of probabilities.
    """
    from lookalike.evaluation import kept

    totals, state = snapshots.catalog.totals(), snapshots.catalog.state()
    counts = snapshots.catalog.missing_among(None, since_ns=0, leaves_out=leaves_out)
    index, damage, live = None, None, state.count - len(snapshots.catalog.hidden_rows())
    try:
        index = snapshots.index_card()
    except CorruptError as error:
        damage = error.message
    return Info(
        directory,
        manifest.folder,
        manifest.made_by,
        images=totals.images,
        vectors=totals.vectors,
        dead=totals.dead,
        skipped=totals.skipped,
        missing=counts.new,
        excluded=counts.excluded,
        outdated=snapshots.catalog.count_outdated(),
        bytes=layout.size(directory),
        young=max(state.count - index.rows, 0) if index else 0,  # a writer may have joined some in between
        index=index,
        made_of=made_of,
        damage=damage,
        generation=state.generation.number if state.generation else None,
        orders=kept.kept(manifest.data_directory(directory)),
        probability=fitted.labels,
        copy_probability=fitted.copies,
        is_probability_outdated=any(each and not each.serves(live) for each in (fitted.labels, fitted.copies)),
        regions=_region_info(snapshots),
        augmented=state.augmented.live if state.augmented else None,
    )


def _region_info(snapshots: Snapshots) -> RegionInfo | None:
    state = snapshots.catalog.state().regions
    if state is None:
        return None
    card = snapshots.region_index_card()
    return RegionInfo(state.per_image, state.count, snapshots.catalog.regions.without(), card.spec if card else None)
