import gc
import pickle

import numpy as np

from mainstay.data.sources.reused_memory import ReusedMemory

SHAPE = (600, 700, 3)


def address(array):
    return array.ctypes.data


def test_the_memory_of_an_array_that_is_gone_serves_for_the_next():
    memory = ReusedMemory()
    first = memory.array(SHAPE, "uint8")
    place = address(first)
    del first
    gc.collect()
    again = memory.array((500, 700, 3), "uint8")
    assert address(again) == place
    assert (again.shape, again.dtype) == ((500, 700, 3), np.uint8)
    assert again.flags.c_contiguous
    assert again.flags.writeable


def test_an_array_is_left_alone_while_a_view_of_it_is_held():
    memory = ReusedMemory()
    first = memory.array(SHAPE, "float32")
    first[...] = 7
    view = first[None][:, 100:200].reshape(-1)[5:].view(np.int32).T
    del first
    gc.collect()
    others = [memory.array(SHAPE, "float32") for _ in range(3)]
    for other in others:
        other[...] = 0
    assert (view.view(np.float32) == 7).all()


def test_memory_of_quite_another_size_is_not_kept_for_it():
    memory = ReusedMemory()
    large = memory.array((64, *SHAPE), "uint8")
    del large
    gc.collect()
    small = memory.array(SHAPE, "uint8")
    assert len(memory._spare) == 0
    assert small.nbytes == small.base._memory.nbytes


def test_no_more_than_a_few_arrays_are_spared():
    memory = ReusedMemory()
    arrays = [memory.array(SHAPE, "uint8") for _ in range(6)]
    del arrays
    gc.collect()
    assert len(memory._spare) == 2


def test_small_arrays_are_common_arrays_and_a_copy_begins_with_no_memory():
    memory = ReusedMemory()
    assert memory.array((3, 4), "float32").base is None
    memory.array(SHAPE, "uint8")
    gc.collect()
    assert len(memory._spare) == 1
    assert len(pickle.loads(pickle.dumps(memory))._spare) == 0
