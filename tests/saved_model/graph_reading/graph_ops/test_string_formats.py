"""Numbers are written as `printf` writes them, and read as TensorFlow's parsers read them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.saved_model.graph_reading.graph_ops.string_formats import parser_of
from mainstay.saved_model.graph_reading.graph_ops.written_numbers import escaped


def test_fills_and_forms_are_those_of_c(run):
    x = np.float32([1.5, -np.inf])
    assert run("AsString", x).tolist() == [b"1.500000", b"-inf"]
    assert run("AsString", x, width=9, fill=b"0", precision=2).tolist() == [b"000001.50", b"     -inf"]
    assert run("AsString", x, scientific=True, precision=1).tolist() == [b"1.5e+00", b"-inf"]
    assert run("AsString", np.int64([-7]), width=5, fill=b"-").tolist() == [b"-7   "]
    assert run("AsString", np.array([True])).tolist() == [b"true"]


@pytest.mark.parametrize(
    "options",
    [{"fill": b"x"}, {"scientific": True, "shortest": True}, {"width": 2**31}, {"precision": 2**40}],
)
def test_impossible_forms_are_refused(run, options):
    with pytest.raises(RequestError, match=r"a/node \(AsString\)"):
        run("AsString", np.float32([1.0]), **options)


@pytest.mark.parametrize("text", [b"", b"1_0", b"0x", b"1e", b"9" * 5000, b"--1", "٣".encode(), b"\xff", b"1\0"])
def test_what_is_no_number_is_none(text):
    assert parser_of(np.dtype(np.int32))(text) is None


def test_a_decimal_is_rounded_once():
    # Through float64 this would become a tie, and then the even neighbour.
    assert parser_of(np.dtype(np.float32))(b"1.000000059604644775390625000000000001") == np.float32(1.0000001)
    assert parser_of(np.dtype(np.float32))(b"1e50") == np.inf
    assert parser_of(np.dtype(np.float64))(b"0x1.8p1") == 3.0
    assert parser_of(np.dtype(np.float64))(b"-0x1p99999") == -np.inf


@given(st.floats(width=32, allow_nan=False))
def test_a_number_that_is_written_in_full_is_read_back(number):
    assert parser_of(np.dtype(np.float32))(repr(number).encode()) == np.float32(number)


def test_long_arrays_are_summarised(run):
    made = run("StringFormat", np.arange(10), template=b"x = {}", placeholder=b"{}")
    assert made.item() == b"x = [0 1 2 ... 7 8 9]"
    with pytest.raises(RequestError, match="other places"):
        run("StringFormat", np.arange(3), template=b"nothing", placeholder=b"{}")
    assert escaped(b'a"\n\x01') == b'a\\"\\n\\001'
