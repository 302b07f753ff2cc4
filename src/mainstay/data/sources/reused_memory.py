"""Memory of large arrays that serves again, once nobody holds the array or a view of it any more.

The pages of a new array are cleared when they are first written, which for a batch of pictures in float32 takes a good
part of the time that decoding them takes.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from mainstay.data.columns import Array

_LEAST_BYTES = 1 << 20
_MOST_SPARE = 2


class ReusedMemory:
    """Gives arrays of any content; what they lie in is used again after they are gone.

    Threads may share one. A copy, in this process or another, begins with no memory.
    """

    def __init__(self) -> None:
        self._spare: deque[Array] = deque(maxlen=_MOST_SPARE)

    def __reduce__(self) -> tuple[Any, ...]:
        return ReusedMemory, ()

    def array(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new array, contiguous and with any content.

        Args:
            shape: Its shape.
            dtype: Its type, of numbers.
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < _LEAST_BYTES:
            return np.empty(shape, dtype)
        return np.asarray(_Loan(self._memory(size), self._spare, shape, dtype))

    def _memory(self, size: int) -> Array:
        while True:
            try:
                memory = self._spare.pop()
            except IndexError:
                return np.empty(size, np.uint8)
            if size <= memory.size <= 2 * size:
                return memory


class _Loan:
    """What an array and its views hold on to: with the last of them it goes, and gives the memory back."""

    def __init__(self, memory: Array, spare: deque[Array], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._memory, self._spare = memory, spare
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (memory.ctypes.data, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._spare.append(self._memory)  # in place of the oldest, where there are enough
