"""Rows by their index, as Grain and PyTorch take them, and pictures read with OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from data_rivals.inputs import CHOSEN, SIDE, Inputs, python_work


class Rows:
    """Rows of columns of arrays, with a function of the column `x` if there is one; a list of indices gives a batch."""

    def __init__(self, columns: dict[str, np.ndarray], *, log: bool = False) -> None:
        self.columns, self.log = columns, log

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: Any) -> dict[str, Any]:
        row = {name: column[index] for name, column in self.columns.items()}
        return row | {"x": np.log1p(np.abs(row["x"])) * 2} if self.log else row


class Numbers:
    """The numbers below a length, or what Python makes of them."""

    def __init__(self, length: int, *, work: bool = False) -> None:
        self.length, self.work = length, work

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        return np.int64(python_work(index) if self.work else index)


class Pictures:
    """Pictures that are read, decoded and resized when they are asked for."""

    def __init__(self, inputs: Inputs) -> None:
        self.paths = inputs.pictures()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> np.ndarray:
        cv2.setNumThreads(0)
        with open(self.paths[index], "rb") as file:
            encoded = np.frombuffer(file.read(), np.uint8)
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def table(path: str) -> dict[str, np.ndarray]:
    """Return the chosen columns of a Parquet file, all of them in memory."""
    from pyarrow import parquet

    read = parquet.read_table(path, columns=list(CHOSEN))
    return {name: read[name].to_numpy() for name in CHOSEN}
