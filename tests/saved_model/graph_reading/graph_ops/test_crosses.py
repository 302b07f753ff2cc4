"""Features are crossed in the order of their columns."""

import numpy as np
import pytest

from mainstay.core import RequestError

PLACES, SHAPE = np.int64([[0, 0], [0, 1], [1, 0]]), np.int64([2, 2])


def test_every_combination_is_spelled_out(run, text):
    dense = text("x", "y").reshape(2, 1)
    made = run("SparseCrossV2", PLACES, text("a", "b", "c"), SHAPE, dense, text("+").reshape(()), N=1)
    assert made[1].tolist() == [b"a+x", b"b+x", b"c+y"]
    assert made[0].tolist() == PLACES.tolist()


def test_buckets_are_those_of_tensorflow(run, text):
    given = PLACES, PLACES, text("a", "b", "c"), text("a", "b", "c"), SHAPE, SHAPE
    salt = np.int64([13, -17])
    weak = run("SparseCrossHashed", *given, np.int64(100), np.bool_(False), salt, N=2)[1]
    strong = run("SparseCrossHashed", *given, np.int64(100), np.bool_(True), salt, N=2)[1]
    assert len(weak) == 5
    assert weak.tolist() != strong.tolist()
    with pytest.raises(RequestError, match="salt"):
        run("SparseCrossHashed", *given, np.int64(100), np.bool_(True), salt[:1], N=2)


def test_crosses_that_would_not_fit_are_refused(run):
    wide = np.zeros((1, 3000), np.int64)
    with pytest.raises(RequestError, match="too large"):
        run("SparseCrossV2", wide, wide, wide, np.array(b"x", object), N=0)
    with pytest.raises(RequestError, match="differ in height"):
        run("SparseCrossV2", wide, wide[[0, 0]], np.array(b"x", object), N=0)
