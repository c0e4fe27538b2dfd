"""Runs the campaign, or is the process that is killed."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns import crash
from tests.campaigns.crash import killer, victim
from tests.campaigns.crash.victim import Change


def main() -> None:
    """Reads the command line."""
    match sys.argv[1:]:
        case ["victim", folder, encoder, changes]:
            victim.run(Path(folder), encoder, [Change(**change) for change in json.loads(changes)])
        case _:
            run_campaign()


def run_campaign() -> None:
    """Kills as many processes as the command line says."""
    parser = argparse.ArgumentParser(
        "python -m tests.campaigns.crash",
        description=crash.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=100, help="number of processes to kill (default: 100)")
    parser.add_argument(
        "--encoder", choices=["colours", "bundled"], default="colours", help="mean colours, or the bundled model"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder).resolve() / "photos"
        print(killer.run(photos, kills=options.kills, encoder=options.encoder, seed=options.seed, verbose=True))


if __name__ == "__main__":
    main()
