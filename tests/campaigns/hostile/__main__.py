"""Runs the campaign, or is one of its worker processes."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns import hostile
from tests.campaigns.hostile import campaign
from tests.campaigns.hostile.attacks import ATTACKS


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["work", root, seed, start, stop, step, only]:
            campaign.work(Path(root), int(seed), range(int(start), int(stop), int(step)), only)
            return 0
    parser = argparse.ArgumentParser(
        "python -m tests.campaigns.hostile",
        description=hostile.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=2000, help="number of collections (default: 2000)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    names = sorted({attack.__name__ for attack in ATTACKS})
    parser.add_argument("--only", choices=names, default="", help="kind of attack (default: all)")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        report = campaign.run(Path(folder).resolve(), **vars(options))
    for number, problem in sorted(report.problems.items()):
        print(f"case {number}: {problem}")
    print(report)
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())
