"""Runs the campaign, or is one of the processes that search."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns import soak
from tests.campaigns.soak import campaign


def main() -> None:
    """Reads the command line."""
    match sys.argv[1:]:
        case ["read", folder, history, seed]:
            campaign.read(Path(folder), Path(history), int(seed))
        case _:
            run_campaign()


def run_campaign() -> None:
    """Writes and searches for as long as the command line says."""
    parser = argparse.ArgumentParser(
        "python -m tests.campaigns.soak",
        description=soak.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60, help="default: 60")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--wal", action="store_true", help="let the catalog keep a write-ahead log")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        print(campaign.run(Path(folder).resolve(), seconds=options.seconds, seed=options.seed, wal=options.wal))


if __name__ == "__main__":
    main()
