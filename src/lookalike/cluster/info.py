"""What a sharded collection is and holds."""

from pathlib import Path

from lookalike.cluster.shards import Shards
from lookalike.collection.info import Info, ShardInfo
from lookalike.evaluation import kept
from lookalike.index.generation import Generation
from lookalike.search.probability import FittedCurves
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Identity

_SUMMED = ("images", "vectors", "dead", "skipped", "missing", "excluded", "outdated", "bytes", "young")


def info_of(
    directory: Path, folder: Path, made_by: Identity, shards: Shards, card: Generation | None, fitted: FittedCurves
) -> Info:
    """Adds up what the shards are and hold; `card` is how they are searched as one, `fitted` what is probable."""
    present = shards.present()
    infos = [shard.collection.info() for shard in present]
    live = sum(info.vectors - info.dead for info in infos)
    sums = {name: sum(getattr(info, name) for info in infos) for name in _SUMMED}
    paired = list(zip(present, infos, strict=True))
    damages = (f"shard {shard.name}: {info.damage}" for shard, info in paired if info.damage)
    told = [
        ShardInfo(shard.number, shard.name, info.directory, info.images, info.index.spec if info.index else None)
        for shard, info in paired
    ]
    gone = [
        ShardInfo(shards.number_of(name), name, directory / name, None, None, problem.message)
        for name, problem in shards.missing().items()
    ]
    return Info(
        directory,
        folder,
        made_by,
        **sums,
        index=card,
        made_of=MadeOf(),
        damage=next(damages, None),
        generation=sum(info.generation or 0 for info in infos) if card else None,
        orders=kept.kept(directory),
        probability=fitted.labels,
        copy_probability=fitted.copies,
        is_probability_outdated=any(each and not each.serves(live) for each in (fitted.labels, fitted.copies)),
        shards=tuple(sorted([*told, *gone], key=lambda each: each.number)),
    )
