"""Structures: nested values become JSON and back, and hostile ones are refused."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, FormatError
from mainstay.saved_model.structures import check, describe, fill, match, names

LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.builds(lambda: np.zeros(2))
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def name_of(leaf: Any, path: tuple[str, ...]) -> str | None:
    return "/".join(path) or "root" if isinstance(leaf, np.ndarray) else None


@given(VALUES)
def test_a_value_comes_back_from_its_structure_through_json(value: Any) -> None:
    structure = check(json.loads(json.dumps(describe(value, name_of))), "$")
    tensors = match(structure, value, "value")
    assert list(tensors) == list(names(structure))
    again = fill(structure, tensors.__getitem__)
    assert describe(again, name_of) == structure


@given(
    st.recursive(
        st.none() | st.text(max_size=4) | st.integers(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(st.sampled_from(["tensor", "value", "list", "tuple", "dict", "x"]), i, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_anything_else_is_refused_and_nothing_else_is_raised(value: Any) -> None:
    try:
        found = check(value, "$")
    except FormatError:
        return
    fill(found, lambda name: name)


def test_a_structure_of_any_depth_does_not_exhaust_the_stack() -> None:
    deep: Any = {"value": 1}
    for _ in range(1000):
        deep = {"list": [deep]}
    with pytest.raises(FormatError, match="64 levels"):
        check(deep, "$")


def test_a_value_of_another_structure_is_refused_where_it_differs() -> None:
    structure = describe({"a": [np.zeros(1), 3]}, name_of)
    for value, message in (
        ({"a": [np.zeros(1)]}, r"x\['a'\]: another structure"),
        ({"a": [np.zeros(1), 4]}, r"x\['a'\]\[1\]: the function was saved for another value"),
        ({"a": [np.zeros(1), True]}, "another value"),
        ({"b": 1}, "x: another structure"),
        (3, "x: another structure"),
    ):
        with pytest.raises(ArgumentError, match=message):
            match(structure, value, "x")


def test_what_json_cannot_carry_is_refused() -> None:
    for value in ({1: 2}, object(), {"a": {3}}):
        with pytest.raises(ArgumentError):
            describe(value, name_of)
