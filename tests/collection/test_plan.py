"""Plans for folders whose contents are known, compared with these; a plan changes nothing."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Hint, encoders
from lookalike.collection.plan import PlanProgress, plan
from lookalike.collection.reindex import reindex
from lookalike.errors import IncompatibleError, UsageError
from lookalike.images.reading import UNKNOWN
from lookalike.index import defaults
from lookalike.index.spec import IndexSpec
from lookalike.ingest import sampling
from lookalike.sources.folder import Folder, Found
from tests.support.pictures import ColourEncoder, draw
from tests.support.small_policies import quick_policies


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Eighty pictures, of which every fourth is cut in two."""
    photos = tmp_path.resolve() / "many"
    for seed in range(80):
        path = draw(photos / f"{seed % 3}" / f"{seed:02}.png", seed)
        if seed % 4 == 0:
            path.write_bytes(path.read_bytes()[:60])
    return photos


@pytest.fixture
def untouched(folder: Path) -> Iterator[Path]:
    """A folder that has to be the same after the test, to the nanosecond."""
    before = everything_of(folder)
    yield folder
    assert everything_of(folder) == before


pytestmark = pytest.mark.usefixtures("old_files")


def everything_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        found[str(path)] = status.st_mtime_ns, status.st_ino, b"" if path.is_dir() else path.read_bytes()
    return found


def test_counts_the_files_and_their_bytes(untouched: Path, encoder: ColourEncoder) -> None:
    census = plan(untouched, encoder=encoder).census
    paths = list(untouched.rglob("*.png"))
    assert (census.files, census.changed, census.images, census.left_out, census.vanished) == (12, 12, 0, 0, 0)
    assert census.bytes == sum(path.stat().st_size for path in paths)
    assert census.key_bytes == sum(len(os.fsencode(path.relative_to(untouched))) for path in paths)
    assert census.unlisted == ()


def test_a_folder_smaller_than_the_sample_is_tried_as_a_whole(untouched: Path, encoder: ColourEncoder) -> None:
    found = plan(untouched, encoder=encoder)
    assert (found.trial.tried, found.trial.unusable, found.images, found.vectors) == (12, 0, 12, 12)
    assert (found.folder, found.directory, found.made_by.dim) == (untouched, None, 25)
    assert found.vector_bytes == 12 * 25 * 2
    assert found.trial.files_per_second > 0
    assert found.seconds > 0
    assert found.searching.spec is None
    assert found.bytes == found.vector_bytes + found.catalog_bytes


@pytest.mark.parametrize("parts", [0, 9])
def test_the_catalog_has_about_the_estimated_size(tmp_path: Path, encoder: ColourEncoder, parts: int) -> None:
    for seed in range(600):
        draw(tmp_path / "photos" / f"{seed % 7}" / f"{'of a long name ' * 4}{seed:03}.png", seed)
    found = plan(tmp_path / "photos", encoder=encoder, regions=parts)
    with lookalike.create(tmp_path / "photos", encoder=encoder) as collection:
        collection.keep_regions(parts)
        collection.add(tmp_path / "photos")
        catalog = (collection.directory / "catalog.sqlite").stat().st_size
        vectors = (collection.directory / "vectors.faiss").stat().st_size
    of_parts = found.regions.catalog_bytes if found.regions else 0
    assert found.catalog_bytes + of_parts == pytest.approx(catalog, rel=0.2)
    assert found.vector_bytes == pytest.approx(vectors, abs=200)


def test_unusable_files_in_the_sample_lower_the_estimate_for_all_files(many: Path, encoder: ColourEncoder) -> None:
    found = plan(many, encoder=encoder, sample=20, threads=1)
    tried = drawn_from(many, 20)
    cut = [file for file in tried if int(file.path.stem) % 4 == 0]
    assert (found.census.files, found.trial.tried, found.trial.unusable) == (80, 20, len(cut))
    assert 0 < len(cut) < 20
    assert found.images == found.vectors == round(80 * (20 - len(cut)) / 20)
    assert [skip.path for skip in found.trial.skipped] == [file.path for file in cut][:5]
    assert {skip.reason for skip in found.trial.skipped} == {"truncated"}


def drawn_from(folder: Path, size: int) -> list[Found]:
    return sampling.take(Folder(folder, base=folder), None, size, progress=lambda _: None)[1]


def test_the_sample_is_the_same_every_time_and_in_the_order_of_the_keys(many: Path) -> None:
    drawn = drawn_from(many, 20)
    assert drawn == drawn_from(many, 20)
    assert [found.key for found in drawn] == sorted({found.key for found in drawn})
    assert len(drawn) == 20


def test_every_file_is_as_likely_as_any_other_to_be_in_the_sample() -> None:
    hits = np.zeros(50)
    for seed in range(2000):
        drawn = sampling._Reservoir(10, chance=random.Random(seed))
        for number in range(50):
            drawn.offer(Found(Path(), str(number), UNKNOWN))
        hits[[int(found.key) for found in drawn.items]] += 1
    assert hits.sum() == 2000 * 10
    assert np.abs(hits - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)  # five standard deviations


def test_each_thread_gets_a_group_whatever_the_sample(many: Path, encoder: ColourEncoder) -> None:
    assert plan(many, encoder=encoder, sample=1, threads=3).trial.tried == 48


def test_an_empty_folder_takes_nothing_and_loads_no_model(tmp_path: Path) -> None:
    with mock.patch.object(encoders, "load", side_effect=AssertionError):
        found = plan(tmp_path)
    assert (found.census.files, found.trial.tried, found.images, found.vectors, found.seconds) == (0, 0, 0, 0, 0)
    assert found.vector_bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_nothing_but_broken_files_has_no_images(tmp_path: Path, encoder: ColourEncoder) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text("no picture")
    found = plan(tmp_path, encoder=encoder)
    assert (found.census.files, found.trial.unusable, found.images, found.vectors) == (3, 3, 0, 0)
    assert {skip.reason for skip in found.trial.skipped} == {"not an image"}


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_is_counted(
    public_path: Path, encoder: ColourEncoder
) -> None:
    draw(public_path / "open" / "0.png", 0)
    draw(public_path / "shut" / "1.png", 1)
    (public_path / "shut").chmod(0)
    found = plan(public_path, encoder=encoder)
    assert [(skip.path, skip.reason) for skip in found.census.unlisted] == [(public_path / "shut", "permission denied")]
    assert (found.census.files, found.images) == (1, 1)


def test_copies_have_one_vector_where_the_collection_has_it_already(photos: Collection, encoder: ColourEncoder) -> None:
    for number in range(3):
        (photos.folder / f"copy{number}.png").write_bytes((photos.folder / "00.png").read_bytes())
    draw(photos.folder / "new.png", 99)
    found = plan(photos.folder, encoder=encoder)
    assert (found.census.changed, found.trial.known, found.images, found.vectors) == (4, 3, 16, 13)


def test_with_a_collection_only_what_has_changed_is_tried(photos: Collection, encoder: ColourEncoder) -> None:
    before = everything_of(photos.folder)
    found = plan(photos.folder, encoder=encoder)
    assert everything_of(photos.folder) == before
    assert found.directory == photos.directory
    assert (found.census.images, found.census.changed, found.trial.tried) == (12, 0, 0)
    assert (found.images, found.vectors, found.seconds) == (12, 12, 0)
    draw(photos.folder / "00.png", 50)
    draw(photos.folder / "cats" / "new.png", 51)
    (photos.folder / "dogs" / "02.png").unlink()
    (photos.folder / "text.png").write_text("no picture")
    found = plan(photos.folder, encoder=encoder)
    assert (found.census.files, found.census.changed, found.census.images, found.census.vanished) == (13, 3, 10, 1)
    assert (found.trial.tried, found.trial.unusable, found.images, found.vectors) == (3, 1, 12, 14)
    photos.add(photos.folder)
    found = plan(photos.folder, encoder=encoder)
    assert (found.census.changed, found.census.images, found.census.left_out) == (0, 12, 1)
    assert found.vectors == photos.info().vectors


def test_a_folder_within_a_collection_is_compared_with_it(photos: Collection, encoder: ColourEncoder) -> None:
    draw(photos.folder / "cats" / "new.png", 51)
    found = plan(photos.folder / "cats", encoder=encoder)
    assert found.directory == photos.directory
    assert (found.census.files, found.census.changed, found.images, found.vectors) == (5, 1, 5, 13)


def test_a_collection_elsewhere_is_compared_with_where_it_is_named(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    assert plan(folder, directory=tmp_path / "elsewhere", encoder=encoder).census.changed == 12
    with lookalike.create(folder, directory=tmp_path / "elsewhere", encoder=encoder) as collection:
        collection.add(folder)
    assert plan(folder, encoder=encoder).census.changed == 12
    assert plan(folder, directory=tmp_path / "elsewhere", encoder=encoder).census.changed == 0


def test_with_another_encoder_than_the_collections_everything_is_new(photos: Collection) -> None:
    found = plan(photos.folder, encoder=ColourEncoder("another"))
    assert (found.directory, found.made_by.fingerprint) == (None, "another")
    assert (found.census.changed, found.images, found.vectors) == (12, 12, 12)


def test_a_model_that_is_not_available_has_to_be_given(photos: Collection) -> None:
    with pytest.raises(IncompatibleError, match="made by colours, which is not available here") as raised:
        plan(photos.folder)
    assert raised.value.hints[0] == Hint("open_with_encoder", {"path": str(photos.folder), "encoder": ...})


def test_a_collection_that_was_indexed_again_is_compared_with_its_new_data(photos: Collection) -> None:
    reindex(photos.folder, encoder=ColourEncoder("another"))
    found = plan(photos.folder, encoder=ColourEncoder("another"))
    assert (found.directory, found.census.changed, found.vectors) == (photos.directory, 0, 12)


def test_a_new_collection_gets_the_model_that_is_asked_for(folder: Path) -> None:
    found = plan(folder, precision="f32")
    assert (found.made_by.model, found.made_by.precision, found.made_by.dim) == ("efficientnet-lite0", "f32", 1280)
    assert found.trial.loading_seconds > 0
    assert found.vector_bytes == 12 * 1280 * 2


def test_many_vectors_get_the_index_that_building_would_choose(folder: Path, encoder: ColourEncoder) -> None:
    found = plan(folder, encoder=encoder, policies=quick_policies(exact=4))
    spec = defaults.specs(25, 12)[0]
    assert found.searching.spec == spec.factory
    assert found.searching.index_bytes == spec.bytes(12)
    assert found.searching.build_seconds > 0
    assert found.seconds > found.indexing_seconds + found.searching.build_seconds - 1e-9
    assert found.bytes == found.vector_bytes + found.catalog_bytes + spec.bytes(12)


def test_a_present_index_is_kept_until_it_has_to_be_built_anew(photos: Collection, encoder: ColourEncoder) -> None:
    made = photos.build(spec="IVF2,Flat")
    assert made
    assert made.chosen
    kept = plan(photos.folder, encoder=encoder).searching
    assert (kept.spec, kept.build_seconds) == ("IVF2,Flat", 0)
    assert kept.index_bytes == IndexSpec("IVF2,Flat", 25).bytes(12)
    assert kept.milliseconds > made.chosen.milliseconds
    for seed in range(100, 140):
        draw(photos.folder / f"{seed}.png", seed)
    assert plan(photos.folder, encoder=encoder).searching.spec is None


def test_progress_counts_the_files_and_then_the_tried_ones(many: Path, encoder: ColourEncoder) -> None:
    seen: list[PlanProgress] = []
    plan(many, encoder=encoder, sample=20, threads=1, progress=seen.append)
    assert seen[:80] == [PlanProgress(files) for files in range(1, 81)]
    assert seen[80:] == [PlanProgress(80, 16, 20), PlanProgress(80, 20, 20)]


def test_an_exception_of_the_callback_ends_it(many: Path, encoder: ColourEncoder) -> None:
    def stop(progress: PlanProgress) -> None:
        if progress.tried:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan(many, encoder=encoder, progress=stop)


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"threads": 0}])
def test_numbers_below_one_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="give at least 1"):
        plan(tmp_path, sample=wrong.get("sample", 1), threads=wrong.get("threads", 1))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        plan(tmp_path / "gone")


def test_a_plan_keeps_to_the_limit_of_pixels(untouched: Path, encoder: ColourEncoder) -> None:
    assert plan(untouched, encoder=encoder).trial.unusable == 0
    trial = plan(untouched, encoder=encoder, max_pixels=10).trial
    assert trial.unusable == trial.tried == 12
    assert all("is over the limit of 1e-05 million" in skip.reason for skip in trial.skipped)


def test_parts_of_images_are_planned(folder: Path, encoder: ColourEncoder) -> None:
    assert plan(folder, encoder=encoder).regions is None
    plain, with_parts = plan(folder, encoder=encoder), plan(folder, encoder=encoder, regions=9)
    found = with_parts.regions
    assert found
    assert (found.per_image, found.vectors, found.new, found.vector_bytes) == (9, 108, 108, 108 * 25 * 2)
    assert found.seconds > 0
    assert with_parts.bytes == plain.bytes + found.vector_bytes + found.catalog_bytes
    with lookalike.create(folder, encoder=encoder) as photos:
        photos.keep_regions(5)
        photos.add(folder)
        draw(folder / "new.png", 50)
        kept = plan(folder, encoder=encoder).regions
        assert kept
        assert (kept.per_image, kept.vectors, kept.new) == (5, 65, 5)
        assert (photos.update().regions, photos.info().regions) == (1, mock.ANY)
        for count, new in ((5, 0), (16, 13 * 16)):
            found = plan(folder, encoder=encoder, regions=count).regions
            assert found
            assert (found.per_image, found.new) == (count, new)
        assert plan(folder, encoder=encoder, regions=0).regions is None
    with pytest.raises(UsageError, match="give 5, 9 or 16"):
        plan(folder, encoder=encoder, regions=7)
