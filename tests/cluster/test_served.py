"""A service, its client and the commands take a sharded collection as they take any other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Client, Where
from lookalike.errors import CollectionError
from tests.support.commands import records, run
from tests.support.optional_packages import needs
from tests.support.pictures import ColourEncoder, draw

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx")

from lookalike.server.settings import Settings
from tests.support.http_service import TOKEN, Running, running, search_image

YEARS = ("2020", "2021", "2022")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    big = tmp_path.resolve() / "big"
    for place, year in enumerate(YEARS):
        for seed in range(4):
            draw(big / year / "cats" / f"{seed}.png", 10 * place + seed)
        with lookalike.create(big / year, encoder=ColourEncoder()) as shard:
            shard.add(big / year)
    lookalike.combine(big, encoder=ColourEncoder()).close()
    return big


@pytest.fixture
def service(big: Path) -> Iterator[Running]:
    photos = lookalike.open(big, encoder=ColourEncoder(), partial=True)
    with running(photos, Settings(token=TOKEN, writable=True)) as made:
        yield made


def test_it_is_searched_and_looked_through(service: Running, big: Path) -> None:
    data = (big / "2021/cats/2.png").read_bytes()
    first = search_image(service.client, data, k=3)[0]
    assert (first["key"], round(first["score"], 3)) == ("2021/cats/2.png", 1)
    image = f"/v1/images/{first['id']}"
    assert service.client.get(image).json()["key"] == "2021/cats/2.png"
    assert service.client.get(f"{image}/original").content == data
    assert service.client.get(f"{image}/thumbnail").headers["Content-Type"] == "image/jpeg"
    page = service.client.get("/v1/images", params={"facets": "true", "limit": 50}).json()
    assert page["total"] == len(page["images"]) == 12
    assert {each["value"] for each in page["facets"]["folders"]} == {f"{year}/cats" for year in YEARS}
    assert service.client.get("/v1/info").json()["images"] == 12
    assert "lookalike_images 12.0" in service.client.get("/metrics").text


def test_images_are_put_into_a_shard_and_deleted(service: Running, big: Path, tmp_path: Path) -> None:
    data = draw(tmp_path / "new.png", 99).read_bytes()
    put = service.client.put("/v1/images/2022/birds/new.png", content=data, headers={"Content-Type": "image/png"})
    assert (put.status_code, put.json()["key"]) == (201, "2022/birds/new.png")
    assert search_image(service.client, data)[0]["id"] == put.json()["id"]
    address = f"/v1/images/{put.json()['id']}"
    assert service.client.delete(address, params={"file": "true"}).status_code == 204
    assert service.client.get(address).status_code == 404
    assert not (big / "2022/birds/new.png").exists()


def test_a_client_gives_the_same_matches_and_names_missing_shards(service: Running, big: Path) -> None:
    query = big / "2020/cats/1.png"
    with Client(f"http://127.0.0.1:{service.port}", token=TOKEN) as client:
        assert client.search(query).missing_shards == ()
        own = lookalike.open(big, encoder=ColourEncoder()).search(query, where=Where(under="2020"))
        found = client.search(query, where=Where(under="2020"))
        assert [(match.id, match.key) for match in found] == [(match.id, match.key) for match in own]
        shutil.rmtree(big / "2021/.lookalike")
        rest = client.search(query, k=50)
        assert (rest.partial, rest.missing_shards) == (True, ("2021/.lookalike",))
        assert {match.key[:4] for match in rest} == {"2020", "2022"}
        assert [matches.missing_shards for matches in client.search_many([query])] == [("2021/.lookalike",)]


def test_a_new_list_of_shards_is_noticed(big: Path) -> None:
    """A request after `combine` has been called again is still answered, by what there is now once something fails."""
    photos = lookalike.open(big, encoder=ColourEncoder())
    assert photos.is_current()
    lookalike.combine(big, [big / "2020", big / "2022"], encoder=ColourEncoder()).close()
    assert not photos.is_current()
    assert len(photos.reopen()) == 8
    shutil.rmtree(big)
    with pytest.raises(CollectionError):
        photos.reopen()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Two collections of the bundled model, not yet one."""
    big = tmp_path.resolve() / "drawn"
    for place, year in enumerate(YEARS[:2]):
        for seed in range(3):
            draw(big / year / "cats" / f"{seed}.png", 10 * place + seed)
        assert run("index", big / year, cwd=big)[0] == 0
    return big


def test_the_commands_take_it(drawn: Path) -> None:
    _, out, _ = run("combine", drawn, "--json", cwd=drawn.parent)
    assert records(out) == [{"directory": str(drawn), "shards": ["2020/.lookalike", "2021/.lookalike"], "images": 6}]
    _, out, _ = run("search", "2021/cats/1.png", "--json", "-k", "2", cwd=drawn)  # the nearest is that of the folder
    first = records(out)[0]
    assert (first["key"], first["is_query"]) == ("2021/cats/1.png", True)
    assert "2020/.lookalike: 3 images" in run("info", drawn, cwd=drawn.parent)[1]
    assert "images      3" in run("info", drawn / "2021", cwd=drawn.parent)[1]
    assert "No damage found: 6 images" in run("check", "-c", drawn, cwd=drawn.parent)[1]
    assert "6 images need no index" in run("build", "-c", drawn, cwd=drawn.parent)[1]
    assert "recall@10" in run("evaluate", "-c", drawn, "--queries", "4", cwd=drawn.parent)[1]
    code, _, error = run("index", "-c", drawn, cwd=drawn.parent)
    assert (code, "index one of them" in error) == (2, True)
    code, _, error = run("duplicates", "-c", drawn, cwd=drawn.parent)
    assert (code, "open one of its shards" in error) == (2, True)


def test_a_missing_shard_has_an_exit_code_and_an_option(drawn: Path) -> None:
    assert run("combine", drawn, cwd=drawn)[0] == 0
    shutil.rmtree(drawn / "2021/.lookalike")
    query = ("search", "2020/cats/1.png", "-c", drawn, "--json")
    code, _, error = run(*query, cwd=drawn)
    assert (code, "shard 2021/.lookalike" in error) == (4, True)
    code, out, error = run(*query, "--partial", cwd=drawn)
    assert (code, len(records(out))) == (0, 3)
    assert "Not searched, since they cannot be used: 2021/.lookalike" in error
    assert run("check", "-c", drawn, cwd=drawn)[0] == 4
    assert "there is no collection" in run("info", drawn, cwd=drawn)[1]
