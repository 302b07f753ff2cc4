"""Ingestion: one pass over the user's files that types the rows, drops those without a label and splits the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import DataError, track, write_json
from mainstay.io import ArrowWriter, hash_rows, open_table
from mainstay.pipeline.components.label import require_columns

SPLITS = ("train", "validation", "eval")
SHARES = {"train": 70, "validation": 10, "eval": 20}
"""Of each hundred hash buckets: what fits the weights, what stops the training, what is measured at the end."""

MIN_ROWS = 20


class _SplitWriter:
    """Writes each row to the split that its content hash names; the same row lands in the same split for ever."""

    def __init__(self, folder: Path, schema: pa.Schema, label: str) -> None:
        self._label = label
        self._writers = {split: ArrowWriter(folder / f"{split}.arrow", schema) for split in SPLITS}
        self._rows = dict.fromkeys(SPLITS, 0)
        self._unlabelled = 0
        self._limits = np.cumsum([SHARES[split] for split in SPLITS])

    def write(self, batch: pa.RecordBatch) -> None:
        labelled = _has_value(batch.column(self._label))
        kept = batch.num_rows if labelled is None else pc.sum(labelled).as_py() or 0
        if kept < batch.num_rows:
            self._unlabelled += batch.num_rows - kept
            batch = batch.filter(labelled)
        buckets = hash_rows(batch) % np.uint64(100)
        split_of = np.searchsorted(self._limits, buckets.astype(np.int64), side="right")
        for index, split in enumerate(SPLITS):
            rows = np.flatnonzero(split_of == index)
            if len(rows):
                self._rows[split] += len(rows)
                self._writers[split].write(batch.take(pa.array(rows)))

    def close(self) -> dict[str, Any]:
        for writer in self._writers.values():
            writer.close()
        return {"rows": self._rows, "rows_without_label": self._unlabelled}

    def abort(self) -> None:
        for writer in self._writers.values():
            writer.abort()


def _has_value(column: pa.Array) -> pa.Array | None:
    """Return which rows have a value that is not NaN, or None where all have."""
    if pa.types.is_floating(column.type):
        known = pc.fill_null(pc.invert(pc.is_nan(column)), False)
        return None if pc.all(known).as_py() else known
    return column.is_valid() if column.null_count else None


def ingest_table(location: Any, *, label: str, exclude: Sequence[str], folder: Path) -> None:
    """Read a table once and write ``train.arrow``, ``validation.arrow``, ``eval.arrow`` and ``summary.json``.

    Args:
        location: A file, a glob, a folder or a sequence of those.
        label: The label's column; rows without it are dropped and counted.
        exclude: Columns to leave out.
        folder: Where the files go.

    Raises:
        ArgumentError: The label or an excluded column does not exist.
        DataError: The files cannot be read as a table, or too few rows have a label.
    """
    names = open_table(location).column_names
    require_columns([label], names, option="--label")
    require_columns(exclude, names, option="--exclude")
    if label in exclude:
        raise DataError("the label cannot be left out", where="--exclude", received=label, fix="drop it from --exclude")
    table = open_table(location, exclude=tuple(exclude))
    folder.mkdir(parents=True, exist_ok=True)
    with track("Reading", unit="rows") as progress:

        def make_sink(schema: pa.Schema) -> _Counting:
            progress.done = 0
            return _Counting(_SplitWriter(folder, schema, label), progress)

        summary = table.scan(make_sink)
    summary["columns"] = [name for name in names if name not in exclude]
    _check(summary, label)
    write_json(folder / "summary.json", summary)


class _Counting:
    def __init__(self, sink: _SplitWriter, progress: Any) -> None:
        self._sink, self._progress = sink, progress
        self.close, self.abort = sink.close, sink.abort

    def write(self, batch: pa.RecordBatch) -> None:
        self._sink.write(batch)
        self._progress.advance(batch.num_rows)


def _check(summary: dict[str, Any], label: str) -> None:
    rows, unlabelled = summary["rows"], summary["rows_without_label"]
    total = sum(rows.values())
    if total == 0 and unlabelled:
        raise DataError(
            "the label is missing in every row",
            where=f"column {label!r}",
            expected=f"a value in {MIN_ROWS} rows or more",
            received=f"none in {unlabelled:,} rows",
            fix="choose another label",
        )
    if total >= MIN_ROWS and not all(rows.values()):
        raise DataError(
            "too few rows differ from each other to train on some and measure on others",
            expected="rows that differ: equal rows always fall on the same side of the split",
            received=f"{total:,} rows, of which the splits got {rows}",
            fix="add rows or columns that differ",
        )
    if total < MIN_ROWS:
        raise DataError(
            "there are too few rows to train on some and measure on others",
            expected=f"{MIN_ROWS} different rows with a label, better some hundreds",
            received=f"{total:,} rows" + (f" and {unlabelled:,} without a label" if unlabelled else ""),
            fix="add rows",
        )
