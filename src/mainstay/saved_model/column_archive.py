"""Columns as arrays of an uncompressed ``.npz`` without pickle; `docs/formats/saved-model.md` has the encoding.

What is
read here may be hostile, so sizes are checked against the file before anything is made of them.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import FormatError
from mainstay.hostops import Column

Array = np.ndarray[Any, Any]

_MAX_MEMBERS = 100_000
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|](?:b1|[iu][1248]|f[248]|c8|c16))', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)
_KINDS = {"values": "bifuc", "bytes": "u", "offsets": "i", "shape": "i", "missing": "b", "microseconds": "i"}


def encode_values(prefix: str, values: Any, missing: Array | None = None) -> dict[str, Array]:
    """Return the arrays that stand for one column or answer.

    Args:
        prefix: What their names begin with, such as ``serving_default/inputs/age``.
        values: Numbers, booleans, datetime64 or strings; an Arrow array of strings is taken too.
        missing: True where a value is missing, or None.
    """
    array = values if isinstance(values, np.ndarray) else _from_arrow(values)
    parts = {}
    if array.dtype.kind == "M":
        parts["microseconds"] = array.astype("datetime64[us]").astype(np.int64)
    elif array.dtype.kind in "OUS":
        texts = ["" if item is None else item for item in array.reshape(-1).tolist()]
        absent = np.array([item is None for item in array.reshape(-1).tolist()], bool).reshape(array.shape)
        missing = absent if missing is None and absent.any() else missing
        encoded = [item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item for item in texts]
        parts["bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
        parts["offsets"] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        parts["shape"] = np.array(array.shape, np.int64)
    else:
        parts["values"] = array.astype(np.float32) if array.dtype.kind == "V" else array
    if missing is not None:
        parts["missing"] = missing
    return {f"{prefix}/{name}": part for name, part in parts.items()}


def _from_arrow(array: pa.Array) -> Array:
    """Return an Arrow array of strings as an object array of bytes, None where one is missing."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    rows = np.empty(len(array), object)
    rows[:] = array.cast(pa.large_binary()).to_pylist()
    return rows


def decode_values(prefix: str, arrays: Mapping[str, Array]) -> Column:
    """Return the column or answer that `encode_values` wrote.

    Raises:
        FormatError: Its arrays do not fit together.
    """
    parts = {name: arrays[f"{prefix}/{name}"] for name in _KINDS if f"{prefix}/{name}" in arrays}
    missing = parts.pop("missing", None)
    wrong = [name for name, part in parts.items() if part.dtype.kind not in _KINDS[name]]
    if not wrong and set(parts) == {"values"}:
        values = parts["values"]
    elif not wrong and set(parts) == {"microseconds"}:
        values = parts["microseconds"].astype("datetime64[us]")
    elif not wrong and set(parts) == {"bytes", "offsets", "shape"}:
        values = _strings(prefix, parts["bytes"], parts["offsets"], parts["shape"].tolist())
    else:
        raise FormatError(
            "a golden value is not as specified",
            where=prefix,
            expected="values, or microseconds, or bytes with offsets and shape",
            received=", ".join(f"{name} ({part.dtype})" for name, part in parts.items()) or "nothing",
        )
    if not values.ndim or (missing is not None and (missing.dtype != bool or missing.shape != values.shape)):
        raise FormatError("the mask of a golden value does not fit", where=prefix)
    return Column(values, missing)


def _strings(prefix: str, data: Array, offsets: Array, shape: list[int]) -> Array:
    sound = (
        data.ndim == 1
        and offsets.ndim == 1
        and len(offsets) > 0
        and min((0, *shape)) >= 0
        and math.prod(shape) == len(offsets) - 1
        and offsets[0] == 0
        and offsets[-1] == len(data)
        and bool((np.diff(offsets) >= 0).all())
    )
    if not sound:
        raise FormatError("the offsets of golden strings are malformed", where=prefix)
    whole, ends = data.tobytes(), offsets.tolist()
    texts = np.empty(len(ends) - 1, object)
    for index in range(len(texts)):
        texts[index] = whole[ends[index] : ends[index + 1]].decode("utf-8", "surrogateescape")
    return texts.reshape(shape)


def write_npz(arrays: Mapping[str, Array]) -> bytes:
    """Return an ``.npz`` of `arrays`, the same bytes for the same arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(arrays[name]), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return buffer.getvalue()


def read_npz(data: bytes) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` that `write_npz` wrote.

    Raises:
        FormatError: It is malformed, compressed, or says to be larger than it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > len(data):
                raise ValueError("it says to hold more than it does")
            if len({member.filename for member in members}) != len(members):
                raise ValueError("it holds a name twice")
            if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
                raise ValueError("it is compressed or encrypted")
            return {member.filename.removesuffix(".npy"): _read_array(archive.read(member)) for member in members}
    except (zipfile.BadZipFile, ValueError, KeyError, NotImplementedError, OSError, EOFError, RuntimeError) as error:
        raise FormatError("the golden requests are not a plain .npz", where="golden.npz", received=error) from error


def _read_array(data: bytes) -> Array:
    """Return one array without trusting its header: numpy's own reader makes room for whatever shape it names."""
    header = _HEADER.match(data)
    if header is None or header.end() != 10 + int.from_bytes(data[8:10], "little"):
        raise ValueError("an array is not as numpy writes it in format version 1.0")
    shape = [int(axis) for axis in header[2].replace(b",", b" ").split()]
    dtype = np.dtype(header[1].decode())
    if math.prod(shape) * dtype.itemsize != len(data) - header.end():
        raise ValueError(f"an array of {dtype}{shape} does not fit into {len(data) - header.end()} bytes")
    return np.frombuffer(data, dtype, offset=header.end()).reshape(shape)
