"""The arrows between the modules, and what importing one of them may load."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike

PACKAGE = Path(lookalike.__file__).parent
# From the bottom up: a module may use those in the lines above its own.
LAYERS = (
    {"errors", "match", "memory", "selection", "storage"},
    {"compared", "files", "formats", "own_process", "vectors", "database", "where", "evaluation", "parquet", "spec"},
    {"images", "index", "evaluate", "filters", "schema", "sources", "tables"},
    {"distortions", "query"},
    {"demo", "encoders", "show", "transaction", "tune"},
    {"catalog", "estimate", "identity", "models", "wish"},
    {"attributes", "changes", "directory", "embedding", "generations", "verified"},
    {"compaction", "ingest", "own_encoder", "sample", "snapshot"},
    {"builder", "contestant", "nearest"},
    {"successor"},
    {"comparison", "examination", "planning", "reindexing"},
    {"collection"},
    {"console", "finding"},
    {"models_cli"},
    {"cli"},
    {"__main__"},
)
# Asked for by a notebook alone, when it shows matches as pictures.
EXCEPTIONS = {("match", "show")}
HEAVY = {"torch", "tensorflow", "openvino", "faiss", "jinja2", "rich", "PIL", "numpy", "pyarrow"}


def modules() -> dict[str, list[Path]]:
    """The source files of each module or package right below `lookalike`."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top != "__init__":
            found.setdefault(top, []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """What a file imports of Lookalike's, anywhere in it, by the name right below the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "lookalike":
            names |= {alias.name for alias in node.names} - {"__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lookalike."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lookalike.")}
    return names


def layer(module: str) -> int:
    return next(level for level, names in enumerate(LAYERS) if module in names)


@pytest.mark.parametrize("module", modules())
def test_a_module_uses_only_what_lies_below_it(module: str) -> None:
    used = {name for path in modules()[module] for name in imported(path)} - {module}
    assert {name for name in used if layer(name) >= layer(module) and (module, name) not in EXCEPTIONS} == set()


def test_every_module_has_its_place() -> None:
    assert set().union(*LAYERS) - {"__main__"} == set(modules()) - {"__main__"}


def test_only_what_stores_the_catalog_knows_sqlite_and_only_three_modules_know_faiss() -> None:
    knowing = {
        (library, path.stem)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for library in {alias.name for alias in node.names} & {"sqlite3", "faiss"}
    }
    sqlite = {("sqlite3", module) for module in ("database", "schema", "transaction")}
    assert knowing == sqlite | {("faiss", module) for module in ("vectors", "spec", "index")}


def test_openvino_is_imported_where_it_is_kept_from_reporting_and_nowhere_else() -> None:
    importing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name.partition(".")[0] == "openvino"
    }
    # The converter has parts that are imported when it is there already.
    assert importing == {"encoders/ov.py", "models/conversion.py"}


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
        ("lookalike.metrics", {"numpy"}),
        ("lookalike.index.tuning", {"faiss", "numpy"}),
        ("lookalike.collection.collection", {"faiss", "numpy", "PIL"}),
    ],
)
def test_importing_a_module_loads_nothing_heavy_that_it_does_not_use(module: str, admitted: set[str]) -> None:
    program = f"import sys, {module}; print(*({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) <= admitted


def test_the_public_names_are_those_that_are_listed_and_each_is_there() -> None:
    assert set(lookalike.__all__) == set(lookalike._HOMES)
    for name in lookalike.__all__:
        home = importlib.import_module(f"lookalike.{lookalike._HOMES[name]}")
        assert getattr(lookalike, name) is getattr(home, name)


@pytest.mark.parametrize("name", sorted(set(lookalike.__all__) - {"ImageSource"}))
def test_whatever_is_public_is_documented(name: str) -> None:
    value = getattr(lookalike, name)
    assert value.__doc__
    if isinstance(value, type):
        methods = [member for member in vars(value).values() if callable(member) and hasattr(member, "__name__")]
        assert all(method.__doc__ for method in methods if not method.__name__.startswith("_")), name


def test_the_library_neither_prints_nor_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.stem in {"cli", "console", "models_cli"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit"}, path
