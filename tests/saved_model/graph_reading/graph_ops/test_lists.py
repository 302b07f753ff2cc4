"""Lists of tensors: reserved, filled, read, stacked, in NumPy and inside of loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mainstay.core import DataError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.lists import TensorArrayHandle

F32 = np.dtype(np.float32)
OPEN = np.array(-1, np.int32)
TWO = np.array([2], np.int32)


def index(number: int) -> np.ndarray:
    return np.array(number, np.int32)


def pair(number: float) -> np.ndarray:
    return np.full(2, number, np.float32)


@pytest.mark.parametrize("shape", [OPEN, TWO])
def test_a_reserved_list_is_filled_and_stacked(shape, run) -> None:
    items = run("TensorListReserve", shape, index(3), element_dtype=F32)
    for number in range(3):
        items = run("TensorListSetItem", items, index(number), pair(number))
    assert np.asarray(run("TensorListStack", items, shape)).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert np.asarray(run("TensorListGetItem", items, index(2), shape)).tolist() == [2, 2]
    assert run("TensorListLength", items).tolist() == 3
    assert run("TensorListElementShape", items).tolist() == [2]


def test_a_reserved_list_is_filled_inside_of_a_loop(run) -> None:
    def program(x):
        items = run("TensorListReserve", TWO, index(4), element_dtype=F32)

        def step(number, carried):
            return run("TensorListSetItem", carried, number, x * number)

        return run("TensorListStack", lax.fori_loop(0, 4, step, items), TWO)

    assert jax.jit(program)(pair(1)).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_a_list_grows_and_shrinks_at_its_end(run) -> None:
    items = run("EmptyTensorList", OPEN, index(-1), element_dtype=F32)
    items = run("TensorListPushBack", items, pair(1))
    items = run("TensorListPushBack", items, np.full(3, 2, np.float32))
    joined, lengths = run("TensorListConcatV2", items, OPEN, np.zeros(0, np.int64))
    assert joined.tolist() == [1, 1, 2, 2, 2]
    assert lengths.tolist() == [2, 3]
    items, last = run("TensorListPopBack", items, OPEN)
    assert last.tolist() == [2, 2, 2]
    assert items.length == 1
    with pytest.raises(DataError, match="no such element"):
        run("TensorListGetItem", items, index(1), OPEN)


def test_elements_of_different_shapes_are_not_stacked(run) -> None:
    items = run("EmptyTensorList", OPEN, index(-1), element_dtype=F32)
    for length in (1, 2):
        items = run("TensorListPushBack", items, np.zeros(length, np.float32))
    with pytest.raises(DataError, match="different shapes"):
        run("TensorListStack", items, OPEN)


def test_an_element_of_open_shape_that_was_never_set_is_an_error(run) -> None:
    items = run("TensorListReserve", OPEN, index(1), element_dtype=F32)
    with pytest.raises(ModelError, match="open"):
        run("TensorListGetItem", items, index(0), OPEN)


def test_the_rows_of_a_tensor_are_a_list(run) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    items = run("TensorListFromTensor", rows, TWO, element_dtype=F32)
    assert run("TensorListGather", items, np.array([2, 0], np.int32), TWO).tolist() == [[4, 5], [0, 1]]
    more = run("TensorListConcatLists", items, items, element_dtype=F32)
    assert run("TensorListStack", more, TWO).shape == (6, 2)
    assert run("TensorListResize", items, index(4)).length == 4
    assert run("TensorListStack", run("TensorListResize", items, index(1)), TWO).tolist() == [[0, 1]]


def test_rows_are_scattered_and_split_into_lists(run) -> None:
    rows = np.arange(4, dtype=np.float32).reshape(2, 2)
    places = np.array([2, 0], np.int32)
    items = run("TensorListScatterV2", rows, places, TWO, index(-1), element_dtype=F32)
    assert np.asarray(run("TensorListStack", items, TWO)).tolist() == [[2, 3], [0, 0], [0, 1]]
    items = run("TensorListScatterIntoExistingList", items, rows[:1], np.array([1], np.int32))
    assert np.asarray(run("TensorListStack", items, TWO)).tolist() == [[2, 3], [0, 1], [0, 1]]
    items = run("TensorListSplit", np.arange(5, dtype=np.float32), OPEN, np.array([2, 3], np.int64), element_dtype=F32)
    assert run("TensorListGetItem", items, index(1), OPEN).tolist() == [2, 3, 4]


def test_a_tensor_array_flows_from_write_to_read(run) -> None:
    handle, flow = run("TensorArrayV3", index(2), dtype=F32, element_shape=None)
    assert isinstance(handle, TensorArrayHandle)
    for number in (1, 0):
        flow = run("TensorArrayWriteV3", handle, index(number), pair(number), flow)
    assert np.asarray(run("TensorArrayReadV3", handle, index(1), flow)).tolist() == [1, 1]
    assert np.asarray(run("TensorArrayGatherV3", handle, np.array([1, 0], np.int32), flow)).tolist() == [[1, 1], [0, 0]]
    assert run("TensorArraySizeV3", handle, flow) == 2
    joined, lengths = run("TensorArrayConcatV3", handle, flow)
    assert np.asarray(joined).tolist() == [0, 0, 1, 1]
    assert lengths.tolist() == [2, 2]
    flow = run("TensorArraySplitV3", handle, np.arange(3, dtype=np.float32), np.array([1, 2], np.int64), flow)
    assert run("TensorArrayReadV3", handle, index(1), flow).tolist() == [1, 2]
    flow = run("TensorArrayScatterV3", handle, np.array([0, 1], np.int32), jnp.ones((2, 2)), flow)
    assert run("TensorArrayCloseV3", handle) == ()


def test_a_list_of_strings_is_kept_element_by_element(run) -> None:
    items = run("TensorListReserve", OPEN, index(2), element_dtype="string")
    for number, word in enumerate((b"a", b"b")):
        items = run("TensorListSetItem", items, index(number), np.array(word, object))
    assert run("TensorListStack", items, OPEN).tolist() == [b"a", b"b"]
