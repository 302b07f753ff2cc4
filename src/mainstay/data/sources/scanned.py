"""Files of text in blocks that can be read in any order: the cuts between records are found by reading it all once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mainstay.core import DataError, storage_errors
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.sources.files import FileList, stamp_of
from mainstay.data.sources.source import Blocks, Source
from mainstay.data.structures import Structure
from mainstay.io import count_lines

SCANNED_BYTES = 1 << 18
"""How large blocks are that are read in any order: small ones are mixed better."""


class ScannedBlocks(Blocks):
    """The elements of a source of text files in blocks.

    Args:
        source: The source whose elements they are.
        files: Its files, not compressed.
        scan: Gives the blocks of a file, by its number: where each begins, and its bytes.
        load: Makes a chunk of a block: the number of the file, where the block begins, and its bytes.
    """

    def __init__(
        self,
        source: Source,
        files: FileList,
        scan: Callable[[int], Iterator[tuple[int, bytes]]],
        load: Callable[[int, int, bytes], Chunk],
    ) -> None:
        self.name = source.name
        self._source, self._files, self._load = source, files, load
        self._times = [stamp_of(path) for path in files.paths]
        found = [
            (index, start, len(data), max(1, count_lines(data)))
            for index in range(len(files.paths))
            for start, data in scan(index)
        ]
        self._places: Array = np.array(found, np.int64).reshape(-1, 4)

    @property
    def spec(self) -> Structure:
        """That of the source."""
        return self._source.spec

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return len(self._places)

    def block_rows(self, block: int) -> int:
        """Return how many lines a block has: about as many as it has elements."""
        return int(self._places[block, 3])

    def fingerprint(self) -> Any:
        """That of the source."""
        return self._source.fingerprint()

    def content(self) -> Any:
        """That of the source."""
        return self._source.content()

    def load_block(self, block: int) -> Chunk:
        """Return the elements of a block.

        Raises:
            DataError: The file has changed, or a row does not fit.
        """
        index, start, size, _ = self._places[block].tolist()
        path = self._files.paths[index]
        with storage_errors(path, "read"), open(path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), size, start)
        if len(data) != size or stamp_of(path) != self._times[index]:
            raise DataError("the file changed while it was read", where=path, fix="read a copy that nobody writes to")
        return self._load(index, start, data)
