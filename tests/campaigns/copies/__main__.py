"""Runs the campaign, or is the process that starts those that are ended."""

import json
import sys
from pathlib import Path

from tests.campaigns import command_line, copies
from tests.campaigns.copies import campaign


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["trials", root, count, seed]:
            for found in campaign.trials(Path(root), count=int(count), seed=int(seed)):
                print(json.dumps(found), flush=True)
            return 0
        case _:
            return run_campaign()


def run_campaign() -> int:
    """Runs as many trials as the command line says."""
    parser = command_line.parser(copies)
    parser.add_argument("--count", type=int, default=100, help="number of trials (default: 100)")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        report = campaign.run(root, count=options.count, seed=options.seed)
    print(*report.lost, report, sep="\n")
    return int(bool(report.lost))


if __name__ == "__main__":
    sys.exit(main())
