"""Content digests: sha256 of bytes, files, folders and JSON values, the same on every machine and in every run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainstay.core.files import storage_errors

_BLOCK = 1 << 20


def digest_bytes(data: bytes | memoryview) -> str:
    """Return the sha256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits, reading 1 MiB at a time.

    Raises:
        StorageError: The file cannot be read.
    """
    state = hashlib.sha256()
    with storage_errors(path, "read"), open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """Return the sha256 of a JSON value's canonical form: sorted keys, no spaces, no NaN."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def list_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return every regular file under `folder` by its relative path with ``/``, sorted by that path."""
    root = Path(folder)
    found = (Path(base) / name for base, _, names in os.walk(root) for name in names)
    return dict(sorted((path.relative_to(root).as_posix(), path) for path in found))


def digest_tree(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file, or of a folder as the digest of its files' relative paths and digests.

    Times, permissions and the folder's own name do not enter, so that equal content has an equal digest
    wherever it lies.
    """
    if not os.path.isdir(path):
        return digest_file(path)
    files: Mapping[str, str] = {name: digest_file(file) for name, file in list_files(path).items()}
    return digest_json(files)
