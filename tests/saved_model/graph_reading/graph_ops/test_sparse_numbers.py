"""Sparse tensors are multiplied, added and reduced; the product is traced by XLA too."""

import jax
import numpy as np
import pytest

from mainstay.core import RequestError

PLACES, SHAPE, VALUES = np.int64([[0, 1], [2, 0]]), np.int64([3, 2]), np.float32([2, 3])
MATRIX = np.float32([[1, 10], [100, 1000]])


def test_a_product_is_the_same_in_a_program(run):
    wanted = [[200, 2000], [0, 0], [3, 30]]
    assert run("SparseTensorDenseMatMul", PLACES, VALUES, SHAPE, MATRIX).tolist() == wanted
    traced = jax.jit(lambda values, matrix: run("SparseTensorDenseMatMul", PLACES, values, SHAPE, matrix))
    assert traced(VALUES, MATRIX).tolist() == wanted
    with pytest.raises(RequestError, match="matrices do not fit"):
        run("SparseTensorDenseMatMul", PLACES, VALUES, SHAPE, MATRIX[:1])
    with pytest.raises(RequestError, match="outside"):
        run("SparseTensorDenseMatMul", PLACES, VALUES, np.int64([2, 2]), MATRIX)


def test_cells_without_values_do_not_count(run):
    assert run("SparseReduceMax", PLACES, -VALUES, SHAPE, np.int32([1])).tolist() == [-2, 0, -3]
    assert run("SparseSoftmax", PLACES, VALUES, SHAPE).tolist() == [1, 1]
    with pytest.raises(RequestError, match="no such axes"):
        run("SparseReduceMax", PLACES, VALUES, SHAPE, np.int32([2]))


def test_two_tensors_are_united(run):
    other = PLACES[:1], np.float32([5]), SHAPE
    places, total, _ = run("SparseAdd", PLACES, VALUES, SHAPE, *other, np.float32(0))
    assert (places.tolist(), total.tolist()) == (PLACES.tolist(), [7, 3])
    places, total, _ = run("SparseAdd", PLACES, VALUES, SHAPE, *other, np.float32(5))
    assert (places.tolist(), total.tolist()) == ([[0, 1]], [7])
    with pytest.raises(RequestError, match="differ in shape"):
        run("SparseAdd", PLACES, VALUES, SHAPE, *other[:2], SHAPE + 1, np.float32(0))


def test_integers_are_divided_towards_zero_and_not_by_it(run):
    made = run("SparseDenseCwiseDiv", PLACES, np.int32([7, -7]), SHAPE, np.int32(2))
    assert made.tolist() == [3, -3]
    with pytest.raises(RequestError, match="divided by zero"):
        run("SparseDenseCwiseDiv", PLACES, np.int32([7, -7]), SHAPE, np.int32(0))
    with pytest.raises(RequestError, match="cannot be broadcast"):
        run("SparseDenseCwiseMul", PLACES, VALUES, SHAPE, np.float32([1, 2, 3]))
