"""How long an import of embeddings takes, beside `cp` of the same files.

    python benchmarks/import_speed.py [FOLDER] [--rows 1000000] [--dim 768] [--dtype float32]

In FOLDER, by default a new one for temporary files, embeddings are drawn as clip-retrieval writes them: ten .npy files
and ten Parquet files with the columns image_path, caption, width and height. Then they are copied and imported in turn,
and the ratio of the shortest times is told. Each is a process of its own. What was written is deleted.

An import ends when its collection is on the disk; `cp` ends when its bytes are in memory, and `cp` and `sync` when they
are on the disk, too. So both are told.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_FILES = 10
_IMPORT = "import sys, lookalike; lookalike.import_embeddings(sys.argv[1], directory=sys.argv[2])"


def draw(folder: Path, rows: int, dim: int, dtype: str) -> None:
    """Writes embeddings and what describes them."""
    random = np.random.default_rng(0)
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for number in range(_FILES):
        count = rows // _FILES
        array = np.lib.format.open_memmap(
            folder / "img_emb" / f"img_emb_{number}.npy", "w+", np.dtype(dtype), (count, dim)
        )
        for start in range(0, count, 10_000):
            block = random.standard_normal((min(10_000, count - start), dim), np.float32)
            array[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        array.flush()
        places = range(number * count, (number + 1) * count)
        table = {
            "image_path": [f"{place // 10_000:05}/{place:09}.jpg" for place in places],
            "caption": [f"a picture of thing {place % 9973} beside thing {place % 331}" for place in places],
            "width": pa.array([640 + place % 100 for place in places], pa.int32()),
            "height": pa.array([480 + place % 100 for place in places], pa.int32()),
        }
        pq.write_table(pa.table(table), folder / "metadata" / f"metadata_{number}.parquet")


@dataclass(frozen=True)
class Taken:
    """What some work took: the time until it was done, and that of processors, both in seconds."""

    seconds: float
    processors: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.processors:.2f} s of processors)"


def taken(command: list[str], written: Path) -> Taken:
    """Runs a command, and deletes what it has written."""
    subprocess.run(["sync"], check=True)
    before, begin = _processors(), time.perf_counter()
    subprocess.run(command, check=True)
    found = Taken(time.perf_counter() - begin, _processors() - before)
    shutil.rmtree(written)
    return found


def _processors() -> float:
    """The time of processors that processes which this one has started, and that have ended, took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def least(several: list[Taken]) -> Taken:
    """The shortest times."""
    return Taken(min(each.seconds for each in several), min(each.processors for each in several))


def ratio(first: Taken, second: Taken) -> str:
    """By how much the first takes longer."""
    return f"{first.seconds / second.seconds:.1f} times ({first.processors / second.processors:.1f} of processors)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        source, copy, directory = (Path(place, name) for name in ("source", "copy", "imported"))
        draw(source, given.rows, given.dim, given.dtype)
        commands = {
            "cp": (["cp", "-r", str(source), str(copy)], copy),
            "cp and sync": (["sh", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "sh", str(source), str(copy)], copy),
            "import": ([sys.executable, "-c", _IMPORT, str(source), str(directory)], directory),
        }
        found: dict[str, list[Taken]] = {name: [] for name in commands}
        for _ in range(given.repeats):
            for name, (command, written) in commands.items():
                found[name].append(taken(command, written))
            print(", ".join(f"{name} {each[-1]}" for name, each in found.items()), flush=True)
        size = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
        best = {name: least(each) for name, each in found.items()}
        print(f"{given.rows:,} rows of {given.dim} dimensions, {given.dtype}, {size / 1e9:.2f} GB: {best['import']}")
        for name in ("cp", "cp and sync"):
            print(f"{ratio(best['import'], best[name])} {name}")


if __name__ == "__main__":
    main()
