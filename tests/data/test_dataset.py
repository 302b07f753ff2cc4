"""A dataset is a plan that is never changed and can be iterated as often as one likes."""

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.data import Dataset


def test_a_dataset_is_iterated_again_and_again() -> None:
    dataset = Dataset.range(3)
    assert [int(x) for x in dataset] == [int(x) for x in dataset] == [0, 1, 2]


def test_methods_leave_the_dataset_as_it_was() -> None:
    dataset = Dataset.range(3)
    dataset.batch(2).repeat(2)
    assert len(dataset) == 3


def test_the_length_is_refused_where_there_is_none() -> None:
    with pytest.raises(TypeError, match="no end"):
        len(Dataset.range(3).repeat())
    with pytest.raises(TypeError, match="not known"):
        len(Dataset.range(3).filter(lambda x: x > 1))
    assert bool(Dataset.range(0))


def test_the_number_of_elements_is_an_int_that_answers_to_numpy() -> None:
    count = Dataset.range(3).cardinality()
    assert count == 3
    assert isinstance(count, int)
    assert count.numpy() == 3
    assert count.numpy().dtype == np.int64


def test_a_dataset_is_made_by_its_class_methods() -> None:
    with pytest.raises(ArgumentError, match="from_tensor_slices"):
        Dataset([1, 2])  # type: ignore[arg-type]


def test_its_text_tells_what_it_gives() -> None:
    assert "infinite" in repr(Dataset.range(3).repeat())
    assert "1,000" in repr(Dataset.range(1000))
    assert "unknown" in repr(Dataset.range(3).flat_map(lambda x: Dataset.range(x)))


def test_two_threads_may_iterate_at_once() -> None:
    dataset = Dataset.from_tensor_slices(np.arange(2000)).batch(10)
    found: list[int] = []

    def run() -> None:
        found.append(sum(int(batch.sum()) for batch in dataset))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [sum(range(2000))] * 3


def test_threads_end_with_the_dataset() -> None:
    before = set(threading.enumerate())
    dataset = Dataset.range(1_000_000).batch(2)
    iterator = iter(dataset)
    next(iterator)
    started = set(threading.enumerate()) - before
    del dataset, iterator
    gc.collect()
    for thread in started:
        thread.join(timeout=10)
    assert started
    assert not any(thread.is_alive() for thread in started)


def test_the_room_is_imported_without_jax_and_keras() -> None:
    program = "import sys, mainstay.data; print([name for name in ('jax', 'keras') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
