"""Columns to serialized tf.Examples: all rows at once, in C or in NumPy, with the same bytes."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import ADDRESS, ArgumentError, DataError, address_of, native_function
from mainstay.io.binary_columns import BINARY_LIMIT, binary_column, binary_from_parts, binary_parts, is_binary
from mainstay.io.example_features import BYTES, FLOAT, INT64
from mainstay.io.ragged import Ragged

_INT64 = ctypes.c_int64


@dataclass(frozen=True)
class _Written:
    """One feature of all rows: row ``i`` has the values ``splits[i]`` to ``splits[i + 1]``."""

    key: bytes
    kind: int
    values: np.ndarray
    splits: np.ndarray
    bounds: np.ndarray | None = None

    def addresses(self) -> tuple[int, ...]:
        """Return the fields of `example_column` in examples.h, but for the key's address."""
        bounds = 0 if self.bounds is None else address_of(self.bounds)
        return len(self.key), self.kind, address_of(self.splits), address_of(self.values), bounds


def serialize_examples(columns: Mapping[str, Any]) -> Any:
    """Return the rows of columns as serialized tf.Examples.

    Args:
        columns: For each feature an array ``[n, ...]`` of numbers or strings, an Arrow array, a list, or a `Ragged` of
            one level. Whole numbers and bools become int64, floats float32, text UTF-8; the inner axes of an array are
            written as one list.

    Returns:
        An Arrow array of ``n`` records. The features stand in the order of their keys: the same columns give the same
        bytes.

    Raises:
        ArgumentError: There are no columns, or they differ in length.
        DataError: A column holds what a tf.Example cannot.

    >>> serialize_examples({"a": np.array([1, 2])})[0].as_py().hex()
    '0a0c0a0a0a016112051a030a0101'
    """
    written = [_column(key.encode(), columns[key], key) for key in sorted(columns, key=str.encode)]
    counts = {key: len(column.splits) - 1 for key, column in zip(sorted(columns, key=str.encode), written, strict=True)}
    if len(set(counts.values())) != 1:
        raise ArgumentError(
            "columns of one length are written",
            where="columns",
            expected="at least one column, all of one length",
            received=counts,
        )
    count = next(iter(counts.values()))
    write = native_function("mainstay_write_examples", None, ADDRESS, _INT64, _INT64, ADDRESS, ADDRESS)
    if write is None:
        return _write_numpy(written, count)
    keys = np.frombuffer(b"".join(column.key for column in written) + b"\0", np.uint8)
    table = np.zeros((len(written), 6), np.int64)
    table[:, 1:] = [column.addresses() for column in written]
    table[:, 0] = address_of(keys) + np.cumsum(table[:, 1]) - table[:, 1]
    ends = np.empty(count + 1, np.int64)
    write(address_of(table), len(written), count, address_of(ends), 0)
    out = np.empty(int(ends[-1]), np.uint8)
    write(address_of(table), len(written), count, address_of(ends), address_of(out) if len(out) else 0)
    return _records(out, ends)


def _records(data: np.ndarray, ends: np.ndarray) -> Any:
    return binary_from_parts(data, ends if ends[-1] > BINARY_LIMIT else ends.astype(np.int32))


def _column(key: bytes, given: Any, name: str) -> _Written:
    where = f"columns[{name!r}]"
    splits = None
    if isinstance(given, Ragged):
        splits, given = np.ascontiguousarray(given.splits, np.int64), given.values
        if isinstance(given, Ragged):
            raise DataError(
                "a tf.Example holds one list for a feature",
                where=where,
                received="rows of rows",
                fix="write the values and the lengths of the rows as two features, and read them with a RaggedFeature",
            )
    if isinstance(given, pa.ChunkedArray):
        given = given.combine_chunks()
    if isinstance(given, pa.Array) and not is_binary(given):
        if given.null_count:
            raise DataError("a value is null", where=where, received=f"{given.null_count} nulls", fix="fill them")
        given = given.to_numpy(zero_copy_only=False)
    if is_binary(given):
        return _strings(key, given, splits, len(given), where)
    array = np.asarray(given) if not _is_text(given) else np.array(given, object)
    if array.ndim == 0:
        raise DataError("a column has a row for each example", where=where, received=repr(given))
    if array.dtype.kind in "OSU":
        return _strings(key, array, splits, len(array), where)
    if splits is None:
        width = array.size // len(array) if len(array) else 0
        splits = np.arange(len(array) + 1) * width
    elif array.ndim > 1:
        splits = splits * int(np.prod(array.shape[1:]))
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return _Written(key, FLOAT, np.ascontiguousarray(array.ravel(), "<f4"), splits)
    if array.dtype.kind in "bi" or (array.dtype.kind == "u" and (array.dtype.itemsize < 8 or not _beyond(array))):
        return _Written(key, INT64, np.ascontiguousarray(array.ravel(), np.int64), splits)
    raise DataError(
        "a tf.Example holds whole numbers of 64 bits, floats of 32 and strings only",
        where=where,
        expected="int64, float32 or strings",
        received=f"{array.dtype}, up to {array.max()}" if array.dtype.kind == "u" else array.dtype,
    )


def _beyond(array: np.ndarray) -> bool:
    return bool(array.size and array.max() >= 1 << 63)


def _is_text(given: Any) -> bool:
    """Whether a list holds strings: NumPy's own strings lose the zero bytes at their end."""
    while isinstance(given, list | tuple) and given:
        given = given[0]
    return isinstance(given, bytes | str)


def _strings(key: bytes, given: Any, splits: np.ndarray | None, count: int, where: str) -> _Written:
    column = binary_column(given, where=where)
    data, bounds = binary_parts(column)
    if splits is None:
        splits = np.arange(count + 1) * (len(column) // count if count else 0)
    return _Written(key, BYTES, data, splits, np.ascontiguousarray(bounds, np.int64))


def _write_numpy(columns: list[_Written], count: int) -> Any:
    features = [_entries(column, count) for column in columns]
    rows = [b"".join(parts) for parts in zip(*features, strict=True)]
    records = [b"\x0a" + encode_varint(len(row)) + row for row in rows]
    ends = np.zeros(count + 1, np.int64)
    np.cumsum([len(record) for record in records], out=ends[1:])
    return _records(np.frombuffer(b"".join(records), np.uint8), ends)


def _entries(column: _Written, count: int) -> list[bytes]:
    """Return the map entry of one feature in each row."""
    key = b"\x0a" + encode_varint(len(column.key)) + column.key + b"\x12"
    tag = bytes([column.kind << 3 | 2])
    data, ends = _payloads(column)
    bounds = ends[column.splits].tolist()
    heads: dict[int, bytes] = {}
    entries = []
    for row in range(count):
        payload = data[bounds[row] : bounds[row + 1]]
        size = len(payload)
        if size not in heads:
            packed = b"" if column.kind == BYTES or not size else b"\x0a" + encode_varint(size)
            values = tag + encode_varint(len(packed) + size) + packed
            inner = key + encode_varint(len(values) + size) + values
            heads[size] = b"\x0a" + encode_varint(len(inner) + size) + inner
        entries.append(heads[size] + payload)
    return entries


def _payloads(column: _Written) -> tuple[bytes, np.ndarray]:
    """Return the encoded values of all rows, and where each value begins: strings with their tags and lengths."""
    if column.kind == FLOAT:
        return column.values.tobytes(), 4 * np.arange(len(column.values) + 1)
    if column.bounds is None:
        data, sizes = _varints(column.values.view(np.uint64))
    else:
        view, marks = column.values.tobytes(), column.bounds.tolist()
        pieces = [b"\x0a" + encode_varint(stop - start) + view[start:stop] for start, stop in itertools.pairwise(marks)]
        data, sizes = b"".join(pieces), np.array([len(piece) for piece in pieces], np.int64)
    ends = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return data, ends


def _varints(numbers: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Return numbers as varints, one behind the other, and the size of each."""
    groups = (numbers[:, None] >> (7 * np.arange(10, dtype=np.uint64))) & np.uint64(127)
    sizes = np.maximum(10 - (groups[:, ::-1] != 0).argmax(1), 1)
    sizes[numbers == 0] = 1
    kept = np.arange(10) < sizes[:, None]
    more = np.arange(10) < sizes[:, None] - 1
    return (groups.astype(np.uint8) | (more * np.uint8(128)))[kept].tobytes(), sizes


def encode_varint(number: int) -> bytes:
    """Return a number that is not negative as protobuf writes it: seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
