"""Runs the campaign, or is one of its worker processes."""

import os
import sys
from pathlib import Path

from tests.campaigns import command_line, hostile
from tests.campaigns.hostile import campaign
from tests.campaigns.hostile.attacks import ATTACKS


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["work", root, seed, start, stop, step, only]:
            campaign.work(Path(root), int(seed), range(int(start), int(stop), int(step)), only)
            return 0
        case _:
            return run_campaign()


def run_campaign() -> int:
    """Tries as many crafted collections as the command line says."""
    parser = command_line.parser(hostile)
    parser.add_argument("--count", type=int, default=2000, help="number of collections (default: 2000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    names = sorted({attack.__name__ for attack in ATTACKS})
    parser.add_argument("--only", choices=names, default="", help="kind of attack (default: all)")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        report = campaign.run(root, **vars(options))
    return command_line.tell(report, report.problems)


if __name__ == "__main__":
    sys.exit(main())
