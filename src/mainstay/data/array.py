"""What iteration gives: NumPy arrays and bytes that also answer to `numpy()`, as the elements of `tf.data` do."""

from __future__ import annotations

from typing import Any

import numpy as np


class Array(np.ndarray[Any, Any]):
    """A NumPy array with TensorFlow's `numpy` method.

    >>> np.arange(3).view(Array).numpy()
    array([0, 1, 2])
    """

    def numpy(self) -> Any:
        """Return a plain NumPy array, or a NumPy scalar where there is no axis."""
        return self.view(np.ndarray) if self.ndim else self[()]


class Text(bytes):
    """Bytes with TensorFlow's `numpy` method.

    >>> Text(b"a").numpy()
    b'a'
    """

    __slots__ = ()

    shape = ()

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
