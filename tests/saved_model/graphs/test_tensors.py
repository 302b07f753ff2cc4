"""Tensors in messages: every dtype comes back, and no message makes more of itself than it holds."""

import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graphs.dtypes import kind_of_name, kind_of_number, number_of_kind
from mainstay.saved_model.graphs.tensors import read_shape, read_tensor_proto, write_shape, write_tensor_proto

DTYPES = [
    *(np.dtype(name) for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")),
    *(np.dtype(name) for name in ("float16", "float32", "float64", "complex64", "complex128")),
    *(np.dtype(kind) for kind in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4)),
]


def tensor(dtype: Any, shape: tuple[int, ...], **fields: Any) -> Any:
    proto = message_class("tensorflow.TensorProto")(dtype=number_of_kind(dtype), **fields)
    write_shape(proto.tensor_shape, shape)
    return proto


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_come_back(dtype: np.dtype) -> None:
    for array in (np.arange(6).reshape(2, 3), np.array(3), np.zeros((0, 4)), np.ones(5)):
        array = array.astype(dtype)
        read = read_tensor_proto(write_tensor_proto(array))
        assert read.dtype == dtype
        assert read.shape == array.shape
        assert np.array_equal(read, array)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_side=4), elements=st.floats(width=32)))
def test_floats_come_back_bit_for_bit(array: np.ndarray) -> None:
    assert read_tensor_proto(write_tensor_proto(array)).tobytes() == array.tobytes()


@given(st.lists(st.one_of(st.binary(max_size=9), st.text(max_size=5)), max_size=5))
def test_strings_are_bytes(values: list[bytes | str]) -> None:
    array = np.array(values, object).reshape(len(values))
    wanted = [value.encode("utf-8") if isinstance(value, str) else value for value in values]
    assert read_tensor_proto(write_tensor_proto(array)).tolist() == wanted


def test_a_message_leaves_out_values_that_repeat() -> None:
    assert read_tensor_proto(tensor(np.float32, (4,), float_val=[1, 2])).tolist() == [1, 2, 2, 2]
    assert read_tensor_proto(tensor(np.int64, (2, 2))).tolist() == [[0, 0], [0, 0]]
    assert read_tensor_proto(tensor("string", (2,))).tolist() == [b"", b""]
    assert read_tensor_proto(tensor(np.float16, (1,), half_val=[0x3C00])).tolist() == [1.0]
    assert read_tensor_proto(tensor(np.complex64, (2,), scomplex_val=[1, 2])).tolist() == [1 + 2j, 1 + 2j]
    assert len(write_tensor_proto(np.zeros(10_000, np.float32)).SerializeToString()) < 50


@pytest.mark.parametrize(
    ("proto", "summary"),
    [
        (tensor(np.float32, (2,), tensor_content=b"1234567"), "does not follow"),
        (tensor(np.float32, (1,), float_val=[1, 2]), "more values"),
        (tensor(np.float32, (1 << 20, 1 << 20)), "too large"),
        (tensor(np.float32, (1 << 30,), float_val=[1]), "too often"),
        (tensor("string", (1 << 30,)), "too often"),
        (tensor("resource", ()), "no plain values"),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(proto: Any, summary: str) -> None:
    with pytest.raises(FormatError, match=summary):
        read_tensor_proto(proto)


def test_shapes_may_be_open() -> None:
    for shape in ((), (None, 3), None, (0,)):
        proto = message_class("tensorflow.TensorShapeProto")()
        write_shape(proto, shape)
        assert read_shape(proto) == shape
    proto.dim[0].size = -5
    with pytest.raises(FormatError, match="negative"):
        read_shape(proto)
    with pytest.raises(FormatError, match="open"):
        read_tensor_proto(message_class("tensorflow.TensorProto")(dtype=1, tensor_shape={"unknown_rank": True}))


def test_dtypes_have_numbers_and_names() -> None:
    for dtype in [*DTYPES, "string", "resource", "variant"]:
        assert kind_of_number(number_of_kind(dtype)) == dtype
        assert kind_of_number(number_of_kind(dtype) + 100) == dtype
    assert kind_of_name("half") == np.float16
    for wrong in (0, 99, 199):
        with pytest.raises(FormatError, match="not known"):
            kind_of_number(wrong)
    with pytest.raises(FormatError, match="not known"):
        kind_of_name("float128")
    with pytest.raises(FormatError, match="no such dtype"):
        number_of_kind(np.dtype("datetime64[s]"))


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    from google.protobuf.message import DecodeError

    try:
        proto = message_class("tensorflow.TensorProto").FromString(data)
    except DecodeError:
        return
    with contextlib.suppress(FormatError):
        read_tensor_proto(proto)
