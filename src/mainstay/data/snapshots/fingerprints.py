"""Digests of what columns hold: equal for equal elements, whatever memory they lie in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, Loose
from mainstay.io import Ragged


def digest_chunk(chunk: Chunk) -> Any:
    """Return what tells the elements of a chunk from others, as JSON values."""
    return [repr(chunk.skeleton), chunk.length, [digest_column(column) for column in chunk.columns]]


def digest_column(column: Column) -> str:
    """Return the SHA-256 of a column, or of one value, in 64 hexadecimal digits."""
    state = hashlib.sha256()
    _feed(column, state)
    return state.hexdigest()


def _feed(column: Column, state: Any) -> None:
    if isinstance(column, Ragged):
        state.update(b"lists")
        _feed(np.diff(column.splits), state)
        _feed(column.values, state)
    elif isinstance(column, Loose):
        state.update(b"loose")
        for item in column.rows:
            _feed(item, state)
    elif isinstance(column, pa.Array):
        _feed_strings(column.to_pylist(), state)
    elif isinstance(column, bytes):
        _feed_strings([column], state)
    elif column.dtype == object:
        state.update(repr(column.shape).encode())
        _feed_strings(column.reshape(-1).tolist(), state)
    else:
        state.update(f"{column.dtype}{column.shape}".encode())
        state.update(np.ascontiguousarray(column).reshape(-1).view(np.uint8).data)


def _feed_strings(items: list[bytes], state: Any) -> None:
    state.update(np.fromiter(map(len, items), np.int64, len(items)).tobytes())
    for item in items:
        state.update(item)
