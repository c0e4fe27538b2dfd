"""The settings of the service: where it listens, who may use it, and how much at once."""

import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from lookalike.errors import UsageError
from lookalike.system.resources import cores

PORT = 8765
HEAD_BYTES = 16 * 2**10  # of the line and the headers of a request
_SHORTEST_TOKEN, _LONGEST_TOKEN = 16, 512  # characters
_MB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much the service takes at once. Beyond it a request is refused, so that memory stays bounded.

    Attributes:
        body_bytes: the most bytes of the body of a request.
        all_bodies_bytes: the most bytes of the bodies of all requests that are under way.
        k: the most matches of a search.
        page: the most images of a page.
        batch: the most queries or inputs of a request.
        encoding: the number of images and texts that are encoded at once.
        searching: the number of searches and look-ups at once.
        drawing: the number of thumbnails that are drawn at once.
        waiting: the most requests that wait for one of these.
        patience_s: so long a request waits, in seconds.
        deadline_s: the most seconds that a request takes, its body included.
        connections: the most connections.
        quiet_s: so long nobody has written when the index is maintained, in seconds.
        thumbnail_bytes: the size of the cache of thumbnails.
    """

    body_bytes: int = 32 * _MB
    all_bodies_bytes: int = 128 * _MB
    k: int = 1000
    page: int = 500
    batch: int = 64
    encoding: int = field(default_factory=lambda: cores() + 1)  # or a core waits while the loop hands on the next image
    searching: int = field(default_factory=lambda: 4 * cores())
    drawing: int = field(default_factory=cores)
    waiting: int = 64
    patience_s: float = 2.0
    deadline_s: float = 60.0
    connections: int = 512
    quiet_s: float = 10.0
    thumbnail_bytes: int = 64 * _MB


@dataclass(frozen=True)
class SlowClients:
    """When a client that is slow is cut off.

    Attributes:
        head_s: the most seconds that a request's line and headers may take.
        window_s: the seconds over which the speed of a client is measured.
        bytes_per_s: the least speed at which it has to send a body, or to take an answer.
        idle_s: so long a connection is kept open between two requests.
        drain_s: so long the rest of a body is taken after the answer.
    """

    head_s: float = 5.0
    window_s: float = 4.0
    bytes_per_s: int = 1024
    idle_s: float = 30.0
    drain_s: float = 5.0


@dataclass(frozen=True)
class Settings:
    """The settings of the service.

    Attributes:
        host: the address or name that it listens on.
        port: the port; 0 is any that is free.
        token: what clients have to know, at least 16 characters; None lets everybody on this machine in.
        writable: whether images may be added and deleted.
        hosts: the names, besides `host` and IP addresses, under which clients may reach it: that of a reverse proxy.
        proxies: the addresses or networks of reverse proxies, besides this machine: if one of them says that it was
            asked by https (`X-Forwarded-Proto`), the cookie of a session is for https only.
        limits: how much it takes at once.
        slow_clients: when a client that is slow is cut off.
        stop_s: so long requests that are under way may take when it is told to stop.

    Raises:
        UsageError: it would be open to other machines without a token, the token is too short to be safe, or a proxy
            has no address.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = field(default=None, repr=False)
    writable: bool = False
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    slow_clients: SlowClients = field(default_factory=SlowClients)
    stop_s: float = 8.0

    def __post_init__(self) -> None:
        for proxy in self.proxies:
            _check_network(proxy)
        if self.token is not None:
            _check_token(self.token)
        elif not is_loopback(self.host):
            raise UsageError(
                f"{self.host or 'every address'}: whoever can reach this machine could see the images; give a token as"
                " well, or listen on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    if not host:  # which stands for every address
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        raise UsageError(f"{host!r}: there is no such address; give 127.0.0.1 or another one of this machine") from None
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _check_network(proxy: str) -> None:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise UsageError(
            f"{proxy!r}: no address of a proxy; give one such as 10.0.0.5, or a network, 10.0.0.0/24"
        ) from None


def _check_token(token: str) -> None:
    if not (_SHORTEST_TOKEN <= len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()):
        raise UsageError(
            f"the token has to have {_SHORTEST_TOKEN} to {_LONGEST_TOKEN} printable characters of ASCII; make one with:"
            " python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    if " " in token:
        raise UsageError("the token has a space, which a header cannot carry; leave it out")
