"""Runs the campaign."""

from tests.campaigns import command_line, crash
from tests.campaigns.crash import killer


def main() -> None:
    """Kills as many processes as the command line says."""
    parser = command_line.parser(crash)
    parser.add_argument("--kills", type=int, default=100, help="number of processes to kill (default: 100)")
    parser.add_argument(
        "--encoder", choices=["colours", "bundled"], default="colours", help="mean colours, or the bundled model"
    )
    options = parser.parse_args()
    with command_line.scratch(options) as root:
        photos = root / "photos"
        print(killer.run(photos, kills=options.kills, encoder=options.encoder, seed=options.seed, verbose=True))


if __name__ == "__main__":
    main()
