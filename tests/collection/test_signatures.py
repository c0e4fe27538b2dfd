"""Every parameter of every public function: a value of another type is a UsageError that names the parameter."""

import inspect
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Term, Where, encoders, importers
from lookalike.collection.encoder_choice import EncoderChoice
from lookalike.collection.plan import plan
from lookalike.display.page import write_page
from lookalike.display.report import write_report
from lookalike.display.sheet import write_sheet
from lookalike.duplicates.results import Duplicates
from lookalike.encoders import registry
from lookalike.errors import UsageError
from lookalike.evaluation.model_comparison import compare
from lookalike.importers.base import ImportedNetwork
from lookalike.index.faiss_index import Index
from lookalike.index.options import BuildOptions
from lookalike.index.policies import QueryCounts
from lookalike.search.options import SearchKeywords
from tests.support.pictures import ColourEncoder, picture


class Strange:
    """A value that nothing takes."""

    def __repr__(self) -> str:
        return "Strange()"


def strange_function() -> None:
    """A function that nothing takes but what is called."""


STRANGE: list[Any] = [Strange(), 1j, {"a": Strange()}, [[Strange()]], b"\xff", np.array(None), strange_function]
# What is strange elsewhere: bytes and arrays may be images, which are looked at when they are decoded.
TAKES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("query", "queries", "image"), (bytes, np.ndarray)),
    "data": (bytes,),
    **dict.fromkeys(("progress", "build_progress"), (type(strange_function),)),
}
# What Lookalike makes for its callers to read, and what is no class that is called; errors and warnings are neither.
NOT_CALLED = {
    *("AttributesReport", "BuildProgress", "Evaluation", "Generation", "Info", "MadeOf"),
    *("Facets", "IndexedImage", "Original", "ValueCount", "ServiceInfo", "ServiceLimits"),
    *("Maintenance", "Match", "Matches", "Missing", "Progress", "Report", "Skipped", "Hint"),
    *("Encoder", "TextEncoder", "ImageSource", "Collection", "ShardedCollection"),
    *("Copy", "CopyGroup", "Duplicates"),
    *("ActedOn", "ActionPlan", "ActionReport", "ActionRun", "PlannedAction", "UndoReport", "Untouched"),
    *("ExportReport", "ImportReport", "MergeReport", "SplitReport"),
}
NO_COPIES = Duplicates((), 0, 0)
# Parameters that a message calls otherwise.
CALLED = {"name": "model", "sources": "source", "paths": "path"}


@dataclass(frozen=True)
class Call:
    """A public function, with arguments for the parameters that have no default."""

    function: Callable[..., Any]
    given: dict[str, Any]

    def parameters(self) -> Iterator[str]:
        """The names of its parameters, with the keywords that `**options` and `**choice` take."""
        for name, parameter in inspect.signature(self.function).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                yield name
            else:
                yield from get_type_hints({"options": SearchKeywords, "choice": EncoderChoice}[name])


@pytest.fixture
def calls(photos: Collection, folder: Path, tmp_path: Path) -> dict[str, Call]:
    """All public functions and classes that are called, by name."""
    found, evaluation, encoder = photos.search(picture(0)), photos.evaluate(queries=2), ColourEncoder()
    network: Any = object.__new__(ImportedNetwork)
    singly = {
        "open": Call(lookalike.open, {"path": folder, "encoder": encoder}),
        "create": Call(lookalike.create, {"folder": tmp_path, "encoder": encoder}),
        "combine": Call(lookalike.combine, {"directory": tmp_path, "encoder": encoder}),
        "reindex": Call(lookalike.reindex, {"path": folder, "encoder": ColourEncoder("other")}),
        "relocate": Call(lookalike.relocate, {"path": folder, "old": folder, "new": folder}),
        "import_embeddings": Call(
            lookalike.import_embeddings, {"embeddings": tmp_path / "none.npy", "directory": tmp_path / "imported"}
        ),
        "merge": Call(lookalike.merge, {"collections": [folder], "directory": tmp_path / "none" / "merged"}),
        "split": Call(lookalike.split, {"path": folder, "directory": tmp_path / "none" / "parts", "parts": 2}),
        "FileList": Call(lookalike.FileList, {"path": "none.txt"}),
        "Not": Call(lookalike.Not, {"values": 1}),
        "Client": Call(lookalike.Client, {"address": "http://127.0.0.1:1"}),
        "Term": Call(Term, {"text": "a"}),
        "Region": Call(lookalike.Region, {"x": 0, "y": 0, "width": 1, "height": 1}),
        "QueryCounts": Call(QueryCounts, {"all": 1, "above_target": 1, "first": 1}),
        "plan": Call(plan, {"folder": folder, "encoder": encoder}),
        "compare": Call(compare, {"models": [encoders.BUNDLED], "folder": folder}),
        "write_page": Call(write_page, {"matches": found, "path": tmp_path / "a.html"}),
        "write_sheet": Call(write_sheet, {"matches": found, "path": tmp_path / "a.png"}),
        "write_report": Call(write_report, {"evaluation": evaluation, "path": tmp_path / "b.html"}),
        "encoders.checked_encoder": Call(encoders.checked_encoder, {"encoder": encoder}),
        "encoders.threads_for": Call(encoders.threads_for, {"encoder": encoder, "cores": 1}),
        "importers.register": Call(importers.register, {"network": network, "name": "a"}),
        "importers.ImportOptions": Call(importers.ImportOptions, {}),
    }
    return {
        **singly,
        **{name: Call(getattr(lookalike, name), {}) for name in ("Between", "Where", "SearchOptions", "Preprocessing")},
        **{name: Call(getattr(lookalike, name), {}) for name in ("Recipe", "Policies")},
        **{name: Call(getattr(lookalike, name), {}) for name in ("TuningPolicy", "MaintenancePolicy")},
        **{
            f"encoders.{name}": Call(getattr(encoders, name), {"name": encoders.BUNDLED})
            for name in ("card", "load", "load_text", "precisions")
        },
        **{f"registry.{name}": Call(getattr(registry, name), {"name": "none"}) for name in ("read", "remove")},
        **{f"importers.{name}": Call(getattr(importers, name), {}) for name in ("default_name", "inspect")},
        "importers.import_model": Call(importers.import_model, {"source": "a.onnx"}),
        **{f"Collection.{name}": Call(getattr(photos, name), given) for name, given in methods(photos, folder).items()},
    }


def methods(photos: Collection, folder: Path) -> dict[str, dict[str, Any]]:
    """The methods of a collection that have parameters, with arguments."""
    return {
        "search": {"query": picture(0)},
        "search_text": {"text": "a"},
        "search_terms": {"terms": [Term(picture(0))]},
        "search_many": {"queries": [picture(0)]},
        "search_id": {"image_id": 1},
        "search_vector": {"vector": photos.embed(picture(0))},
        "embed": {"query": picture(0)},
        "embed_text": {"text": "a"},
        "add": {"source": folder},
        "update": {},
        "duplicates": {},
        "build_on": {"trained": object.__new__(Index), "options": BuildOptions()},
        "exclude": {"globs": []},
        "keep_regions": {"count": 0},
        "keep_augmented": {},
        "include": {"globs": []},
        "is_source": {"path": folder},
        "remove": {"paths": ["none"]},
        "named": {"paths": ["none"]},
        "prune": {},
        "annotate": {"table": folder / "none.csv"},
        "build": {},
        "maintain": {},
        "maintain_apart": {"stopped": threading.Event()},
        "export": {"paths": folder / "none.csv"},
        "count": {"where": Where()},
        "evaluate": {},
        "image": {"image_id": 1},
        "images": {},
        "facets": {},
        "random_image": {},
        "original": {"image_id": 1},
        "put": {"key": "a.png", "data": b""},
        "delete": {"image_id": 1},
        "warm_up": {},
        **{name: {"image_ids": [1]} for name in ("mark_copies", "keep_copies", "unmark_copies")},
        "plan_action": {"duplicates": NO_COPIES, "action": "trash"},
        "act_on_copies": {"plan": photos.plan_action(NO_COPIES, "trash")},
        "undo_action": {},
    }


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def test_no_public_function_is_left_out(calls: dict[str, Call], photos: Collection) -> None:
    public: list[str] = lookalike.__all__  # type: ignore[attr-defined]  # which lazy_loader makes
    names = {name for name in public if name not in NOT_CALLED and not is_error(getattr(lookalike, name))}
    for prefix, owner in (("encoders", encoders), ("importers", importers)):
        functions = {name for name in owner.__all__ if inspect.isfunction(getattr(owner, name))}
        names |= {f"{prefix}.{name}" for name in functions if inspect.signature(getattr(owner, name)).parameters}
    for name, method in inspect.getmembers(photos, inspect.ismethod):
        if not name.startswith("_") and inspect.signature(method).parameters:
            names.add(f"Collection.{name}")
    assert names <= calls.keys()


def test_a_value_of_another_type_is_refused_by_the_name_of_its_parameter(
    calls: dict[str, Call], photos: Collection
) -> None:
    tried = 0
    for name, call in calls.items():
        for parameter in call.parameters():
            for value in STRANGE:
                if isinstance(value, TAKES.get(parameter, ())):
                    continue
                with pytest.raises(UsageError) as refused:
                    pytest.fail(
                        f"{name}({parameter}={value!r}) returned {call.function(**call.given | {parameter: value})}"
                    )
                called = {parameter, CALLED.get(parameter, parameter)}
                assert any(each in refused.value.message for each in called), (name, parameter, value)
                assert len(refused.value.message) < 400
                tried += 1
    assert tried > 800
    assert len(photos) == 12


def test_numbers_and_flags_of_numpy_are_taken_where_a_default_is_one(
    calls: dict[str, Call],
) -> None:
    """As the same number of Python is; what is long, or writes, is left out."""
    tried = 0
    for name, call in calls.items():
        if not isinstance(call.function, type) or call.function is lookalike.Client:
            continue  # clients are not compared
        for parameter in inspect.signature(call.function).parameters.values():
            default = call.given.get(parameter.name, parameter.default)
            for value in numpy_values(default):
                plain = type(default)(value)
                made = call.function(**call.given | {parameter.name: value})
                assert made == call.function(**call.given | {parameter.name: plain}), (name, parameter.name)
                tried += 1
    assert tried > 20


def numpy_values(default: Any) -> list[Any]:
    """A number or a bool as NumPy has it; nothing for another default."""
    if isinstance(default, bool):
        return [np.bool_(default)]
    if isinstance(default, int):
        return [np.int64(default), np.uint32(default)]
    return [np.float64(default), np.float32(default)] if isinstance(default, float) else []
