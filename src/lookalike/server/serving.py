"""Runs the application until it is told to stop, and lets the requests that are under way finish."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from lookalike.collection.collection import Collection
from lookalike.errors import UsageError
from lookalike.server.app import create_app
from lookalike.server.protocol import protocol_for
from lookalike.server.settings import HEAD_BYTES, Settings

_BACKLOG = 256  # connections that the system holds until they are accepted


def serve(collection: Collection, settings: Settings, *, on_ready: Callable[[str], object] = lambda _: None) -> None:
    """Serves a collection until SIGTERM or Ctrl-C, and returns when the requests that were under way are answered.

    Args:
        collection: an open collection, which is closed at the end.
        settings: the settings.
        on_ready: is given the address, such as http://127.0.0.1:8765, as soon as the service listens there.

    Raises:
        UsageError: it cannot listen at that address.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else clients could fill the log with damaged forms
    with listening(settings) as listener:
        make_server(collection, settings, listener, on_ready).run([listener])


def make_server(
    collection: Collection,
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[str], object] = lambda _: None,
) -> uvicorn.Server:
    """The server that runs the application, to be given the socket that listens."""
    config = uvicorn.Config(
        create_app(collection, settings),
        http=protocol_for(settings.slow_clients, settings.limits.connections),
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,  # the application itself decides which proxies count
        server_header=False,
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=round(settings.slow_clients.idle_s),
        timeout_graceful_shutdown=round(settings.stop_s),
    )
    return _Server(config, lambda: on_ready(address_of(settings.host, listener)))


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens at the address of the settings.

    Raises:
        UsageError: it cannot.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        number = getattr(error, "errno", None)  # the text of the error repeats the address
        reason = os.strerror(number) if number and number > 0 else str(error)
        raise UsageError(
            f"{settings.host}:{settings.port}: cannot listen there ({reason}); give another port or address"
        ) from error
    with listener:
        yield listener


def address_of(host: str, listener: socket.socket) -> str:
    """The address for a browser on this machine."""
    port = listener.getsockname()[1]
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - which stand for every address
    name = here.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server, which ends well when it is told to stop: uvicorn itself would die of the signal in the end."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # only that may have handlers
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        # The command line has it end the process, as if the reader of its output had stopped; any client could do that.
        before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
