"""Memory that two processes share, without a name: a descriptor travels, and when the last view dies it is gone.

Nothing can be left behind in the file system or in ``/dev/shm``, however a process ends.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from typing import Any

import numpy as np

from mainstay.data.columns import Array

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


def new_memory(size: int) -> int:
    """Return the descriptor of so many bytes of memory that has no name.

    Raises:
        OSError: There is no memory, or there are too many open files.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mainstay-data", os.MFD_CLOEXEC)
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class _Mapping:
    """Memory of a descriptor, mapped as long as an array looks at it.

    Unlike Python's `mmap` it keeps no descriptor open: of those a process has few.
    """

    def __init__(self, descriptor: int, size: int, flags: int) -> None:
        self._unmap, self._size = _libc.munmap, size
        self._address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor, 0)
        if self._address == _FAILED:
            self._address = None
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.__array_interface__ = {"data": (self._address, False), "shape": (size,), "typestr": "|u1", "version": 3}

    def __del__(self) -> None:
        if self._address is not None:
            self._unmap(self._address, self._size)


def map_memory(descriptor: int, size: int, *, is_private: bool = False) -> Array:
    """Return the memory of a descriptor as bytes (uint8) that live as long as an array looks at them.

    Args:
        descriptor: The descriptor; it may be closed afterwards.
        size: How many bytes.
        is_private: Whether what is written stays in this process.

    Raises:
        OSError: It cannot be mapped.
    """
    if not size:
        return np.empty(0, np.uint8)
    if is_private:
        return np.asarray(_Mapping(descriptor, size, mmap.MAP_PRIVATE))
    return np.asarray(_Mapping(descriptor, size, mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)))


def write_memory(size: int, parts: list[tuple[int, Any]]) -> int:
    """Return the descriptor of memory with some buffers in it.

    Args:
        size: How many bytes there are.
        parts: Where each buffer goes, and the buffer.

    Raises:
        OSError: There is no memory, or there are too many open files.
    """
    descriptor = new_memory(max(size, 1))
    try:
        place(map_memory(descriptor, size), parts)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def place(memory: Array, parts: list[tuple[int, Any]]) -> None:
    """Copy buffers to places in memory."""
    for offset, buffer in parts:
        data = np.frombuffer(buffer, np.uint8)
        memory[offset : offset + data.size] = data
