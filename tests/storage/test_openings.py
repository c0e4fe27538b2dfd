"""Files of a collection are opened by storage/files.py, which follows no link; whatever else opens one has a reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lookalike

PACKAGE = Path(lookalike.__file__).parent
ROOMS = ("attributes", "collection", "index", "ingest", "search", "storage")
# Calls that open, write or remove a file by its name, whatever they are called on; those of `files` and `durable` may.
OPENS = {
    *("open", "fdopen", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "connect", "truncate"),
    *("read_index", "write_index", "memmap", "fromfile", "tofile", "mmap", "genfromtxt", "loadtxt", "copyfile"),
    *("unlink", "rmtree", "symlink_to", "hardlink_to", "link_to", "mkfifo", "copytree", "removedirs", "rmdir"),
}
MAY = {"files", "durable", "generation"}
CREATED = "it makes a new file, where `directory.making` and `Migration` have removed what was there"
REASONS = {
    ("attributes/csv_text.py", "rows", "path.open"): "a table of the user's, which may be a link",
    ("attributes/csv_text.py", "_encoding", "path.open"): "likewise",
    ("attributes/csv_text.py", "_first_lines", "path.open"): "likewise",
    ("collection/maintaining.py", "_maintain", "opening.open"): "it is lookalike.open, of a collection",
    ("collection/opening.py", "reopened", "open"): "it is lookalike.open, of a collection",
    ("collection/trust.py", "_write", "note.touch"): "an empty note in a folder of the user's own",
    ("collection/uploads.py", "delete", "path.unlink"): "an image of the user's; of a link, it removes the link",
    ("collection/uploads.py", "_undone", "path.unlink"): "the image that has just been put there",
    ("index/faiss_index.py", "write", "faiss.write_index"): "FAISS is given a function that takes the bytes",
    ("index/faiss_index.py", "read", "faiss.read_index"): "FAISS is given the descriptor of an open file",
    ("ingest/suspects.py", "under_way", "os.open"): "O_EXCL makes a new file, and follows no link",
    ("storage/bulk.py", "filling", "path.open"): "a new file, in a directory that has just been made",
    ("storage/bulk.py", "filling", "sqlite3.connect"): "likewise",
    ("storage/making.py", "_with_vectors", "path.open"): "likewise",
    ("storage/making.py", "filling", "layout.lock_file(place).touch"): "likewise",
    ("storage/files.py", "opened", "open"): "its opener is regular_file's",
    ("storage/files.py", "remove", "path.unlink"): "of a link, it removes the link",
    ("storage/files.py", "remove_directory", "shutil.rmtree"): "it follows no link",
    ("storage/mapped_vectors.py", "_map", "faiss.read_index"): "FAISS is given the descriptor of an open file",
    ("storage/schema.py", "tables_of", "sqlite3.connect"): "it is in memory",
    (
        "storage/sqlite.py",
        "_opened",
        "sqlite3.connect",
    ): "sqlite_limits.check_files has looked at it and what is beside",
    ("storage/sqlite.py", "create", "path.touch"): CREATED,
    ("storage/sqlite.py", "create", "sqlite3.connect"): CREATED,
}


def openings(path: Path) -> Iterator[tuple[str, str, str]]:
    """The calls in a module that open a file by its name: the module, the function they are in, and what is called."""
    name = path.relative_to(PACKAGE).as_posix()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            where = getattr(function, "name", "lambda")
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and (called := opening(node.func)):
                    yield name, where, called


def opening(function: ast.expr) -> str | None:
    """What is called, if that opens a file."""
    if isinstance(function, ast.Name):
        return function.id if function.id in OPENS else None
    if isinstance(function, ast.Attribute) and function.attr in OPENS:
        owner = ast.unparse(function.value)
        return None if owner in MAY else f"{owner}.{function.attr}"
    return None


def test_only_what_has_a_reason_opens_files_by_itself() -> None:
    """A new one belongs into storage/files.py, or here with its reason; a reason without an opening is out of date."""
    found = {each for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py")) for each in openings(path)}
    assert found == REASONS.keys()


def test_an_opening_is_noticed_in_whatever_way_it_is_written(tmp_path: Path) -> None:
    calls = ("open(p)", "p.read_text()", "os.open(p, 0)", "(d / n).open('rb')", "io.open(p)", "np.memmap(p)")
    for call in calls:
        assert opening(ast.parse(call, mode="eval").body.func), call  # type: ignore[attr-defined]
    for call in ("files.opened(p)", "durable.write_bytes(p, b'')", "transaction.remove(k)", "text.replace('a', 'b')"):
        assert not opening(ast.parse(call, mode="eval").body.func), call  # type: ignore[attr-defined]
