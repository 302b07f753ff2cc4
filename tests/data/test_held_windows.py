"""Windows are read once for all their parts, by whichever thread comes first, and are let go after the last."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mainstay.core import DataError
from mainstay.data.chunks import Chunk
from mainstay.data.held_windows import HeldWindows


def chunk(value: int) -> Chunk:
    return Chunk(0, (np.full(8, value),), 8)


def test_many_threads_read_a_window_once() -> None:
    held, read = HeldWindows(), []
    gate = threading.Barrier(4)

    def get(part: int) -> Chunk:
        gate.wait()
        return held.get("window", 4, lambda: (read.append(part), chunk(7))[1])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(get, range(4)))
    assert len(read) == 1
    assert all(one is found[0] for one in found)
    assert held.get("window", 1, lambda: chunk(8)).columns[0][0] == 8


def test_a_failure_reaches_everybody_and_is_tried_again() -> None:
    held = HeldWindows()

    def fail() -> Chunk:
        raise DataError("damaged")

    for _ in range(2):
        with pytest.raises(DataError, match="damaged"):
            held.get("window", 3, fail)
    assert held.get("window", 3, lambda: chunk(1)).columns[0][0] == 1


def test_windows_that_nobody_finishes_give_way() -> None:
    held = HeldWindows()
    for number in range(10):
        held.get(number, 2, lambda number=number: chunk(number))  # type: ignore[misc]
    assert held.get(0, 2, lambda: chunk(99)).columns[0][0] == 99
    assert pickle.loads(pickle.dumps(held)).get(9, 2, lambda: chunk(5)).columns[0][0] == 5
