"""Attributes: values go into messages and come back."""

from typing import Any

import numpy as np
import pytest

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graphs.attributes import FunctionAttr, ShapeAttr, TypeAttr, read_attribute, write_attribute

CASES: list[tuple[Any, Any]] = [
    (3, 3),
    (np.int64(-1), -1),
    (2.5, 2.5),
    (True, True),
    (np.False_, False),
    ("SAME", b"SAME"),
    (b"\xff\0", b"\xff\0"),
    (TypeAttr(np.float32), np.dtype(np.float32)),
    (TypeAttr("resource"), "resource"),
    (ShapeAttr((None, 3)), (None, 3)),
    (ShapeAttr(()), ()),
    (FunctionAttr("f", {"N": 2}), FunctionAttr("f", {"N": 2})),
]


@pytest.mark.parametrize(("value", "read"), CASES, ids=str)
def test_a_value_comes_back(value: Any, read: Any) -> None:
    assert read_attribute(write_attribute(value)) == read
    assert read_attribute(write_attribute([value, value])) == (read, read)


def test_arrays_come_back() -> None:
    array = np.arange(4.0).reshape(2, 2)
    assert np.array_equal(read_attribute(write_attribute(array)), array)
    assert np.array_equal(read_attribute(write_attribute([array]))[0], array)


def test_nothing_is_nothing() -> None:
    assert read_attribute(write_attribute([])) == ()
    assert read_attribute(message_class("tensorflow.AttrValue")()) is None
    assert read_attribute(write_attribute(ShapeAttr(None))) is None
    assert read_attribute(message_class("tensorflow.AttrValue")(type=0)) is None
    assert read_attribute(message_class("tensorflow.AttrValue")(placeholder="T")) == "$T"


@pytest.mark.parametrize("value", [None, object(), {"a": 1}, [None]])
def test_what_no_attribute_holds_is_refused(value: Any) -> None:
    with pytest.raises(FormatError, match="cannot hold"):
        write_attribute(value)
