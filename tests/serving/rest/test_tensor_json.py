import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import MainstayError, TensorSpec, native_library, without_native
from mainstay.hostops import HostInput
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.rest.json_text import parse
from mainstay.serving.rest.tensor_json import TensorReader

pytestmark = pytest.mark.skipif(native_library() is None, reason="the C library is not built")

NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64"),
)


def host_input(name, dtype, *inner):
    return HostInput(TensorSpec([None, *inner], dtype, name), False)


def read(body, *inputs, signature="serving_default"):
    decoder = RequestDecoder(inputs)
    return TensorReader.of(signature, decoder.plans).read(body)


def read_slowly(body, *inputs, signature="serving_default"):
    """What the reader in Python says of the same body: its rows, the signature it names, or None where it refuses."""
    try:
        document = parse(body)
        if type(document) is not dict or type(document.get("signature_name", "")) is not str:
            return None
        name = document.get("signature_name")
        if name and name != signature:
            return name
        if "instances" in document:
            return None if "inputs" in document else (RequestDecoder(inputs).rows(document["instances"]), True)
        return (RequestDecoder(inputs).columns(document["inputs"]), False) if "inputs" in document else None
    except MainstayError:
        return None


def bits(values, dtype):
    return np.ascontiguousarray(np.asarray(values, dtype)).tobytes()


def check(body, *inputs):
    """Whatever C reads, Python reads the same; returns whether C read it."""
    fast, slow = read(body, *inputs), read_slowly(body, *inputs)
    if fast is None:
        return False
    if isinstance(fast, str):
        return True
    assert slow is not None, body
    assert not isinstance(slow, str), body
    assert fast[1] == slow[1]
    fast, slow = fast[0], slow[0]
    assert fast.rows == slow.rows
    assert fast.shape == slow.shape
    assert not fast.missing
    for item, have, want in zip(inputs, fast.parts, slow.parts, strict=True):
        assert have.dtype == item.spec.dtype
        assert have.shape == np.shape(want)
        assert bits(have, item.spec.dtype) == bits(want, item.spec.dtype), body
        for row in range(fast.rows):
            assert fast.place(item.spec.name, row) == slow.place(item.spec.name, row)
    return True


def rows(values):
    return json.dumps({"instances": values}).encode()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_rows_of_every_dtype_are_read(dtype):
    values = [[True, False], [False, True]] if dtype == "bool" else [[0, 1], [2, 3]]
    assert check(rows(values), host_input("x", dtype, 2))
    assert check(json.dumps({"inputs": values}).encode(), host_input("x", dtype, 2))
    assert check(rows(values[0]), host_input("x", dtype))
    assert check(rows([{"x": row} for row in values]), host_input("x", dtype, 2))


@pytest.mark.parametrize("dtype", NUMBERS[1:9])
def test_integers_are_taken_up_to_their_limits_and_not_beyond(dtype):
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    assert check(rows([low, high, -0, 1]), host_input("x", dtype)) == (high < 10**19)
    for value in (low - 1, high + 1, 1.0, 1e0, True, None, "1"):
        assert not check(rows([value]), host_input("x", dtype))


@pytest.mark.parametrize(("dtype", "most"), [("float16", 2**11), ("bfloat16", 2**8), ("float32", 2**24)])
def test_whole_numbers_that_a_float_may_not_hold_are_left_to_the_exact_reader(dtype, most):
    assert check(rows([most, -most]), host_input("x", dtype))
    assert not check(rows([most + 1]), host_input("x", dtype))
    assert check(rows([float(most + 1)]), host_input("x", dtype))


@pytest.mark.parametrize(
    "text",
    [
        *("0.1", "1.5e0", "-2.5E-3", "1e22", "1e23", "8.5e-23", "9007199254740993.0", "0.1e+2", "1E400", "1e-400"),
        *("123456789012345678901234567890.5", "0.000000000000000000000000000012345678901234567890123", "4.9e-324"),
        *(
            "2.2250738585072011e-308",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "3.4028235e38",
            "3.4028236e38",
        ),
        *("16777217.0", "1.00000005960464477539062500000000000000001", "0." + "1" * 1200, "1" + "0" * 30 + ".0"),
        *("-0.0", "-0", "0", "1e99999999999999999999", "0e99999999999999999999", "0.30000001192092896"),
        *("NaN", "-NaN", "Infinity", "-Infinity", "Inf", "-Inf"),
        *("-", ".5", "5.", "1e", "1e+", "01", "-01", "+1", "0x1", "1_0", "1.2.3", "1e5.5", "nan", "inf", "Infinit"),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_odd_numbers_are_read_as_python_reads_them_or_not_at_all(text, dtype):
    for tail in ("", ", 1.0", ", 1.0, 22222222222222.0, 333333333333333333.0"):
        check(f'{{"instances": [{text}{tail}]}}'.encode(), host_input("x", dtype))
        check(f'{{"instances": [[{text}{tail}]]}}'.encode(), host_input("x", dtype, None))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None)
def test_doubles_are_read_back_bit_for_bit(values):
    body = rows([values])
    chunk, _ = read(body, host_input("x", "float64", None))
    assert bits(chunk.parts[0][0], "float64") == bits(values, "float64")


def test_decimals_of_all_lengths_and_sizes_are_rounded_as_python_rounds_them():
    chance = np.random.default_rng(0)
    texts = []
    for length in range(1, 25):
        for power in chance.integers(-120, 90, 60).tolist():
            digits = "".join(map(str, chance.integers(0, 10, length).tolist())).lstrip("0") or "7"
            texts.append(f"{digits[0]}.{digits[1:] or '0'}e{power}")
            texts.append(f"{digits[: length // 2] or '0'}.{digits[length // 2 :] or '5'}")
    for near in (1 + 2**-53, 1 + 3 * 2**-53, 2**53 + 1, 5e-324, 2.2250738585072014e-308):
        texts += [f"{near:.40e}", f"{near:.17g}0e0" if "e" not in f"{near:.17g}" else f"{near:.17g}"]
    chunk, _ = read(f'{{"instances": [{", ".join(texts)}]}}'.encode(), host_input("x", "float64"))
    assert chunk.parts[0].tolist() == [float(text) for text in texts]


PLANS = [
    (host_input("x", "float32", 2),),
    (host_input("x", "float64"),),
    (host_input("x", "int32", None, 2),),
    (host_input("x", "uint8", 3), host_input("y", "float32")),
    (host_input("x", "bool"), host_input("é y", "int64", 2), host_input("z", "float16")),
]
scalars = st.one_of(
    st.integers(-300, 300),
    st.floats(width=32),
    st.booleans(),
    st.sampled_from([None, "text", 2**24 + 1, 10**20, 0.1, -0.0, 1e39, {"b64": "AAAA"}]),
)
plain_scalars = st.one_of(st.integers(0, 200), st.sampled_from([0.5, 1.25, -3.0]))


@st.composite
def tensors(draw, item, values):
    axes = [draw(st.integers(1, 3)) if axis is None else axis for axis in item.spec.shape[1:]]
    if draw(st.integers(0, 9)) == 0:
        axes = draw(st.lists(st.integers(0, 3), max_size=3))

    def nest(lengths):
        if not lengths:
            return draw(st.booleans()) if item.spec.dtype == "bool" else draw(values)
        return [nest(lengths[1:]) for _ in range(lengths[0])]

    return nest(axes)


@st.composite
def documents(draw):
    inputs = draw(st.sampled_from(PLANS))
    values = draw(st.sampled_from([plain_scalars, plain_scalars, scalars]))
    count = draw(st.integers(1, 4))
    form = draw(st.integers(0, 3))
    if form in (0, 2):
        content = [draw(tensors(inputs[0], values)) for _ in range(count)]
    elif form == 1:
        content = [{item.spec.name: draw(tensors(item, values)) for item in inputs} for _ in range(count)]
    else:
        content = {item.spec.name: [draw(tensors(item, values)) for _ in range(count)] for item in inputs}
    document = {"instances" if form < 2 else "inputs": content}
    if draw(st.integers(0, 3)) == 0:
        document["signature_name"] = draw(st.sampled_from(["", "serving_default", "other", 5]))
    if draw(st.booleans()):
        document = dict(reversed(document.items()))
    spacing = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r ")]))
    text = json.dumps(document, separators=spacing, ensure_ascii=draw(st.booleans()))
    return text.encode(), inputs


@given(documents())
@settings(max_examples=150, deadline=None)
def test_whatever_is_read_is_what_the_exact_reader_reads(case):
    body, inputs = case
    check(body, *inputs)


@given(documents(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_document_is_never_read_in_another_way(case, data):
    body, inputs = case
    body = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body)))
        piece = data.draw(
            st.sampled_from([b"", b"[", b"]", b",", b"{", b"}", b'"', b"0", b".", b"-", b"e", b" ", b"\xff"])
        )
        body[place : place + data.draw(st.integers(0, 2))] = piece
    check(bytes(body), *inputs)


def test_plain_documents_take_the_fast_way():
    pair = (host_input("a", "float32", 2), host_input("b", "int64"))
    assert check(b'{"instances":[{"a":[1,2],"b":3},{"b":6,"a":[4.5,5]}]}', *pair)
    assert check(b' {"inputs" : {"b" : [3 , 6] , "a" : [ [1,2],[4.5,5] ] } } \n', *pair)
    assert check(b'{"signature_name":"serving_default","instances":[[1,2]]}', pair[0])
    assert check(b'{"instances":[[1,2]],"signature_name":""}', pair[0])
    assert check(orjson.dumps({"instances": np.zeros((2, 3, 4, 5)).tolist()}), host_input("x", "float32", 3, None, 5))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"{}", b"[]", b"[[1,2]]", b'{"instances":[[1,2]]', b'{"instances":[[1,2]]} x'),
        *(b'{"instances":[]}', b'{"instances":[[]]}', b'{"instances":[[1,2],[3]]}', b'{"instances":[[1,2],3]}'),
        *(b'{"instances":[1,[2]]}', b'{"instances":[[1,2],]}', b'{"instances":[[1 2]]}', b'{"instances":[[[[1,2]]]]}'),
        *(b'{"instances":[[1,2]],"inputs":[[1,2]]}', b'{"instances":[[1,2]],"instances":[[3,4]]}', b'{"instances":5}'),
        *(b'{"instances":[{"x":[1,2],"x":[1,2]}]}', b'{"instances":[{"x":[1,2],"y":1}]}', b'{"instances":[{}]}'),
        *(b'{"instances":[{"\\u0078":[1,2]}]}', b'{"instances":[[1,2]],"more":1}', b'{"inputs":{"x":[1,2]}}'),
        *(b'{"signature_name":"\\u0061","instances":[[1,2]]}', b'{"signature_name":null,"instances":[[1,2]]}'),
        *(b'\xef\xbb\xbf{"instances":[[1,2]]}', b'{"instances":[["1","2"]]}', b'{"instances":' + b"[" * 100_000),
    ],
)
def test_what_is_unusual_is_left_to_the_exact_reader(body):
    assert read(body, host_input("x", "float32", 2)) is None


def test_another_signature_is_told_by_its_name():
    both = b'{"instances":[[1,2]],"signature_name":"other"}', b'{"signature_name":"other","instances":[["a"]]}'
    for body in both:
        assert read(body, host_input("x", "float32", 2)) == "other"


def test_there_is_no_fast_way_for_strings_and_none_without_c():
    plans = RequestDecoder([host_input("x", "float32", 2)]).plans
    reader = TensorReader.of("s", plans)
    with without_native():
        assert TensorReader.of("s", plans) is None
        assert reader.read(b'{"instances":[[1,2]]}') is None
    assert TensorReader.of("s", RequestDecoder([host_input("x", "string")]).plans) is None


def test_large_bodies_are_read_whole():
    values = np.random.default_rng(0).standard_normal((40, 1000)).astype(np.float32)
    body = orjson.dumps({"instances": values}, option=orjson.OPT_SERIALIZE_NUMPY)
    chunk, _ = read(body, host_input("x", "float32", 1000))
    assert np.array_equal(chunk.parts[0], values)
    assert math.prod(chunk.parts[0].base.shape) == 40_000


VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.floats(-2, 2, width=32)), lambda inner: st.lists(inner, max_size=3), max_leaves=8
)


def whole_of(body, decoder):
    """What the reader in Python makes of a body of whole tensors; None where it refuses."""
    document = json.loads(body)
    try:
        if "instances" in document:
            return decoder.rows(document["instances"]) if document["instances"] else None, True
        return decoder.columns(document["inputs"]), False
    except MainstayError:
        return None


@given(
    st.dictionaries(st.sampled_from("ab"), VALUES, min_size=2, max_size=2) | VALUES,
    st.sampled_from(["instances", "inputs"]),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_tensors_of_any_shape_are_read_as_the_exact_reader_reads_them(value, form, count, batched, data):
    if form == "instances":
        value = [value] * data.draw(st.integers(1, 3))
    inputs = [host_input("a", "float32", 1), host_input("b", "float64")][:count]
    decoder = RequestDecoder(inputs, free=True, batched=batched)
    body = json.dumps({form: value}).encode()
    fast = TensorReader.of("s", decoder.plans, batched=batched).read(body)
    if fast is None:
        return
    slow = whole_of(body, decoder)
    assert slow is not None, body
    (have, in_rows), (want, wanted_in_rows) = fast, slow
    assert (have.rows, have.whole, have.shape, in_rows) == (want.rows, want.whole, want.shape, wanted_in_rows)
    for one, two in zip(have.parts, want.parts, strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
    assert have.place("a", 1) == want.place("a", 1)


def test_imported_and_unbatched_signatures_are_read_in_c_too():
    free = RequestDecoder([host_input("x", "float32", 1)], free=True).plans
    chunk, _ = TensorReader.of("s", free).read(rows([1.0, 2.0, 5.0]))
    assert (chunk.whole, chunk.parts[0].tolist()) == (True, [1, 2, 5])
    chunk, _ = TensorReader.of("s", free).read(rows([[1.0], [2.0]]))
    assert (chunk.whole, chunk.rows) == (False, 2)
    plans = RequestDecoder([host_input("x", "float32")], batched=False).plans
    chunk, in_rows = TensorReader.of("s", plans, batched=False).read(b'{"inputs": [1.5, 2.5]}')
    assert (chunk.whole, in_rows, chunk.parts[0].tolist()) == (True, False, [1.5, 2.5])
