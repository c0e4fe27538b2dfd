"""The command that serves a collection over HTTP."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import locate, options, output
from lookalike.system import regular_file

if TYPE_CHECKING:
    from lookalike.server.settings import Settings

_HOST, _PORT = "127.0.0.1", 8765
_LONGEST_FILE = 4096  # bytes


@click.command()
@click.argument("folder", required=False, metavar="[FOLDER]", type=options.FilePath())
@options.collection
@click.option("--host", default=_HOST, show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", default=_PORT, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 is any.")
@click.option(
    "--token-file", type=options.FilePath(dir_okay=False), help="File with the token that clients have to send."
)
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="LOOKALIKE_TOKEN",
    help="The token itself, which other users of this machine may see; better set $LOOKALIKE_TOKEN, or a file.",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Name that clients use; repeatable.")
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Address or network of a reverse proxy on another machine, whose X-Forwarded-Proto counts; repeatable.",
)
@click.option("--writable", is_flag=True, help="Let clients add images, and delete images and their files.")
@click.option("--max-upload", default=32, show_default=True, type=click.IntRange(1, 1024), help="Most MB of a request.")
@options.max_pixels
@options.partial
@click.option("--ray", metavar="ADDRESS", help="Of many collections as one, search on the machines of a Ray cluster.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def serve(
    folder: str | None,
    directory: str | None,
    max_pixels: int | None,
    partial: bool,
    ray: str | None,
    open_page: bool,
    **given: Any,
) -> None:
    """Serve a collection over HTTP: a page, and an API.

    The page is at the address that is shown; --open opens it. Programs search at /v1/search; /openapi.json describes
    all that they can do. Images that are added, changed or
    removed meanwhile, and another model, are noticed. Only this machine can reach it, unless it is given another
    address; then a token is needed.
    """
    if folder is not None and directory is not None:
        raise errors.UsageError("serve: give FOLDER, or a collection with -c, not both")
    run = _server()
    settings = _settings(**given)
    choice: dict[str, Any] = {"max_pixels": max_pixels, "partial": partial, "ray": ray}
    collection = locate.open_collection(directory if folder is None else folder, **choice)

    def announce(address: str) -> None:
        output.say(f"Serving {output.counted(len(collection), 'image')} at {address}/ (Ctrl-C stops it)")
        if open_page:
            webbrowser.open(f"{address}/")

    run(collection, settings, on_ready=announce)


def _server() -> Any:
    """The function that serves, which takes packages that are optional."""
    try:
        from lookalike.server.serving import serve as run
    except ModuleNotFoundError as error:
        raise errors.MissingExtraError("serving a collection over HTTP", "server") from error
    return run


def _settings(*, token: str | None, token_file: str | None, max_upload: int, **given: Any) -> "Settings":
    from lookalike.server.settings import Limits, Settings

    if token_file is not None:
        token = _read_token(token_file)
    return Settings(token=token or None, limits=Limits(body_bytes=max_upload * 2**20), **given)


def _read_token(file: str) -> str:
    try:
        return regular_file.read(Path(file), most=_LONGEST_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise errors.UsageError(f"{file}: the token cannot be read ({reason})") from error
