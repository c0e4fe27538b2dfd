"""Runs the campaign, or is one of the processes that search."""

import sys
from pathlib import Path

from tests.campaigns import command_line, soak
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
    parser = command_line.parser(soak)
    parser.add_argument("--seconds", type=float, default=60, help="default: 60")
    parser.add_argument("--wal", action="store_true", help="let the catalog keep a write-ahead log")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        print(campaign.run(root, seconds=options.seconds, seed=options.seed, wal=options.wal))


if __name__ == "__main__":
    main()
