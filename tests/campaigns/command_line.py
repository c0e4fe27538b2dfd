"""What the command lines of the campaigns have in common."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


def parser(campaign: ModuleType) -> argparse.ArgumentParser:
    """A parser with the campaign's description, and the option `--seed`."""
    made = argparse.ArgumentParser(
        f"python -m {campaign.__name__}",
        description=campaign.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    return made


@contextmanager
def scratch(options: argparse.Namespace) -> Iterator[Path]:
    """Prints the seed, and gives an empty folder."""
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder).resolve()


def tell(report: object, problems: Mapping[int, object]) -> int:
    """Prints the problems by the numbers of their cases, and the report; returns the exit code."""
    for number, problem in sorted(problems.items()):
        print(f"case {number}: {problem}")
    print(report)
    return int(bool(problems))
