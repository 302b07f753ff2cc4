"""What iteration gives: NumPy arrays and bytes that also answer to `numpy()`, as the elements of `tf.data` do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Array(np.ndarray[Any, Any]):
    """A NumPy array with TensorFlow's `numpy` method.

    >>> array = np.arange(3).view(Array)
    >>> array.numpy(), array[1].numpy(), (array[1] + 1).numpy()
    (array([0, 1, 2]), np.int64(1), np.int64(2))
    """

    def numpy(self) -> Any:
        """Return a plain NumPy array, or a NumPy scalar where there is no axis."""
        plain = self.view(np.ndarray)
        return plain if self.ndim else plain[()]

    def __getitem__(self, key: Any) -> Any:
        """Return a part of the array; a single number and a single string answer to `numpy()` too."""
        item = super().__getitem__(key)
        if isinstance(item, np.generic):
            return np.asarray(item).view(Array)
        return Text(item) if type(item) is bytes else item

    def __iter__(self) -> Iterator[Any]:
        """Return what the first axis holds, one after the other."""
        return super().__iter__() if self.ndim != 1 else (self[index] for index in range(len(self)))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return what arithmetic gives, a single number as an array without axes."""
        return array.view(Array)


class Text(bytes):
    """Bytes with TensorFlow's `numpy` method.

    >>> Text(b"a").numpy()
    b'a'
    """

    __slots__ = ()

    shape = ()
    dtype = np.dtype(object)

    def numpy(self) -> bytes:
        """Return plain bytes."""
        return bytes(self)


class Count(int):
    """A number of elements with TensorFlow's `numpy` method.

    >>> Count(3).numpy() + 1
    np.int64(4)
    """

    def numpy(self) -> np.int64:
        """Return a NumPy scalar."""
        return np.int64(self)
