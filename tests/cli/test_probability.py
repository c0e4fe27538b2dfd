"""What the command line tells of the probability of labels."""

import json
import re
from pathlib import Path

from tests.cli.conftest import Run
from tests.support.kinds import drawn, keys, kinds
from tests.support.vector_collections import put


def test_evaluate_learns_and_info_says_how_far_it_holds(call: Run, tmp_path: Path) -> None:
    with kinds(tmp_path / "photos", 200) as collection:
        at = ("-c", str(tmp_path / "photos"))
        assert "probability" not in call("info", *at)[1]
        code, out, _ = call("evaluate", *at)
        assert code == 0
        line = re.search(r"probability +off by (0[.]\d{3}); AUROC (\S+) \(centred cosine (\S+), score (\S+)\)\n", out)
        assert line
        measured = json.loads(call("evaluate", *at, "--json")[1])["calibration"]
        names = ("error", "auroc", "auroc_of_centred", "auroc_of_score")
        assert [f"{measured[name]:.3f}" for name in names] == list(line.groups())
        assert sum(each["matches"] for each in measured["bins"]) == 2000
        assert "curve" not in measured

        assert "probability of labels, from 200 images" in call("info", *at)[1]
        told = json.loads(call("info", *at, "--json")[1])
        assert (told["probability"]["queries"], told["is_probability_outdated"]) == (200, False)
        found = [json.loads(line) for line in call("search", "--id", "1", *at, "--json")[1].splitlines()]
        assert all(0 < match["probability"] < 1 for match in found)

        vectors, more = drawn(60, 5)
        put(collection, vectors, keys(more, first=1000))
        assert "not told, since many images have come or gone: lookalike evaluate" in call("info", *at)[1]
        found = [json.loads(line) for line in call("search", "--id", "1", *at, "--json")[1].splitlines()]
        assert {match["probability"] for match in found} == {None}
