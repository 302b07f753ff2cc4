"""Strings that stay where they lie: cut, counted and gathered."""

import numpy as np

from mainstay.io import Spans


def test_spans_are_cut_without_a_copy_and_gathered_with_one() -> None:
    data = np.frombuffer(b"..one..three....two", np.uint8)
    spans = Spans(data, np.array([2, 16, 7, 4]), np.array([3, 3, 5, 0]))
    assert len(spans) == 4
    assert spans.nbytes == 11
    assert spans.gathered().to_pylist() == [b"one", b"two", b"three", b""]
    assert spans[1:3].gathered().to_pylist() == [b"two", b"three"]
    assert spans[1:3].data is data
    assert spans[4:].gathered().to_pylist() == []
