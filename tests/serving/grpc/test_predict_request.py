"""Templates: a request that fits one reads as protobuf would read it, whatever was done to its bytes."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError, message_class
from mainstay.serving.grpc.predict_request import Templates, find_numbers, read_request
from mainstay.serving.grpc.tensor_proto import decode_tensor, encode_tensor
from mainstay.serving.grpc.wire import field, varint

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bfloat16", "float16")


def request_of(model="m", signature="s", version=None, **inputs):
    request = message_class("tensorflow.serving.PredictRequest")()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, (array, content) in inputs.items():
        request.inputs[name].ParseFromString(encode_tensor(array, content=content))
    return request


def learned(*messages):
    templates = Templates()
    for message in messages:
        if templates.find(message) is None:
            request, head = read_request(message)
            templates.learn(message, request, head)
    return templates


def check(templates, message):
    """Hold what a template says of a message against protobuf; return whether there was one."""
    template = templates.find(message)
    if template is None:
        return False
    request, head = read_request(message)  # raises where protobuf reads no such message
    assert template.head == head
    tensors = template.tensors(message)
    assert set(tensors) == set(request.inputs)
    for name, array in tensors.items():
        expected = decode_tensor(request.inputs[name], name)
        assert (array.shape, array.dtype, array.tobytes()) == (expected.shape, expected.dtype, expected.tobytes())
    return True


@st.composite
def requests(draw):
    """Requests with one to three inputs of numbers of one size."""
    inputs = {}
    for name in draw(st.lists(st.sampled_from(["x", "y", "long_name", ""]), min_size=1, max_size=3, unique=True)):
        dtype = draw(st.sampled_from(DTYPES))
        shape = tuple(draw(st.lists(st.integers(1, 4), max_size=3)))
        size = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
        array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)
        inputs[name] = (array, draw(st.booleans()) or dtype not in ("float32", "float64"))
    model = draw(st.sampled_from(["m", "model"]))
    return request_of(model, draw(st.sampled_from(["", "s"])), draw(st.sampled_from([None, 0, 3, -1])), **inputs)


@given(requests())
def test_a_request_that_came_before_has_a_template(request):
    message = request.SerializeToString()
    assert check(learned(message), message)


@given(requests(), st.data())
@settings(max_examples=200)
def test_a_changed_request_reads_the_same_with_and_without_a_template(request, data):
    message = request.SerializeToString()
    templates = learned(message)
    changed = bytearray(message)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    check(templates, bytes(changed))


@given(requests(), requests())
def test_templates_of_several_requests_do_not_mix(one, other):
    first, second = one.SerializeToString(), other.SerializeToString()
    templates = learned(first, second, first)
    assert check(templates, first)
    assert check(templates, second)


@given(st.binary(max_size=80), requests())
def test_no_bytes_that_protobuf_refuses_are_learned(data, request):
    for message in (data, request.SerializeToString() + data):
        try:
            read, head = read_request(message)
        except DecodeError:
            assert not find_numbers(message, {})
            continue
        templates = Templates()
        templates.learn(message, read, head)
        check(templates, message)


def test_numbers_that_come_twice_are_read_where_they_belong():
    same = np.arange(4, dtype=np.float32)
    message = request_of(a=(same, True), b=(same, True)).SerializeToString()
    templates = learned(message)
    other = request_of(a=(same, True), b=(same + 1, True)).SerializeToString()
    assert templates.find(other) is not None
    assert check(templates, other)
    assert templates.find(other).tensors(other)["b"].tolist() == [1, 2, 3, 4]


def test_the_bytes_of_the_numbers_in_a_name_teach_no_wrong_place():
    numbers = np.frombuffer(b"abcdefgh", np.float32)
    message = request_of("abcdefgh", x=(numbers, True)).SerializeToString()
    templates = learned(message)
    other = message.replace(b"abcdefgh", b"ABCDEFGH", 1)
    assert not check(templates, other)
    place = message.rindex(b"abcdefgh")
    assert check(templates, message[:place] + b"12345678" + message[place + 8 :])


def entry(name, tensor):
    return field(2, field(1, name) + field(2, tensor))


TENSOR = encode_tensor(np.ones(3, np.float32), content=True)


@pytest.mark.parametrize(
    "message",
    [
        entry(b"x", TENSOR) + entry(b"x", TENSOR),  # the last one counts
        field(2, field(1, b"x") + field(2, TENSOR) + field(2, TENSOR)),  # both are put together
        field(2, field(1, b"y") + field(1, b"x") + field(2, TENSOR)),
        field(2, field(2, TENSOR)),  # the empty name, by its absence
        entry(b"x", TENSOR + field(4, bytes(12))),
        entry(b"x", TENSOR + field(5, bytes(12))),  # content and values
        entry(b"x", encode_tensor(np.ones(3, np.float32)) + field(5, b"")),
        entry(b"x", TENSOR + field(99, b"unknown")),
        entry(b"x", encode_tensor(np.ones(3, np.int64))),  # of no fixed size each
        entry(b"x", encode_tensor(np.array(["a"], object))),
        entry(b"x", b"\x08\x01" + field(2, field(2, b"\x08\x02")) + b"\x2d\x00\x00\x80\x3f" * 2),  # not packed
        entry(b"x", b"\x08\x01" + field(2, field(2, b"\x08\x04")) + field(5, bytes(12))),  # fewer than the shape says
        entry(b"x", b"\x08\x01" + field(2, field(2, b"\x08\x02")) + field(5, bytes(12))),  # more
        entry(b"x", b"\x08\x02" + field(2, field(2, b"\x08\x03")) + field(5, bytes(12))),  # in the field of another
        entry(b"x", b"\x08\x0a" + field(2, field(2, b"\x08\x03")) + field(4, bytes(3))),  # bool, of which 2 is one
        entry(b"x", b"\x08\x01" + field(2, b"\x18\x01") + field(4, bytes(4))),  # unknown rank
        entry(b"x", TENSOR) + entry(b"s", encode_tensor(np.array(["a"], object))),
        entry(b"\xff", b""),
    ],
)
def test_what_protobuf_may_put_together_is_no_template(message):
    try:
        request, head = read_request(message)
    except DecodeError:
        return
    templates = Templates()
    templates.learn(message, request, head)
    assert templates.find(message) is None


def test_other_fields_are_part_of_a_template():
    message = request_of(x=(np.ones(3, np.float32), True)).SerializeToString()
    for extra in (field(3, b"y"), field(6, b"client"), field(99, b"unknown"), varint(98 << 3) + b"\x01"):
        templates = learned(message + extra)
        assert check(templates, message + extra)


def test_only_a_few_templates_of_one_length_are_kept():
    messages = [request_of(f"m{index}", x=(np.ones(3, np.float32), True)).SerializeToString() for index in range(9)]
    templates = learned(*messages)
    assert [templates.find(message) is not None for message in messages] == [False] * 5 + [True] * 4


def test_a_length_of_which_templates_are_of_no_use_is_given_up():
    templates = Templates()
    for index in range(200):
        message = request_of(f"m{index:03}", x=(np.ones(3, np.float32), True)).SerializeToString()
        assert templates.find(message) is None
        request, head = read_request(message)
        templates.learn(message, request, head)
    assert templates.find(message) is None


def test_the_number_of_lengths_is_bounded():
    templates = Templates()
    for size in range(1, 1400):
        message = request_of(x=(np.ones(size, np.float32), True)).SerializeToString()
        request, head = read_request(message)
        templates.learn(message, request, head)
    assert len(templates._shelves) <= 1024
    assert templates.find(message) is not None


def test_a_request_that_is_mostly_other_bytes_is_no_template():
    message = request_of("m" * 5000, x=(np.ones(3, np.float32), True)).SerializeToString()
    assert learned(message).find(message) is None


def test_what_a_request_asks_for_is_read():
    request = request_of("m", "s", 3, x=(np.ones(1, np.float32), True))
    request.output_filter.extend(["b", "a"])
    _, head = read_request(request.SerializeToString())
    assert head == ("m", 3, None, "s", ("b", "a"), True, b"")
    request.model_spec.version_label = "stable"
    assert read_request(request.SerializeToString())[1][:3] == ("m", None, "stable")
    assert read_request(b"")[1].is_complete is False
    request.request_options.client_id = b"new"
    assert read_request(request.SerializeToString())[1].client == b"new"
    request.client_id = b"old"
    assert read_request(request.SerializeToString())[1].client == b"old"


def test_the_tensors_of_a_template_are_those_of_its_message():
    message = request_of(x=(np.arange(6, dtype=np.float32).reshape(2, 3), False)).SerializeToString()
    found = learned(message).find(message).tensors(message)["x"]
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(RequestError):
        decode_tensor(message_class("tensorflow.TensorProto")(), "x")
