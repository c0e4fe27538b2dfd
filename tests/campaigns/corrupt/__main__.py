"""Runs the campaign, or is one of its worker processes."""

import os
import sys
from pathlib import Path

from tests.campaigns import command_line, corrupt
from tests.campaigns.corrupt import campaign
from tests.campaigns.corrupt.damages import WEIGHTS


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["work", root, seed, start, stop, step, only]:
            campaign.work(Path(root), int(seed), range(int(start), int(stop), int(step)), only)
            return 0
        case _:
            return run_campaign()


def run_campaign() -> int:
    """Damages as many files as the command line says."""
    parser = command_line.parser(corrupt)
    parser.add_argument("--count", type=int, default=5000, help="number of files to damage (default: 5000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    parser.add_argument("--only", choices=list(WEIGHTS), default="", help="kind of file to damage (default: all)")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        report = campaign.run(root, **vars(options))
    return command_line.tell(report, report.problems)


if __name__ == "__main__":
    sys.exit(main())
