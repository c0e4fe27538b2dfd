"""Matches and evaluations as strict JSON."""

import base64
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.display.json import as_dict, copies_as_dict, copy_group_as_dict, evaluation_as_dict
from lookalike.evaluation.results import Evaluation
from lookalike.results import Match
from tests.support.copied_images import edited_group, hostile_groups
from tests.support.evaluations import EXACT, hostile_evaluation, labelled_evaluation

ANY_TEXT = st.text(st.characters() | st.sampled_from("\\\n\x1b\u202e\udcff\ud800\U000e0001nx8"))


def test_a_match_becomes_a_dictionary_of_all_its_fields() -> None:
    path = Path("/photos/2024/cat.jpg")
    facts = "2024", 40, 30, {"stars": 5}
    match = Match(7, "2024/cat.jpg", path, 0.25, *facts, expected=0.004, probability=0.75, copy_probability=0.125)
    assert as_dict(match) == {
        "id": 7,
        "key": "2024/cat.jpg",
        "path": "/photos/2024/cat.jpg",
        "score": 0.25,
        "expected": 0.004,
        "probability": 0.75,
        "copy_probability": 0.125,
        "label": "2024",
        "width": 40,
        "height": 30,
        "attributes": {"stars": 5},
        "is_query": False,
    }


def test_a_name_that_is_not_utf8_is_given_as_escapes_and_as_base64() -> None:
    name = b"caf\xe9/a\nb.jpg"
    match = Match(1, os.fsdecode(name), Path("/p", os.fsdecode(name)), 1.0, os.fsdecode(b"caf\xe9"))
    record = json.loads(json.dumps(as_dict(match), ensure_ascii=False).encode("utf-8"))
    assert record["path"] == "/p/caf\\xe9/a\nb.jpg"
    assert base64.b64decode(record["path_bytes"]) == b"/p/" + name
    assert base64.b64decode(record["key_bytes"]) == name
    assert (record["label"], base64.b64decode(record["label_bytes"])) == ("caf\\xe9", b"caf\xe9")


def test_values_that_json_does_not_have_become_null_or_text() -> None:
    attributes = {
        "nothing": math.nan,
        "endless": [math.inf, np.float32(0.5), np.int64(3), True, None],
        "where": Path("/p"),
        "bad\udcff": "\udcff",
    }
    record = as_dict(Match(1, "shard.tar#a.jpg", None, math.nan, attributes=attributes))
    assert (record["path"], record["score"]) == (None, None)
    assert record["attributes"] == {
        "nothing": None,
        "endless": [None, 0.5, 3, True, None],
        "where": "/p",
        "bad\\xff": "\\xff",
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name), st.floats(), VALUES)
def test_every_match_becomes_strict_json_in_utf8(name: bytes, score: float, value: Any) -> None:
    text = os.fsdecode(name)
    record = as_dict(Match(1, text, Path("/", text), score, text, attributes={"value": value}))
    again = json.loads(json.dumps(record, allow_nan=False, ensure_ascii=False).encode("utf-8"))
    assert again == record
    assert base64.b64decode(again.get("key_bytes", base64.b64encode(again["key"].encode()))) == name


def test_json_and_plain_lines_load_no_heavy_module() -> None:
    """None, that is, beyond those that Lookalike itself loads."""
    code = """
import sys, lookalike
before = set(sys.modules)
import lookalike.display.json, lookalike.display.terminal
print(*(sys.modules.keys() - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split())
    assert "lookalike.display.terminal" in added
    assert not {"rich", "PIL", "numpy", "jinja2"} & added


def test_an_evaluation_becomes_one_object_of_strict_json(tmp_path: Path) -> None:
    record = json.loads(json.dumps(evaluation_as_dict(labelled_evaluation(tmp_path)), allow_nan=False))
    fields = {field.name for field in dataclasses.fields(Evaluation)}
    assert set(record) == fields - {"kind", "target_recall"} | {"promise"}
    assert (record["recall"], record["chosen"], record["promise"], record["k"]) == (0.98, 1, 0.95, 10)
    assert record["points"][0] == {
        "recall": 0.9,
        "recall_low": 0.8,
        "milliseconds": 0.1,
        "name": "nprobe 8, 2 candidates each",
    }
    assert record["labels"][1]["label"] == "hat"
    assert record["worst"][0]["key"] == "dress/green.png"
    assert record["worst"][0]["found"][1] == {"id": 3, "key": "hat/red.png", "label": "hat", "score": 0.8125}
    assert record["worst"][1]["found"] == []


def test_unknown_and_infinite_numbers_of_an_evaluation_are_null() -> None:
    record = evaluation_as_dict(dataclasses.replace(EXACT, milliseconds=float("nan")))
    assert record["milliseconds"] is None
    assert [record[name] for name in ("precision_at_1", "chosen", "promise")] == [None, None, None]
    assert (record["points"], record["labels"], record["worst"]) == ([], [], [])


def test_a_label_that_is_not_utf8_is_given_as_escapes_and_as_base64() -> None:
    record = json.loads(json.dumps(evaluation_as_dict(hostile_evaluation()), allow_nan=False))
    assert record["labels"][3]["label"] == record["worst"][3]["key"] == r"b\xff\xfe"
    for named, field in ((record["labels"][3], "label"), (record["worst"][3], "key")):
        assert base64.b64decode(named[f"{field}_bytes"]) == b"b\xff\xfe"


def test_a_group_of_copies_becomes_a_dictionary(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    [group] = map(copy_group_as_dict, found.groups)
    facts: dict[str, Any] = {"label": None, "width": 400, "height": 300, "attributes": {}}
    assert group["keep"] == {
        "id": 4,
        "key": "scene.png",
        "path": f"{tmp_path}/scene.png",
        "bytes": (tmp_path / "scene.png").stat().st_size,
        **facts,
    }
    assert group["why"] == "the most pixels"
    assert group["copies"][1] == {
        "id": 2,
        "key": "logo.png",
        "path": f"{tmp_path}/logo.png",
        "bytes": (tmp_path / "logo.png").stat().st_size,
        "grade": "edited copy",
        "score": 0.9534,
        "probability": 0.9999,
        "reason": "logo.png is scene.png, at most compressed, resized or retouched",
        **facts,
    }
    assert [copy["grade"] for copy in group["copies"]] == ["same bytes", "edited copy", "edited copy"]


def test_the_totals_of_a_search_for_copies_become_a_dictionary(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    assert copies_as_dict(found) == {
        "images": 20,
        "groups": 1,
        "copies": 3,
        "bytes": sum(copy.image.path.stat().st_size for copy in found.groups[0].copies),
        "compared": 31,
        "unread": [],
        "against": None,
    }
    against = copies_as_dict(dataclasses.replace(found, against=Path("/b\udcff"), unread=(found.groups[0].keep,)))
    assert (against["against"], base64.b64decode(against["against_bytes"])) == ("/b\\xff", b"/b\xff")
    assert [image["key"] for image in against["unread"]] == ["scene.png"]


def test_copies_with_hostile_names_are_strict_json(tmp_path: Path) -> None:
    for group in hostile_groups(tmp_path).groups:
        record = copy_group_as_dict(group)
        text = json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
        assert json.loads(text) == record
        assert record["keep"]["bytes"] is None
        name = record["keep"].get("key_bytes")
        assert (base64.b64decode(name) if name else record["keep"]["key"].encode()) == os.fsencode(group.keep.key)
