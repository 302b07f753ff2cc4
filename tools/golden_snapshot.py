"""Writes the snapshots that every later version must load: `python tools/golden_snapshot.py`, once per format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from mainstay.data import Dataset
from mainstay.io import Ragged

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "snapshots"


def rows() -> dict[str, Any]:
    """Six rows of every kind of column."""
    return {
        "number": np.array([0, -1, 2**62, 3, 4, 5], np.int64),
        "half": (np.arange(12).reshape(6, 2) / 3).astype(np.float16),
        "brain": (np.arange(6) / 7).astype(ml_dtypes.bfloat16),
        "flag": np.array([True, False, True, True, False, False]),
        "empty": np.zeros((6, 0), np.float32),
        "text": ["", "ä", b"\x00\xff", "four", "five", "six"],
        "lists": (Ragged.from_rows([[1], [], [2, 3], [4], [], [5]], "int32"), None),
        "words": Ragged.from_rows([[b"a"], [], [b"b", b""], [b"c"], [], [b"d"]]),
        "deep": Ragged.from_rows(
            [Ragged.from_rows([[1.5] * k for k in range(n)], "float64") for n in (3, 0, 1, 2, 0, 1)]
        ),
    }


def datasets() -> dict[str, Dataset]:
    """What is saved, by name."""

    def loose(row: Any) -> Any:
        return {"image": np.full((int(row["number"]) % 3 + 1, 2), 7, np.uint8), "text": row["text"]}

    plain = Dataset.from_tensor_slices(rows())
    return {"rows": plain, "batches": plain.ragged_batch(4), "images": plain.map(loose)}


def write(version: int) -> None:
    """Write the snapshots of a format version."""
    for name, dataset in datasets().items():
        for compression in (None, "ZSTD", "LZ4", "GZIP"):
            dataset.save(FOLDER / f"v{version}" / f"{name}-{compression or 'plain'}".lower(), compression)


if __name__ == "__main__":
    from mainstay.data.snapshots.manifest import VERSION

    write(VERSION)
