"""The headers of W3C trace context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.operations.trace_context import Parent, parent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


def test_the_clients_span_is_read():
    headers = {b"traceparent": GOOD, b"tracestate": b"vendor=x,other=y"}
    assert parent_of(headers) == Parent(TRACE, SPAN, True, "vendor=x,other=y")


def test_without_the_header_there_is_no_parent():
    assert parent_of({b"tracestate": b"a=b"}) is None


@pytest.mark.parametrize(
    ("flags", "sampled"), [(b"00", False), (b"01", True), (b"02", False), (b"03", True), (b"ff", True)]
)
def test_the_lowest_flag_says_whether_the_client_keeps_the_trace(flags, sampled):
    assert parent_of({b"traceparent": GOOD[:-2] + flags}).sampled is sampled


def test_a_later_version_may_have_more_behind_it():
    assert parent_of({b"traceparent": b"01" + GOOD[2:] + b"-what-the-future-brings"}) is not None


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        GOOD[:-1],
        GOOD + b"-extra",
        GOOD.upper(),
        b"ff" + GOOD[2:],
        b"01" + GOOD[2:] + b".x",
        GOOD.replace(TRACE.encode(), b"0" * 32),
        GOOD.replace(SPAN.encode(), b"0" * 16),
        GOOD.replace(b"-", b"_"),
        GOOD + b"\n00-" + GOOD,
        "00-４bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".encode(),
        b"\xff" * 55,
    ],
)
def test_a_malformed_header_begins_a_trace_anew(header):
    assert parent_of({b"traceparent": header}) is None


@pytest.mark.parametrize("state", [b"a=" + b"b" * 600, b"a=b\r\nx: y", b"a=\xff", b"\x00"])
def test_a_state_that_cannot_be_handed_on_is_left_out(state):
    assert parent_of({b"traceparent": GOOD, b"tracestate": state}).state == ""


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_no_header_does_harm(header, state):
    found = parent_of({b"traceparent": header, b"tracestate": state})
    assert found is None or (len(found.trace), len(found.span)) == (32, 16)


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.integers(0, 255))
def test_every_well_formed_header_is_read_as_it_is(trace, span, flags):
    header = f"00-{trace:032x}-{span:016x}-{flags:02x}".encode()
    assert parent_of({b"traceparent": header}) == Parent(f"{trace:032x}", f"{span:016x}", bool(flags & 1))
