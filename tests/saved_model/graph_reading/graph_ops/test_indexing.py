"""Indices outside of an axis are refused on the host, and give zero or nothing inside of a program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import DataError

X = np.array([[1, 2], [3, 4]], np.float32)
ZERO = np.array(0, np.int32)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_wrong_index_is_refused_on_the_host(index, run) -> None:
    with pytest.raises(DataError, match="outside of its axis"):
        run("GatherV2", X, np.array([index], np.int32), ZERO)
    with pytest.raises(DataError, match="outside of its axis"):
        run("GatherNd", X, np.array([[index]], np.int32))
    with pytest.raises(DataError, match="outside of its axis"):
        run("ScatterNd", np.array([[index]], np.int32), X[:1], np.array([2, 2], np.int32))


@pytest.mark.parametrize("index", [-1, 2])
def test_a_wrong_index_gives_zero_inside_of_a_program(index, run) -> None:
    gathered = jax.jit(lambda indices: run("GatherV2", X, indices, ZERO))(np.array([1, index], np.int32))
    assert gathered.tolist() == [[3, 4], [0, 0]]
    gathered = jax.jit(lambda indices: run("GatherNd", X, indices))(np.array([[index, 0], [0, 1]], np.int32))
    assert gathered.tolist() == [0, 2]


@pytest.mark.parametrize("index", [-1, 2])
def test_an_update_at_a_wrong_index_is_dropped_inside_of_a_program(index, run) -> None:
    updated = jax.jit(lambda indices: run("TensorScatterAdd", X, indices, X[:1]))(np.array([[index]], np.int32))
    assert updated.tolist() == X.tolist()


def test_rows_are_gathered_for_each_element_of_a_batch(run) -> None:
    indices = np.array([[1], [0]], np.int32)
    expected = [[2], [3]]
    assert run("GatherV2", X, indices, np.array(1, np.int32), batch_dims=1).tolist() == expected
    traced = jax.jit(lambda x, i: run("GatherV2", x, i, np.array(1, np.int32), batch_dims=1))(X, indices)
    assert traced.tolist() == expected


def test_a_slice_may_begin_where_the_data_says(run) -> None:
    one = np.array([1, 1], np.int32)
    found = jax.jit(lambda begin: run("StridedSlice", X, begin, begin + 1, one, shrink_axis_mask=3))(one)
    assert found == 4
    found = jax.jit(lambda begin: run("Slice", X, begin, np.array([1, 2], np.int32)))(np.array([1, 0], np.int32))
    assert found.tolist() == [[3, 4]]


def test_a_slice_outside_of_its_tensor_is_refused(run) -> None:
    with pytest.raises(DataError, match="inside of its tensor"):
        run("Slice", X, np.array([1, 0], np.int32), np.array([2, 2], np.int32))
    with pytest.raises(DataError, match="inside of its axis"):
        index = np.array([2], np.int32)
        run("StridedSlice", X, index, index + 1, np.array([1], np.int32), shrink_axis_mask=1)


def test_embeddings_are_gathered_from_a_variable(run) -> None:
    from mainstay.saved_model.graph_reading.graph_ops.values import Variable

    variable = Variable("table", X)
    assert run("ResourceGather", variable, np.array([1, 1], np.int32)).tolist() == [[3, 4], [3, 4]]
    assert run("ResourceGatherNd", variable, np.array([[1, 0]], np.int32)).tolist() == [3]
    run("ResourceScatterNdAdd", variable, np.array([[0, 0]], np.int32), np.array([9], np.float32))
    assert variable.value.tolist() == [[10, 2], [3, 4]]


def test_an_argmax_never_chooses_nan_and_the_first_of_equals(run) -> None:
    row = np.array([np.nan, 2, 5, 5], np.float32)
    assert run("ArgMax", row, ZERO) == 2
    assert jax.jit(lambda x: run("ArgMax", x, ZERO))(jnp.asarray(row)) == 2
