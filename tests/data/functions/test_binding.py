"""Functions given to a dataset keep the variables around them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np

from mainstay.data import Dataset
from mainstay.data.functions.binding import bound, meaning


def _numbers(dataset: Dataset) -> list[int]:
    return [int(number) for number in dataset]


def test_functions_made_in_a_loop_each_keep_their_own_number() -> None:
    datasets = []
    for number in range(3):
        datasets.append(Dataset.range(2).map(lambda x: x + 10 * number))  # noqa: B023
    assert [_numbers(dataset) for dataset in datasets] == [[0, 1], [10, 11], [20, 21]]


def test_maps_stacked_in_a_loop_each_call_their_own_function() -> None:
    dataset = Dataset.range(2)
    for function in (lambda x: x + 1, lambda x: x * 10):
        dataset = dataset.map(lambda x: function(x))  # noqa: B023
    assert _numbers(dataset) == [10, 20]


def test_filters_of_a_class_each_choose_their_own() -> None:
    parts = [Dataset.range(6).filter(lambda x: x % 3 == kind) for kind in range(3)]  # noqa: B023
    assert [_numbers(part) for part in parts] == [[0, 3], [1, 4], [2, 5]]


def test_inner_functions_of_a_nested_dataset_keep_it_too() -> None:
    parts = []
    for number in (1, 2):
        parts.append(Dataset.range(2).interleave(lambda x: Dataset.range(2).map(lambda y: y + number)))  # noqa: B023
    assert sorted(_numbers(parts[0])) == [1, 1, 2, 2]


def test_global_variables_of_a_script_are_kept() -> None:
    script = """
        from mainstay.data import Dataset

        def labelled(x, index):
            return x * 100 + index

        datasets = []
        for index in range(3):
            datasets.append(Dataset.range(2).map(lambda x: labelled(x, index)))
        index = later = 7
        print([[int(x) for x in dataset] for dataset in datasets])
        count = 0
        def counted(x):
            global count
            count += 1
            return str(x)
        list(Dataset.range(3).map(counted))
        print(count > 0)
        dataset = Dataset.range(1).map(lambda x: defined_below(x))
        def defined_below(x):
            return x + later
        print([int(x) for x in dataset])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.splitlines() == ["[[0, 100], [1, 101], [2, 102]]", "True", "[7]"]


def test_a_variable_that_the_function_assigns_to_stays_shared() -> None:
    count = 0

    def counted(x: object) -> bytes:
        nonlocal count
        count += 1
        return str(x).encode()

    list(Dataset.range(3).map(counted))
    assert count >= 3


def test_what_a_variable_refers_to_is_not_copied() -> None:
    seen: list[int] = []

    def note(x: np.int64) -> bytes:
        seen.append(int(x))
        return b""

    list(Dataset.range(3).map(note))
    assert set(seen) == {0, 1, 2}


def test_a_function_keeps_its_signature_its_name_and_its_attributes() -> None:
    offset = 1

    def scaled(x: int, /, by: int = 2, *, plus: int = 3) -> int:
        """Scale."""
        return x * by + plus + offset

    scaled.mark = "marked"  # type: ignore[attr-defined]
    made = bound(scaled)
    offset = 100
    assert made(5) == 14
    assert made(5, 3, plus=0) == 16
    assert (made.__name__, made.__qualname__, made.__doc__) == (scaled.__name__, scaled.__qualname__, scaled.__doc__)
    assert made.mark == "marked"  # type: ignore[attr-defined]


def test_functions_of_modules_and_other_callables_stay_what_they_are() -> None:
    assert bound(_numbers) is _numbers
    assert bound(len) is len
    assert bound(np.add) is np.add


def test_functions_of_one_definition_mean_the_same_where_their_variables_do() -> None:
    def made(held: object, default: object = None) -> object:
        return lambda x, y=default: (x, y, held)

    def around(inner: object) -> object:
        return lambda x: inner(x)  # type: ignore[operator]

    big = np.zeros(3)
    for one, other in ((1, 1), ("a", "a"), (big, big), (np.float32(2), np.float32(2)), (made(1), made(1))):
        assert meaning(made(one)) == meaning(made(other))
        assert meaning(bound(made(one))) == meaning(bound(made(other)))
        assert meaning(around(made(one))) == meaning(around(made(other)))
    held = (np.zeros(3), [1], [1])
    for one, other in (
        (1, 2),
        (1, True),
        (0.0, -0.0),
        (1, 1.0),
        (big, held[0]),
        (held[1], held[2]),
        (made(1), made(2)),
    ):
        assert meaning(made(one)) != meaning(made(other))
        assert meaning(made(0, one)) != meaning(made(0, other))
        assert meaning(around(made(one))) != meaning(around(made(other)))
    assert meaning(lambda x: x) != meaning(lambda x: x)


def test_a_function_that_refers_to_itself_has_a_meaning() -> None:
    def again(x: int) -> int:
        return again(x - 1) if x else 0

    assert meaning(again) == meaning(again)


def test_methods_of_one_object_mean_the_same() -> None:
    one, other = Threshold(), Threshold()
    assert meaning(one.above) == meaning(one.above)
    assert meaning(one.above) != meaning(other.above)


class Threshold:
    """Something with a method."""

    def above(self, x: int) -> bool:
        return x > 0
