"""What making vectors of files keeps in memory; what comes of it is tested through collections."""

import gc
from pathlib import Path

from lookalike.images.decode import DecodedImage
from lookalike.images.reading import UNKNOWN
from lookalike.ingest.embedding import Embedded, Embedder, Failed
from lookalike.sources.folder import Found
from tests.support.pictures import ColourEncoder, draw


def test_a_file_that_fails_keeps_no_image_of_its_group_in_memory(tmp_path: Path) -> None:
    group = []
    for number in range(6):
        path = draw(tmp_path / f"{number}.png", number)
        if number % 2:
            path.write_bytes(path.read_bytes()[:60])
        group.append(Found(path, path.name, UNKNOWN))
    outcomes = Embedder(ColourEncoder(), lambda _: None).outcomes(group)
    gc.collect()
    kept = [each for each in gc.get_objects() if type(each) is DecodedImage]  # others may warn when asked
    assert [type(outcome) for outcome in outcomes] == [Embedded, Failed] * 3
    assert kept == []
