"""Repositories of the Hugging Face hub, each at one commit.

$HF_ENDPOINT is another hub than https://huggingface.co, and $HF_TOKEN the token that proves who asks; what has no token
is asked for by nobody in particular. The addresses are those that the hub's documentation of its API names.
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

_HUB = "https://huggingface.co"
_ENDPOINT, _TOKEN = "HF_ENDPOINT", "HF_TOKEN"
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(f"{_PART}/{_PART}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DOCUMENT_BYTES = 64 << 20  # the largest tokenizers have 35 MB
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        size: in bytes.
        sha256: in hexadecimal; the hub knows it of large files, and None of the others.
    """

    size: int
    sha256: str | None


@dataclass(frozen=True)
class Repository:
    """A repository at one commit.

    Attributes:
        name: "owner/name".
        commit: 40 hexadecimal digits.
        licence: as it names it, such as "apache-2.0", or "" where it names none.
        files: by path.
        tell: called with how far downloads are.
    """

    name: str
    commit: str
    licence: str
    files: Mapping[str, HubFile]
    progress: OnProgress

    def fetch(self, path: str) -> Downloaded:
        """Downloads a file as it is at the commit.

        Raises:
            ModelError: there is no such file in it, it cannot be had, or is not what it should be.
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
        """What a JSON file of at most 64 MiB says.

        Raises:
            ModelError, StorageError: as `fetch`, or it is not JSON.
        """
        if path in self.files and self.files[path].size > _DOCUMENT_BYTES:
            raise ModelError(f"{path} of {self.name}: it is larger than {_DOCUMENT_BYTES >> 20} MiB")
        place = self.fetch(path).path
        try:
            return download.parsed(place.read_bytes(), f"{path} of {self.name}")
        except OSError as error:
            raise StorageError(f"{place}: {error.strerror or error}") from error


def repository(name: str, revision: str | None, progress: OnProgress) -> Repository:
    """A repository at the commit that a revision is now.

    Args:
        name: "owner/name".
        revision: a commit, branch or tag; the main branch where it is None.
        tell: called with how far downloads are.

    Raises:
        UsageError: these cannot be a repository's name and revision.
        ModelError: there is none, or it cannot be had.
    """
    if not _NAME.fullmatch(name) or ".." in name or "--" in name:
        raise UsageError(f"{name!r} is not the name of a repository on the hub; give owner/name")
    wanted = "main" if revision is None else revision
    if not wanted.strip("./"):
        raise UsageError(f"revision: {wanted!r} is not one; give a commit, a branch or a tag")
    url = f"{_endpoint()}/api/models/{name}/revision/{quote(wanted, safe='')}?blobs=true"
    told = download.document(url, token=_token())
    try:
        commit = _matching(_COMMIT, told["sha"])
        files = dict(_files(told["siblings"]))
        licence = _licence(told)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{url}: this is not what the hub says of a repository ({error!r}); try again later"
        ) from error
    if _COMMIT.fullmatch(wanted) and wanted != commit:
        raise ModelError(f"{url}: it answers with another commit, {commit}; try again later")
    return Repository(name, commit, licence, files, progress)


def _endpoint() -> str:
    return os.environ.get(_ENDPOINT, "").rstrip("/") or _HUB


def _token() -> str | None:
    token = os.environ.get(_TOKEN, "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise UsageError(f"${_TOKEN} is not a token: it has spaces in it, or what is not ASCII")
    return token or None


def _files(siblings: Any) -> Iterator[tuple[str, HubFile]]:
    """The files that the hub tells of, but for those whose path does not stay inside the repository."""
    for facts in siblings:
        path, lfs = facts["rfilename"], facts.get("lfs")
        if any(part in ("", ".", "..") for part in path.split("/")) or "\\" in path or not path.isprintable():
            continue
        sha256 = _matching(_SHA256, lfs.get("sha256") or lfs["oid"]) if lfs else None
        yield path, HubFile(int(facts["size"]), sha256)


def _licence(told: Any) -> str:
    """The licence as the repository's card has it: one without a usual name may have a name of its own."""
    card = told.get("cardData") or {}
    named = card.get("license")
    if named == "other":
        named = card.get("license_name") or named
    if isinstance(named, str):
        return named
    tags = (tag.partition(":") for tag in told.get("tags") or ())
    return next((licence for kind, _, licence in tags if kind == "license"), "")


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not as it should be")
    return text
