"""Runs the campaign, or is the process that is recorded."""

import sys
from pathlib import Path

from tests.campaigns import command_line, power
from tests.campaigns.power import campaign, victim


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["record", root, seed, wal, steps]:
            victim.run(Path(root), seed=int(seed), wal=wal == "1", steps=int(steps))
            return 0
        case _:
            return run_campaign()


def run_campaign() -> int:
    """Loses the power as often as the command line says."""
    parser = command_line.parser(power)
    parser.add_argument("--count", type=int, default=500, help="number of losses of power (default: 500)")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        report = campaign.run(root, count=options.count, seed=options.seed)
    print(*report.lost, report, sep="\n")
    return int(bool(report.lost))


if __name__ == "__main__":
    sys.exit(main())
