import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.serving.http2 import frames
from mainstay.serving.http2.frames import ErrorCode, Setting
from mainstay.serving.http2.inbox import STREAM_WINDOW
from mainstay.serving.status import Code

OK = {"grpc-status": "0"}


def test_a_call_is_answered_with_head_message_and_trailers(peer, kit):
    client = peer()
    client.read()
    client.send(client.call(1))
    assert client.answers() == {
        1: {
            "head": {":status": "200", "content-type": "application/grpc"},
            "data": kit.prefixed(b"hello"),
            "end": OK,
            "reset": None,
        }
    }
    (call,) = client.grpc.calls
    assert (call.path, call.message, call.peer, call.deadline) == (kit.ECHO, b"hello", "192.0.2.1:5", None)
    assert call.headers == {b"content-type": b"application/grpc", b"te": b"trailers"}
    assert not client.connection.streams


def test_the_server_greets_with_its_limits(peer):
    client = peer(max_streams=7, max_head_bytes=9000)
    kind, _, number, payload = client.read()[0]
    assert (kind, number) == (frames.SETTINGS, 0)
    told = dict(frames.read_settings(payload))
    assert told[Setting.MAX_CONCURRENT_STREAMS] == 7
    assert told[Setting.MAX_HEADER_LIST_SIZE] == 9000


def test_later_answers_use_the_table_that_the_first_one_filled(peer, kit):
    client = peer()
    sizes = []
    for number in (1, 3, 5):
        before = len(client.wire.written)
        client.send(client.call(number))
        sizes.append(len(client.wire.written) - before)
        assert client.answers()[number]["end"] == OK
    assert sizes[2] == 3 * 9 + 2 + 1 + len(kit.prefixed(b"hello")) <= sizes[1] < sizes[0]


@pytest.mark.parametrize("size", [0, 64, 200, 4096, 1 << 20])
def test_a_client_may_change_the_size_of_its_table_at_any_time(peer, kit, size):
    client = peer()
    for number, limit in enumerate((None, size, None, 0, 4096, None)):
        if limit is not None:
            client.decoder.max_allowed_table_size = limit
            client.send(frames.settings([(Setting.HEADER_TABLE_SIZE, limit)]))
        client.send(client.call(2 * number + 1))
        assert client.answers()[2 * number + 1]["end"] == OK
        client.send(client.head(101 + 2 * number, kit.CALL[:-1]) if number == 5 else b"")


def script(client, kit):
    """Return the bytes of a client that uses everything."""
    big = bytes(range(256)) * 1200
    parts = [
        frames.PREFACE,
        frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]) + frames.window_update(0, 1 << 20),
        client.call(1),
        client.call(3, big[: STREAM_WINDOW - 5]),
        client.head(5) + client.data(5, kit.prefixed(b"in")[:3], end=False) + client.data(5, kit.prefixed(b"in")[3:]),
        frames.frame(frames.PING, 0, 0, b"12345678"),
        frames.frame(0xFA, 0xFF, 1, b"unknown" * 10),
        frames.frame(frames.PRIORITY, 0, 9, bytes(5)),
        client.head(7, (*kit.CALL[:2], (":path", kit.STREAM), *kit.CALL[3:])),
        client.data(7, kit.prefixed(b"a") + kit.prefixed(b"bc")[:4], end=False),
        client.data(7, kit.prefixed(b"bc")[4:] + kit.prefixed(b"")),
    ]
    block = client.encoder.encode((*kit.CALL, ("x-long", "y" * 300)))
    parts.append(frames.frame(frames.HEADERS, 0, 9, block[:10]))
    parts.append(frames.frame(frames.CONTINUATION, 0, 9, block[10:50]))
    parts.append(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 9, block[50:]))
    parts.append(
        frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 9, b"\3" + kit.prefixed(b"pad") + bytes(3))
    )
    return b"".join(parts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 70_000), max_size=30), st.integers(1, 40))
def test_any_cutting_into_packets_gives_the_same(kit, cuts, step):
    whole, cut = kit.Peer(greet=False), kit.Peer(greet=False)
    data = script(whole, kit)
    whole.send(data)
    cut.send(data[:500], step=step)
    position = 500
    for size in cuts:
        cut.send(data[position : min(position + size, len(data) - 900)])
        position = min(position + size, len(data) - 900)
    cut.send(data[position:-900])
    cut.send(data[-900:], step=step)
    assert cut.answers() == whole.answers()
    assert whole.grpc.messages == [b"a", b"bc", b"", None]
    assert not whole.connection.streams
    assert whole.connection.inbox.held == cut.connection.inbox.held == 0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_break_nothing(kit, data):
    client = kit.Peer()
    count = data.draw(st.integers(1, 12))
    for _ in range(count):
        kind = data.draw(st.integers(0, 11))
        payload = data.draw(st.binary(max_size=40))
        if data.draw(st.booleans()):
            payload = client.encoder.encode(kit.CALL[: data.draw(st.integers(0, 6))])
        flags, number = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 9))
        client.send(frames.frame(kind, flags, number, payload)[: data.draw(st.sampled_from((None, 9, 12)))])
    client.send(data.draw(st.binary(max_size=100)))
    client.read()
    client.loop.run(40)
    client.listener.tick()
    client.wire.close()
    assert not client.connection.streams
    assert client.connection.inbox.held == client.listener.held == 0
    assert not client.listener.connections


# Flow control


class Windows:
    """What the server may send, counted by a client that trusts nobody."""

    def __init__(self, client):
        self.client, self.initial, self.connection, self.streams, self.got = client, 65535, 65535, {}, {}

    def check(self):
        for kind, flags, number, payload in self.client.read():
            if kind == frames.DATA:
                self.connection -= len(payload)
                self.streams[number] = self.streams.get(number, 0) - len(payload)
                assert self.connection >= 0
                assert self.initial + self.streams[number] >= 0 or self.shrunk
                assert len(payload) <= self.most
                self.got.setdefault(number, bytearray()).extend(payload)
            elif kind == frames.HEADERS:
                self.client.decoder.decode(payload)
                if flags & frames.END_STREAM:
                    self.got[number, "end"] = True

    most = 16384
    shrunk = False


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_never_more_is_sent_than_the_windows_allow_and_everything_in_the_end(kit, data):
    client = kit.Peer()
    windows = Windows(client)
    sizes = data.draw(st.lists(st.integers(0, 90_000), min_size=1, max_size=6))
    for place, size in enumerate(sizes):
        client.send(client.call(2 * place + 1, bytes([place]) * size))
        windows.check()
    for _ in range(data.draw(st.integers(0, 15))):
        what = data.draw(st.sampled_from(("connection", "stream", "initial", "frame")))
        if what == "initial":
            size = data.draw(st.integers(0, 100_000))
            windows.shrunk = windows.shrunk or size < windows.initial
            windows.initial = size
            client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, size)]))
        elif what == "frame":
            windows.most = max(windows.most, size := data.draw(st.integers(16384, 40_000)))
            client.send(frames.settings([(Setting.MAX_FRAME_SIZE, size)]))
        else:
            size = data.draw(st.integers(1, 30_000))
            number = 0 if what == "connection" else 2 * data.draw(st.integers(0, len(sizes) - 1)) + 1
            if number:
                windows.streams[number] = windows.streams.get(number, 0) + size
            else:
                windows.connection += size
            client.send(frames.window_update(number, size))
        windows.check()
    windows.initial, windows.connection = 1 << 20, 1 << 30
    client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]) + frames.window_update(0, 1 << 29))
    windows.check()
    for place, size in enumerate(sizes):
        assert windows.got[2 * place + 1] == kit.prefixed(bytes([place]) * size)
        assert windows.got[2 * place + 1, "end"]
    assert not client.connection.streams


def test_large_answers_take_turns(peer):
    client = peer()
    client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]))
    client.send(client.call(1, b"a" * 100_000) + client.call(3, b"b" * 100_000) + frames.window_update(0, 1 << 20))
    order = [number for kind, _, number, _ in client.read() if kind == frames.DATA]
    assert order[:6] == [1, 3, 1, 3, 1, 3]


def test_a_message_larger_than_the_window_is_granted_the_rest(peer, kit):
    client = peer()
    client.read()
    message = bytes(3 * STREAM_WINDOW)
    data = kit.prefixed(message)
    client.send(client.head(1) + client.data(1, data[:STREAM_WINDOW], end=False))
    updates = [payload for kind, _, number, payload in client.read() if kind == frames.WINDOW_UPDATE and number == 1]
    assert [frames.WORD.unpack(payload)[0] for payload in updates] == [len(data) - STREAM_WINDOW]
    client.send(client.data(1, data[STREAM_WINDOW:]))
    assert client.grpc.calls[0].message == message
    assert client.connection.inbox.held == len(message)


def test_data_beyond_the_window_of_its_stream_resets_it(peer, kit):
    client = peer(max_streams=1)
    data = kit.prefixed(bytes(2 * STREAM_WINDOW))
    client.send(client.head(1) + client.data(1, b"", end=False) + client.data(1, data[:STREAM_WINDOW], end=False))
    client.connection.streams[1].credit = 10  # as if the rest had not been granted
    client.send(client.data(1, bytes(11), end=False))
    assert client.answers()[1]["reset"] is ErrorCode.FLOW_CONTROL_ERROR


def test_windows_of_the_connection_are_filled_up_in_time_and_enforced(peer):
    client = peer()
    client.read()
    for number in range(1, 150, 2):
        client.send(client.call(number, bytes(200_000)))
    assert {number for kind, _, number, _ in client.read() if kind == frames.WINDOW_UPDATE} == {0}
    client.connection._credit = 10
    client.send(client.call(201, bytes(20)))
    assert client.goaway()[0] is ErrorCode.FLOW_CONTROL_ERROR


def test_messages_wait_for_room_in_the_budget_of_their_connection(peer, kit):
    size = 2 * STREAM_WINDOW
    client = peer(max_buffered_bytes=size + 300_000)
    client.grpc.answers = False
    data = kit.prefixed(bytes(size))
    client.send(client.head(1) + client.data(1, data[:STREAM_WINDOW], end=False))
    client.read()
    client.send(client.head(3) + client.data(3, data[:1000], end=False))
    assert not [number for kind, _, number, _ in client.read() if kind == frames.WINDOW_UPDATE and number == 3]
    client.send(client.data(1, data[STREAM_WINDOW:]))
    client.grpc.calls[0].reply(b"x")
    client.loop.run()
    assert [number for kind, _, number, _ in client.read() if kind == frames.WINDOW_UPDATE and number == 3]
    client.send(client.data(3, data[1000:]))
    assert len(client.grpc.calls) == 2


def test_small_messages_beyond_the_budget_are_refused(peer):
    client = peer(max_buffered_bytes=250_000)
    client.grpc.answers = False
    client.send(client.call(1, bytes(100_000)) + client.call(3, bytes(100_000)) + client.call(5, bytes(100_000)))
    code, message = client.status(5)
    assert code == Code.RESOURCE_EXHAUSTED.value
    assert "hold more than 250000 bytes" in message
    client.send(client.call(7))
    assert len(client.grpc.calls) == 3


def test_the_budget_of_all_connections_holds_as_well(peer):
    client = peer(max_total_buffered_bytes=150_000)
    client.grpc.answers = False
    client.send(client.call(1, bytes(100_000)) + client.call(3, bytes(100_000)))
    assert client.status(3) == (8, "The server's memory for requests is full; try again later")


def test_a_client_that_does_not_read_is_not_read_from_either(peer):
    client = peer(read_timeout_seconds=5)
    client.wire.stalls_at = 0
    client.send(client.call(1))
    assert not client.wire.reading
    client.send(client.call(3))
    written = len(client.wire.written)
    client.loop.run(4)
    client.listener.tick()
    assert len(client.wire.written) == written
    client.connection.resume_writing()
    assert client.wire.reading
    assert set(client.answers()) == {1, 3}
    client.connection.pause_writing()
    client.loop.run(6)
    client.listener.tick()
    assert client.wire.closed


def test_an_answer_that_the_client_leaves_waiting_is_dropped(peer):
    client = peer(read_timeout_seconds=5)
    client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 10)]) + client.call(1, bytes(100)))
    client.read()
    client.loop.run(6)
    client.listener.tick()
    client.loop.run()
    assert client.answers()[1]["reset"] is ErrorCode.CANCEL
    assert not client.connection.streams


# gRPC


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"te": None}, (2, "Missing :te header")),
        ({":method": "GET"}, (2, "Bad method header")),
        ({"grpc-encoding": "zstd"}, (12, "Compression algorithm 'zstd' is not supported.")),
        ({"grpc-timeout": "5"}, (13, "malformed grpc-timeout: 5; send a number and one of HMSmun")),
        ({"grpc-timeout": "123456789S"}, (13, "malformed grpc-timeout: 123456789S; send a number and one of HMSmun")),
        ({"grpc-timeout": "-1S"}, (13, "malformed grpc-timeout: -1S; send a number and one of HMSmun")),
        ({"x": "y" * 17_000}, (8, "received initial metadata size exceeds limit of 16384 bytes")),
    ],
)
def test_a_call_with_a_wrong_head_is_refused_with_a_status(peer, kit, change, status):
    client = peer()
    fields = [(name, change.get(name, value)) for name, value in kit.CALL if change.get(name, value) is not None]
    fields += [(name, value) for name, value in change.items() if name not in dict(kit.CALL)]
    client.send(client.head(1, fields) + client.data(1, kit.prefixed(b"hello")))
    answer = client.answers()[1]
    assert (int(answer["end"]["grpc-status"]), answer["end"]["grpc-message"]) == status
    assert answer["reset"] is ErrorCode.NO_ERROR
    if status[0] == 12:
        assert answer["end"]["grpc-accept-encoding"] == "identity, deflate, gzip"
    client.send(client.call(3))
    assert client.answers()[3]["end"] == OK


@pytest.mark.parametrize("kind", ["application/json", "text/html", "", "application/grpcx"])
def test_what_is_no_grpc_is_told_so_in_http(peer, kit, kind):
    client = peer()
    client.send(client.head(1, [pair for pair in kit.CALL if pair[0] != "content-type"] + [("content-type", kind)]))
    assert client.answers()[1]["end"][":status"] == "415"


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;x=y", "application/grpc"])
def test_kinds_of_grpc_are_taken(peer, kit, kind):
    client = peer()
    fields = [pair for pair in kit.CALL if pair[0] != "content-type"] + [("content-type", kind)]
    client.send(client.head(1, fields) + client.data(1, kit.prefixed(b"x")))
    assert client.answers()[1]["end"] == OK


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", (12, "A unary call has exactly one request message; none came")),
        (b"\0\0\0", (13, "The request ended inside a message")),
        (b"\0\0\0\0\5hell", (13, "The request ended inside a message")),
        (b"\0\0\0\0\1a\0\0\0\0\1b", (12, "A unary call has exactly one request message; more came")),
        (b"\2\0\0\0\1a", (13, "Bad GRPC frame type 0x02")),
        (b"\1\0\0\0\1a", (13, "Compressed flag set with identity or empty encoding")),
        (b"\0\0\0\x0f\xff" + bytes(4095), (8, "SERVER: Received message larger than max (4095 vs. 2000)")),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_wrong_body_is_refused_with_a_status(peer, body, status, step):
    client = peer(max_message_bytes=2000)
    client.send(client.head(1) + client.data(1, body), step=step)
    assert client.status(1) == status
    assert not client.grpc.calls


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_messages_are_read(peer, kit, encoding):
    client = peer()
    for number, size in ((1, 100), (3, 1 << 20)):
        message = bytes(size)
        packed = gzip.compress(message) if encoding == "gzip" else zlib.compress(message)
        head = client.head(number, (*kit.CALL, ("grpc-encoding", encoding)))
        client.send(head + client.data(number, kit.prefixed(packed, 1)))
        assert client.grpc.calls[-1].message == message


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [5000, 40 << 20])
def test_bombs_are_stopped_at_the_bound(peer, kit, encoding, size):
    client = peer(max_message_bytes=4000)
    packed = gzip.compress(bytes(size)) if encoding == "gzip" else zlib.compress(bytes(size))
    client.send(client.head(1, (*kit.CALL, ("grpc-encoding", encoding))) + client.data(1, kit.prefixed(packed, 1)))
    code, message = client.status(1)
    assert code == 8
    assert "SERVER: Received message larger than max" in message
    assert client.connection.inbox.held == 0


@pytest.mark.parametrize("damage", [lambda data: data[:-9] + data[-4:], lambda data: b"x" * 30, lambda data: data[:4]])
def test_damaged_compression_is_refused(peer, kit, damage):
    client = peer()
    packed = damage(gzip.compress(b"hello" * 20))
    client.send(client.head(1, (*kit.CALL, ("grpc-encoding", "gzip"))) + client.data(1, kit.prefixed(packed, 1)))
    assert client.status(1)[0] in (8, 13)


def test_answers_are_compressed_only_if_asked_for_and_taken(peer, kit):
    for option, accepts, packed in ((True, "identity, gzip", True), (True, "identity", False), (False, "gzip", False)):
        client = peer(compress_answers=option)
        client.send(client.call(1, bytes(5000), ("grpc-accept-encoding", accepts)))
        answer = client.answers()[1]
        assert (answer["head"].get("grpc-encoding") == "gzip") is packed
        assert answer["data"][0] == packed
        assert (gzip.decompress(answer["data"][5:]) if packed else answer["data"][5:]) == bytes(5000)


def test_status_messages_are_escaped_and_cut(peer):
    client = peer()
    client.grpc.answers = False
    client.send(b"".join(client.call(number) for number in (1, 3, 5)))
    client.grpc.calls[0].finish(Code.NOT_FOUND, "no ä%\n", (("x-more", "value"),))
    client.grpc.calls[1].finish(Code.INTERNAL, "ü" * 5000)
    client.grpc.calls[2].finish(Code.INTERNAL, " x ")
    client.loop.run()
    answers = client.answers()
    assert answers[1]["end"]["grpc-message"] == "no %C3%A4%25%0A"
    assert answers[1]["end"]["x-more"] == "value"
    assert answers[3]["end"]["grpc-message"].endswith("%BC...")
    assert len(answers[3]["end"]["grpc-message"]) <= 6 << 10
    assert answers[5]["end"]["grpc-message"] == "%20x%20"


def test_a_deadline_that_passes_ends_the_call_and_tells_the_services(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1, b"x", ("grpc-timeout", "500m")) + client.call(3, b"x", ("grpc-timeout", "2H")))
    assert client.grpc.calls[0].deadline == 1000.5
    client.loop.run(0.499)
    assert not client.grpc.cancelled
    client.loop.run(0.02)
    assert client.grpc.cancelled == [1]
    assert client.status(1) == (4, "Deadline Exceeded")
    client.grpc.calls[0].reply(b"too late")
    client.loop.run(7200)
    client.listener.tick()
    client.loop.run()
    assert client.status(3) == (4, "Deadline Exceeded")
    assert len(client.listener.deadlines) == 0


def test_a_deadline_of_no_time_is_over_before_it_begins(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1, b"x", ("grpc-timeout", "0n")))
    client.loop.run(0.02)
    assert client.status(1) == (4, "Deadline Exceeded")


def test_a_call_that_the_client_resets_is_cancelled_and_never_answered(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1) + client.call(3))
    client.send(frames.reset(1, ErrorCode.CANCEL))
    assert client.grpc.cancelled == [1]
    for call in client.grpc.calls:
        call.reply(b"x")
    client.loop.run()
    assert set(client.answers()) == {3}


def test_calls_of_a_lost_connection_are_cancelled(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1) + client.head(3) + client.data(3, b"\0", end=False))
    assert client.connection.eof_received() is False
    client.wire.close()
    assert client.grpc.cancelled == [1]
    client.grpc.calls[0].reply(b"x")
    client.loop.run()
    assert not client.listener.connections


def test_streams_go_both_ways(peer, kit):
    client = peer()
    fields = tuple((name, kit.STREAM if name == ":path" else value) for name, value in kit.CALL)
    client.send(client.head(1, fields))
    assert len(client.grpc.opened) == 1
    client.send(client.data(1, kit.prefixed(b"one") + kit.prefixed(b"two")[:5], end=False))
    assert client.answers()[1]["data"] == kit.prefixed(b"one")
    client.send(client.data(1, kit.prefixed(b"two")[5:], end=False))
    client.send(client.data(1, b""))
    answer = client.answers()[1]
    assert (answer["data"], answer["end"]) == (kit.prefixed(b"two"), OK)


def test_a_client_that_streams_on_without_reading_is_held_back(peer, kit):
    client = peer()
    fields = tuple((name, kit.STREAM if name == ":path" else value) for name, value in kit.CALL)
    client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 100)]) + client.head(1, fields))
    client.read()
    client.send(client.data(1, kit.prefixed(bytes(150_000)), end=False))
    assert not [number for kind, _, number, _ in client.read() if kind == frames.WINDOW_UPDATE and number == 1]
    client.send(frames.window_update(1, 1 << 20) + frames.window_update(0, 1 << 20))
    assert [number for kind, _, number, _ in client.read() if kind == frames.WINDOW_UPDATE and number == 1]


def test_metadata_that_comes_twice_is_joined(peer):
    client = peer()
    client.send(client.call(1, b"x", ("key", "a"), ("key", "b"), ("some-bin", "AAE=")))
    assert client.grpc.calls[0].headers[b"key"] == b"a,b"
    assert client.grpc.calls[0].headers[b"some-bin"] == b"AAE="


def test_a_client_that_speaks_http_1_is_told_what_the_port_is_for(peer):
    client = peer(greet=False)
    client.wire.written = b""
    client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert client.wire.written.startswith(b"HTTP/1.1 505 ")
    head, _, body = client.wire.written.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert client.wire.eof
