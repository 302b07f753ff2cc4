"""Statistics of a whole table in one pass: every column at once, in bounded memory, mergeable across shards."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeAlias

import pyarrow as pa

from mainstay.core import ArgumentError, DataError
from mainstay.statistics.columns import ColumnAccumulator, column_accumulator, column_from_bytes, column_kind
from mainstay.statistics.results import TableStatistics
from mainstay.statistics.state import pack, unpack

Chunks: TypeAlias = list[pa.Array]

_KIND = "table/1"
_BLOCK_ROWS = 65536


class TableAccumulator:
    """Statistics of all columns of a table.

    Rows are taken in by blocks of 65,536, whatever the sizes of the batches they come in: the same rows in the same
    order give bit-identical statistics, however they are cut and however many threads work.

    Args:
        schema: Names and types of the columns: int64, float64, float32, boolean, timestamp[us], null and strings,
            plain or dictionary-encoded.
        num_threads: How many columns are worked on at once.

    Raises:
        DataError: A type is not supported, or two columns have the same name.
    """

    def __init__(self, schema: pa.Schema, *, num_threads: int = 1) -> None:
        if num_threads < 1:
            raise ArgumentError("statistics need a thread", expected="1 or more", received=num_threads)
        self._num_threads = num_threads
        self._kinds = _kinds(schema)
        self._columns = {name: column_accumulator(kind) for name, kind in self._kinds.items()}
        self._num_rows = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in rows.

        Raises:
            DataError: The columns' names, order or kinds are not those of the schema.
        """
        if list(_kinds(batch.schema).items()) != list(self._kinds.items()):
            raise DataError(
                "a batch does not have the columns of the table",
                expected=", ".join(f"{name}: {kind}" for name, kind in self._kinds.items()),
                received=", ".join(f"{field.name}: {field.type}" for field in batch.schema),
            )
        while batch.num_rows:
            head = batch.slice(0, _BLOCK_ROWS - self._pending_rows)
            batch = batch.slice(head.num_rows)
            self._pending.append(head)
            self._pending_rows += head.num_rows
            if self._pending_rows == _BLOCK_ROWS:
                self._settle()

    def merge(self, other: TableAccumulator) -> None:
        """Take in all that `other` took in, as rows that follow the own ones.

        Raises:
            DataError: The columns of the two differ.
        """
        if list(other._kinds.items()) != list(self._kinds.items()):
            raise DataError(
                "statistics of different tables cannot be merged", expected=self._kinds, received=other._kinds
            )
        self._settle()
        other = other._settled()
        for name, column in self._columns.items():
            column.merge(other._columns[name])
        self._num_rows += other._num_rows

    def result(self, *, num_histogram_buckets: int = 10) -> TableStatistics:
        """Return the statistics of everything taken in so far; more rows may follow.

        Args:
            num_histogram_buckets: Buckets of each column's histogram of equally wide ones.
        """
        settled = self._settled()
        columns = {name: column.result(num_histogram_buckets) for name, column in settled._columns.items()}
        return TableStatistics(settled._num_rows, columns)

    def to_bytes(self) -> bytes:
        """Return the state as bytes for `from_bytes`; they hold no row but the values that statistics name."""
        settled = self._settled()
        columns = {str(index): column.to_bytes() for index, column in enumerate(settled._columns.values())}
        scalars = {"num_rows": settled._num_rows, "columns": json.dumps(list(self._kinds.items()))}
        return pack(_KIND, scalars, columns)

    @classmethod
    def from_bytes(cls, data: bytes, *, num_threads: int = 1) -> TableAccumulator:
        """Return the accumulator that `to_bytes` wrote.

        Raises:
            FormatError: The bytes are not such a state.
        """
        state = unpack(data, _KIND)
        table = cls(pa.schema([]), num_threads=num_threads)
        table._num_rows = state.integer("num_rows")
        try:
            table._kinds = {str(name): str(kind) for name, kind in json.loads(state.text("columns"))}
        except (ValueError, TypeError) as error:
            raise state.fault("its columns are damaged") from error
        for index, (name, kind) in enumerate(table._kinds.items()):
            if kind not in ("int", "float", "bool", "string", "timestamp", "null"):
                raise state.fault(f"the kind of the column {name} is unknown")
            table._columns[name] = column_from_bytes(kind, state.child(str(index)))
        return table

    def _settled(self) -> TableAccumulator:
        """Return this accumulator with nothing pending; itself where nothing is, so that reading changes nothing."""
        if not self._pending_rows:
            return self
        twin = TableAccumulator(pa.schema([]), num_threads=self._num_threads)
        twin._kinds = self._kinds
        twin._columns = {name: column.copy() for name, column in self._columns.items()}
        twin._num_rows, twin._pending, twin._pending_rows = self._num_rows, list(self._pending), self._pending_rows
        twin._settle()
        return twin

    def _settle(self) -> None:
        if not self._pending_rows:
            return
        batches, rows = self._pending, self._pending_rows
        self._pending, self._pending_rows = [], 0
        jobs = [
            (column, [batch.column(index) for batch in batches]) for index, column in enumerate(self._columns.values())
        ]
        with ThreadPoolExecutor(self._num_threads) if self._num_threads > 1 else nullcontext() as executor:
            list(map(_update, jobs) if executor is None else executor.map(_update, jobs))
        self._num_rows += rows


def _update(job: tuple[ColumnAccumulator, Chunks]) -> None:
    column, chunks = job
    column.update(chunks)


def _kinds(schema: pa.Schema) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for field in schema:
        kind = column_kind(field.type)
        if kind is None:
            raise DataError(
                "statistics of a column of this type are not known",
                where=f"column {field.name!r}",
                expected="int64, float64, float32, bool, string, timestamp[us] or null",
                received=field.type,
                fix="cast the column or leave it out",
            )
        if field.name in kinds:
            raise DataError("two columns have the same name", where=f"column {field.name!r}", fix="rename one of them")
        kinds[field.name] = kind
    return kinds
