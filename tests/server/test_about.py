"""What the service tells of itself: its description, its health, its metrics; and errors that nobody expects."""

import json
import re
import socket
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError, Hint, StorageError
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from tests.support.http_service import Running, problem, running


def test_info_says_what_may_be_asked_for(service: Running, photos: Collection) -> None:
    found = service.client.get("/v1/info").json()
    assert found["images"] == 12
    assert found["model"] == {"name": "colours", "precision": "", "dim": 25, "fingerprint": "c0105001"}
    assert found["limits"]["k"] == 1000
    assert found["version"] == lookalike.__version__
    assert found["takes_text"] is False
    assert str(photos.folder) not in json.dumps(found)


def test_it_is_healthy_and_ready_and_says_where_to_begin(service: Running) -> None:
    assert service.client.get("/health").json() == {"status": "ok"}
    assert service.client.get("/ready").json() == {"status": "ready"}
    page = service.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/openapi.json" in page.text


def test_the_description_has_examples_and_knows_every_name_in_it(photos: Collection) -> None:
    with running(photos, Settings(writable=True)) as service:
        description = service.client.get("/openapi.json").json()
    text = json.dumps(description)
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(description["components"]["schemas"])
    assert {"Search", "ProblemDetail", "SearchAnswer", "Embeddings"} <= names
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            assert route["summary"], path
            assert route["description"], path
            if method in ("post", "put"):
                assert route["requestBody"]["content"], path
    assert description["components"]["schemas"]["Search"]["examples"]
    assert set(description["paths"]["/v1/search"]["post"]["requestBody"]["content"]) == {
        "image/*",
        "multipart/form-data",
        "application/json",
    }
    assert description["paths"]["/v1/info"]["get"]["security"]
    assert "security" not in description["paths"]["/health"]["get"]


def test_the_examples_of_the_description_are_taken(service: Running) -> None:
    schemas = service.client.get("/openapi.json").json()["components"]["schemas"]
    for example in schemas["Search"]["examples"]:
        response = service.client.post("/v1/search", json=example)
        # This collection has no such image or attribute, and its model takes no text; the form is right.
        assert response.status_code == 200 or re.search("no image|does not take text", response.json()["detail"])
    for example in schemas["Batch"]["examples"]:
        assert service.client.post("/v1/search/batch", json=example).status_code == 200


def test_metrics_count_by_route_and_never_by_what_a_client_sends(service: Running) -> None:
    client = service.client
    client.get("/v1/images/3")
    client.get("/v1/images/4")
    client.get("/v1/secret-address")
    client.request("PURGE", "/v1/images/4")
    client.post("/v1/search", json={"positive": [{"id": 1}]})
    text = client.get("/metrics").text
    assert 'lookalike_requests_total{method="GET",route="/v1/images/{image_id}",status="200"} 2.0' in text
    assert 'lookalike_step_seconds_count{step="search"} 1.0' in text
    assert 'lookalike_lane_waiting{lane="encoding"} 0.0' in text
    assert "lookalike_images 12.0" in text
    assert "secret" not in text


def test_what_is_not_there_or_not_allowed_is_a_problem_too(service: Running) -> None:
    problem(service.client.get("/none"), 404)
    response = service.client.get("/v1/search")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


ERRORS: list[tuple[Exception, int]] = [
    (CorruptError("photos: damaged", Hint("maintain", {"path": "photos"})), 500),
    (StorageError("photos: no space left"), 507),
    (MemoryError(), 503),
    (ZeroDivisionError("secret"), 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_errors_are_problems_and_the_service_goes_on(
    service: Running, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "search_id", fail)
        found = problem(service.client.post("/v1/search", json={"positive": [{"id": 1}]}), status)
        assert "secret" not in json.dumps(found)
        if isinstance(error, CorruptError):
            hint = {"action": "maintain", "arguments": {"path": "photos"}, "purpose": "build it again"}
            assert found["hints"] == [hint]
    assert service.client.post("/v1/search", json={"positive": [{"id": 1}]}).status_code == 200


def test_the_framework_hands_nothing_to_exporters_whatever_the_environment(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    app = create_app(photos)
    telemetry: Any = getattr(app, "_native_telemetry", None)  # which older versions do not have
    assert telemetry is None or not telemetry.enabled()


def test_damaged_requests_leave_no_trace_in_the_log(photos: Collection, caplog: pytest.LogCaptureFixture) -> None:
    """A body that stops being HTTP halfway ends its request as if the client had gone."""
    head = (
        b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with running(photos) as service:
        for sent in (head + b"5\r\nabcde\r\nxyz\r\n", b"nonsense\r\n\r\n", head + b"\xff\r\n"):
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
                connection.sendall(sent)
                assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert service.client.get("/health").status_code == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
