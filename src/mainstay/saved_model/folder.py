"""The folder of an artifact: which files it may hold, and their content once every digest has been verified.

Nothing of a file is parsed before the digests of all files are known to be right. Files are mapped once, and what
was hashed is what is read later.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from mainstay.core import ArtifactError, FormatError, IntegrityError, digest_bytes, storage_errors

EXTRA = "assets.extra/mainstay"
MANIFEST_FILE = f"{EXTRA}/manifest.json"
SEAL_FILE = f"{EXTRA}/manifest.sha256"
SIGNATURE_FILE = f"{EXTRA}/manifest.sig"
# Requests that a server runs through the model before it answers. They are no part of the model: operators add them
# later, and whoever can write them can do no more than whoever may ask the server.
WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"
HOST_GRAPH_FILE = f"{EXTRA}/host_graph.json"
GOLDEN_FILE = f"{EXTRA}/golden.npz"
PROGRAM_SUFFIX = ".stablehlo"
GRAPH_SUFFIX = ".graph.pb"
ASSETS = "assets"

RESERVED = frozenset(
    {path.rsplit("/", 1)[1] for path in (MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE, HOST_GRAPH_FILE, GOLDEN_FILE)}
)
"""File names that a sidecar cannot have."""


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 128
_MAX_MANIFEST = 64 << 20
_BLOCK = 1 << 22


def is_plain_name(name: str) -> bool:
    """Return whether a name can be a file's: letters, digits and ``_.-``, so that no path can hide in it."""
    return _PLAIN_NAME.fullmatch(name) is not None


def is_signature_name(name: str) -> bool:
    """Return whether a name can be a signature's: names that can be files', joined by ``/``, 128 characters at most.

    TensorFlow's own tools have written names such as ``tensorflow/serving/regress``.
    """
    return len(name) <= _LONGEST_NAME and all(map(is_plain_name, name.split("/")))


def file_stems(names: Iterable[str]) -> dict[str, str]:
    """Return a name that a file can have for each signature's name: its own but for ``/``, and no two the same."""
    stems: dict[str, str] = {}
    for name in sorted(names, key=lambda name: ("/" in name, name)):
        stem, number = name.replace("/", "."), 2
        while stem in stems.values():
            stem, number = f"{name.replace('/', '.')}-{number}", number + 1
        stems[name] = stem
    return stems


def find_files(folder: Path) -> dict[str, int]:
    """Return the size of every file under `folder` by its relative path.

    Raises:
        IntegrityError: There is something that is neither a folder nor a regular file, such as a link.
        StorageError: The folder cannot be read.
    """
    found: dict[str, int] = {}
    pending = [PurePosixPath()]
    while pending:
        relative = pending.pop()
        with storage_errors(folder / relative, "read"), os.scandir(folder / relative) as entries:
            for entry in entries:
                path = relative / entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path)
                elif stat.S_ISREG(status.st_mode):
                    found[str(path)] = status.st_size
                else:
                    raise IntegrityError(
                        "a saved model holds something other than plain files",
                        where=folder / path,
                        expected="a regular file",
                        received="a symbolic link" if stat.S_ISLNK(status.st_mode) else "a special file",
                    )
    return dict(sorted(found.items()))


def map_file(path: Path) -> memoryview:
    """Return a file's content, mapped; following no link at its end, and waiting for no pipe.

    Raises:
        IntegrityError: It is no regular file.
        StorageError: It cannot be read, or is a link.
    """
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_BINARY", "O_NONBLOCK"))
    with storage_errors(path, "read"):
        handle = os.open(path, flags)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise IntegrityError(
                    "a saved model holds something other than plain files", where=path, expected="a regular file"
                )
            if not status.st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(handle)


def file_digest(data: memoryview) -> str:
    """Return the sha256 of a mapped file as 64 hexadecimal digits."""
    state = hashlib.sha256()
    for start in range(0, len(data), _BLOCK):
        state.update(data[start : start + _BLOCK])
    return state.hexdigest()


def refuse_outside(folder: Path, path: Path) -> None:
    """Refuse a path that links lead out of a folder.

    Raises:
        IntegrityError: It lies elsewhere.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise IntegrityError(
            "a link leads out of a saved model", where=path, expected=f"a file in {folder}", received=path.resolve()
        )


def digests(contents: Mapping[str, memoryview]) -> dict[str, tuple[int, str]]:
    """Return the size and the sha256 of mapped files by path, several hashed at once where that is worth a thread."""
    large = sum(len(data) >= _BLOCK for data in contents.values())
    if large < 2:
        return {path: (len(data), file_digest(data)) for path, data in contents.items()}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, large), "mainstay-digest") as pool:
        return dict(
            zip(
                contents,
                zip(map(len, contents.values()), pool.map(file_digest, contents.values()), strict=True),
                strict=True,
            )
        )


def is_foreign(folder: Path) -> bool:
    """Return whether a folder holds a SavedModel that Mainstay had no part in.

    One that lost its manifest is none: its digests must not be got rid of by deleting a file.
    """
    if not (folder / "saved_model.pb").is_file():
        return False
    extra = folder / EXTRA
    return not os.path.lexists(extra) or (
        extra.is_dir() and set(os.listdir(extra)) <= {PurePosixPath(SIGNATURE_FILE).name}
    )


def needed(files: Mapping[str, memoryview], path: str) -> memoryview:
    """Return the content of a file that must be there.

    Raises:
        FormatError: The manifest does not list it.
    """
    if path not in files:
        raise FormatError("the manifest does not list a file that is needed", expected=path)
    return files[path]


def read_sealed_manifest(folder: Path) -> bytes:
    """Return the manifest of an artifact, its seal verified.

    Raises:
        ArtifactError: There is no artifact.
        IntegrityError: The manifest was edited or truncated, or its seal was.
        FormatError: The manifest is larger than any that is written.
    """
    manifest, seal = folder / MANIFEST_FILE, folder / SEAL_FILE
    if not manifest.is_file():
        raise ArtifactError(
            "there is no saved model of Mainstay here",
            where=folder,
            expected=f"a folder with {MANIFEST_FILE}",
            received="a folder without it" if folder.is_dir() else "a file" if folder.exists() else "no such folder",
            fix=_advice(folder),
        )
    if not seal.is_file():
        raise IntegrityError("a file is missing", where=seal, expected="the manifest's sha256")
    if manifest.is_symlink() or seal.is_symlink():
        raise IntegrityError("the manifest is a symbolic link", where=manifest, expected="a regular file")
    with storage_errors(manifest, "read"):
        if manifest.stat().st_size > _MAX_MANIFEST or seal.stat().st_size > 1024:
            raise FormatError(
                "the manifest is too large", where=manifest, expected=f"up to {_MAX_MANIFEST:,} bytes, and a short seal"
            )
        data, sealed = manifest.read_bytes(), seal.read_bytes()
    if sealed != seal_of(data):
        raise IntegrityError(
            "the manifest or its seal was edited or truncated",
            where=manifest,
            expected=sealed[:64].decode("ascii", "replace"),
            received=digest_bytes(data),
            fix="copy the saved model again from where it was written",
        )
    return data


def _advice(folder: Path) -> str:
    versions = [child.name for child in folder.iterdir() if child.name.isdecimal()] if folder.is_dir() else []
    if versions:
        return f"give one of its versions, such as {folder / max(versions, key=int)}"
    if folder.suffix in (".keras", ".h5"):
        return "load a file of Keras with keras.models.load_model"
    return "give the folder that `save` wrote"


def seal_of(manifest: bytes) -> bytes:
    """Return the content of the seal of a manifest: a line that ``sha256sum -c`` reads."""
    return f"{digest_bytes(manifest)}  manifest.json\n".encode()


def verify_files(folder: Path, files: Mapping[str, tuple[int, str]]) -> dict[str, memoryview]:
    """Return the content of every file that the manifest lists, mapped and verified.

    Args:
        folder: The artifact.
        files: The size and sha256 of each file by its relative path.

    Raises:
        IntegrityError: A file is missing, was added, truncated or edited; the message names it.
        FormatError: A listed path leads out of the folder.
        StorageError: A file cannot be read.
    """
    for path in files:
        _check_path(path)
    for one, other in names_alike(files):
        raise FormatError(
            "the manifest lists two paths that some file systems hold for one", expected=one, received=other
        )
    found = find_files(folder)
    present = set(found) - {MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE, WARM_UP_FILE}
    for path in sorted(set(files) - present):
        raise IntegrityError("a file is missing", where=folder / path, fix="copy the saved model again")
    for path in sorted(present - set(files)):
        raise IntegrityError(
            "a file was added", where=folder / path, expected="only files that the manifest lists", fix="remove it"
        )
    for path, (size, _) in sorted(files.items()):
        if found[path] != size:
            raise IntegrityError(
                "a file was truncated or edited",
                where=folder / path,
                expected=f"{size:,} bytes",
                received=f"{found[path]:,} bytes",
                fix="copy the saved model again from where it was written",
            )
    contents = {path: map_file(folder / path) for path in sorted(files)}
    for path, received in digests(contents).items():
        if received != files[path]:
            raise IntegrityError(
                "a file was edited",
                where=folder / path,
                expected=f"sha256 {files[path][1]}",
                received=f"sha256 {received[1]}",
                fix="copy the saved model again from where it was written",
            )
    return contents


def all_digests(manifest: bytes, files: Mapping[str, tuple[int, str]]) -> dict[str, str]:
    """Return the sha256 of every file of an artifact by path, the manifest and its seal included.

    Args:
        manifest: The content of the manifest.
        files: The size and sha256 of each file that it lists.
    """
    digests = {path: digest for path, (_, digest) in files.items()}
    return {**digests, MANIFEST_FILE: digest_bytes(manifest), SEAL_FILE: digest_bytes(seal_of(manifest))}


def names_alike(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of paths that some file systems hold for one."""
    spelled: dict[str, str] = {}
    pairs = [(spelled.setdefault(_folded(path), path), path) for path in paths]
    return [(one, other) for one, other in pairs if one != other]


def _folded(path: str) -> str:
    """Return what is the same for two paths that a file system may hold for one: it may ignore case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _check_path(path: str) -> None:
    parts = path.split("/")
    own = path in (MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE)
    if own or any(part in ("", ".", "..") for part in parts) or not path.isprintable():
        raise FormatError("the manifest lists an impossible path", expected="a path inside the folder", received=path)
    if "\\" in path or ":" in path:
        raise FormatError("the manifest lists a path that is not portable", received=path)
