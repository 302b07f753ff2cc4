"""Caches: elements are made once, and a resumed process cannot tell a cold cache from a warm one."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, IntegrityError
from mainstay.data import Dataset
from mainstay.io import Ragged


class Counting:
    """A row function, never traced, that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.lock = threading.Lock()

    def __call__(self, x: Any) -> Any:
        with self.lock:
            self.calls += 1
        return f"row {int(x)}".encode()


def plain(dataset: Dataset, state: bytes | None = None) -> list[Any]:
    return list(map(value, dataset.iter(state)))


def value(element: Any) -> Any:
    return element if isinstance(element, bytes) else np.asarray(element).tolist()


def even(x: Any) -> bool:
    return int(x) % 2 == 0


BUILD: dict[str, Callable[[Any], Dataset]] = {
    "rows": lambda f: Dataset.range(200).map(f).cache().shuffle(50, seed=1).batch(7),
    "rows in order": lambda f: Dataset.range(200).map(f).cache().batch(7),
    "stream": lambda f: Dataset.range(400).filter(even).map(f).cache().shuffle(50, seed=1).batch(7),
    "batches": lambda f: Dataset.range(200).map(f).batch(3).cache(),
    "shuffled below": lambda f: Dataset.range(200).map(f).shuffle(50, seed=2).cache().repeat(2).batch(7),
    "twice": lambda f: Dataset.range(200).map(f).cache().cache().batch(7),
}


@pytest.mark.parametrize("kind", BUILD)
def test_a_function_below_is_not_called_after_the_first_pass(kind: str) -> None:
    function = Counting()
    dataset = BUILD[kind](function)
    first = plain(dataset)
    calls = function.calls
    passes = [plain(dataset) for _ in range(3)]
    assert function.calls == calls
    for elements in passes:
        assert sorted(itertools.chain(*elements)) == sorted(itertools.chain(*first))
    if "shuffle(50" in kind or kind in ("rows", "stream"):
        assert passes[0] != passes[1]


@pytest.mark.parametrize("kind", BUILD)
def test_a_state_of_a_warm_cache_goes_on_with_a_cold_one(kind: str) -> None:
    dataset = BUILD[kind](Counting())
    plain(dataset)
    plain(dataset)
    iterator = dataset.iter()
    states = []
    for _ in range(9):
        next(iterator)
        states.append(iterator.state())
    rest = list(map(value, iterator))
    assert plain(BUILD[kind](Counting()), states[-1]) == rest
    assert plain(BUILD[kind](Counting()), states[3])[5:] == rest
    following = BUILD[kind](Counting())
    plain(following, states[-1])
    assert plain(following) == plain(dataset)


@pytest.mark.parametrize("kind", BUILD)
def test_a_state_of_a_cold_cache_goes_on_with_a_warm_one(kind: str) -> None:
    dataset = BUILD[kind](Counting())
    iterator = dataset.iter()
    for _ in range(9):
        next(iterator)
    state = iterator.state()
    rest = list(map(value, iterator))
    assert plain(dataset, state) == rest


def test_a_resumed_pass_fills_a_cold_cache_of_a_stream() -> None:
    function = Counting()
    dataset = BUILD["stream"](Counting())
    iterator = dataset.iter()
    next(iterator)
    other = BUILD["stream"](function)
    plain(other, iterator.state())
    calls = function.calls
    plain(other)
    assert function.calls == calls


@settings(max_examples=30)
@given(
    length=st.integers(0, 40),
    size=st.integers(1, 5),
    above=st.sampled_from(["none", "shuffle", "shard", "take"]),
    below=st.sampled_from(["none", "filter", "shuffle", "batch", "generator"]),
    taken=st.integers(0, 30),
)
def test_elements_and_states_do_not_depend_on_whether_the_cache_is_filled(
    length: int, size: int, above: str, below: str, taken: int
) -> None:
    def make() -> Dataset:
        dataset = Dataset.range(length)
        if below == "generator":
            dataset = Dataset.from_generator(lambda: range(length), "int64", ())
        elif below == "filter":
            dataset = dataset.filter(even)
        elif below == "shuffle":
            dataset = dataset.shuffle(10, seed=5)
        elif below == "batch":
            dataset = dataset.batch(3)
        dataset = dataset.cache()
        if above == "shuffle":
            dataset = dataset.shuffle(10, seed=6)
        elif above == "shard":
            dataset = dataset.shard(3, 1)
        elif above == "take":
            dataset = dataset.take(7)
        return dataset.batch(size) if below != "batch" else dataset

    warm, cold = make(), make()
    assert plain(warm) == plain(cold)
    iterator = warm.iter()
    for _ in itertools.islice(iterator, taken):
        pass
    state = iterator.state()
    rest = list(map(value, iterator))
    assert plain(make(), state) == rest
    assert plain(warm, state) == rest


def test_a_pass_that_ends_early_keeps_rows_that_have_addresses() -> None:
    function = Counting()
    dataset = Dataset.range(1000).map(function).cache()
    plain(dataset.take(500))
    calls = function.calls
    plain(dataset.take(500))
    assert function.calls == calls


def test_a_pass_over_a_stream_that_ends_early_keeps_nothing_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    function = Counting()
    dataset = Dataset.range(1000).filter(even).map(function).cache(name="mine")
    with caplog.at_level(logging.WARNING, "mainstay.data"):
        for _ in range(2):
            iterator = dataset.iter()
            next(iterator)
            iterator.close()
    assert [record.message for record in caplog.records if "mine was not filled" in record.message]
    assert len(caplog.records) == 1
    assert len(plain(dataset)) == 500
    calls = function.calls
    assert len(plain(dataset)) == 500
    assert function.calls == calls


def test_derived_datasets_share_the_elements() -> None:
    function = Counting()
    cached = Dataset.range(100).map(function).cache()
    plain(cached.batch(10))
    calls = function.calls
    plain(cached.shuffle(10, seed=1))
    plain(cached.skip(50).batch(3))
    assert function.calls <= calls + 12
    assert cached.plan.nbytes >= 600  # type: ignore[attr-defined]


def test_many_threads_make_no_row_twice() -> None:
    function = Counting()
    cached = Dataset.range(3000).map(function).cache()
    results: list[Any] = [None] * 4

    def read(number: int) -> None:
        results[number] = sorted(itertools.chain(*plain(cached.shuffle(10, seed=number).batch(64))))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == results[0] for result in results)
    assert len(set(results[0])) == 3000
    assert function.calls <= 3000 + 4 * 16


def test_a_failure_is_raised_and_the_row_is_tried_again() -> None:
    fails = [True]

    def function(x: Any) -> Any:
        if int(x) == 70 and fails[0]:
            raise KeyError("once")
        return str(int(x))

    dataset = Dataset.range(100).map(function).cache()
    with pytest.raises(KeyError, match="once"):
        plain(dataset)
    fails[0] = False
    assert len(plain(dataset)) == 100


def test_what_is_cached_cannot_be_changed_from_above() -> None:
    def change(x: Any) -> Any:
        x["list"][0] = 7
        return x

    dataset = Dataset.from_tensor_slices({"list": Ragged.from_rows([[1, 2], [3]])}).cache()
    list(dataset)
    with pytest.raises(ValueError, match="read-only"):
        list(dataset.map(change))


@pytest.mark.parametrize("order", ["in order", "shuffled"])
def test_every_kind_of_column_comes_back_as_it_was(order: str) -> None:
    def make() -> Dataset:
        return Dataset.from_tensor_slices(
            {
                "number": np.arange(90, dtype="float16"),
                "text": [str(i) * (i % 5) for i in range(90)],
                "list": Ragged.from_rows([list(range(i % 4)) for i in range(90)]),
                "words": Ragged.from_rows([[b"a"] * (i % 3) for i in range(90)]),
            }
        )

    def images(row: Any) -> Any:
        return row | {"image": np.full((int(row["number"]) % 3 + 1, 2), float(row["number"]))}

    def dataset() -> Dataset:
        cached = make().map(images).cache()
        return cached.shuffle(10, seed=1) if order == "shuffled" else cached

    kept, fresh = dataset(), dataset()
    list(kept)
    np.testing.assert_equal(list(kept.as_numpy_iterator()), _second_pass(fresh))


def _second_pass(dataset: Dataset) -> list[Any]:
    iterator = dataset.as_numpy_iterator()
    iterator.close()
    return list(dataset.as_numpy_iterator())


def test_a_dataset_without_an_end_is_refused() -> None:
    with pytest.raises(ArgumentError, match="before repeat"):
        Dataset.range(3).repeat().cache()


def test_nothing_and_one_element_are_cached_too() -> None:
    empty = Dataset.range(0).cache()
    assert [plain(empty), plain(empty)] == [[], []]
    none = Dataset.range(9).filter(lambda x: int(x) > 100).cache()
    assert [plain(none), plain(none)] == [[], []]
    one = Dataset.from_tensors(3).cache()
    assert [plain(one), plain(one)] == [[3], [3]]


# On file.


FILED: dict[str, Callable[[Any, Path], Dataset]] = {
    "rows": lambda f, path: Dataset.range(200).map(f).cache(path, key="k").shuffle(50, seed=1).batch(7),
    "stream": lambda f, path: Dataset.range(400).filter(even).map(f).cache(path, key="k").shuffle(50, seed=1).batch(7),
    "compressed": lambda f, path: Dataset.range(200).map(f).snapshot(path, "ZSTD").batch(7),
}


@pytest.mark.parametrize("kind", ["rows", "stream"])
def test_a_later_dataset_takes_elements_and_specs_from_the_file(kind: str, tmp_path: Path) -> None:
    first = FILED[kind](Counting(), tmp_path)
    expected = [plain(first), plain(first)]
    function = Counting()
    again = FILED[kind](function, tmp_path)
    assert again.element_spec == first.element_spec
    assert [plain(again), plain(again)] == expected
    assert function.calls == 0


@pytest.mark.parametrize("kind", ["rows", "stream"])
def test_a_state_goes_on_whether_the_file_is_there_or_not(kind: str, tmp_path: Path) -> None:
    dataset = FILED[kind](Counting(), tmp_path / "a")
    plain(dataset)
    iterator = dataset.iter()
    for _ in range(9):
        next(iterator)
    state = iterator.state()
    rest = list(map(value, iterator))
    assert plain(FILED[kind](Counting(), tmp_path / "a"), state) == rest
    assert plain(FILED[kind](Counting(), tmp_path / "b"), state) == rest


def double(x: Any) -> Any:
    return x * 2


def triple(x: Any) -> Any:
    return x * 3


def test_another_function_another_array_and_another_seed_are_kept_apart(tmp_path: Path) -> None:
    def make(function: Any = double, array: Any = (1, 2, 3), seed: int = 1) -> list[Any]:
        return sorted(
            plain(Dataset.from_tensor_slices(np.array(array)).map(function).shuffle(3, seed=seed).cache(tmp_path))
        )

    assert make() == [2, 4, 6]
    assert make(function=triple) == [3, 6, 9]
    assert make(array=(1, 2, 4)) == [2, 4, 8]
    assert make(seed=2) == [2, 4, 6]
    assert make() == [2, 4, 6]
    assert len(list(tmp_path.iterdir())) == 4


def test_what_a_function_refers_to_counts(tmp_path: Path) -> None:
    def make(offset: int) -> list[Any]:
        return plain(Dataset.range(2).map(lambda x: x + offset).cache(tmp_path))

    assert make(10) == [10, 11]
    assert make(20) == [20, 21]


def test_what_datasets_inside_of_functions_draw_does_not_hide_an_entry(tmp_path: Path) -> None:
    def make() -> Dataset:
        return Dataset.range(3).flat_map(lambda x: Dataset.range(2).map(lambda y: y + 10)).cache(tmp_path)

    assert plain(make()) == plain(make()) == [10, 11] * 3
    assert len(list(tmp_path.iterdir())) == 1


def test_numbers_of_an_operation_count(tmp_path: Path) -> None:
    def make(start: int) -> list[Any]:
        dataset = Dataset.range(3).scan(np.int64(start), lambda total, x: (total + x, total + x))
        return plain(dataset.cache(tmp_path))

    assert make(0) == [0, 1, 3]
    assert make(10) == [10, 11, 13]


def test_plans_beside_count(tmp_path: Path) -> None:
    def make(other: Any) -> list[Any]:
        return plain(Dataset.range(2).concatenate(Dataset.from_tensor_slices(np.array(other))).cache(tmp_path))

    assert make([5]) == [0, 1, 5]
    assert make([6]) == [0, 1, 6]


def test_what_has_no_identity_asks_for_a_key(tmp_path: Path) -> None:
    lock = threading.Lock()

    def function(x: Any) -> Any:
        with lock:
            return x

    with pytest.raises(ArgumentError, match=r"lock(?s:.)*key="):
        plain(Dataset.range(2).map(function).cache(tmp_path))
    assert plain(Dataset.range(2).map(function).cache(tmp_path, key="mine")) == [0, 1]
    with pytest.raises(ArgumentError, match="key="):
        plain(Dataset.from_source(Rows()).cache(tmp_path))


class Rows:
    """Rows that cannot be looked into."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        return index


def test_a_changed_file_is_never_served(tmp_path: Path) -> None:
    plain(Dataset.range(100).cache(tmp_path))
    (data,) = tmp_path.glob("*/data/*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match=data.name):
        plain(Dataset.range(100).cache(tmp_path))
    data.write_bytes(bytes(content[:-1]))
    with pytest.raises(IntegrityError, match=data.name):
        plain(Dataset.range(100).cache(tmp_path))


def test_an_early_end_leaves_nothing_behind(tmp_path: Path) -> None:
    iterator = Dataset.range(100).filter(even).cache(tmp_path).batch(2).iter()
    next(iterator)
    iterator.close()
    del iterator
    assert not list(tmp_path.glob("*-stream"))


def test_two_writers_are_as_good_as_one(tmp_path: Path) -> None:
    one, other = (Dataset.range(100).filter(even).cache(tmp_path).batch(10).iter() for _ in range(2))
    both = [(a.tolist(), b.tolist()) for a, b in zip(one, other, strict=True)]
    assert all(a == b for a, b in both)
    assert len(list(tmp_path.iterdir())) == 1
    assert len(plain(Dataset.range(100).filter(even).cache(tmp_path))) == 50


def test_a_killed_writer_leaves_nothing_that_is_served_and_is_cleaned_up_after(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from mainstay.data import Dataset
        def function(x):
            if os.environ.get("KILL") and int(x) == 150:
                os.kill(os.getpid(), signal.SIGKILL)
            return str(int(x))
        dataset = Dataset.range(200).map(function).cache({os.fspath(tmp_path)!r})
        print(len(list(dataset)))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    killed = subprocess.run(command, env={**os.environ, "KILL": "1"}, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name.endswith(".partial") for path in tmp_path.iterdir()] == [True]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "200\n"
    assert [path.name.endswith("-rows") for path in tmp_path.iterdir()] == [True]


class Point(NamedTuple):
    x: Any
    y: Any


def test_named_tuples_stay_named(tmp_path: Path) -> None:
    def make() -> Dataset:
        return Dataset.from_tensor_slices(Point([1, 2], [3, 4])).cache(tmp_path)

    assert [type(e) for e in [*make(), *make()]] == [Point] * 4


def test_a_snapshot_may_be_compressed(tmp_path: Path) -> None:
    assert plain(Dataset.range(50).snapshot(tmp_path, "ZSTD")) == list(range(50))
    assert plain(Dataset.range(50).snapshot(tmp_path, "ZSTD")) == list(range(50))
    with pytest.raises(ArgumentError, match="LZ4, ZSTD or GZIP"):
        Dataset.range(50).snapshot(tmp_path, "SNAPPY")
