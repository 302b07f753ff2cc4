"""Content digests of files and folders, with a memory, so that files which nobody touched are not read again.

A file's remembered digest counts as long as its device, inode, size, modification time and change time are the same.
The change time is set by the system on every write and cannot be set back by a program, so that an edit is seen even
if size and modification time were restored. A digest is remembered only if the file had been left alone for two
seconds when reading began; a write within the tick of the clock that was already noted cannot hide then. What goes
unseen: an edit under a clock that was set back, and decay of the medium itself.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.core import PipelineError, digest_file, digest_json, storage_errors

if TYPE_CHECKING:
    from mainstay.metadata import MetadataStore

_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class _State:
    """What the file system says about a file without reading it."""

    num_bytes: int
    fingerprint: str
    changed_ns: int


@dataclass(frozen=True)
class Content:
    """What lies at a path.

    Args:
        digest: As `core.digest_tree` gives it.
        num_bytes: The sizes of all files together.
        num_files: How many files there are.
    """

    digest: str
    num_bytes: int
    num_files: int


class ContentReader:
    """Computes digests for one run of a pipeline and remembers them for the next.

    Args:
        store: Where they are remembered.
        on_read: Called with a name and the number of bytes before files are read.
    """

    def __init__(
        self, store: MetadataStore, on_read: Callable[[str, int], None] = lambda name, num_bytes: None
    ) -> None:
        self._store = store
        self._on_read = on_read
        self._fresh: dict[str, tuple[str, str]] = {}
        self._seen: dict[Path, tuple[str, dict[str, str]]] = {}

    def read(self, path: Path, *, name: str = "", links: bool = True) -> Content:
        """Return the content of a file or folder.

        Args:
            path: An absolute path.
            name: What to call it when it must be read.
            links: Whether symbolic links are followed; they are refused otherwise.

        Raises:
            PipelineError: Something is neither a file nor a folder, or changes while it is read.
            StorageError: The file system refused.
        """
        files = list_content(path, links=links)
        states = {key: _state(file) for key, file in files.items()}
        digests = self._recall(files, states)
        unread = [key for key in files if key not in digests]
        if unread:
            self._on_read(name, sum(states[file].num_bytes for file in unread))
        for key in unread:
            digests[key] = self._digest(files[key], states[key])
        self._remember()
        digest = digests[""] if "" in files else digest_json({key: digests[key] for key in files})
        self._seen[path] = (digest, {key: state.fingerprint for key, state in states.items()})
        return Content(digest, sum(state.num_bytes for state in states.values()), len(files))

    def adopt(self, path: Path, digest: str) -> None:
        """Take over the digest of what has just been moved to `path`, without reading it again."""
        self._seen[path] = (digest, _fingerprints(path))

    def is_unchanged(self, path: Path) -> bool:
        """Return whether what lies at `path` still has the content that was read or adopted in this run."""
        digest, fingerprints = self._seen[path]
        return path.exists() and (_fingerprints(path) == fingerprints or self.read(path).digest == digest)

    def _recall(self, files: dict[str, Path], states: dict[str, _State]) -> dict[str, str]:
        keys = {str(file): name for name, file in files.items() if _storable(str(file))}
        known = self._store.known_digests(keys)
        return {keys[key]: digest for key, (mark, digest) in known.items() if mark == states[keys[key]].fingerprint}

    def _digest(self, file: Path, before: _State) -> str:
        began_ns = time.time_ns()
        digest = digest_file(file)
        if _state(file) != before:
            raise PipelineError("a file changes while it is read", where=file, fix="run again when nobody writes to it")
        if began_ns - before.changed_ns >= _SETTLED_NS and _storable(str(file)):
            self._fresh[str(file)] = (before.fingerprint, digest)
        return digest

    def _remember(self) -> None:
        if self._fresh:
            self._store.remember_digests(self._fresh)
            self._fresh = {}


def list_content(path: Path, *, links: bool) -> dict[str, Path]:
    """Return the files at a path by relative name, sorted; the name of a single file is empty.

    Raises:
        PipelineError: Something is neither a file nor a folder, or is a link where none may be.
        StorageError: The file system refused.
    """
    with storage_errors(path, "read"):
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return {"": _checked(path, links)}
        found = {file.relative_to(path).as_posix(): file for file in _walk(path, links)}
        return dict(sorted(found.items()))


def _walk(folder: Path, links: bool) -> Iterable[Path]:
    def fail(error: OSError) -> None:
        raise error

    for base, folders, names in os.walk(folder, onerror=fail):
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(base, name)))]:
            file = Path(base, name)
            if name in names:
                yield _checked(file, links)
            else:
                raise PipelineError("a folder holds a link to another folder", where=file, fix="copy it instead")


def _checked(file: Path, links: bool) -> Path:
    if not links and file.is_symlink():
        raise PipelineError("an output holds a symbolic link", where=file, fix="write a copy instead")
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise PipelineError(
            "neither a file nor a folder", where=file, received="a pipe, a socket or a device", fix="remove it"
        )
    return file


def _fingerprints(path: Path) -> dict[str, str]:
    return {name: _state(file).fingerprint for name, file in list_content(path, links=True).items()}


def _state(file: Path) -> _State:
    with storage_errors(file, "read"):
        found = os.stat(file)
    parts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _State(found.st_size, ":".join(map(str, parts)), max(found.st_mtime_ns, found.st_ctime_ns))


def _storable(path: str) -> bool:
    """Whether a path is text that a database can hold; others are simply read anew each time."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
