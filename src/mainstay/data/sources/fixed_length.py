"""Files of records of one length as a source: any of them is found by arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import DataError, TensorSpec
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.sources.files import FileList
from mainstay.data.sources.source import RandomAccess, Stream
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure
from mainstay.io import ByteStream, Codec, MappedFile, binary_from_parts, gather


@dataclass(frozen=True)
class RecordLayout:
    """Where the records of a file are.

    Args:
        record: The length of each, in bytes.
        header: How many bytes come before them.
        footer: How many bytes come after them.
    """

    record: int
    header: int
    footer: int


class FixedLengthRows(RandomAccess):
    """The records of files that are not compressed.

    Args:
        files: The files.
        layout: Where the records are.

    Raises:
        DataError: A file does not hold a whole number of records.
    """

    def __init__(self, files: FileList, layout: RecordLayout) -> None:
        self.files, self.layout, self.name = files, layout, files.title
        self._mapped = [MappedFile(path) for path in files.paths]
        counts = []
        for file in self._mapped:
            body = file.size - layout.header - layout.footer
            if body < 0 or body % layout.record:
                raise _broken(file.path, layout, file.size)
            counts.append(body // layout.record)
        self._bounds: Array = np.cumsum([0, *counts]).astype(np.int64)

    @property
    def spec(self) -> Structure:
        """One string."""
        return TensorSpec((), "string")

    def __len__(self) -> int:
        return int(self._bounds[-1])

    @property
    def row_bytes(self) -> int:
        """The length of a record."""
        return self.layout.record

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and where the records are."""
        return [self.files.fingerprint(), self.layout.record, self.layout.header, self.layout.footer]

    def content(self) -> Any:
        """Places, sizes and times of the files, and where the records are."""
        return [self.files.content(), *self.fingerprint()[1:]]

    def load(self, indices: Array) -> Chunk:
        """Return some records."""
        owners = np.searchsorted(self._bounds, indices, "right") - 1
        size = self.layout.record
        data = np.empty((len(indices), size), np.uint8)
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            rows = indices[places] - self._bounds[owner]
            body = self._mapped[owner].data()[self.layout.header :]
            data[places] = body[: len(body) // size * size].reshape(-1, size)[rows]
        offsets = np.arange(len(indices) + 1, dtype=np.int64) * size
        column = binary_from_parts(data.reshape(-1), offsets if offsets[-1] > 2**31 - 1 else offsets.astype(np.int32))
        return Chunk(0, (column,), len(indices), Origin(self._describe, indices))

    def _describe(self, index: int) -> str:
        owner = int(np.searchsorted(self._bounds, index, "right")) - 1
        return f"{self.files.paths[owner]}, record {index - int(self._bounds[owner]):,}"


class FixedLengthStream(Stream):
    """The records of compressed files.

    Args:
        files: The files.
        layout: Where the records are.
        codec: How the files are compressed.
        block_bytes: How much is read at a time.
    """

    is_columnar = True
    reads_again = True

    def __init__(self, files: FileList, layout: RecordLayout, codec: Codec, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self.files, self.layout, self.codec, self.name = files, layout, codec, files.title

    @property
    def spec(self) -> Structure:
        """One string."""
        return TensorSpec((), "string")

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and where the records are."""
        layout = self.layout
        return [self.files.fingerprint(), layout.record, layout.header, layout.footer, self.codec]

    def content(self) -> Any:
        """Places, sizes and times of the files, and where the records are."""
        return [self.files.content(), *self.fingerprint()[1:]]

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield blocks of records. The state is the number of the file, and how many of its records were read."""
        first, done = state or (0, 0)
        size = self.layout.record
        count = max(1, min(rows, self._block_bytes // size))
        for index in range(first, len(self.files.paths)):
            with ByteStream(self.files.paths[index], self.codec, self.layout.header + done * size) as stream:
                rest = b""
                while True:
                    data = rest + stream.read(count * size + self.layout.footer - len(rest))
                    if stream.failure is not None:
                        raise stream.failure
                    body = len(data) - self.layout.footer
                    if body < 0 or body % size:
                        total = self.layout.header + done * size + len(data)
                        raise _broken(self.files.paths[index], self.layout, total)
                    if not body:
                        break
                    first_record, done = done, done + body // size
                    yield (index, first_record, data[:body]), [index, done]
                    rest = data[body:]
            done = 0

    def load(self, address: Any) -> Chunk:
        """Return the records of a block."""
        index, first, data = address
        count = len(data) // self.layout.record
        starts = np.arange(count, dtype=np.int64) * self.layout.record
        column = gather(np.frombuffer(data, np.uint8), starts, np.full(count, self.layout.record, np.int64))
        path = self.files.paths[index]
        return Chunk(0, (column,), count, Origin(lambda row: f"{path}, record {row:,}", range(first, first + count)))


def _broken(path: Any, layout: RecordLayout, size: int) -> DataError:
    return DataError(
        "the file does not hold a whole number of records",
        where=path,
        expected=f"{layout.header} bytes, records of {layout.record} bytes, and {layout.footer} bytes",
        received=f"{size:,} bytes",
        fix="check record_bytes, header_bytes and footer_bytes, and that the file is whole",
    )
