import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.core import DTYPES, RequestError, message_class
from mainstay.serving.grpc.tensor_proto import DATA_TYPES, decode_tensor, encode_tensor, fixed_head

NUMBERS = [name for name in DTYPES if name != "string"]


def proto_of(data):
    return message_class("tensorflow.TensorProto").FromString(data)


def make(dtype, shape, **values):
    proto = message_class("tensorflow.TensorProto")(dtype=dtype, **values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def same(one, other):
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    assert one.tobytes() == other.tobytes()


SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("content", [True, False])
def test_numbers_of_every_dtype_come_back_bit_by_bit(name, content):
    @settings(max_examples=20)
    @given(SHAPES, st.data())
    def check(shape, data):
        dtype = np.dtype(name)
        size = math.prod(shape)
        raw = data.draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
        array = np.frombuffer(raw, dtype).reshape(shape)
        if name == "bool":
            array = np.frombuffer(raw, np.uint8).reshape(shape) > 127
        same(decode_tensor(proto_of(encode_tensor(array, content=content)), "x"), array)

    check()


@given(SHAPES, st.data(), st.booleans())
def test_strings_come_back(shape, data, content):
    size = math.prod(shape)
    array = np.empty(size, object)
    array[:] = data.draw(st.lists(st.binary(max_size=5), min_size=size, max_size=size))
    array = array.reshape(shape)
    found = decode_tensor(proto_of(encode_tensor(array, content=content)), "x")
    assert (found.shape, found.tolist()) == (array.shape, array.tolist())


def test_text_is_written_as_utf8():
    proto = proto_of(encode_tensor(np.array(["é", "\udcff"], object)))
    assert list(proto.string_val) == ["é".encode(), b"\xff"]


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_written_is_what_protobuf_would_write(name):
    array = np.arange(6).reshape(2, 3).astype(name)
    for content in (True, False):
        data = encode_tensor(array, content=content)
        assert proto_of(data).SerializeToString() == data
        assert bool(proto_of(data).tensor_content) is content


def test_a_single_value_has_a_shape_without_axes():
    proto = proto_of(encode_tensor(np.float32(1.5)[...]))
    assert proto.HasField("tensor_shape")
    assert (len(proto.tensor_shape.dim), list(proto.float_val)) == (0, [1.5])


def test_arrays_that_are_not_in_order_are_written_in_order():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert list(proto_of(encode_tensor(array)).float_val) == [0, 3, 1, 4, 2, 5]
    swapped = np.array([1, 2], ">f4")
    assert list(proto_of(encode_tensor(swapped)).float_val) == [1, 2]
    assert proto_of(encode_tensor(swapped, content=True)).tensor_content == swapped.astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (make(1, [4], float_val=[1, 2]), [1, 2, 2, 2]),
        (make(1, [2, 2]), [[0, 0], [0, 0]]),
        (make(1, [1], float_val=[1, 2, 3]), [1]),
        (make(1, [], float_val=[5]), 5),
        (make(1, []), 0),
        (make(7, [3], string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (make(7, [2]), [b"", b""]),
        (make(7, [1], string_val=[b"a", b"b"]), [b"a"]),
        (make(7, [3], tensor_content=b"\x01\x00\x02abc"), [b"a", b"", b"bc"]),
        (make(3, [3], int_val=[7]), [7, 7, 7]),
        (make(6, [2], int_val=[300, -1]), [44, -1]),
        (make(10, [3], bool_val=[True]), [True] * 3),
        (make(10, [2], tensor_content=b"\x00\x02"), [False, True]),
        (make(19, [2], half_val=[0x3C00, 0xC000]), [1.0, -2.0]),
        (make(14, [2], half_val=[0x3F80, 0xC000]), [1.0, -2.0]),
        (make(23, [1], uint64_val=[2**64 - 1]), [2**64 - 1]),
        (make(22, [1], uint32_val=[2**32 - 1]), [2**32 - 1]),
        (make(1, [0], float_val=[1]), []),
        (make(1, [0], tensor_content=b"abc"), []),
        (make(1, [2, 0, 3]), np.zeros((2, 0, 3)).tolist()),
    ],
)
def test_values_fill_the_shape_by_the_rules_of_tensorflow(proto, expected):
    assert decode_tensor(proto, "x").tolist() == expected


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (make(0, [1]), "dtype invalid"),
        (make(8, [1], scomplex_val=[1, 2]), "dtype complex64"),
        (make(20, [1]), "dtype resource"),
        (make(99, [1]), "dtype 99"),
        (make(1, [-1], float_val=[1]), "received shape [-1]"),
        (make(1, [2**40, 2**40], float_val=[1]), "received shape"),
        (make(1, [0, 2**40, 2**40]), "received shape"),
        (make(2, [0, 2**61]), "received shape"),
        (make(1, [1] * 65, float_val=[1]), "received shape"),
        (make(1, [2], tensor_content=b"1234567"), "expected 8 bytes for shape [2], received 7 bytes of content"),
        (make(1, [2], tensor_content=b"123456789"), "received 9 bytes of content"),
        (make(7, [2], tensor_content=b"\x01\x01a"), "received 3 bytes"),
        (make(7, [2], tensor_content=b"\x01\x01abc"), "received 5 bytes"),
        (make(7, [9], tensor_content=b"\x00\x00"), "the lengths of 9 strings"),
        (make(1, [2**30], float_val=[1]), "received 1 values"),
        (make(7, [2**40]), "received 0 values"),
    ],
)
def test_what_is_no_tensor_is_refused(proto, reason):
    with pytest.raises(RequestError, match="tensor parsing error: x") as caught:
        decode_tensor(proto, "x")
    assert caught.value.where == "$.inputs.x"
    assert reason in f"expected {caught.value.expected}, received {caught.value.received}"


def test_a_tensor_of_unknown_rank_is_refused():
    proto = make(1, [], float_val=[1])
    proto.tensor_shape.unknown_rank = True
    with pytest.raises(RequestError, match="tensor parsing error: x"):
        decode_tensor(proto, "x")


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(data):
    from google.protobuf.message import DecodeError

    try:
        proto = proto_of(data)
    except DecodeError:
        return
    try:
        array = decode_tensor(proto, "x")
    except RequestError:
        return
    assert array.shape == tuple(axis.size for axis in proto.tensor_shape.dim)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("content", [True, False])
def test_the_part_before_the_numbers_is_worked_out_alone(name, content):
    array = np.ones((2, 3), object if name == "string" else name)
    found = fixed_head(name, array.shape, content=content)
    has_one = name != "string" and (content or name in ("float32", "float64", "bool"))
    assert (found is not None) == has_one
    if found is not None:
        assert found == (encode_tensor(array, content=content)[: -array.nbytes], array.nbytes)
    assert fixed_head(name, (0, 3), content=content) is None


def test_every_dtype_of_ours_has_its_number():
    assert set(DATA_TYPES) == set(DTYPES)


def test_a_shape_of_a_million_axes_is_refused_at_once():
    proto = message_class("tensorflow.TensorProto")(dtype=1)
    proto.tensor_shape.dim.add().size = 2**62
    proto.tensor_shape.ParseFromString(proto.tensor_shape.SerializeToString() * 1_000_000)
    with pytest.raises(RequestError, match="tensor parsing error"):
        decode_tensor(proto, "x")
