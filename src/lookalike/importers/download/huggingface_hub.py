"""Repositories of the Hugging Face hub, each at one commit.

$HF_ENDPOINT names another hub than https://huggingface.co, and $HF_TOKEN an access token; without a token, requests are
anonymous. The addresses are those in the documentation of the hub's API.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.errors import ModelError, StorageError, UsageError
from lookalike.importers.base import OnProgress
from lookalike.importers.download import download
from lookalike.importers.download.download import Checksum, Downloaded
from lookalike.importers.error_summary import one_line

_HUB = "https://huggingface.co"
_ENDPOINT, _TOKEN = "HF_ENDPOINT", "HF_TOKEN"
_NAME_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(f"{_NAME_PART}/{_NAME_PART}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_DOCUMENT = 64 << 20  # bytes; the largest tokenizers have 35 MB
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        size: in bytes.
        sha256: in hexadecimal; the hub has it for large files only, for others it is None.
    """

    size: int
    sha256: str | None


@dataclass(frozen=True)
class Repository:
    """A repository at one commit.

    Attributes:
        name: "owner/name".
        commit: 40 hexadecimal digits.
        licence: by its name in the repository, such as "apache-2.0"; "" if there is none.
        files: by path.
        progress: called with the progress of downloads.
    """

    name: str
    commit: str
    licence: str
    files: Mapping[str, HubFile]
    progress: OnProgress

    def fetch(self, path: str) -> Downloaded:
        """Downloads a file at the commit.

        Raises:
            ModelError: there is no such file, it cannot be downloaded, or its size or checksum is not the expected one.
            StorageError: the disk is full or failing.
        """
        file = self.files.get(path)
        if file is None:
            raise ModelError(f"{self.name} has no file {path} at commit {self.commit[:8]}")
        return download.file(
            f"{_endpoint()}/{self.name}/resolve/{self.commit}/{quote(path)}",
            self.progress,
            checksum=Checksum("sha256", file.sha256) if file.sha256 else None,
            size=file.size,
            token=_token(),
        )

    def document(self, path: str) -> Any:
        """Returns the content of a JSON file of at most 64 MiB.

        Raises:
            ModelError, StorageError: as `fetch`, or it is not JSON.
        """
        if path in self.files and self.files[path].size > _MAX_DOCUMENT:
            raise ModelError(f"{path} of {self.name}: it is larger than {_MAX_DOCUMENT >> 20} MiB")
        downloaded = self.fetch(path).path
        try:
            return download.parse_json(downloaded.read_bytes(), f"{path} of {self.name}")
        except OSError as error:
            raise StorageError(f"{downloaded}: {error.strerror or error}") from error


def repository(name: str, revision: str | None, progress: OnProgress) -> Repository:
    """Returns a repository at the present commit of a revision.

    Args:
        name: "owner/name".
        revision: a commit, branch or tag; None for the main branch.
        progress: called with the progress of downloads.

    Raises:
        UsageError: the name or the revision is malformed.
        ModelError: there is no such repository or revision, or it cannot be downloaded.
    """
    if not _NAME.fullmatch(name) or ".." in name or "--" in name:
        raise UsageError(f"{name!r} is not the name of a repository on the hub; give owner/name")
    wanted = "main" if revision is None else revision
    if not wanted.strip("./"):
        raise UsageError(f"revision: {wanted!r} is not a revision; give a commit, a branch or a tag")
    url = f"{_endpoint()}/api/models/{name}/revision/{quote(wanted, safe='')}?blobs=true"
    facts = download.document(url, token=_token())
    try:
        commit = _matching(_COMMIT, facts["sha"])
        files = dict(_files(facts["siblings"]))
        licence = _licence(facts)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{url}: this is not the hub's description of a repository: {one_line(error)}; try again later"
        ) from error
    if _COMMIT.fullmatch(wanted) and wanted != commit:
        raise ModelError(f"{url}: the hub returned another commit, {commit}; try again later")
    return Repository(name, commit, licence, files, progress)


def _endpoint() -> str:
    return os.environ.get(_ENDPOINT, "").rstrip("/") or _HUB


def _token() -> str | None:
    token = os.environ.get(_TOKEN, "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise UsageError(f"${_TOKEN} is not a token: it contains spaces or characters that are not ASCII")
    return token or None


def _files(siblings: Any) -> Iterator[tuple[str, HubFile]]:
    """The repository's files, except for those whose path leads out of it."""
    for facts in siblings:
        path, lfs = facts["rfilename"], facts.get("lfs")
        if any(part in ("", ".", "..") for part in path.split("/")) or "\\" in path or not path.isprintable():
            continue
        sha256 = _matching(_SHA256, lfs.get("sha256") or lfs["oid"]) if lfs else None
        yield path, HubFile(int(facts["size"]), sha256)


def _licence(facts: Any) -> str:
    """The licence on the repository's card or in its tags; one without an identifier may have a name of its own."""
    card = facts.get("cardData") or {}
    named = card.get("license")
    if named == "other":
        named = card.get("license_name") or named
    if isinstance(named, str):
        return named
    tags = (tag.partition(":") for tag in facts.get("tags") or ())
    return next((licence for kind, _, licence in tags if kind == "license"), "")


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is malformed")
    return text
