from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving import ServerOptions
from mainstay.serving.http1.connection import Connection
from mainstay.serving.http1.repeats import known_head
from mainstay.serving.rest.options import RestOptions

HEADS = (
    (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", "/a"),
    (b"POST /b HTTP/1.1\r\nhost: y\r\nX-Mainstay-Timeout-Ms: 5\r\ncontent-length: %d\r\n\r\n", "/b"),
    (b"PUT /a?q HTTP/1.1\r\nhost: x\r\ncontent-length:%d\r\n\r\n", "/a?q"),
)


class Transport:
    def __init__(self):
        self.written = b""
        self.closed = False

    def get_extra_info(self, name):
        return ("127.0.0.1", 1)

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return False

    def close(self):
        self.closed = True

    abort = pause_reading = resume_reading = close


def connected(**rest):
    seen = []

    def handle(exchange):
        seen.append((exchange.method, exchange.target, dict(exchange.headers), exchange.body))
        exchange.reply(200, b"{}")

    shared = SimpleNamespace(
        rest=SimpleNamespace(handle=handle),
        options=ServerOptions(rest=RestOptions(**rest)),
        loop=None,
        connections=set(),
        buffered=0,
        stopping=False,
        head=b"HTTP/1.1 200 OK\r\ncontent-length: ",
        identify=None,
    )
    connection = Connection(shared)
    connection.connection_made(Transport())
    return connection, seen


requests = st.lists(st.tuples(st.sampled_from(HEADS), st.binary(max_size=3)), max_size=8)


@given(requests, st.lists(st.integers(1, 250), max_size=12))
def test_requests_are_read_alike_however_they_are_cut(messages, cuts):
    """Also where the next body looks like a head, and where a request is cut in its middle."""
    pieces, whole = [], [head % len(body) + body for (head, _), body in messages]
    stream, start = b"".join(whole), 0
    for cut in cuts:
        pieces.append(stream[start : start + cut])
        start += cut
    pieces.append(stream[start:])
    for parts in (whole, [piece for piece in pieces if piece]):
        connection, seen = connected()
        for part in parts:
            connection.data_received(part)
        assert [(target, body) for _, target, _, body in seen] == [(target, body) for (_, target), body in messages]
        for (method, _, headers, body), ((head, _), _) in zip(seen, messages, strict=True):
            assert head.startswith(method.encode())
            assert headers[b"content-length"] == b"%d" % len(body)
            assert (b"x-mainstay-timeout-ms" in headers) == (b"Timeout" in head)


def test_a_head_that_comes_again_is_not_parsed_again():
    connection, seen = connected()
    request = HEADS[0][0] % 2 + b"{}"
    connection.data_received(request)
    connection._parser = None
    connection.data_received(request[:-2] + b"[]")
    assert [body for *_, body in seen] == [b"{}", b"[]"]
    assert seen[0][:3] == seen[1][:3]
    assert connection._transport.written.count(b"200 OK") == 2


def test_bytes_inside_a_body_are_no_head_though_they_look_like_one():
    connection, seen = connected()
    request = HEADS[0][0] % 2 + b"{}"
    connection.data_received(request)
    outer = HEADS[1][0] % len(request)
    connection.data_received(outer)
    connection.data_received(request)
    assert [(target, body) for _, target, _, body in seen] == [("/a", b"{}"), ("/b", request)]


def test_a_repeated_request_beyond_the_memory_for_bodies_is_turned_away():
    connection, seen = connected(max_buffered_bytes=1000)
    request = HEADS[0][0] % 2 + b"{}"
    connection.data_received(request)
    connection._shared.buffered = 999
    connection.data_received(request)
    assert len(seen) == 1
    assert b"HTTP/1.1 503" in connection._transport.written


@pytest.mark.parametrize(
    "more",
    [
        b"connection: close\r\n",
        b"content-encoding: gzip\r\n",
        b"expect: 100-continue\r\n",
    ],
)
def test_what_changes_how_a_request_is_read_is_parsed_each_time(more):
    connection, _ = connected()
    connection.data_received(b"POST /a HTTP/1.1\r\nhost: x\r\n" + more + b"content-length: 2\r\n\r\n{}")
    assert connection._known is None


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"POST /a HTTP/1.1\r\nhost: x\r\n\r\n", {}),
        (b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n{", {b"content-length": b"2"}),
        (b"POST /a HTTP/1.1\r\ncontent-length: 1\r\n\r\n{}", {b"content-length": b"1"}),
        (b"POST /a HTTP/1.1\ncontent-length: 2\n\n{}", {b"content-length": b"2"}),
    ],
)
def test_only_a_whole_request_of_a_stated_length_is_known(data, headers):
    assert known_head(data, "POST", "/a", headers) is None
