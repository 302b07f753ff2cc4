"""Iterators give elements with `numpy()`, and a state at every one of them."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mainstay.core import ArgumentError, FormatError
from mainstay.data import Dataset, Place


def numbers(iterator: object) -> list[int]:
    return [int(x) for x in iterator]  # type: ignore[attr-defined]


def test_elements_answer_to_numpy() -> None:
    dataset = Dataset.from_tensor_slices({"n": np.arange(2), "v": np.ones((2, 3)), "s": [b"a", b"b"]})
    element = next(iter(dataset))
    assert element["n"].numpy() == 0
    assert element["n"].shape == ()
    assert type(element["v"].numpy()) is np.ndarray
    assert element["s"].numpy() == b"a"
    plain = next(dataset.as_numpy_iterator())
    assert type(plain["v"]) is np.ndarray
    assert type(plain["s"]) is bytes


def test_a_state_is_small_json_and_goes_on_in_another_dataset() -> None:
    iterator = Dataset.range(100).shuffle(10, seed=1).batch(7).iter()
    next(iterator)
    state = iterator.state()
    assert json.loads(state)["epoch"] == 0
    assert len(state) < 200
    rest = Dataset.range(100).shuffle(10, seed=1).batch(7).iter(state)
    assert [x.tolist() for x in rest] == [x.tolist() for x in iterator]


def test_a_state_brings_its_seeds_and_its_pass_along() -> None:
    one, other = (Dataset.range(20).shuffle(20, seed=seed) for seed in (1, 2))
    list(one)
    iterator = one.iter()
    numbers_of_pass = numbers(iterator)
    resumed = numbers(other.iter(one_state := Place.from_bytes(iterator.state()).to_bytes()))
    assert resumed == []
    begun = one.iter()
    following = numbers(begun)
    assert following != numbers_of_pass
    assert numbers(other) == following
    assert one_state == iterator.state()


def test_states_of_other_datasets_are_refused() -> None:
    state = Dataset.range(10).batch(2).iter().state()
    with pytest.raises(ArgumentError, match="another dataset"):
        Dataset.range(10).batch(3).iter(state)
    with pytest.raises(ArgumentError, match="another dataset"):
        Dataset.range(11).batch(2).iter(state)


NO_PLACE = b'{"version":1,"plan":"","seeds":[],"epoch":0,"position":%b}'


@pytest.mark.parametrize(
    "state",
    [b"", b"{}", b"5", b"\xff", b'{"version": 9}', b"null", b"[]", "abc"]
    + [NO_PLACE % position for position in (b"7", b"[]", b"[null,-1]", b'[null,"a"]', b"[null,1.5]", b"true", b'"ab"')],
)
def test_what_is_no_state_is_refused(state: bytes) -> None:
    with pytest.raises(FormatError):
        Dataset.range(3).iter(state)


def test_a_state_that_was_edited_is_refused() -> None:
    dataset = Dataset.range(30).shuffle(5, seed=1).batch(2)
    iterator = dataset.iter()
    next(iterator)
    value = json.loads(iterator.state())
    assert len(list(dataset.iter(json.dumps(value, indent=1)))) == 14
    for key, edited in (("position", [[7, 3], 0]), ("epoch", 1), ("seeds", [4]), ("check", "00000000")):
        with pytest.raises(FormatError, match="edited or truncated"):
            dataset.iter(json.dumps({**value, key: edited}))


def test_an_iterator_that_is_closed_ends() -> None:
    iterator = Dataset.range(5).iter()
    assert iterator.get_next() == 0
    iterator.close()
    assert list(iterator) == []


def test_iterators_of_one_dataset_do_not_disturb_each_other() -> None:
    dataset = Dataset.range(6).shuffle(6, seed=1, reshuffle_each_iteration=False)
    one, other = dataset.iter(), dataset.iter()
    assert [(int(a), int(b)) for a, b in zip(one, other, strict=True)] == [(x, x) for x in numbers(dataset)]


def test_after_an_error_an_iterator_does_not_look_as_if_it_had_ended() -> None:
    failures = [ZeroDivisionError("once"), KeyboardInterrupt()]

    def number(x: np.int64) -> int:
        if int(x) == 40 and failures:
            raise failures.pop()
        return int(str(x))

    iterator = Dataset.range(100).map(number, num_parallel_calls=1).iter()
    found: list[int] = []
    for error in (KeyboardInterrupt, ZeroDivisionError):
        with pytest.raises(error):
            found.extend(int(x) for x in iterator)
    assert found < list(range(40))
    state = iterator.state()
    assert found + numbers(iterator) == list(range(100))
    assert found + numbers(Dataset.range(100).map(number, num_parallel_calls=1).iter(state)) == list(range(100))


def test_threads_share_an_iterator() -> None:
    iterator = Dataset.range(2000).iter()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: numbers(iterator), range(4)))
    assert sorted(x for part in parts for x in part) == list(range(2000))
