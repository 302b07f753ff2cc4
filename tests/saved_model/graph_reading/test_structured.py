"""Structures of the object graph: read, filled and matched."""

from typing import Any

import handmade_graphs as make
import numpy as np
import pytest

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graph_reading.structured import CompositeLeaf, Leaf, fill, leaves, match, read_structure

StructuredValue = message_class("tensorflow.StructuredValue")


def spec(name: str) -> Any:
    value = StructuredValue()
    value.tensor_spec_value.name, value.tensor_spec_value.dtype = name, 1
    make.write_shape(value.tensor_spec_value.shape, (None, 2))
    return value


def leaf(name: str) -> Leaf:
    return Leaf(name, np.dtype(np.float32), (None, 2))


def nested() -> Any:
    """``({"b": x, "a": [y, None]}, Pair(first=z, second=3))``."""
    value = StructuredValue()
    fields = value.tuple_value.values.add().dict_value.fields
    fields["b"].CopyFrom(spec("x"))
    items = fields["a"].list_value.values
    items.add().CopyFrom(spec("y"))
    items.add().none_value.SetInParent()
    pair = value.tuple_value.values.add().named_tuple_value
    pair.name = "Pair"
    pair.values.add(key="first").value.CopyFrom(spec("z"))
    pair.values.add(key="second").value.int64_value = 3
    return value


def test_a_structure_is_read_as_it_was() -> None:
    first, pair = read_structure(nested())
    assert first == {"a": [leaf("y"), None], "b": leaf("x")}
    assert (type(pair).__name__, pair.first, pair.second) == ("Pair", leaf("z"), 3)


def test_tensors_come_in_the_order_of_the_keys() -> None:
    structure = read_structure(nested())
    assert [each.name for each in leaves(structure)] == ["y", "x", "z"]
    numbers = iter(range(9))
    filled = fill(structure, lambda _: next(numbers))
    assert filled[0] == {"a": [0, None], "b": 1}
    assert filled[1].first == 2


def test_values_match_or_do_not() -> None:
    structure = read_structure(nested())
    assert match(structure, ({"a": (1, None), "b": 2}, (3, 3))) == [1, 2, 3]
    for wrong in (
        ({"a": (1, None), "b": 2}, (3, 4)),
        ({"a": (1, 5), "b": 2}, (3, 3)),
        ({"a": (1, None)}, (3, 3)),
        ({"a": (1,), "b": 2}, (3, 3)),
        ((1, None), (3, 3)),
        ({"a": (1, None), "b": None}, (3, 3)),
        3,
    ):
        assert match(structure, wrong) is None
    assert match(True, 1) is None
    assert match(np.array([1]), np.array([1])) == []


@pytest.mark.parametrize(
    ("field", "stored", "read"),
    [
        ("float64_value", 2.5, 2.5),
        ("bool_value", False, False),
        ("string_value", "é", "é"),
        ("tensor_dtype_value", 7, "string"),
    ],
)
def test_plain_values_are_read(field: str, stored: Any, read: Any) -> None:
    assert read_structure(StructuredValue(**{field: stored})) == read


def test_composite_tensors_are_several() -> None:
    value = StructuredValue()
    value.type_spec_value.type_spec_class_name, value.type_spec_value.num_flat_components = "RaggedTensorSpec", 2
    assert read_structure(value) == CompositeLeaf("RaggedTensorSpec", 2)


def test_names_that_no_tuple_has_are_refused() -> None:
    value = StructuredValue()
    value.named_tuple_value.values.add(key="__class__").value.int64_value = 1
    with pytest.raises(FormatError, match="impossible names"):
        read_structure(value)
