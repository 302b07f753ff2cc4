"""Sparse tensors change their layout, and places that do not fit are refused before anything is made."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.core import RequestError

PLACES, SHAPE = np.int64([[0, 1], [2, 0]]), np.int64([3, 2])


def test_strings_become_dense_with_a_default(run, text):
    dense = run("SparseToDense", PLACES, SHAPE, text("a", "b"), text("-").reshape(()))
    assert dense.tolist() == [[b"-", b"a"], [b"-", b"-"], [b"b", b"-"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(arrays.arrays(np.int64, arrays.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=st.integers(0, 2)))
def test_a_dense_tensor_comes_back_from_its_sparse_form(run, dense):
    places, shape = np.argwhere(dense), np.int64(dense.shape)
    values = dense[tuple(places.T)]
    assert np.array_equal(run("SparseToDense", places, shape, values, np.int64(0)), dense)
    wanted = dense.sum(axis=0)
    assert np.array_equal(run("SparseReduceSum", places, values, shape, np.int32([0])), wanted)
    moved, sizes = run("SparseReshape", places, shape, np.int64([-1]))
    assert np.array_equal(run("SparseToDense", moved, sizes, values, np.int64(0)), dense.ravel())
    halves = run("SparseSplit", np.int64(1), places, values, shape, num_split=1)
    again = run("SparseConcat", halves[0], halves[1], halves[2], concat_dim=1, N=1)
    assert np.array_equal(again[0], places)


@pytest.mark.parametrize(
    ("places", "shape", "message"),
    [
        (PLACES, np.int64([2, 2]), "a place is outside"),
        (-PLACES, SHAPE, "a place is outside"),
        (PLACES, np.int64([3]), "do not fit"),
        (PLACES, np.int64([3, -2]), "no such shape"),
        (PLACES, np.int64([2**40, 2**40]), "no such shape"),
        (PLACES, np.int64([2**30, 2**5]), "too large"),
        (PLACES[::-1], SHAPE, "out of order"),
        (PLACES[[0, 0]], SHAPE, "repeated"),
    ],
)
def test_places_that_do_not_fit_are_refused(run, places, shape, message):
    with pytest.raises(RequestError, match=message):
        run("SparseToDense", places, shape, np.float64([1, 2]), np.float64(0))


def test_empty_rows_are_filled(run, text):
    rows = run("SparseFillEmptyRows", PLACES, text("a", "b"), SHAPE, text("?").reshape(()))
    assert [each.tolist() for each in rows] == [
        [[0, 1], [1, 0], [2, 0]],
        [b"a", b"?", b"b"],
        [False, True, False],
        [0, 2],
    ]


def test_parts_that_differ_elsewhere_are_not_joined(run):
    values, shapes = np.float32([1, 2]), (SHAPE, SHAPE + 1)
    with pytest.raises(RequestError, match="do not fit"):
        run("SparseConcat", PLACES, PLACES, values, values, *shapes, concat_dim=0, N=2)
    with pytest.raises(RequestError, match="no such split"):
        run("SparseSplit", np.int64(0), PLACES, values, SHAPE, num_split=10**9)
