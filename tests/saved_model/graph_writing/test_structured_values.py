"""Structured values: the order in which TensorFlow passes tensors, defaults, and nested results."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.saved_model.graph_writing.structured_values import (
    Spec,
    flat_arguments,
    flat_names,
    function_spec,
    structured,
)
from mainstay.saved_model.structures import Parameter, fill

FLOAT = np.dtype(np.float32)


def spec_of(name: str) -> Spec:
    return Spec(name, FLOAT, (None, 2))


def test_tensors_are_passed_with_dicts_sorted_and_keywords_last() -> None:
    nested = {"tuple": [{"tensor": "t"}, {"dict": {"z": {"tensor": "z"}, "a": {"list": [{"tensor": "l"}]}}}]}
    assert flat_names(nested) == ["t", "l", "z"]
    parameters = [
        Parameter("b", {"tensor": "key_b"}, keyword_only=True),
        Parameter("first", nested),
        Parameter("a", {"tensor": "key_a"}, keyword_only=True),
    ]
    assert flat_arguments(parameters) == ["t", "l", "z", "key_a", "key_b"]


@pytest.mark.parametrize(
    ("scalar", "field"),
    [(None, "none_value"), (True, "bool_value"), (3, "int64_value"), (0.5, "float64_value"), ("s", "string_value")],
)
def test_a_scalar_has_the_field_of_its_type(scalar, field: str) -> None:
    assert structured({"value": scalar}, spec_of).WhichOneof("kind") == field


def test_a_tensor_has_its_name_dtype_and_shape() -> None:
    value = structured({"dict": {"y": {"tensor": "y"}}}, spec_of).dict_value.fields["y"].tensor_spec_value
    assert (value.name, value.dtype, [dim.size for dim in value.shape.dim]) == ("y", 1, [-1, 2])


def test_the_last_parameters_without_tensors_have_defaults() -> None:
    parameters = [
        Parameter("early", {"value": 1}),
        Parameter("x", {"tensor": "x"}),
        Parameter("training", {"value": False}),
        Parameter("mask", {"value": None}, keyword_only=True),
        Parameter("y", {"tensor": "y"}, keyword_only=True),
    ]
    fields = {item.key: item.value for item in function_spec(parameters).fullargspec.named_tuple_value.values}
    assert [item.string_value for item in fields["args"].list_value.values] == ["early", "x", "training"]
    assert [item.bool_value for item in fields["defaults"].tuple_value.values] == [False]
    assert set(fields["kwonlydefaults"].dict_value.fields) == {"mask"}


def nested() -> st.SearchStrategy:
    """Structures with tensors and scalars."""
    leaves = st.builds(lambda name: {"tensor": name}, st.text(min_size=1, max_size=3)) | st.just({"value": None})
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda items: {"list": items}, st.lists(inner, max_size=3))
            | st.builds(lambda items: {"tuple": items}, st.lists(inner, max_size=3))
            | st.builds(lambda items: {"dict": items}, st.dictionaries(st.text(max_size=3), inner, max_size=3))
        ),
        max_leaves=8,
    )


@given(nested())
def test_any_structure_is_flattened_as_trees_are_and_can_be_stored(structure) -> None:
    assert flat_names(structure) == jax.tree.leaves(fill(structure, lambda name: name))
    structured(structure, spec_of).SerializeToString()
