"""The command that makes many collections one."""

from collections.abc import Sequence

import click

from lookalike.cli import options, output
from lookalike.display.text import safe_text


@click.command()
@click.argument("directory", metavar="DIR", type=options.FilePath(file_okay=False))
@click.argument("collections", nargs=-1, metavar="[COLLECTION]...", type=options.FilePath())
@options.as_json
def combine(directory: str, collections: Sequence[str], as_json: bool) -> None:
    """Make one collection of many, which stay as they are.

    DIR is the directory that they are in; without any COLLECTION, all that are in folders below it are taken. A small
    file, shards.json, is written to DIR. From then on, search, info, check, evaluate, build and serve take all of them
    as one with -c DIR. Each can still be used by itself, and is indexed by itself.

    It can be done again, with more of them or fewer: those that stay keep the ids of their images.
    """
    import lookalike

    with lookalike.combine(directory, collections) as whole:
        if as_json:
            output.print_json({"directory": str(whole.directory), "shards": whole.shard_names, "images": len(whole)})
            return
        number = output.counted(len(whole.shard_names), "collection")
        output.say(f"{number} in {safe_text(whole.directory)}, {output.counted(len(whole), 'image')} in all")
