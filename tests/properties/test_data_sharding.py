"""Shards are a partition, batches are the rows: laws that hold behind whatever pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.data import Dataset
from tests.properties.data_pipelines import Recipe, plain, recipes


def elements(dataset: Dataset) -> list[Any]:
    return [plain(element) for element in dataset]


def built(recipe: Recipe) -> Dataset:
    np.random.seed(5)
    return Recipe(recipe.source, recipe.layers[:2], "as it is").build()


@settings(max_examples=12)
@given(recipes, st.integers(1, 5))
def test_shards_together_are_the_whole_without_overlap(recipe: Recipe, num_shards: int) -> None:
    whole = elements(built(recipe))
    shards = [elements(built(recipe).shard(num_shards, index)) for index in range(num_shards)]
    assert list(shards) == [whole[index::num_shards] for index in range(num_shards)]


@settings(max_examples=12)
@given(st.integers(0, 40), st.integers(1, 6), st.integers(1, 50))
def test_shards_of_a_shuffle_are_shards_of_one_order(length: int, num_shards: int, seed: int) -> None:
    dataset = Dataset.range(length).shuffle(10, seed=seed)
    found = [
        int(x) for index in range(num_shards) for x in Dataset.range(length).shuffle(10, seed).shard(num_shards, index)
    ]
    assert sorted(found) == list(range(length))
    assert [int(x) for x in Dataset.range(length).shuffle(10, seed).shard(num_shards, 0)] == [int(x) for x in dataset][
        ::num_shards
    ]


@settings(max_examples=12)
@given(recipes, st.integers(1, 5), st.booleans())
def test_batches_are_the_rows_put_together(recipe: Recipe, size: int, drop_remainder: bool) -> None:
    rows = [np.asarray(row) for row in built(recipe)]
    batches = [np.asarray(batch) for batch in built(recipe).batch(size, drop_remainder)]
    kept = len(rows) - len(rows) % size if drop_remainder else len(rows)
    assert [len(batch) for batch in batches] == [min(size, kept - start) for start in range(0, kept, size)]
    assert [row.tobytes() for batch in batches for row in batch] == [row.tobytes() for row in rows[:kept]]


@settings(max_examples=12)
@given(recipes, st.integers(1, 5))
def test_unbatching_undoes_batching(recipe: Recipe, size: int) -> None:
    assert elements(built(recipe).batch(size).unbatch()) == elements(built(recipe))


@settings(max_examples=20)
@given(st.integers(0, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_windows_are_what_slices_of_a_list_are(length: int, size: int, shift: int, stride: int, full: bool) -> None:
    rows = list(range(length))
    reach = (size - 1) * stride + 1
    expected = [rows[start : start + reach : stride] for start in range(0, length, shift)]
    expected = [window for window in expected if len(window) == size or not full]
    dataset = Dataset.range(length).window(size, shift, stride=stride, drop_remainder=full)
    assert [[int(x) for x in window] for window in dataset] == expected
    assert dataset.cardinality() == len(expected)


def interleaved(lists: list[list[int]], cycle: int, block: int) -> list[int]:
    """TensorFlow's own reference for the order of interleave (interleave_test.py)."""
    waiting, found = [iter(items) for items in lists], []
    slots: list[Any] = [None] * cycle
    while waiting or any(slot is not None for slot in slots):
        for place in range(cycle):
            if slots[place] is None:
                if not waiting:
                    continue
                slots[place] = waiting.pop(0)
            for _ in range(block):
                item = next(slots[place], None)
                if item is None:
                    slots[place] = None
                    break
                found.append(item)
    return found


@settings(max_examples=25)
@given(st.lists(st.integers(0, 6), max_size=6), st.integers(1, 4), st.integers(1, 3))
def test_interleave_has_the_order_of_tensorflow(lengths: list[int], cycle: int, block: int) -> None:
    lists = [[10 * number + item for item in range(length)] for number, length in enumerate(lengths)]
    dataset = Dataset.from_tensor_slices(np.array(lengths, np.int64)).enumerate()
    dataset = dataset.interleave(lambda i, n: Dataset.range(10 * i, 10 * i + n), cycle_length=cycle, block_length=block)
    assert [int(x) for x in dataset] == interleaved(lists, cycle, block)
