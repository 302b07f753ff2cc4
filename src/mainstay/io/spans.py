"""Strings that stay where they lie, such as records in the bytes of their file, for what reads them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.io.record_index import gather


@dataclass(frozen=True, eq=False)
class Spans:
    """Strings by their places in a buffer, which may have anything between them.

    Args:
        data: The buffer, ``[bytes]`` uint8.
        offsets: Where the strings begin, ``[n]`` int64; they are known to lie inside the buffer.
        lengths: How long they are, ``[n]`` int64.
    """

    data: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, rows: slice) -> Spans:
        return Spans(self.data, self.offsets[rows], self.lengths[rows])

    @property
    def nbytes(self) -> int:
        """How many bytes the strings have."""
        return int(self.lengths.sum())

    def gathered(self) -> Any:
        """Return the strings as an Arrow array of bytes: a copy, one behind the other."""
        return gather(self.data, self.offsets, self.lengths)
