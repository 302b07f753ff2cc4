"""Bytes become numbers, base 64 and tensors; what is damaged is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import DataError, RequestError


def test_numbers_are_read_in_the_order_of_their_bytes(run, text):
    kind = np.dtype(np.int16)
    assert run("DecodeRaw", text(b"\1\0\2\0"), out_type=kind).tolist() == [[1, 2]]
    assert run("DecodeRaw", text(b"\1\0\2\0"), out_type=kind, little_endian=False).tolist() == [[256, 512]]
    assert run("DecodePaddedRaw", text(b"\1"), np.int32(4), out_type=kind).tolist() == [[1, 0]]


def test_widths_that_do_not_fit_are_refused(run, text):
    kind = np.dtype(np.int32)
    with pytest.raises(DataError, match="differ in length"):
        run("DecodeRaw", text("aaaa", "aaaaaaaa"), out_type=kind)
    with pytest.raises(DataError, match="no whole number"):
        run("DecodeRaw", text("aaa"), out_type=kind)
    with pytest.raises(RequestError, match="too large"):
        run("DecodePaddedRaw", text("a", "b"), np.int32(2**31 - 4), out_type=kind)


@given(st.lists(st.binary(max_size=9)), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_base_64_comes_back(run, text, items, pad):
    coded = run("EncodeBase64", text(*items), pad=pad)
    assert run("DecodeBase64", coded).tolist() == items


@pytest.mark.parametrize("text_", [b"A", b"A===", b"AA=", b"A+/A", b"AAAA====", b"A A A", b"\xff\xff", b"=AAA"])
def test_bad_base_64_is_refused(run, text, text_):
    with pytest.raises(DataError, match="not in base 64"):
        run("DecodeBase64", text(text_))


def test_a_tensor_comes_back_from_its_bytes(run, text):
    tensor = np.float32([[1.5, 2.5]])
    stored = run("SerializeTensor", tensor)
    assert run("ParseTensor", stored, out_type=np.dtype(np.float32)).tolist() == [[1.5, 2.5]]
    with pytest.raises(DataError, match="another dtype"):
        run("ParseTensor", stored, out_type=np.dtype(np.int32))
    with pytest.raises(DataError):
        run("ParseTensor", text(stored.item()[:-1]).reshape(()), out_type=np.dtype(np.float32))


def test_json_that_is_no_example_is_refused(run, text):
    with pytest.raises(DataError, match="no example in JSON"):
        run("DecodeJSONExample", text("{" * 100_000))
    with pytest.raises(DataError, match="no example in JSON"):
        run("DecodeJSONExample", text(b"\xff"))
