"""The types of CSV columns by the rules of `tf.data.experimental`: the narrowest of five that takes every value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.data.sources.csv_parsing import CsvColumn, CsvParser
from mainstay.io import CsvFile, read_csv_blocks

_KINDS = ("int32", "int64", "float32", "float64", "string")


def infer_kinds(
    parts: tuple[CsvFile, ...], names: tuple[str, ...], missing: tuple[str, ...], num_rows: int | None
) -> dict[str, str]:
    """Return the dtype of each column: int32, int64, float32, float64 or string; string where every value is missing.

    Args:
        parts: The files.
        names: The columns.
        missing: The texts that say that a value is missing.
        num_rows: How many rows to look at; None for all.

    Raises:
        DataError: A row has too many or too few fields.
    """
    parser = CsvParser(tuple(CsvColumn(name, "string", b"") for name in names))
    absent = pa.array([text.encode() for text in missing], pa.binary())
    found, seen = dict.fromkeys(names, 0), 0
    empty = set(names)

    def kinds() -> dict[str, str]:
        return {name: "string" if name in empty else _KINDS[place] for name, place in found.items()}

    for part in parts:
        for block in read_csv_blocks(part, lambda: 1 << 20):
            columns = parser(block)
            for name, column in zip(names, columns, strict=True):
                texts = column if num_rows is None else column.slice(0, num_rows - seen)
                texts = texts.filter(pc.invert(pc.is_in(texts, absent)))
                if len(texts):
                    empty.discard(name)
                while not _fits(texts, _KINDS[found[name]]):
                    found[name] += 1
            seen += len(columns[0])
            if num_rows is not None and seen >= num_rows:
                return kinds()
    return kinds()


def _fits(texts: pa.Array, kind: str) -> bool:
    if kind == "string" or not len(texts):
        return True
    try:
        values = texts.cast(pa.string()).cast(getattr(pa, kind)())
    except (pa.ArrowException, UnicodeDecodeError):
        return False
    if kind != "float32":
        return True
    wide = texts.cast(pa.string()).cast(pa.float64())
    return bool((np.isfinite(values.to_numpy()) == np.isfinite(wide.to_numpy())).all())
