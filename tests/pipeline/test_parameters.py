"""Parameters: what fits an annotation, and that equal JSON means an equal value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import PipelineError
from mainstay.pipeline.parameters import check_annotation, conform

FITTING = [
    (3, int, 3),
    (10**30, int, 10**30),
    (True, bool, True),
    (3, float, 3.0),
    (-0.0, float, -0.0),
    ("ä", str, "ä"),
    (None, None, None),
    (None, int | None, None),
    (3, float | None, 3.0),
    (3, float | int, 3),
    (3.5, int | float, 3.5),
    ("a", str | None, "a"),
    ((1, 2), list[int], [1, 2]),
    ([1, 2], tuple[int, ...], (1, 2)),
    ([1, "a"], tuple[int, str], (1, "a")),
    (["a"], Sequence[str], ("a",)),
    ({"b": 1, "a": 2}, dict[str, float], {"a": 2.0, "b": 1.0}),
    ({"b": (1,)}, Mapping[str, Any], {"b": [1]}),
    ({"b": [None, {"z": 1, "a": True}]}, dict, {"b": [None, {"a": True, "z": 1}]}),
    ("auto", Literal["auto", "none"], "auto"),
    ([[1.0]], Any, [[1.0]]),
]


@pytest.mark.parametrize(("value", "hint", "expected"), FITTING)
def test_a_fitting_value_takes_the_annotated_form(value, hint, expected):
    check_annotation(hint, "step(x)")
    got = conform(value, hint, "step(x)")
    assert got == expected
    assert type(got) is type(expected)
    assert str(got) == str(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (1, bool),
        (1.0, int),
        ("1", int),
        (None, int),
        (True, float),
        (float("nan"), float),
        (float("inf"), float),
        (10**400, float),
        (b"x", str),
        (Path("x"), str),
        ("abc", list[str]),
        ([1, "a"], list[int]),
        ([1], tuple[int, int]),
        ({1: 2}, dict[str, int]),
        ({"a": "x"}, dict[str, int]),
        ({"a": 1}, list[int]),
        ({1, 2}, Any),
        (float("nan"), Any),
        ([float("nan")], Any),
        (object(), Any),
        ("other", Literal["auto", "none"]),
        (True, Literal[1]),
        ("x", int | float | None),
    ],
)
def test_a_value_that_does_not_fit_is_refused_naming_the_place(value, hint):
    with pytest.raises(PipelineError, match="wrong type") as caught:
        conform(value, hint, "train(epochs)")
    assert caught.value.where == "train(epochs)"
    assert type(value).__name__ in caught.value.received


def test_a_value_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(PipelineError):
        conform(endless, Any, "x")


@pytest.mark.parametrize("hint", [Path, bytes, set[int], object, dict[int, str], list[Path], int | Path, Literal[b"x"]])
def test_an_annotation_that_json_cannot_carry_is_refused(hint):
    with pytest.raises(PipelineError, match="JSON cannot carry"):
        check_annotation(hint, "train(x)")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(item, random)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list | tuple):
        return random.choice([list, tuple])(shuffled(item, random) for item in value)
    return value


@given(value=plain, random=st.randoms(use_true_random=False))
def test_the_order_of_dicts_and_the_kind_of_sequence_never_reach_a_step(value, random):
    one, two = conform(value, Any, "x"), conform(shuffled(value, random), Any, "x")
    assert repr(one) == repr(two)
    assert json.dumps(one) == json.dumps(two)
