"""The arrows between the modules, and what importing one of them may load."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike

PACKAGE = Path(lookalike.__file__).parent
# The rooms from the bottom up: each may import those in the lines above its own.
ROOMS = """
    errors
    arguments
    filters metrics results system
    images
    copies demo sources
    encoders
    storage
    attributes index ingest
    search
    duplicates
    evaluation
    display
    exchange
    collection
    importers
    client cluster server
    cli
    __main__
"""
FLOOR = {room: floor for floor, line in enumerate(ROOMS.splitlines()) for room in line.split()}
# Only a notebook asks for this, when it shows matches as images.
LAZY = {("results", "display")}
PUBLIC: list[str] = lookalike.__all__  # type: ignore[attr-defined]  # which lazy_loader makes
HEAVY = {"torch", "tensorflow", "openvino", "faiss", "jinja2", "rich", "PIL", "numpy", "pyarrow", "fastapi", "uvicorn"}


def imports(path: Path) -> Iterator[str]:
    """The rooms that a file imports from, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "lookalike":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lookalike."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_rooms_below_its_own(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for used in set(imports(path)) - {room, "__version__"}:
        assert FLOOR[used] < FLOOR[room] or (room, used) in LAZY


_SQLITE = (
    "sqlite",
    "sqlite_limits",
    "schema",
    "transaction",
    "missing",
    "carrying",
    "replacing",
    "seals",
    "bulk",
    *("stored_regions", "stored_augmentation"),
)

_FAISS = ("vectors", "mapped_vectors", "spec", "faiss_index", "inverted_lists", "faiss_layout", "faiss_files")


def test_only_few_modules_know_sqlite_and_faiss() -> None:
    knowing = {
        (library, path.stem)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for library in {alias.name for alias in node.names} & {"sqlite3", "faiss"}
    }
    sqlite = {("sqlite3", module) for module in _SQLITE}
    assert knowing == sqlite | {("faiss", module) for module in _FAISS}


def test_openvino_is_imported_only_where_it_is_kept_from_reporting() -> None:
    importing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name.partition(".")[0] == "openvino"
    }
    # The converter has parts that are imported when it is there already.
    assert importing == {"encoders/openvino/loading.py", "importers/third_party.py", "importers/torch_export.py"}


@pytest.mark.parametrize(
    ("module", "admitted"),
    [
        ("lookalike", set()),
        ("lookalike.cli.main", set()),
        ("lookalike.errors", set()),
        ("lookalike.results", set()),
        ("lookalike.storage.catalog", set()),
        ("lookalike.images.decode", {"PIL", "numpy"}),
        ("lookalike.encoders", {"PIL", "numpy"}),
        ("lookalike.storage.vectors", {"faiss", "numpy"}),
        ("lookalike.filters", set()),
        ("lookalike.attributes.apply", set()),
        ("lookalike.client.client", {"PIL", "numpy"}),
        ("lookalike.metrics", {"numpy"}),
        ("lookalike.copies.verification", {"PIL", "numpy"}),
        ("lookalike.index.tuning", {"faiss", "numpy"}),
        ("lookalike.collection.collection", {"faiss", "numpy", "PIL"}),
    ],
)
def test_importing_a_module_loads_nothing_heavy_that_it_does_not_use(module: str, admitted: set[str]) -> None:
    program = f"import sys, {module}; print(*({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) <= admitted


def test_every_public_name_is_there_and_is_what_the_stub_says() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    homes = {node.names[0].name: node.module for node in stub.body if isinstance(node, ast.ImportFrom)}
    assert sorted(homes) == PUBLIC
    for name, home in homes.items():
        assert getattr(lookalike, name) is getattr(importlib.import_module(f"lookalike.{home}"), name)


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"ImageSource"}))
def test_whatever_is_public_is_documented(name: str) -> None:
    value = getattr(lookalike, name)
    assert value.__doc__
    if isinstance(value, type):
        methods = [member for member in vars(value).values() if callable(member) and hasattr(member, "__name__")]
        assert all(method.__doc__ for method in methods if not method.__name__.startswith("_")), name


def test_the_library_neither_prints_nor_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit"}, path
