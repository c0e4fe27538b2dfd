"""Files of collections that are damaged: a search that would answer wrongly notices, or `check` does."""

from pathlib import Path

import corrupt


def test_no_damaged_file_goes_unnoticed_and_no_process_dies(tmp_path: Path) -> None:
    report = corrupt.run(tmp_path.resolve(), count=150)
    assert not report.problems, "\n".join(report.problems.values())
    assert report.outcomes.total() == 150
    assert {file for file, *_ in report.outcomes} == set(corrupt.WEIGHTS)  # enough for each kind of them
    assert {damage for _, damage, _ in report.outcomes} == {damage.__name__ for damage in corrupt.DAMAGES}
