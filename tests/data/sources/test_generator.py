"""Datasets of generators: checked, closed, resumed, and never pulled by two passes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset, RaggedTensorSpec
from mainstay.io import Ragged


def numbers(stop: int = 10) -> Iterator[int]:
    yield from range(stop)


def values(dataset: Dataset, state: bytes | None = None) -> list[Any]:
    return [np.asarray(x).tolist() if not isinstance(x, bytes) else bytes(x) for x in dataset.iter(state)]


def test_every_pass_calls_the_function_anew() -> None:
    calls = []

    def generator() -> Iterator[int]:
        calls.append(1)
        yield from range(3)

    dataset = Dataset.from_generator(generator, output_signature=TensorSpec((), "int32"))
    assert [values(dataset), values(dataset), len(calls)] == [[0, 1, 2], [0, 1, 2], 2]


def test_nothing_is_pulled_to_plan_with_a_signature_and_only_one_pass_is_begun_without() -> None:
    calls = []

    def generator() -> Iterator[int]:
        calls.append(1)
        yield from range(3)

    declared = Dataset.from_generator(generator, output_signature=TensorSpec((), "int64")).batch(2)
    assert declared.element_spec == TensorSpec((None,), "int64")
    assert not calls
    inferred = Dataset.from_generator(generator)
    assert inferred.element_spec == TensorSpec((), "int64")
    assert inferred.batch(2).element_spec == TensorSpec((None,), "int64")
    assert values(inferred) == [0, 1, 2]
    assert len(calls) == 1


def test_structures_with_strings_and_lists_keep_their_shape() -> None:
    spec = ({"x": TensorSpec((2,), "float32"), "name": TensorSpec((), "string")}, TensorSpec((), "bool"))

    def generator() -> Iterator[Any]:
        yield [{"x": [1, 2], "name": "ä"}, True]
        yield ({"name": b"\x00", "x": np.array([3.0, 4.0])}, False)

    elements = list(Dataset.from_generator(generator, output_signature=spec).as_numpy_iterator())
    assert [e[0]["name"] for e in elements] == ["ä".encode(), b"\x00"]
    assert [e[0]["x"].tolist() for e in elements] == [[1, 2], [3, 4]]
    assert [bool(e[1]) for e in elements] == [True, False]
    assert elements[0][0]["x"].dtype == np.float32


def test_an_element_may_be_changed_after_it_was_yielded() -> None:
    def generator() -> Iterator[Any]:
        buffer = np.zeros(2)
        for number in range(40):
            buffer[:] = number
            yield buffer

    dataset = Dataset.from_generator(generator, output_signature=TensorSpec((2,), "float64"))
    assert [x[0] for x in values(dataset)] == list(range(40))


def test_output_types_and_shapes_mean_what_they_do_in_tensorflow() -> None:
    def generator() -> Iterator[Any]:
        yield 1, [1, 2, 3]
        yield 2, [4]

    dataset = Dataset.from_generator(generator, (np.int32, "float32"), ([], [None]))
    assert dataset.element_spec == (TensorSpec((), "int32"), TensorSpec((None,), "float32"))
    assert [x.tolist() for _, x in dataset] == [[1, 2, 3], [4]]
    without = Dataset.from_generator(generator, (np.int32, "float32"))
    assert without.element_spec == (TensorSpec((), "int32"), TensorSpec((None,), "float32"))
    nested = Dataset.from_generator(lambda: iter([{"a": 1}]), {"a": "int64"}, {"a": ()})
    assert nested.element_spec == {"a": TensorSpec((), "int64")}


def test_arguments_arrive_as_tensorflow_converts_them() -> None:
    seen: list[Any] = []

    def generator(*args: Any) -> Iterator[int]:
        seen.extend(args)
        yield 1

    args = (3, 2.5, "text", [1, 2], np.float64(1), 2**40)
    list(Dataset.from_generator(generator, output_signature=TensorSpec((), "int32"), args=args))
    assert [getattr(x, "dtype", type(x)) for x in seen] == ["int32", "float32", bytes, "int32", "float64", "int64"]


def test_ragged_elements_are_taken_as_lists_of_lists() -> None:
    spec = RaggedTensorSpec((None, None), "int32")
    dataset = Dataset.from_generator(
        lambda: iter([[[1, 2], []], Ragged.from_rows([[3]], "int32")]), output_signature=spec
    )
    assert [x.to_list() for x in dataset] == [[[1, 2], []], [[3]]]
    with pytest.raises(DataError, match="element 0"):
        list(Dataset.from_generator(lambda: iter([3]), output_signature=spec))


class Point(NamedTuple):
    x: Any
    y: Any


def test_named_tuples_of_the_signature_are_what_comes_out() -> None:
    spec = Point(TensorSpec((), "int32"), TensorSpec((), "int32"))
    (point,) = Dataset.from_generator(lambda: iter([(1, 2)]), output_signature=spec)
    assert isinstance(point, Point)


@pytest.mark.parametrize(
    ("spec", "elements", "message"),
    [
        (
            TensorSpec((2,), "int32"),
            [[1, 2], [1]],
            r"element 1 of the generator .*(?s:.)*shape=\(2,\)(?s:.)*shape=\(1,\)",
        ),
        (TensorSpec((), "int32"), [1, "a"], "element 1"),
        (TensorSpec((), "string"), ["a", 1], "element 1"),
        (TensorSpec((), "int32"), [1, 2.5], "element 1(?s:.)*cannot be held as int32"),
        (TensorSpec((), "uint8"), [255, 256], "element 1(?s:.)*cannot be held as uint8"),
        (TensorSpec((), "int64"), [2**70], "element 0"),
        (TensorSpec((), "int32"), [0, float("nan")], "element 1"),
        ({"a": TensorSpec((), "int32")}, [{"a": 1}, {"b": 1}], r"element 1(?s:.)*keys \['a'\]"),
        ((TensorSpec(), TensorSpec()), [(1, 2), (1, 2, 3)], "element 1(?s:.)*a tuple of 2"),
        (TensorSpec((), "int32"), [None], "element 0"),
        (TensorSpec((None,), "int32"), [[[1], [1, 2]]], "element 0"),
        ({"a": TensorSpec((), "int32")}, [{"a": object()}], "element 0"),
    ],
)
def test_a_wrong_element_is_refused_with_its_number_and_component(spec: Any, elements: list[Any], message: str) -> None:
    dataset = Dataset.from_generator(lambda: iter(list(elements)), output_signature=spec)
    iterator = iter(dataset)
    with pytest.raises(DataError, match=message):
        list(iterator)


def test_the_component_is_named() -> None:
    spec = {"a": TensorSpec((), "int32"), "b": (TensorSpec((), "int32"),)}
    with pytest.raises(DataError, match=r"\['b'\]\[0\]"):
        list(Dataset.from_generator(lambda: iter([{"a": 1, "b": ([1],)}]), output_signature=spec))


def test_a_function_that_changes_dtype_between_elements_is_refused_without_a_signature() -> None:
    with pytest.raises(DataError, match="element 2 of the generator"):
        list(Dataset.from_generator(lambda: iter([1, 2, 2.5])))
    with pytest.raises(DataError, match="None for an axis"):
        list(Dataset.from_generator(lambda: iter([np.zeros(2), np.zeros(3)])))


def test_a_generator_object_is_refused_as_two_passes_would_share_it() -> None:
    with pytest.raises(ArgumentError, match="function that makes it"):
        Dataset.from_generator(numbers(3))  # type: ignore[arg-type]
    running = numbers(3)
    dataset = Dataset.from_generator(lambda: running, output_signature=TensorSpec((), "int64"))
    assert values(dataset) == [0, 1, 2]
    with pytest.raises(ArgumentError, match="same iterator twice"):
        values(dataset)


def test_an_iterator_without_weak_references_is_recognised_too() -> None:
    running = iter([1, 2])
    dataset = Dataset.from_generator(lambda: running, output_signature=TensorSpec((), "int64"))
    values(dataset)
    with pytest.raises(ArgumentError, match="same iterator twice"):
        values(dataset)


def test_two_passes_at_a_time_have_generators_of_their_own() -> None:
    dataset = Dataset.from_generator(numbers, output_signature=TensorSpec((), "int64"))
    assert [(int(a), int(b)) for a, b in zip(dataset, dataset, strict=True)] == [(i, i) for i in range(10)]


def test_what_is_no_iterable_is_refused() -> None:
    with pytest.raises(ArgumentError, match="nothing to iterate"):
        list(Dataset.from_generator(lambda: 3))
    with pytest.raises(ArgumentError, match="twice"):
        Dataset.from_generator(numbers, "int32", output_signature=TensorSpec())
    with pytest.raises(ArgumentError, match="need dtypes"):
        Dataset.from_generator(numbers, output_shapes=())
    with pytest.raises(ArgumentError, match="different structures"):
        Dataset.from_generator(numbers, ("int32", "int32"), ((),))


def test_an_empty_generator_is_an_empty_dataset_and_has_no_spec_of_its_own() -> None:
    assert values(Dataset.from_generator(lambda: iter([]))) == []
    with pytest.raises(ArgumentError, match="output_signature"):
        _ = Dataset.from_generator(lambda: iter([])).element_spec


def test_an_exception_reaches_the_user_with_its_traceback_and_the_element() -> None:
    def generator() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    with pytest.raises(KeyError) as raised:
        list(Dataset.from_generator(generator, output_signature=TensorSpec((), "int32")))
    assert any("at element 1" in note for note in raised.value.__notes__)
    assert any(entry.name == "generator" for entry in raised.traceback)


def test_the_elements_before_a_failure_are_handed_over() -> None:
    def generator() -> Iterator[int]:
        yield from range(100)
        raise KeyError("lost")

    iterator = iter(Dataset.from_generator(generator, output_signature=TensorSpec((), "int32")))
    assert [int(next(iterator)) for _ in range(100)] == list(range(100))
    with pytest.raises(KeyError):
        next(iterator)


def test_closing_an_iterator_closes_the_generator() -> None:
    ended = threading.Event()

    def generator() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            ended.set()

    iterator = Dataset.from_generator(generator, output_signature=TensorSpec((), "int64")).batch(4).iter()
    next(iterator)
    assert not ended.is_set()
    iterator.close()
    assert ended.wait(30)


def test_an_endless_generator_gives_its_first_elements() -> None:
    dataset = Dataset.from_generator(itertools.count, output_signature=TensorSpec((), "int64"))
    assert values(dataset.take(5)) == [0, 1, 2, 3, 4]


@given(length=st.integers(0, 70), taken=st.integers(0, 70), batch=st.integers(1, 9))
def test_a_resumed_pass_goes_on_at_every_element(length: int, taken: int, batch: int) -> None:
    def make() -> Dataset:
        return Dataset.from_generator(numbers, args=(length,), output_signature=TensorSpec((), "int64")).batch(batch)

    iterator = make().iter()
    for _ in itertools.islice(iterator, taken):
        pass
    assert values(make(), iterator.state()) == [x.tolist() for x in iterator]


class Stateful:
    """An iterator that knows its place, as Grain's do."""

    def __init__(self, states: list[str], as_bytes: bool) -> None:
        self.at, self.states, self.as_bytes = 0, states, as_bytes

    def __iter__(self) -> Stateful:
        return self

    def __next__(self) -> int:
        if self.at >= 50:
            raise StopIteration
        self.states.append("next")
        self.at += 1
        return self.at - 1

    def get_state(self) -> Any:
        return str(self.at).encode() if self.as_bytes else {"at": self.at}

    def set_state(self, state: Any) -> None:
        self.states.append("set")
        self.at = int(state) if self.as_bytes else state["at"]


class Loader:
    """An iterable that knows its place, as torchdata's StatefulDataLoader."""

    def __init__(self, states: list[str]) -> None:
        self.states, self.begin, self.at = states, 0, 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.begin, 50):
            self.states.append("next")
            self.at = number + 1
            yield number

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.states.append("set")
        self.begin = state["at"]


@pytest.mark.parametrize(
    "make", [lambda log: Stateful(log, False), lambda log: Stateful(log, True), Loader], ids=["dict", "bytes", "loader"]
)
def test_an_iterator_with_a_state_of_its_own_is_not_read_from_the_beginning(make: Callable[[list[str]], Any]) -> None:
    log: list[str] = []
    dataset = Dataset.from_generator(lambda: make(log), output_signature=TensorSpec((), "int64")).batch(10)
    iterator = dataset.iter()
    for _ in range(3):
        next(iterator)
    state = iterator.state()
    iterator.close()
    log.clear()
    assert [x[0] for x in values(dataset, state)] == [30, 40]
    assert log.count("set") == 1
    assert log.count("next") <= 30


def test_an_iterator_that_goes_on_to_change_the_state_it_gave_is_gone_on_with_all_the_same() -> None:
    class Live(Stateful):
        def __init__(self) -> None:
            super().__init__([], False)
            self.state = {"at": 0}

        def __next__(self) -> int:
            self.state["at"] += 1
            if self.state["at"] > 9:
                raise StopIteration
            return self.state["at"]

        def get_state(self) -> Any:
            return self.state

        def set_state(self, state: Any) -> None:
            self.state = state

    dataset = Dataset.from_generator(Live, output_signature=TensorSpec((), "int64"))
    iterator = dataset.iter()
    states = [iterator.state()]
    for _ in iterator:
        states.append(iterator.state())
    for number, state in enumerate(states):
        again = dataset.iter(state)
        assert again.state() == state
        assert [int(x) for x in again] == list(range(number + 1, 10))


def test_a_generator_that_became_shorter_cannot_be_gone_on_with() -> None:
    lengths = iter([50, 5])
    dataset = Dataset.from_generator(lambda: range(next(lengths)), output_signature=TensorSpec((), "int64")).batch(10)
    iterator = dataset.iter()
    for _ in range(3):
        next(iterator)
    state = iterator.state()
    with pytest.raises(DataError, match="ends before the place"):
        values(dataset, state)


def test_elements_without_leaves_are_counted() -> None:
    assert len(list(Dataset.from_generator(lambda: iter([(), ()])))) == 2
