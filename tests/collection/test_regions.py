"""Parts of images: which ones have vectors, and what searches find by them, beside brute force."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection, MaintenancePolicy, Match, Policies, Progress, Region, Term, Where
from lookalike.errors import CorruptError, UsageError
from lookalike.index.maintenance import IndexMaintainer
from lookalike.storage.vector_tables import ImageVectors
from tests.support.indexed_collections import flip
from tests.support.pictures import ColourEncoder, cosines_ready, draw, picture
from tests.support.reindexing import CountingEncoder
from tests.support.small_policies import quick_policies

STARTS = (0, 4, 8)  # of nine parts of 8 x 8 pixels each
PARTS = [(x, y) for y in STARTS for x in STARTS]
Pixels = NDArray[np.uint8]


def cut(pixels: Pixels, x: int, y: int) -> Pixels:
    return pixels[y : y + 8, x : x + 8]


def vector(pixels: Pixels) -> NDArray[np.float64]:
    small = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BILINEAR))
    return cosines_ready(ColourEncoder().encode(small[None])[0])


def of_file(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def best_part(path: Path, query: NDArray[np.float64]) -> tuple[float, Region | None]:
    """The largest cosine of an image and its nine parts with a query, and which part that is of; the whole is None."""
    pixels = of_file(path)
    cosines: dict[Region | None, float] = {None: float(vector(pixels) @ query)}
    cosines |= {Region(x / 16, y / 16, 0.5, 0.5): float(vector(cut(pixels, x, y)) @ query) for x, y in PARTS}
    best = max(cosines, key=lambda region: cosines[region])
    return cosines[best], best


def assert_nearest(found: list[Match], folder: Path, query: NDArray[np.float64], names: list[str]) -> None:
    """They are the nearest of these images by their nearest parts."""
    exact = {name: best_part(folder / name, query) for name in names}
    scores = sorted((score for score, _ in exact.values()), reverse=True)
    assert [match.score for match in found] == pytest.approx(scores[: len(found)], abs=1e-3)
    for match in found:
        score, region = exact[match.key]
        assert match.score == pytest.approx(score, abs=1e-3)
        alike = best_part(folder / match.key, query)[0]
        told = vector(of_file(folder / match.key)) if match.region is None else vector(shown(folder, match))
        assert match.region == region or float(told @ query) == pytest.approx(alike, abs=1e-3)  # parts may be equal


def shown(folder: Path, match: Match) -> Pixels:
    """The part of a match that is alike."""
    assert match.region
    return cut(of_file(folder / match.key), round(16 * match.region.x), round(16 * match.region.y))


def as_png(pixels: Pixels) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def names(photos: Collection) -> list[str]:
    return [path.relative_to(photos.folder).as_posix() for path in sorted(photos.folder.rglob("*.png"))]


@pytest.fixture
def parted(photos: Collection) -> Collection:
    """The collection of twelve pictures, with nine parts of each."""
    photos.keep_regions(9)
    assert photos.update().regions == 12
    return photos


@pytest.mark.parametrize("seed", range(5))
def test_a_search_finds_the_nearest_parts(parted: Collection, seed: int) -> None:
    query = picture(seed)[2:10, 3:11]
    for k in (1, 3, 12, 50):
        found = parted.search(query, k=k, regions=True)
        assert len(found) == len({match.key for match in found}) == min(k, 12)
        assert_nearest(found, parted.folder, vector(query), names(parted))


def test_a_thing_in_a_corner_is_found_where_it_is(parted: Collection) -> None:
    thing = cut(picture(7), 8, 0)
    best = parted.search(thing, k=1, regions=True)[0]
    assert (Path(best.key).name, best.region) == ("07.png", Region(0.5, 0, 0.5, 0.5))
    assert best.score == pytest.approx(1, abs=1e-3)
    assert parted.search(thing, k=1)[0].score < 0.9


def test_without_being_asked_for_parts_are_not_looked_at(parted: Collection) -> None:
    found = parted.search(cut(picture(7), 8, 0), k=12)
    assert all(match.region is None is match.query_region for match in found)
    assert [match.score for match in found] == pytest.approx(
        sorted((float(vector(of_file(m.path)) @ vector(cut(picture(7), 8, 0))) for m in found if m.path), reverse=True),
        abs=1e-3,
    )


@pytest.mark.parametrize("search", ["id", "vector", "many", "terms"])
def test_every_search_takes_parts(parted: Collection, search: str) -> None:
    query = vector(picture(3))
    image_id = next(match.id for match in parted.search(picture(3), k=1))
    found = {
        "id": lambda: parted.search_id(image_id, k=4, regions=True),
        "vector": lambda: parted.search_vector(query, k=4, regions=True),
        "many": lambda: parted.search_many([picture(3)], k=4, regions=True)[0],
        "terms": lambda: parted.search_terms([Term(picture(3))], k=4, regions=True),
    }[search]()
    left_out = {"id": ["03.png"]}.get(search, [])
    assert_nearest(found, parted.folder, query, [name for name in names(parted) if name not in left_out])


def test_a_filter_and_a_least_score_hold_for_parts(parted: Collection) -> None:
    query = picture(5)[4:12, 2:10]
    found = parted.search(query, k=3, regions=True, where=Where(label="cats"))
    assert_nearest(found, parted.folder, vector(query), [name for name in names(parted) if name.startswith("cats/")])
    assert all(match.label == "cats" for match in found)
    least = found[1].score - 1e-6
    assert [m.key for m in parted.search(query, regions=True, min_score=least)][-1] == found[1].key


def test_the_parts_of_a_query_find_what_is_somewhere_in_it(photos: Collection) -> None:
    scene = picture(99).copy()
    scene[8:, 4:12] = np.asarray(Image.fromarray(picture(7)).resize((8, 8), Image.Resampling.BOX))
    best = photos.search(scene, k=1, crops=True)[0]
    assert (Path(best.key).name, best.query_region) == ("07.png", Region(0.25, 0.5, 0.5, 0.5))
    parts = [vector(scene), *(vector(cut(scene, x, y)) for x, y in PARTS)]
    exact = {name: max(float(vector(of_file(photos.folder / name)) @ part) for part in parts) for name in names(photos)}
    for match in photos.search(scene, k=12, crops=True):
        assert match.score == pytest.approx(exact[match.key], abs=1e-3)


def test_a_region_of_a_query_counts_alone(photos: Collection) -> None:
    scene = picture(99).copy()
    scene[:8, :8] = np.asarray(Image.fromarray(picture(7)).resize((8, 8), Image.Resampling.BOX))
    part = Region(0, 0, 0.5, 0.5)
    [best] = photos.search_terms([Term(scene, region=part)], k=1)
    assert Path(best.key).name == "07.png"
    assert photos.search(scene, region=(0, 0, 0.5, 0.5), k=1) == photos.search(scene, region=part, k=1) == [best]
    image = photos.put("scene.png", as_png(scene))
    assert photos.search_id(image.id, region=part, k=1)[0].key == best.key
    found = photos.search_id(image.id, crops=True, k=2)
    assert (found[0].key, found[1].key, found[1].query_region) == ("scene.png", best.key, part)
    with pytest.raises(UsageError, match="a region is a part of an image"):
        Term(text="red", region=Region(0, 0, 1, 1))


def test_parts_are_found_as_soon_as_they_are_there(photos: Collection) -> None:
    assert photos.search(picture(0))  # goes by the state before
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as other:
        other.keep_regions(9)
        other.update()
    thing = cut(picture(7), 8, 0)
    assert photos.search(thing, k=1, regions=True)[0].region == Region(0.5, 0, 0.5, 0.5)


def test_what_cannot_be_asked_of_parts_is_said(photos: Collection) -> None:
    with pytest.raises(UsageError, match=r"no vectors of parts of its images.*keep_regions\(9\)"):
        photos.search(picture(0), regions=True)
    with pytest.raises(UsageError, match="refine orders whole images"):
        photos.search(picture(0), refine=True, crops=True)
    with pytest.raises(UsageError, match="without plus and minus"):
        photos.search(picture(0), plus=[picture(1)], region=(0, 0, 1, 1))
    with pytest.raises(UsageError, match="crops cuts an image"):
        photos.search_vector(np.ones(25), crops=True)
    with pytest.raises(UsageError, match="give that alone"):
        photos.search(picture(0), plus=[picture(1)], crops=True)
    for count in (1, 4, 17):
        with pytest.raises(UsageError, match="give 5, 9 or 16"):
            photos.keep_regions(count)


# What has vectors


def test_new_images_get_parts_and_those_of_missing_ones_are_not_found(parted: Collection) -> None:
    draw(parted.folder / "new.png", 50)
    assert parted.update().regions == 1
    thing = cut(picture(50), 0, 8)
    assert parted.search(thing, k=1, regions=True)[0].key == "new.png"
    (parted.folder / "new.png").rename(parted.folder.with_name("away.png"))
    parted.update()
    assert "new.png" not in {match.key for match in parted.search(thing, k=20, regions=True)}
    parted.folder.with_name("away.png").rename(parted.folder / "back.png")
    assert parted.update().regions == 0  # they are still there
    assert parted.search(thing, k=1, regions=True)[0].key == "back.png"


def test_a_run_that_is_stopped_goes_on_where_it_was(photos: Collection) -> None:
    photos.keep_regions(5)

    def stop(progress: Progress) -> None:
        if progress.of_regions and progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photos.update(threads=1, progress=stop)
    info = photos.info().regions
    assert info
    assert (info.per_image, info.vectors, info.without) == (5, 25, 7)
    assert len(photos.search(picture(0), k=20, regions=True)) == 12  # by their parts or as a whole
    assert photos.update().regions == 7
    assert photos.check() == []


def test_one_file_that_is_put_does_not_wait_for_the_rest(photos: Collection, tmp_path: Path) -> None:
    photos.keep_regions(5)
    photos.put("one.png", draw(tmp_path / "one.png", 60).read_bytes())
    info = photos.info().regions
    assert info
    assert (info.vectors, info.without) == (5, 12)


def test_a_file_that_cannot_be_read_any_more_is_tried_again(photos: Collection) -> None:
    before = (photos.folder / "00.png").read_bytes()
    photos.keep_regions(9)
    (photos.folder / "00.png").write_bytes(b"something else")
    status = (photos.folder / "00.png").stat()
    found = photos.update()
    assert (found.regions, found.without_regions) == (11, 0)  # its image is missing now
    (photos.folder / "00.png").write_bytes(before)
    assert status.st_size != len(before)
    assert photos.update().regions == 1


def test_another_number_of_parts_replaces_the_vectors(parted: Collection) -> None:
    for count, name in ((16, "regions.000002.faiss"), (5, "regions.000003.faiss")):
        parted.keep_regions(count)
        with pytest.raises(KeyError):
            _ = {path.name: path for path in parted.directory.iterdir()}["regions.000001.faiss"]
        assert parted.update().regions == 12
        assert (parted.directory / name).exists()
        best = parted.search(picture(4), k=1, regions=True)[0]
        assert best.score == pytest.approx(1, abs=1e-3)
        assert best.region is None
    parted.keep_regions(0)
    assert not [*parted.directory.glob("regions.*")]
    assert parted.info().regions is None
    with pytest.raises(UsageError):
        parted.search(picture(0), regions=True)
    parted.keep_regions(9)
    assert parted.update().regions == 12
    assert (parted.directory / "regions.000004.faiss").exists()  # a name never means two files


def test_the_same_bytes_share_their_parts(parted: Collection) -> None:
    (parted.folder / "copy.png").write_bytes((parted.folder / "00.png").read_bytes())
    assert parted.update().regions == 0
    found = parted.search(cut(picture(0), 0, 0), k=2, regions=True)
    assert {match.key for match in found} == {"00.png", "copy.png"}
    assert found[0].region == found[1].region


def test_an_empty_collection_has_no_parts(tmp_path: Path, encoder: ColourEncoder) -> None:
    with lookalike.create(tmp_path, encoder=encoder) as empty:
        empty.keep_regions(9)
        assert empty.search(picture(0), regions=True, crops=True) == []
        assert empty.update().regions == 0
        assert empty.check() == []
        assert empty.maintain().regions


def test_searches_go_on_while_parts_come(photos: Collection) -> None:
    photos.keep_regions(9)
    seen = []

    def look(progress: Progress) -> None:
        if progress.of_regions:
            seen.append(len(photos.search(picture(progress.done), k=12, regions=True)))

    photos.update(threads=1, progress=look)
    assert seen == [12] * 12


# Compaction, the index, another model, damage


def answers(photos: Collection) -> list[list[tuple[str, Region | None, float]]]:
    queries = [picture(seed)[2:10, 3:11] for seed in range(4)]
    found = [photos.search(query, k=8, regions=True) for query in queries]
    return [[(match.key, match.region, round(match.score, 5)) for match in each] for each in found]


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Collection]:
    """Forty pictures with parts, an index of which is due."""
    policies = Policies(quick_policies(exact=300, dim=25).tuning, MaintenancePolicy(young_rows=50, check_queries=20))
    with lookalike.create(tmp_path, encoder=ColourEncoder(), policies=policies) as photos:
        for seed in range(40):
            draw(tmp_path / f"{seed:02}.png", seed)
        photos.keep_regions(9)
        photos.add(tmp_path)
        yield photos


def test_removing_images_leaves_the_parts_of_the_others(many: Collection) -> None:
    gone = [f"{seed:02}.png" for seed in range(0, 40, 2)]
    kept = [f"{seed:02}.png" for seed in range(1, 40, 2)]
    many.remove(gone)
    before = answers(many)
    done = many.maintain()
    assert (done.removed, done.regions and done.regions.removed) == (20, 180)
    assert answers(many) == before
    assert many.check() == []
    query = picture(5)[4:12, 2:10]
    assert_nearest(many.search(query, k=9, regions=True), many.folder, vector(query), kept)
    assert many.update().regions == 20  # those whose files are still there


def test_only_the_images_are_compacted_where_parts_need_not_be(many: Collection) -> None:
    many.keep_regions(0)
    many.keep_regions(5)
    many.remove([f"{seed:02}.png" for seed in range(30)])
    (many.folder / "lists").write_text("")
    many.add([many.folder / f"{seed}.png" for seed in range(30, 40)])  # nothing new: no parts
    assert many.maintain().removed == 30
    assert many.update().regions == 40
    assert many.check() == []


def test_parts_of_images_that_are_gone_stay_until_they_are_many(many: Collection) -> None:
    """Only the vectors of whole images are compacted; then the index of parts takes in what is left and what is new."""
    many.maintain()
    many.remove([f"{seed:02}.png" for seed in range(0, 40, 4)])
    before = answers(many)
    images = IndexMaintainer(ImageVectors(many._catalog), many.directory, 25, many._policies)
    assert images.maintain().removed == 10
    assert many.check() == []
    assert answers(many) == before
    for seed in range(40, 48):
        draw(many.folder / f"{seed}.png", seed)
    assert many.update().regions == 18
    info = many.info().regions
    assert info
    assert (info.vectors, info.without) == (9 * 58, 0)
    done = many.maintain().regions
    assert done
    assert (done.removed, done.joined, done.built is None) in ((0, 162, True), (90, 0, False))
    assert many.check() == []
    assert many.search(cut(picture(45), 8, 8), k=1, regions=True, exact=True)[0].key == "45.png"


def test_parts_have_an_index_of_their_own(many: Collection) -> None:
    exact = answers(many)
    done = many.maintain()
    assert done.built is None
    assert done.regions
    assert done.regions.built
    assert done.regions.built.rows == 360
    assert not many.needs_maintenance()
    info = many.info()
    assert info.index is None
    assert info.regions
    assert info.regions.spec == done.regions.built.spec
    found = answers(many)
    alike = [
        len({key for key, *_ in one} & {key for key, *_ in other}) for one, other in zip(exact, found, strict=True)
    ]
    assert sum(alike) >= 0.8 * sum(map(len, exact))
    assert many.check() == []
    many.keep_regions(0)
    assert not [*(many.directory / "index").iterdir()]


def test_an_index_of_parts_takes_in_new_ones(many: Collection) -> None:
    many.maintain()
    for seed in range(40, 50):
        draw(many.folder / f"{seed}.png", seed)
    many.add(many.folder)
    done = many.maintain().regions
    assert done
    assert done.joined == 90 or done.built
    assert many.search(cut(picture(45), 8, 8), k=1, regions=True, exact=True)[0].key == "45.png"


def test_another_model_makes_the_parts_anew(parted: Collection, coarse: CountingEncoder) -> None:
    parted.close()
    report = lookalike.reindex(parted.folder, encoder=coarse)
    assert (report.unchanged, report.regions) == (12, 12)
    with lookalike.open(parted.folder, encoder=coarse) as again:
        info = again.info().regions
        assert info
        assert (info.per_image, info.without, again.check()) == (9, 0, [])
        assert again.search(picture(4), k=1, regions=True)[0].score == pytest.approx(1, abs=1e-3)


def test_a_damaged_vector_of_a_part_is_named_and_not_used(parted: Collection) -> None:
    path = parted.directory / "regions.000001.faiss"
    content = bytearray(path.read_bytes())
    row = 9 * 7 + 2  # of the image that came eighth
    content[len(content) - (108 - row) * 25 * 2] ^= 1
    path.write_bytes(content)
    parted.close()
    [damage] = parted.check()
    assert damage.startswith(f"{path}: the vector in row {row} is damaged: checksum mismatch")
    assert len(parted.search(picture(0), k=12)) == 12
    queries = [cut(picture(seed), x, y) for seed in range(12) for x, y in PARTS]
    with pytest.raises(CorruptError, match=f"row {row} is damaged"):
        parted.search_many(queries, k=12, regions=True)


def test_a_damaged_index_of_parts_is_not_used(many: Collection) -> None:
    many.maintain()
    [path] = (many.directory / "index").glob("*.faiss")
    flip(path)
    many.close()
    assert len(many.search(picture(0), k=40)) == 40
    with pytest.warns(lookalike.DamagedIndexWarning):
        assert len(many.search(picture(0), k=40, regions=True)) == 40
    assert many.maintain().regions
    assert many.check() == []


def test_rows_that_a_killed_process_has_left_are_cut_off(parted: Collection) -> None:
    path = parted.directory / "regions.000001.faiss"
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(25 * 2 * 4))
    before = answers(parted)
    draw(parted.folder / "new.png", 50)
    assert parted.update().regions == 1
    assert path.stat().st_size == size + 9 * 25 * 2
    parted.remove(["new.png"])
    assert answers(parted) == before
