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
        case ["serve", folder]:
            from tests.campaigns.soak import over_http  # which takes the extra

            over_http.serve(Path(folder))
        case _:
            run_campaign()


def run_campaign() -> None:
    """Writes and searches for as long as the command line says."""
    parser = command_line.parser(soak)
    parser.add_argument("--seconds", type=float, default=60, help="default: 60")
    parser.add_argument("--http", action="store_true", help="search a service over HTTP, with 64 clients")
    parser.add_argument("--generations", type=int, default=0, help="the least number of new indexes, with --http")
    parser.add_argument("--wal", action="store_true", help="let the catalog keep a write-ahead log")
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        if options.http:
            from tests.campaigns.soak import over_http

            print(over_http.run(root, seconds=options.seconds, generations=options.generations, seed=options.seed))
        else:
            print(campaign.run(root, seconds=options.seconds, seed=options.seed, wal=options.wal))


if __name__ == "__main__":
    main()
