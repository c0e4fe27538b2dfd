"""Asks a service, and reads the JSON that it answers with."""

from collections.abc import Callable
from typing import Any, TypeVar

from lookalike.client import answers, bodies, problems
from lookalike.client.connections import Request
from lookalike.client.info import ServiceInfo
from lookalike.client.service import Service
from lookalike.errors import ServiceError

_Made = TypeVar("_Made")
JSON_BYTES = 64 * 2**20  # of an answer


class Asking:
    """Asks a service.

    Attributes:
        address: of the service, without a slash at its end.
    """

    def __init__(self, service: Service) -> None:
        self._service, self.address = service, service.address
        self._info: ServiceInfo | None = None

    def info(self, *, fresh: bool = True) -> ServiceInfo:
        """What the service is and holds; if it need not be `fresh`, as it was when it was asked last."""
        if self._info is None or fresh:
            self._info = self._get("/v1/info", answers.info)
        return self._info

    def _get(self, target: str, read: Callable[[answers.Object], _Made]) -> _Made:
        return self._read(Request("GET", target, most_bytes=JSON_BYTES), read)

    def _post(self, target: str, body: dict[str, Any], read: Callable[[answers.Object], _Made]) -> _Made:
        return self._read(Request("POST", target, bodies.json_body(body), most_bytes=JSON_BYTES), read)

    def _read(self, request: Request, read: Callable[[answers.Object], _Made], name: str | None = None) -> _Made:
        """What `read` makes of the JSON that the service answers a request with."""
        body = self._service.send(request, name).body
        try:
            return read(answers.parsed(body))
        except answers.FormError as error:
            wrong = problems.plain(str(error))
            raise ServiceError(f"{self.address}: its answer is not as the API describes it: {wrong}") from None
