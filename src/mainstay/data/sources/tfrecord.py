"""TFRecord files as a source: read from the beginning at once, or at any record when an order asks for that."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, RecordDamageError, TensorSpec
from mainstay.data.chunks import Chunk, Origin, join
from mainstay.data.columns import Array
from mainstay.data.sources.files import FileList
from mainstay.data.sources.skipping import Skipped
from mainstay.data.sources.source import RandomAccess, Stream
from mainstay.data.specs import spec_of_chunk
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure
from mainstay.io import (
    Codec,
    FixedLenSequenceFeature,
    RaggedFeature,
    RecordBlock,
    RecordIndex,
    Spans,
    binary_parts,
    check_records,
    gather,
    parse_records,
    plan_examples,
    read_record_blocks,
)

_BLOCK_BYTES = 1 << 22


class Decoding:
    """What becomes of the bytes of records: themselves, or the features of the tf.Examples that they are.

    Args:
        features: A specification for each feature; None for the bytes.

    Raises:
        ArgumentError: A specification is wrong.
    """

    def __init__(self, features: Mapping[str, Any] | None) -> None:
        self.features = None if features is None else {key: _of_one(key, spec) for key, spec in features.items()}
        self._plan = None if self.features is None else plan_examples(self.features)

    @functools.cached_property
    def spec(self) -> Structure:
        """The specs of the elements."""
        if self._plan is None:
            return TensorSpec((), "string")
        nothing = np.empty(0, np.int64)
        return spec_of_chunk(self(np.empty(0, np.uint8), nothing, nothing, "").plain())

    def __call__(self, data: Array, offsets: Array, lengths: Array, source: str, first: int = 0) -> Chunk:
        """Return the chunk of records that lie at some places of a buffer; bytes stay there, as `Spans`.

        Raises:
            DataError: A record is no Example, or lacks a feature.
        """
        if self._plan is None:
            return Chunk(0, (Spans(data, offsets, lengths),), len(offsets))
        columns = parse_records(data, offsets, lengths, self._plan, source=source, first_record=first)
        return Chunk.of(columns, len(offsets))


def _of_one(key: str, spec: Any) -> Any:
    """Return the specification for elements by themselves, which are not padded to the longest of a batch."""
    if not isinstance(spec, FixedLenSequenceFeature):
        return spec
    if spec.shape not in ((), []):
        raise ArgumentError(
            "sequences of arrays are parsed in batches only",
            where=f"features[{key!r}]",
            received=spec,
            fix="leave the features out, batch, and map parse_example",
        )
    return RaggedFeature(spec.dtype, value_key=key)


class TFRecordSource(Stream):
    """The records of TFRecord files.

    Args:
        files: The files.
        codec: How they are compressed.
        features: How to parse the records; None for their bytes.
        skipped: Counts damaged records, which are then left out; without it they are errors.
        block_bytes: How much is read at a time.
    """

    is_columnar = True
    reads_again = True

    def __init__(
        self,
        files: FileList,
        codec: Codec | None = None,
        *,
        features: Mapping[str, Any] | None = None,
        skipped: Skipped | None = None,
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        self.files, self.codec, self.block_bytes = files, codec, block_bytes
        self.decoding = Decoding(features)
        self.skipped = skipped
        self.name = files.title
        self._rows: TFRecordRows | None = None

    @property
    def spec(self) -> Structure:
        """One string, or what the features give."""
        return self.decoding.spec

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and how records are parsed."""
        return [self.files.fingerprint(), self.codec, str(self.decoding.features), self.skipped is not None]

    def content(self) -> Any:
        """Places, sizes and times of the files, and how records are parsed."""
        return [self.files.content(), *self.fingerprint()[1:]]

    def rows(self, limit: int | None = None) -> RandomAccess | None:
        """Return the records at any index: of files that are not compressed, unless damaged ones are left out."""
        if self.codec is not None or self.skipped is not None:
            return None
        if limit is not None:
            return self._rows or TFRecordRows(self.files, self.decoding, limit)
        if self._rows is None:
            self._rows = TFRecordRows(self.files, self.decoding)
        return self._rows

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield blocks of records. The state is the number of the file, the place in it, and the record's number."""
        return self.run_in_batches(state, epoch, rows, 1)

    def run_in_batches(self, state: State, epoch: Epoch, rows: int, batch: int) -> Iterator[tuple[Any, State]]:
        """Yield what `run` yields; of a block, what is more than a multiple of `batch` goes to the next one."""
        first, position, number = state or (0, 0, 0)
        rows = max(rows - rows % batch, min(rows, batch))
        for index in range(first, len(self.files.paths)):
            for block in self._blocks(self.files.paths[index], position, number, batch):
                for start in range(0, len(block), rows):
                    piece = block.cut(start, start + rows)
                    yield piece, [index, piece.end, piece.number + len(piece)]
            position = number = 0

    def _blocks(self, path: Path, position: int, number: int, batch: int) -> Iterator[RecordBlock]:
        sizes = {"block_bytes": self.block_bytes, "batch": batch}
        try:
            for block in read_record_blocks(path, self.codec, start=position, number=number, **sizes):
                yield block
                position = block.end
        except RecordDamageError as error:
            if self.skipped is None:
                raise
            self.skipped.add(path, position, error)

    def load(self, address: Any) -> Chunk:
        """Return the records of a block, once they match their checksums."""
        return self.load_in_place(address).plain()

    def load_in_place(self, address: Any) -> Chunk:
        """Return the records of a block as `Spans` of it, or what the features give."""
        block: RecordBlock = address
        numbers: Array | range = range(block.number, block.number + len(block))
        if self.skipped is None:
            block.check()
        elif bad := block.bad():
            for index in bad:
                self.skipped.add(block.path, block.position + int(block.offsets[index]), block.damage(index))
            block, numbers = block.without(bad)
        chunk = self.decoding(block.data, block.offsets, block.lengths, str(block.path), block.number)
        return Chunk(chunk.skeleton, chunk.columns, len(block), Origin(_Describe(block.path), numbers))


class _Describe:
    """Says where a record of a file is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, index: int) -> str:
        return f"{self.path}, record {index:,}"


class TFRecordRows(RandomAccess):
    """The records of TFRecord files at any index, out of the mapped files.

    Args:
        files: The files, not compressed.
        decoding: What becomes of the bytes.
        limit: How many records are wanted at most.

    Raises:
        DataError: A file is damaged.
    """

    def __init__(self, files: FileList, decoding: Decoding, limit: int | None = None) -> None:
        self.files, self.decoding, self.name = files, decoding, files.title
        self.index = RecordIndex(files.paths, limit)

    @property
    def spec(self) -> Structure:
        """One string, or what the features give."""
        return self.decoding.spec

    def __len__(self) -> int:
        return len(self.index)

    @property
    def row_bytes(self) -> int:
        """The size of a record."""
        return max(1, sum(self.files.sizes) // max(len(self), 1))

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and how records are parsed."""
        return [self.files.fingerprint(), str(self.decoding.features)]

    def span(self, start: int, stop: int) -> Chunk:
        """Return consecutive records."""
        chunks = []
        for block in self.index.span(start, stop):
            block.check()
            chunks.append(self.decoding(block.data, block.offsets, block.lengths, str(block.path), block.number))
        return self._addressed(join(chunks), range(start, stop)) if chunks else self._nothing()

    def load(self, indices: Array) -> Chunk:
        """Return the records at some indices."""
        if not len(indices):
            return self._nothing()
        parts, order = [], []
        for block, places in self.index.blocks(indices):
            parts.append(self._copied(block, indices[places]))
            order.append(places)
        data = np.concatenate([part[0] for part in parts])
        begins = np.cumsum([0, *(len(part[0]) for part in parts)])
        offsets, lengths = np.empty(len(indices), np.int64), np.empty(len(indices), np.int64)
        for (_, starts, sizes), places, begin in zip(parts, order, begins.tolist(), strict=False):
            offsets[places], lengths[places] = starts + begin, sizes
        return self._addressed(self.decoding(data, offsets, lengths, self.name), indices)

    def _copied(self, block: RecordBlock, indices: Array) -> tuple[Array, Array, Array]:
        """Return records of one file side by side, once they match their checksums: bytes, offsets and lengths.

        They lie far apart in the file: copying them first, checksums included, is quicker than working on them there.
        """
        data, bounds = binary_parts(gather(block.data, block.offsets, block.lengths + 4))
        offsets = bounds[:-1].astype(np.int64)
        wrong = check_records(data, offsets, block.lengths)
        if wrong >= 0:
            owner = int(np.searchsorted(self.index.bounds, indices[wrong], "right")) - 1
            number = int(indices[wrong] - self.index.bounds[owner])
            raise replace(block, number=number - wrong).damage(wrong)
        return data, offsets, block.lengths

    def _nothing(self) -> Chunk:
        nothing = np.empty(0, np.int64)
        return self.decoding(np.empty(0, np.uint8), nothing, nothing, "").plain()

    def _addressed(self, chunk: Chunk, indices: Array | range) -> Chunk:
        return Chunk(chunk.skeleton, chunk.plain().columns, len(indices), Origin(self._describe, indices))

    def _describe(self, index: int) -> str:
        owner = int(np.searchsorted(self.index.bounds, index, "right")) - 1
        return f"{self.files.paths[owner]}, record {index - int(self.index.bounds[owner]):,}"
