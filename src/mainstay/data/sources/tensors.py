"""One element as a source."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import digest_json
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.snapshots.fingerprints import digest_chunk
from mainstay.data.sources.arrays import as_tensorflow_does
from mainstay.data.sources.elements import leaf_of, promise_of
from mainstay.data.sources.source import RandomAccess
from mainstay.data.structures import Structure, flatten, map_structure


class TensorsSource(RandomAccess):
    """A single element.

    Args:
        element: Arrays, numbers, text, lists or `Ragged` in any structure; with no leaf it is an element all the same.

    Raises:
        DataError: A leaf holds neither numbers nor strings.
    """

    name = "tensors"

    def __init__(self, element: Structure) -> None:
        element = map_structure(tensor_of, element)
        promise = promise_of(element)
        self._spec = promise.specs
        self._chunk = promise.chunk([flatten(element)], Origin(lambda _: "the element", range(1))).frozen()

    @property
    def spec(self) -> Structure:
        """The specs of the element."""
        return self._spec

    def __len__(self) -> int:
        return 1

    def load(self, indices: Array) -> Chunk:
        """Return the element as often as its index comes."""
        return self._chunk.take(indices)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the element, without a copy."""
        return self._chunk.cut(start, stop)

    @property
    def row_bytes(self) -> int:
        """The size of the element."""
        return max(1, self._chunk.nbytes)

    def fingerprint(self) -> Any:
        """What the element is."""
        return ["tensors", str(self.spec)]

    def content(self) -> Any:
        """The digest of the element."""
        return [*self.fingerprint(), digest_json(digest_chunk(self._chunk))]


def tensor_of(value: Any) -> Any:
    """Return a value as `tf.constant` has it: Python's numbers, and lists of them, in 32 bits if they fit."""
    leaf = leaf_of(value)
    return as_tensorflow_does(value, leaf) if isinstance(leaf, np.ndarray) else leaf


def argument_of(value: Any) -> Any:
    """Return an argument of a generator as TensorFlow hands it over: an array, a NumPy scalar or bytes."""
    leaf = tensor_of(value)
    return leaf[()] if isinstance(leaf, np.ndarray) and not leaf.ndim else leaf
