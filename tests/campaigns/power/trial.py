"""Opens a collection as a loss of power may have left it, and examines it."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from lookalike.errors import DamagedIndexWarning
from lookalike.images.decode import prepare
from lookalike.ingest.embedding import embed
from lookalike.storage import layout, manifest
from tests.campaigns.power.state import ENCODERS, State, files, named_files, read
from tests.campaigns.power.victim import POLICIES
from tests.support.pictures import stored_vectors


class Trial:
    """A collection whose images are as they were at the end of the record."""

    def __init__(self, images: Path, directory: Path) -> None:
        self._images, self._directory = images, directory

    def examine(self, possible: Sequence[State], *, reindexed: bool) -> None:
        """Checks that it is in one of these states, and that the next run completes.

        Args:
            possible: the last state that was committed, and the next one.
            reindexed: whether it is indexed again with the other model, too.

        Raises:
            AssertionError: something is lost or torn.
            LookalikeError: it cannot be used.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("error", DamagedIndexWarning)
            self._check_state(possible)
            model = self._complete()
            if reindexed:
                [other] = ENCODERS.keys() - {model}
                reindex(self._directory, encoder=ENCODERS[other], policies=POLICIES, threads=1)
                assert self._complete() == other

    def _check_state(self, possible: Sequence[State]) -> None:
        if State() in possible and not layout.find(self._directory):
            return
        with self._opened() as photos:
            assert photos.check() == []
            state = read(self._directory)
            assert state in possible, "\n".join(_differences(state, possible[0]))
            for exact in (True, False):
                matches = photos.search_vector(np.ones(photos.made_by.dim), k=1000, exact=exact)
                assert {match.key for match in matches} == {key for _, key, *_ in state.images}

    def _complete(self) -> str:
        """Brings the collection up to date, checks it, and returns the name of its model."""
        with self._opened() if layout.find(self._directory) else self._created() as photos:
            photos.add(self._images, threads=1)
            photos.maintain()
            assert photos.check() == []
            self._check_vectors(photos)
            return photos.made_by.model

    def _check_vectors(self, photos: Collection) -> None:
        data, encoder = photos._catalog.path.parent, ENCODERS[photos.made_by.model]
        assert files(data) == named_files(data)
        vectors = stored_vectors(data)
        assert vectors.keys() == {path.name for path in self._images.glob("*.png")} - {"text.png"}
        for key, vector in vectors.items():
            expected = embed(encoder, prepare(self._images / key, encoder.preprocessing))[0]
            np.testing.assert_allclose(vector, expected, atol=1e-3)

    def _opened(self) -> Collection:
        encoder = ENCODERS[manifest.read(self._directory).made_by.model]
        return lookalike.open(self._directory, encoder=encoder, policies=POLICIES)

    def _created(self) -> Collection:
        return lookalike.create(self._images, directory=self._directory, encoder=ENCODERS["colours"], policies=POLICIES)


def _differences(found: State, committed: State) -> list[str]:
    lost = [f"lost: {image[:4]}" for image in committed.images - found.images]
    return [found.model, *lost, *(f"added: {image[:4]}" for image in found.images - committed.images)]
