"""A connection to a Ray cluster, or a cluster of this machine alone. Only this module and its users load Ray.

Whoever reaches a cluster without authentication can run anything on it. So tokens are required: one that is made for
the occasion for a cluster of this machine, and the user's own (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or
~/.ray/auth_token) for another one. The dashboard stays off, and nothing is reported to anybody.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lookalike.errors import Hint, UsageError
from lookalike.system import forks
from lookalike.system.resources import cores

LOCAL = "local"
_OLDEST = (2, 54)  # the first that is used here, with authentication by tokens
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_ALWAYS = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster at an address; "local" starts one here, which ends with it.

    Raises:
        UsageError: Ray is missing or too old, there is no cluster at the address, or it refuses the token.
    """
    ray = _ray()
    if ray.is_initialized():
        raise UsageError("Ray is in use in this process already; index from a process of its own")
    with _environment(address):
        where: dict[str, Any] = {"address": address}
        if address == LOCAL:
            where = {"num_cpus": cores(), "include_dashboard": False}
        if address.startswith((LOCAL, "127.")):
            where["_node_ip_address"] = "127.0.0.1"  # else Ray looks for this machine by its other address
        try:
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # Ray raises all kinds
            raise UsageError(f"{address}: no Ray cluster that lets us in: {_first_line(error)}") from error
        try:
            yield ray
        finally:
            ray.shutdown()


class _Shared:
    """Connections that several users in this process have in common, since Ray allows one only."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._open: dict[str, tuple[Any, ExitStack, int]] = {}

    def enter(self, address: str) -> Any:
        with self._lock:
            if address not in self._open:
                stack = ExitStack()
                self._open[address] = stack.enter_context(connected(address)), stack, 0
            ray, stack, users = self._open[address]
            self._open[address] = ray, stack, users + 1
            return ray

    def leave(self, address: str) -> None:
        with self._lock:
            ray, stack, users = self._open.pop(address)
            if users > 1:
                self._open[address] = ray, stack, users - 1
            else:
                stack.close()


_shared = _Shared()


@contextmanager
def shared(address: str) -> Iterator[Any]:
    """The same for several users in one process, which is connected until the last of them ends.

    Raises:
        UsageError: Ray is missing or too old, there is no cluster at the address, or it refuses the token.
    """
    ray = _shared.enter(address)
    try:
        yield ray
    finally:
        _shared.leave(address)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        hint = Hint("install", {"extra": "ray"})
        raise UsageError("indexing on a cluster needs packages that are not installed", hint) from error
    found = tuple(int(part) for part in ray.__version__.split(".")[:2])
    if found < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise UsageError(
            f"Ray {ray.__version__} is too old; install {oldest} or later", Hint("install", {"extra": "ray"})
        )
    return ray


@contextmanager
def _environment(address: str) -> Iterator[None]:
    """Sets what Ray reads from the environment, and restores it."""
    wanted = dict(_ALWAYS)
    if address == LOCAL:
        wanted["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before = {name: os.environ.get(name) for name in (*wanted, *_TOKENS)}
    if address == LOCAL:
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
    os.environ.update(wanted)
    _forget_cached()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _forget_cached()


def _forget_cached() -> None:
    """Has Ray read its token and its settings again, which it keeps for the process."""
    import ray

    own: Any = ray._raylet  # Ray has no public way
    own.Config.initialize("")
    own.AuthenticationTokenLoader.instance().reset_cache()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
