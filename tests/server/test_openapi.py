"""The service does what its description says, asked by a program that makes requests from the description."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection
from tests.support.optional_packages import needs
from tests.support.pictures import ColourEncoder, draw
from tests.support.reindexing import annotate

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx", "schemathesis")

from lookalike.server.settings import Settings
from tests.support.http_service import TOKEN, running

_PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"
# A description cannot say which ids, vectors, names and filters a collection has. And an image that is put may have a
# name that looks like the address of another route, so that these addresses take more than their routes do.
_LEFT_OUT = "positive_data_acceptance,negative_data_rejection,unsupported_method,allow_header_conformance"


class TextEncoder(ColourEncoder):
    """Takes text as well."""

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), self.dim), np.float32)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """A collection that has what the examples name: fifty images, cats, and years."""
    folder = tmp_path_factory.mktemp("described").resolve() / "photos"
    for seed in range(50):
        draw(folder / ("cat", "dog")[seed % 2] / f"{seed:02}.png", seed)
    with lookalike.create(folder, encoder=TextEncoder()) as collection:
        collection.add(folder, threads=2)
        annotate(collection, "path,year\n" + "".join(f"{image.key},2021\n" for image in collection.images()))
        yield collection


def test_every_example_is_answered(described: Collection) -> None:
    routes = {"Search": "/v1/search", "Batch": "/v1/search/batch", "Embeddings": "/v1/embeddings"}
    with running(described) as service:
        schemas = service.client.get("/openapi.json").json()["components"]["schemas"]
        for name, path in routes.items():
            assert schemas[name]["examples"]
            for example in schemas[name]["examples"]:
                response = service.client.post(path, json=example)
                assert response.status_code == 200, response.text
                assert not any(answer["problem"] for answer in response.json().get("answers", ()))


def test_a_refused_method_is_told_all_that_the_address_takes(described: Collection) -> None:
    with running(described, Settings(writable=True)) as service:
        for path, allowed in {"/v1/images/42": "GET, PUT, DELETE, HEAD", "/v1/session": "POST, DELETE"}.items():
            response = service.client.options(path)
            assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.timeout(400)
def test_no_request_that_the_description_suggests_has_an_answer_that_it_does_not_have(
    described: Collection, tmp_path: Path
) -> None:
    """Its own examples, the edges of all values, random ones, and sequences in which one answer leads to the next."""
    with running(described, Settings(token=TOKEN, writable=True)) as service:
        options: list[Any] = ["--header", f"Authorization: Bearer {TOKEN}", "--exclude-checks", _LEFT_OUT]
        options += [
            "--max-examples",
            8,
            "--seed",
            1,
            "--no-shrink",
            "--suppress-health-check",
            "all",
            "--checks",
            "all",
        ]
        address = f"http://127.0.0.1:{service.port}/openapi.json"
        command = [sys.executable, "-c", _PROGRAM, "--no-color", "run", address, *map(str, options)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases
    assert int(cases[1]) > 300
    assert all(f"✅ {phase}" in done.stdout for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"))
