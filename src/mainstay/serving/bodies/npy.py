"""NumPy's `.npy` and `.npz` files, read without trusting them: no pickles, no code, no more bytes than came.

Source: the format's page, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import functools
import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np

from mainstay.core import RequestError

Array: TypeAlias = np.ndarray[Any, Any]

_MAGIC = b"\x93NUMPY"
_ZIP = b"PK"
_MOST_HEADER = 4096
_MOST_AXES = 32
_MOST_MEMBERS = 1024
_MOST_BYTES = 1 << 62
_LAST_CHARACTER = 0x10FFFF
_ENTRY = (
    r"""(?:['"]descr['"]\s*:\s*(?P<q>['"])(?P<descr>[<>=|]?[a-zA-Z]\d*)(?P=q)"""
    r"""|['"]fortran_order['"]\s*:\s*(?P<order>True|False)"""
    r"""|['"]shape['"]\s*:\s*\((?P<shape>[\d,\sL]*)\))"""
)
_HEADER = re.compile(
    r"\{{\s*{}\s*,\s*{}\s*,\s*{}\s*,?\s*\}}\s*".format(
        *(_ENTRY.replace("?P<", f"?P<e{index}_").replace("?P=q", f"?P=e{index}_q") for index in range(3))
    )
)


def is_archive(body: bytes) -> bool:
    """Whether a body is a `.npz` file rather than a `.npy` file."""
    return body.startswith(_ZIP)


def read_array(body: bytes, where: str = "$") -> Array:
    """Return the array of a `.npy` file; it shares the file's memory.

    Raises:
        RequestError: It is no such file, it holds objects, or its length is not that of its shape.
    """
    if not body.startswith(_MAGIC) or len(body) < 10 or body[6] not in (1, 2, 3):
        raise _fault("the body is no .npy file", where, "the bytes \\x93NUMPY, then a version from 1 to 3")
    start = 10 if body[6] == 1 else 12
    length = int.from_bytes(body[8:start], "little")
    if length > _MOST_HEADER or start + length > len(body):
        raise _fault("the header of the .npy file is cut off or too long", where, f"up to {_MOST_HEADER} bytes")
    dtype, is_fortran, shape = _header(body[start : start + length], where)
    count = math.prod(shape)
    if math.prod(size or 1 for size in shape) * dtype.itemsize > _MOST_BYTES:
        raise _fault("the shape of the .npy file is too large", where, "a shape that NumPy has", str(list(shape)))
    if count * dtype.itemsize != len(body) - start - length:
        raise _fault(
            "the .npy file is cut off, or goes on",
            where,
            f"{count * dtype.itemsize} bytes for shape {list(shape)}",
            f"{len(body) - start - length} bytes",
        )
    array: Array = np.frombuffer(body, dtype, count, start + length) if count else np.empty(0, dtype)
    if dtype.kind == "b" and count:
        array = array.view(np.uint8) != 0  # any byte may have come
    elif dtype.kind == "U" and count:
        _check_text(array, where)
    array = array.reshape(shape, order="F" if is_fortran else "C")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _check_text(array: Array, where: str) -> None:
    """Refuse numbers that stand for no character."""
    points = array.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    if points.max() > _LAST_CHARACTER:
        raise _fault("the .npy file holds text that is none", where, "characters of Unicode")


@functools.lru_cache(512)
def _header(text: bytes, where: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    found = _HEADER.fullmatch(text.decode("latin-1"))
    entries = (
        {} if found is None else {k[3:]: v for k, v in found.groupdict().items() if v is not None and k[3:] != "q"}
    )
    if len(entries) != 3:
        raise _fault("the header of the .npy file is malformed", where, "descr, fortran_order and shape")
    axes = [axis.strip().rstrip("L") for axis in entries["shape"].split(",") if axis.strip()]
    if len(axes) > _MOST_AXES or not all(axis.isdigit() and len(axis) < 19 for axis in axes):
        raise _fault("the shape of the .npy file is malformed", where, f"up to {_MOST_AXES} whole numbers")
    return _dtype(entries["descr"], where), entries["order"] == "True", tuple(map(int, axes))


@functools.lru_cache(256)
def _dtype(descr: str, where: str) -> np.dtype[Any]:
    code = descr.lstrip("<>=|")
    if code == "V2":  # how bfloat16 is written, which NumPy has no letter for
        return np.dtype("bfloat16")
    if code[0] not in "biufSU":
        reason = (
            "objects are pickles, which are never read" if code[0] == "O" else f"dtype {descr} is none of a model's"
        )
        raise _fault(reason, where, "numbers, booleans or strings of fixed length")
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise _fault(f"dtype {descr} is unknown", where, "a dtype of NumPy") from error
    if not dtype.itemsize or (dtype.kind == "f" and dtype.itemsize > 8):
        raise _fault(f"dtype {descr} is none of a model's", where, "a dtype of known size")
    return dtype


def read_archive(body: bytes, most_bytes: int) -> dict[str, Array]:
    """Return the arrays of a `.npz` file by name.

    Args:
        body: The file.
        most_bytes: How large all its arrays may be together, unpacked.

    Raises:
        RequestError: It is no such file, or too large once unpacked.
    """
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > most_bytes:
                raise _fault("the .npz file is too large once unpacked", "$", f"up to {most_bytes} bytes")
            for member in members:
                name = member.filename.removesuffix(".npy")
                stored = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                if name == member.filename or name in arrays or not stored or member.flag_bits & 1:
                    raise _fault("the .npz file has a member that is no array", "$", "NAME.npy, each once", name[:64])
                # Read up to the size that is told, so that no more is unpacked than was counted above.
                with archive.open(member) as file:
                    arrays[name] = read_array(file.read(member.file_size), f"$.{name}")
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise _fault(f"the .npz file is damaged: {error}", "$", "a file that numpy.savez wrote") from error
    return arrays


def write_array(array: Array) -> bytes:
    """Return an array as a `.npy` file."""
    array = _plain(array)
    return b"".join((_head(array.dtype.str, array.shape), array.tobytes()))


def write_archive(arrays: Mapping[str, Array]) -> bytes:
    """Return arrays as a `.npz` file, not compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), write_array(array))
    return file.getvalue()


@functools.lru_cache(512)
def _head(descr: str, shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    space = -(len(text) + 11) % 64
    return _MAGIC + b"\x01\x00" + (len(text) + space + 1).to_bytes(2, "little") + text.encode() + b" " * space + b"\n"


def _plain(array: Array) -> Array:
    """Return an array in a dtype that every reader of `.npy` knows: bfloat16 as float32, strings of fixed length."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind != "O":
        return array
    try:
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise RequestError(
            "an output holds bytes that are no text, which .npy has no form for", fix="accept application/json"
        ) from error
    return np.array(texts, np.str_).reshape(array.shape)


def _fault(summary: str, where: str, expected: str, received: str | None = None) -> RequestError:
    return RequestError(summary, where=where, expected=expected, received=received)
