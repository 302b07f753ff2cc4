"""RFC 9113, rule by rule: what a client does wrong, and the code that it is told."""

import pytest

from mainstay.serving.http2 import frames
from mainstay.serving.http2.control import MAX_FRAME
from mainstay.serving.http2.frames import ErrorCode, Setting

HEAD_FLAGS = frames.END_HEADERS | frames.END_STREAM
PROTOCOL, SIZE, FLOW = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR
CLOSED, COMPRESSION = ErrorCode.STREAM_CLOSED, ErrorCode.COMPRESSION_ERROR


def opened(client):
    return client.head(1)


def closed(client):
    client.send(client.call(1))
    return b""


CONNECTION_FAULTS = {
    "DATA on stream 0": (lambda client: frames.frame(frames.DATA, 0, 0, b"x" * 30), PROTOCOL),
    "DATA on an idle stream": (lambda client: frames.frame(frames.DATA, 0, 5, b"x" * 30), PROTOCOL),
    "DATA on an even stream": (lambda client: frames.frame(frames.DATA, 0, 2, b"x" * 30), PROTOCOL),
    "DATA with too much padding": (
        lambda client: opened(client) + frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abcd"),
        PROTOCOL,
    ),
    "DATA without its padding": (lambda client: opened(client) + frames.frame(frames.DATA, frames.PADDED, 1), SIZE),
    "a frame beyond the size that is allowed": (
        lambda client: opened(client) + frames.FRAME_HEAD.pack((MAX_FRAME + 1) << 8, 0, 1),
        SIZE,
    ),
    "an unknown frame beyond the size": (lambda client: frames.FRAME_HEAD.pack((MAX_FRAME + 1) << 8 | 99, 0, 1), SIZE),
    "HEADERS on stream 0": (lambda client: client.head(0), PROTOCOL),
    "HEADERS on an even stream": (lambda client: client.head(2), PROTOCOL),
    "HEADERS on a closed stream": (lambda client: closed(client) + client.head(1), CLOSED),
    "HEADERS on a lower stream": (lambda client: client.head(5) + client.head(3), CLOSED),
    "HEADERS with too much padding": (
        lambda client: frames.frame(frames.HEADERS, frames.PADDED | frames.END_HEADERS, 1, b"\x09abc"),
        PROTOCOL,
    ),
    "HEADERS without their padding": (
        lambda client: frames.frame(frames.HEADERS, frames.PADDED | frames.END_HEADERS, 1),
        SIZE,
    ),
    "HEADERS without their priority": (
        lambda client: frames.frame(frames.HEADERS, frames.WITH_PRIORITY | frames.END_HEADERS, 1, b"abc"),
        PROTOCOL,
    ),
    "a header block that is interrupted": (
        lambda client: client.head(1, flags=0) + frames.frame(frames.PING, 0, 0, bytes(8)),
        PROTOCOL,
    ),
    "a header block that is interrupted by DATA": (
        lambda client: opened(client) + client.head(3, flags=0) + client.data(1, b""),
        PROTOCOL,
    ),
    "a header block that goes on elsewhere": (
        lambda client: client.head(1, flags=0) + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 3),
        PROTOCOL,
    ),
    "CONTINUATION without HEADERS": (
        lambda client: frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1),
        PROTOCOL,
    ),
    "CONTINUATION after the end": (
        lambda client: opened(client) + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1),
        PROTOCOL,
    ),
    "a damaged header block": (
        lambda client: frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff"),
        COMPRESSION,
    ),
    "PRIORITY on stream 0": (lambda client: frames.frame(frames.PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "PRIORITY of a wrong size": (lambda client: frames.frame(frames.PRIORITY, 0, 1, bytes(4)), SIZE),
    "RST_STREAM on stream 0": (lambda client: frames.frame(frames.RST_STREAM, 0, 0, bytes(4)), PROTOCOL),
    "RST_STREAM on an idle stream": (lambda client: frames.frame(frames.RST_STREAM, 0, 1, bytes(4)), PROTOCOL),
    "RST_STREAM of a wrong size": (lambda client: opened(client) + frames.frame(frames.RST_STREAM, 0, 1, b"x"), SIZE),
    "SETTINGS on a stream": (lambda client: frames.frame(frames.SETTINGS, 0, 1), PROTOCOL),
    "SETTINGS of a wrong size": (lambda client: frames.frame(frames.SETTINGS, 0, 0, bytes(5)), SIZE),
    "an acknowledgement with settings": (
        lambda client: frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
        SIZE,
    ),
    "ENABLE_PUSH of 2": (lambda client: frames.settings([(Setting.ENABLE_PUSH, 2)]), PROTOCOL),
    "INITIAL_WINDOW_SIZE too large": (lambda client: frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 31)]), FLOW),
    "MAX_FRAME_SIZE too small": (lambda client: frames.settings([(Setting.MAX_FRAME_SIZE, 16383)]), PROTOCOL),
    "MAX_FRAME_SIZE too large": (lambda client: frames.settings([(Setting.MAX_FRAME_SIZE, 1 << 24)]), PROTOCOL),
    "a stream's window too large by SETTINGS": (
        lambda client: (
            opened(client)
            + frames.window_update(1, 1000)
            + frames.settings([(Setting.INITIAL_WINDOW_SIZE, (1 << 31) - 1)])
        ),
        FLOW,
    ),
    "PUSH_PROMISE": (lambda client: frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), PROTOCOL),
    "PING on a stream": (lambda client: frames.frame(frames.PING, 0, 1, bytes(8)), PROTOCOL),
    "PING of a wrong size": (lambda client: frames.frame(frames.PING, 0, 0, bytes(7)), SIZE),
    "GOAWAY on a stream": (lambda client: frames.frame(frames.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "GOAWAY of a wrong size": (lambda client: frames.frame(frames.GOAWAY, 0, 0, bytes(7)), SIZE),
    "WINDOW_UPDATE of nothing": (lambda client: frames.window_update(0, 0), PROTOCOL),
    "WINDOW_UPDATE on an idle stream": (lambda client: frames.window_update(1, 5), PROTOCOL),
    "WINDOW_UPDATE of a wrong size": (lambda client: frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    "a window too large": (lambda client: frames.window_update(0, (1 << 31) - 1), FLOW),
    "a header block too large": (
        lambda client: frames.FRAME_HEAD.pack((80 << 10) << 8 | frames.HEADERS, 4, 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize("name", CONNECTION_FAULTS)
def test_a_fault_of_the_connection_ends_it_with_its_code(peer, name, step):
    make, code = CONNECTION_FAULTS[name]
    client = peer()
    client.send(make(client), step)
    told = client.goaway()
    assert told is not None
    assert told[0] is code, told
    assert client.wire.eof
    assert not client.connection.streams


STREAM_FAULTS = {
    "DATA after the end": (
        lambda client: client.head(1, flags=HEAD_FLAGS ^ 1) + client.data(1, b"\0\0\0\0\0") + client.data(1, b"x"),
        CLOSED,
    ),
    "DATA on a closed stream": (lambda client: closed(client) + client.data(1, b"x"), CLOSED),
    "HEADERS in the middle that end nothing": (lambda client: opened(client) + client.head(1, (("x", "y"),)), PROTOCOL),
    "trailers with pseudo fields": (
        lambda client: opened(client) + client.head(1, ((":path", "/"),), flags=HEAD_FLAGS),
        PROTOCOL,
    ),
    "WINDOW_UPDATE of nothing": (lambda client: opened(client) + frames.window_update(1, 0), PROTOCOL),
    "a window too large": (lambda client: opened(client) + frames.window_update(1, (1 << 31) - 1), FLOW),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_a_fault_of_a_stream_resets_it_and_leaves_the_others_alone(peer, name):
    make, code = STREAM_FAULTS[name]
    client = peer()
    client.grpc.answers = name == "DATA on a closed stream"
    client.send(make(client))
    client.grpc.answers = True
    client.send(client.call(3))
    answers = client.answers()
    assert answers[1]["reset"] is code
    assert answers[3]["end"] == {"grpc-status": "0"}


@pytest.mark.parametrize(
    "change",
    [
        [("X-Upper", "y")],
        [("connection", "close")],
        [("keep-alive", "5")],
        [("transfer-encoding", "chunked")],
        [("upgrade", "h2c")],
        [("proxy-connection", "x")],
        [("te", "gzip")],
        [("x", "a\r\nb")],
        [("x", "a\0b")],
        [("x", " a")],
        [("x", "a\t")],
        [("x y", "a")],
        [("", "a")],
        [(":path", "/again")],
        [(":unknown", "x")],
        [(":status", "200")],
        [("content-length", "x")],
        [("content-length", "-1")],
    ],
)
def test_malformed_requests_are_reset(peer, kit, change):
    client = peer()
    fields = [pair for pair in kit.CALL if pair[0] != "te" or change[0][0] != "te"] + change
    client.send(client.head(1, fields))
    assert client.answers()[1]["reset"] is PROTOCOL
    client.send(client.call(3))
    assert client.answers()[3]["end"] == {"grpc-status": "0"}


@pytest.mark.parametrize("missing", [":method", ":scheme", ":path"])
def test_a_request_without_its_pseudo_fields_is_reset(peer, kit, missing):
    client = peer()
    client.send(client.head(1, [pair for pair in kit.CALL if pair[0] != missing]))
    assert client.answers()[1]["reset"] is PROTOCOL


def test_pseudo_fields_come_first(peer, kit):
    client = peer()
    client.send(client.head(1, [*kit.CALL[4:], *kit.CALL[:4]]))
    assert client.answers()[1]["reset"] is PROTOCOL


@pytest.mark.parametrize(("length", "fits"), [("10", True), ("9", False), ("11", False)])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_content_length_must_be_that_of_the_body(peer, kit, length, fits, pieces):
    client = peer()
    body = kit.prefixed(b"hello")
    client.send(client.head(1, (*kit.CALL, ("content-length", length))))
    if pieces == 2:
        client.send(client.data(1, body[:4], end=False) + client.data(1, body[4:]))
    else:
        client.send(client.data(1, body))
    answer = client.answers()[1]
    assert (answer["end"] == {"grpc-status": "0"}) if fits else (answer["reset"] is PROTOCOL)


def test_trailers_end_a_request(peer, kit):
    client = peer()
    client.send(client.head(1) + client.data(1, kit.prefixed(b"hello"), end=False))
    client.send(client.head(1, (("x-checksum", "5"),), flags=HEAD_FLAGS))
    assert client.answers()[1]["end"] == {"grpc-status": "0"}


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"hello" * 10])
def test_a_connection_that_does_not_begin_as_http2_is_ended(peer, data):
    client = peer(greet=False)
    client.send(data)
    assert client.goaway()[0] is PROTOCOL


@pytest.mark.parametrize("first", [frames.frame(frames.PING, 0, 0, bytes(8)), frames.frame(frames.SETTINGS, 1, 0)])
def test_the_first_frame_is_settings(peer, first):
    client = peer(greet=False)
    client.send(frames.PREFACE + first)
    assert client.goaway()[0] is PROTOCOL


def test_settings_and_pings_are_acknowledged_in_order(peer):
    client = peer()
    client.read()
    client.send(frames.settings([(Setting.ENABLE_PUSH, 0), (99, 5)]) + frames.frame(frames.PING, 0, 0, b"12345678"))
    assert client.read() == [(frames.SETTINGS, frames.ACK, 0, b""), (frames.PING, frames.ACK, 0, b"12345678")]


def test_the_reserved_bit_of_streams_is_ignored(peer, kit):
    client = peer()
    data = client.head(1 | 1 << 31) + frames.frame(frames.DATA, 1, 1 | 1 << 31, kit.prefixed(b"x"))
    client.send(data)
    assert client.answers()[1]["end"] == {"grpc-status": "0"}


def test_more_streams_than_allowed_are_refused_so_that_they_may_be_tried_again(peer):
    client = peer(max_streams=2)
    client.grpc.answers = False
    client.send(client.call(1) + client.call(3) + client.call(5))
    assert client.answers()[5]["reset"] is ErrorCode.REFUSED_STREAM
    client.grpc.calls[0].reply(b"")
    client.loop.run()
    client.grpc.answers = True
    client.send(client.call(7))
    assert client.answers()[7]["end"] == {"grpc-status": "0"}


def test_what_still_comes_for_a_stream_that_was_refused_is_dropped(peer, kit):
    client = peer()
    client.send(client.head(1, kit.CALL[:-1]))
    client.send(client.data(1, bytes(5000), end=False) + client.head(1, (("x", "y"),), flags=HEAD_FLAGS))
    client.send(client.call(3))
    answers = client.answers()
    assert answers[1]["reset"] is ErrorCode.NO_ERROR
    assert answers[3]["end"] == {"grpc-status": "0"}


def test_a_small_body_that_is_refused_is_read_to_its_end_instead_of_being_reset(peer, kit):
    client = peer(read_timeout_seconds=5)
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("content-length", "2")]
    client.send(client.head(1, fields))
    assert client.answers()[1]["end"][":status"] == "415"
    client.send(client.data(1, b"{}"))
    assert client.answers() == {}
    assert not client.connection.streams
    client.send(client.head(3, fields))
    client.answers()
    client.loop.run(6)
    client.listener.tick()
    client.loop.run()
    assert client.answers()[3]["reset"] is ErrorCode.NO_ERROR


def test_a_large_frame_of_an_unknown_type_is_skipped_without_being_kept(peer):
    client = peer()
    client.send(frames.FRAME_HEAD.pack(MAX_FRAME << 8 | 77, 0, 0))
    for _ in range(MAX_FRAME // 65536):
        client.send(bytes(65536))
        assert len(client.connection._rest) == 0
    client.send(client.call(1))
    assert client.answers()[1]["end"] == {"grpc-status": "0"}
