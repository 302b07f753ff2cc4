"""Pipelines of every kind for property tests: built anew from a recipe as often as one likes, always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mainstay.core import TensorSpec
from mainstay.data import Dataset
from mainstay.data.chunks import Chunk
from mainstay.data.operations.reading import of_source
from mainstay.data.sources.source import Blocks, Stream
from mainstay.data.streams import Epoch, State
from mainstay.io import Ragged

Layer = Callable[[Dataset], Dataset]


class NumberBlocks(Blocks):
    """Whole numbers in blocks of different lengths."""

    name = "blocks"

    def __init__(self, *lengths: int) -> None:
        self._ends = np.cumsum(lengths)
        self._lengths = lengths

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec((), "int64")

    @property
    def num_blocks(self) -> int:
        return len(self._lengths)

    def block_rows(self, block: int) -> int:
        return self._lengths[block]

    def load_block(self, block: int) -> Chunk:
        end = int(self._ends[block])
        return Chunk(0, (np.arange(end - self._lengths[block], end),), self._lengths[block])

    def fingerprint(self) -> Any:
        return ["blocks", list(self._lengths)]


class NumberStream(Stream):
    """Whole numbers that come in one order only, in pieces whose length depends on where one begins."""

    name = "stream"

    def __init__(self, length: int) -> None:
        self._length = length

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec((), "int64")

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        start = state or 0
        step = 1 + start % 3
        while start < self._length:
            stop = min(start + step, self._length)
            yield (start, stop), stop
            start, step = stop, step % 4 + 1

    def load(self, address: Any) -> Chunk:
        start, stop = address
        return Chunk(0, (np.arange(start, stop),), stop - start)

    def fingerprint(self) -> Any:
        return ["stream", self._length]


def _generator(count: int) -> Dataset:
    def numbers() -> Iterator[Any]:
        yield from (np.int64(number) for number in range(count))

    return Dataset.from_generator(numbers, output_signature=TensorSpec((), "int64"))


SOURCES: dict[str, Callable[[], Dataset]] = {
    "range": lambda: Dataset.range(11),
    "arrays": lambda: Dataset.from_tensor_slices(np.arange(9) * 3),
    "strings": lambda: Dataset.from_tensor_slices([b"a", b"bb", b"", b"dddd", b"e"]).map(_plain_length),
    "dict": lambda: Dataset.from_tensor_slices({"x": np.arange(7), "y": np.ones((7, 2))}).map(_first),
    "lists": lambda: Dataset.from_tensor_slices(Ragged.from_rows([[1, 2], [], [3], [4, 5, 6]])).map(_total),
    "blocks": lambda: of_source(NumberBlocks(3, 1, 4, 2)),
    "stream": lambda: of_source(NumberStream(10)),
    "generator": lambda: _generator(8),
    "counter": lambda: Dataset.counter(5, 2).take(9),
    "random": lambda: Dataset.random(seed=3, rerandomize_each_iteration=True).take(6),
    "nothing": lambda: Dataset.range(0),
}


def _plain_length(text: Any) -> Any:
    return np.int64(len(bytes(text)))


def _first(row: Any) -> Any:
    return np.int64(int(row["x"]))


def _total(row: Any) -> Any:
    return np.int64(sum(int(number) for number in np.asarray(row).reshape(-1)))


def _some(number: Any) -> Any:
    return np.arange(int(number) % 4, dtype=np.int64)


def _odd(number: Any) -> Any:
    return np.int64(int(number) % 2)


def _third(number: Any) -> Any:
    return np.int64(int(number) % 3)


def _length(row: Any) -> Any:
    return np.int64(int(np.asarray(row).shape[0]) + 0 * int(np.asarray(row).sum()))


def _minus(number: Any) -> Any:
    return np.int64(-int(number))


def _half(number: Any) -> Any:
    return np.float64(int(number) * 0.5)


def _double(number: Any) -> Any:
    return number * 2 + 1


def _digits(number: Any) -> Any:
    return np.int64(len(str(int(number))))


def _is_kept(number: Any) -> bool:
    return int(number) % 3 != 0


def _of_pair(one: Any, other: Any) -> Any:
    return np.int64(int(one) + 100 * int(other))


def _plus_one(batch: Any) -> Any:
    return np.array([int(number) + 1 for number in np.asarray(batch).reshape(-1)]).reshape(np.shape(batch))


def _numbers(number: Any) -> Dataset:
    return Dataset.range(int(number) % 4)


def _shuffled_numbers(number: Any) -> Dataset:
    return Dataset.range(int(number), int(number) + 3).shuffle(3)


def _streamed_numbers(number: Any) -> Dataset:
    return of_source(NumberStream(int(number) % 6))


def _is_not_nine(number: Any) -> bool:
    return int(number) != 9


def _fails_for_some(number: Any) -> Any:
    if int(number) % 3 == 1:
        raise ValueError(number)
    return np.int64(int(number))


def _running_total(total: Any, number: Any) -> Any:
    return total + number, total


def _in_pairs(key: Any, group: Dataset) -> Dataset:
    return group.batch(2)


def _zipped(dataset: Dataset) -> Dataset:
    return Dataset.zip((dataset, dataset.shuffle(20, seed=9))).map(_of_pair)


TRACED = ("traced map",)

LAYERS: dict[str, Layer] = {
    "traced map": lambda d: d.map(_double),
    "row map": lambda d: d.map(_digits),
    "filter": lambda d: d.filter(_is_kept),
    "shuffle": lambda d: d.shuffle(4, seed=5),
    "shuffle with a drawn seed": lambda d: d.shuffle(3),
    "shuffle always alike": lambda d: d.shuffle(5, seed=6, reshuffle_each_iteration=False),
    "shuffle all": lambda d: d.shuffle(-2, seed=1),
    "repeat": lambda d: d.repeat(2),
    "shuffle and repeat": lambda d: d.shuffle(4, seed=2).repeat(2),
    "without an end": lambda d: d.shuffle(3, seed=8).repeat().take(13),
    "take": lambda d: d.take(7),
    "skip": lambda d: d.skip(2),
    "shard": lambda d: d.shard(2, 1),
    "batch": lambda d: d.batch(3).unbatch(),
    "batch of batches": lambda d: d.batch(2, drop_remainder=True).batch(2).map(_plus_one).unbatch().unbatch(),
    "batches only full": lambda d: d.batch(4, drop_remainder=True).shuffle(2, seed=3).unbatch(),
    "rebatch": lambda d: d.batch(4).rebatch([1, 3]).unbatch(),
    "padded batch": lambda d: d.map(_some).padded_batch(3, padding_values=-1).unbatch().map(_total),
    "ragged batch": lambda d: d.map(_some).ragged_batch(2).unbatch().map(_total),
    "window": lambda d: d.window(3, shift=2).flat_map(lambda w: w),
    "sparse window": lambda d: d.window(2, shift=3, stride=2).flat_map(lambda w: w.batch(2)).unbatch(),
    "overlapping window": lambda d: d.window(3, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(3)).unbatch(),
    "flat_map": lambda d: d.flat_map(_numbers),
    "flat_map shuffled": lambda d: d.flat_map(_shuffled_numbers),
    "interleave": lambda d: d.interleave(_numbers, cycle_length=3, block_length=2),
    "interleave a stream": lambda d: d.interleave(_streamed_numbers, cycle_length=2),
    "enumerate": lambda d: d.enumerate(3).map(_of_pair),
    "concatenate": lambda d: d.concatenate(Dataset.range(3).shuffle(3, seed=4)),
    "concatenate itself": lambda d: d.concatenate(d),
    "zip": _zipped,
    "cache": lambda d: d.cache(),
    "prefetch": lambda d: d.prefetch(2),
    "scan": lambda d: d.scan(np.int64(0), _running_total),
    "take_while": lambda d: d.take_while(_is_not_nine),
    "unique": lambda d: d.map(_third).unique(),
    "ignore_errors": lambda d: d.map(_fails_for_some).ignore_errors(),
    "group": lambda d: d.group_by_window(_third, _in_pairs, window_size=3).unbatch(),
    "buckets": lambda d: d.map(_some).bucket_by_sequence_length(_length, [1, 3], [2, 3, 2]).map(_total),
    "sample": lambda d: Dataset.sample_from_datasets([d, Dataset.range(50, 54)], seed=7),
    "choose": lambda d: Dataset.choose_from_datasets([d, d.map(_minus)], Dataset.range(12).map(_odd)),
    "resample": lambda d: d.rejection_resample(_odd, [0.7, 0.3], seed=1).map(_of_pair),
}

ENDS: dict[str, Layer] = {
    "as it is": lambda d: d,
    "batch": lambda d: d.batch(4),
    "pairs in batches": lambda d: Dataset.zip({"a": d, "b": d.map(_half)}).batch(2),
    "lists": lambda d: d.map(_some).ragged_batch(2),
}


@dataclass(frozen=True)
class Recipe:
    """How to build a pipeline."""

    source: str
    layers: tuple[str, ...]
    end: str

    def build(self) -> Dataset:
        """Return the pipeline, made from nothing, with at most 24 elements."""
        dataset = SOURCES[self.source]()
        for layer in self.layers:
            dataset = LAYERS[layer](dataset)
        return ENDS[self.end](dataset.take(24))


recipes = st.builds(
    Recipe,
    st.sampled_from(sorted(SOURCES)),
    st.lists(st.sampled_from(sorted(set(LAYERS) - set(TRACED))), min_size=1, max_size=3).map(tuple),
    st.sampled_from(sorted(ENDS)),
)


def plain(element: Any) -> Any:
    """Return an element as values that compare bit for bit."""
    if isinstance(element, tuple):
        return tuple(map(plain, element))
    if isinstance(element, dict):
        return {key: plain(item) for key, item in element.items()}
    if isinstance(element, Ragged):
        return ("ragged", element.splits.tolist(), plain(np.asarray(element.values)))
    array = np.asarray(element)
    return (array.dtype.str, array.shape, array.tobytes() if array.dtype != object else array.tolist())
