"""Whatever happens to files and runs, each image is known by its contents, then by its path, and no id is ever lost."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.support.file_history import MANY, FileHistory
from tests.support.project import THOROUGH


class AnyHistory(FileHistory):
    """Begins with some files, which are young in the eyes of each run or not."""

    @initialize(seeds=MANY, files_are_young=st.booleans())
    def create(self, seeds: dict[str, int], files_are_young: bool) -> None:
        self.make_collection(files_are_young=files_are_young)
        self.write_and_add_many(seeds)


TestAnyHistory = pytest.mark.timeout(7200)(AnyHistory.TestCase)
TestAnyHistory.settings = settings(max_examples=2_000 if THOROUGH else 25, stateful_step_count=30, deadline=None)
