"""Whole files and their names: `read_file`, `write_file` and `matching_files`, as in `tf.io`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError, storage_errors, write_bytes
from mainstay.io.staging import host_function


@host_function(is_slow=True)
def read_file(filename: Any) -> bytes:
    """Return the content of a file, as `tf.io.read_file`.

    Args:
        filename: Its path: text, bytes or a path.

    Raises:
        StorageError: It cannot be read.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/a.txt"
        >>> write_file(path, "hello")
        >>> read_file(path)
        b'hello'
    """
    path = os.fsdecode(filename)
    with storage_errors(path, "read"), open(path, "rb") as file:
        return file.read()


def write_file(filename: Any, contents: Any) -> None:
    """Write a file, whole or not at all, as `tf.io.write_file`.

    Args:
        filename: Its path: text, bytes or a path. Missing folders are made, a file that is there is replaced.
        contents: Bytes, or text, which becomes UTF-8.

    Raises:
        ArgumentError: The contents are neither.
        StorageError: The file system refused.
    """
    data = contents.encode() if isinstance(contents, str) else contents
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ArgumentError("contents are bytes or text", where="contents", received=type(contents).__name__)
    write_bytes(os.fsdecode(filename), bytes(data))


def matching_files(pattern: Any) -> np.ndarray:
    """Return the names of the files that match patterns, sorted, as `tf.io.matching_files`.

    Args:
        pattern: A glob, or several; ``**`` stands for folders to any depth.

    Returns:
        ``[files]``, objects of bytes; each file once.

    Raises:
        DataError: A pattern matches nothing.
    """
    several = isinstance(pattern, Iterable) and not isinstance(pattern, (str, bytes, os.PathLike))
    found: set[bytes] = set()
    for one in pattern if several else [pattern]:
        text = os.fsdecode(one)
        with storage_errors(text, "read"):
            matches = glob.glob(text, recursive=True)
        if not matches:
            raise DataError(
                "nothing matches the pattern",
                where=text,
                expected="at least one file",
                fix="check the pattern and the folder it looks into",
            )
        found.update(map(os.fsencode, matches))
    names = np.empty(len(found), object)
    names[:] = sorted(found)
    return names
