"""The optional C library, loaded once with ctypes: its functions run without the GIL, and without it NumPy serves.

To add a function: write it in a `.c` file of this folder (every one is compiled, none is listed anywhere), declare it
with ``MAINSTAY_EXPORT`` in a `.h` file of this folder, run ``python tools/build_native.py``, and fetch it where it is
called::

    permute = native_function("mainstay_permute", ctypes.c_int64, ADDRESS, ctypes.c_int64)
    if permute is None:
        ...  # the NumPy path, with the same result
    count = permute(address_of(indices), len(indices))

A call releases the GIL: the arrays that it is given must stay alive and must not be written by others meanwhile.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mainstay.core.errors import ArgumentError
from mainstay.core.native.interface import LIBRARY, abi_version

ADDRESS = ctypes.c_void_p
"""The type of an argument that is the address of an array: see `address_of`."""

_NOTHING = ctypes.c_char * 0
_FOLDER = Path(__file__).parent
_lock = threading.Lock()
_off = 0


def native_library() -> ctypes.CDLL | None:
    """Return the C library, or None where NumPy is to serve.

    Returns:
        The library; None where it was not built, where it was built of other headers than those beside this file, where
        the environment variable ``MAINSTAY_NATIVE`` was ``off`` when the process first asked, and in `without_native`.
    """
    return None if _off else _load()


def native_function(name: str, result: Any, *arguments: Any) -> Callable[..., Any] | None:
    """Return a function of the C library with its types declared, or None where NumPy is to serve.

    Args:
        name: The function's name in C.
        result: The ctypes type of what it returns.
        *arguments: The ctypes types of its arguments; `ADDRESS` for an array.

    Returns:
        The function, or None: the caller then takes its NumPy path.
    """
    library = native_library()
    return None if library is None else _declare(library, name, result, arguments)


def address_of(array: Any) -> int:
    """Return the address of a C-contiguous NumPy array, to hand it to a C function.

    Raises:
        ArgumentError: The array has gaps.
    """
    try:
        # A fraction of the time that NumPy's own way takes; refused where the array is read-only or has gaps.
        return ctypes.addressof(_NOTHING.from_buffer(array))
    except (TypeError, ValueError):
        pass
    if not array.flags.c_contiguous:
        raise ArgumentError("a C function is given contiguous arrays only", received=f"strides {array.strides}")
    return int(array.ctypes.data)


@contextmanager
def without_native() -> Iterator[None]:
    """Let NumPy serve in place of the C library inside the block, in every thread of the process.

    >>> with without_native():
    ...     native_library()
    """
    global _off
    with _lock:
        _off += 1
    try:
        yield
    finally:
        with _lock:
            _off -= 1


@functools.cache
def _load() -> ctypes.CDLL | None:
    if os.environ.get("MAINSTAY_NATIVE") == "off":
        return None
    try:
        library = ctypes.CDLL(str(_FOLDER / LIBRARY))
        version = library.mainstay_abi_version
    except (OSError, AttributeError):
        return None
    version.restype, version.argtypes = ctypes.c_uint64, []
    return library if version() == abi_version(_FOLDER) else None


@functools.cache
def _declare(library: ctypes.CDLL, name: str, result: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]
