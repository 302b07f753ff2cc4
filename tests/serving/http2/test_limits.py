"""Clients that waste the server's time or memory, and connections that come to their end."""

import pytest

from mainstay.serving.http2 import frames
from mainstay.serving.http2.frames import ErrorCode, Setting

CALM = ErrorCode.ENHANCE_YOUR_CALM

FLOODS = {
    "pings": lambda client: frames.frame(frames.PING, 0, 0, bytes(8)),
    "acknowledged pings": lambda client: frames.frame(frames.PING, frames.ACK, 0, bytes(8)),
    "settings": lambda client: frames.settings([(Setting.INITIAL_WINDOW_SIZE, 5)] * 3),
    "acknowledged settings": lambda client: frames.frame(frames.SETTINGS, frames.ACK, 0),
    "priorities": lambda client: frames.frame(frames.PRIORITY, 0, 77, bytes(5)),
    "windows": lambda client: frames.window_update(0, 1),
    "unknown frames": lambda client: frames.frame(99, 0, 0, b"x"),
    "goodbyes": lambda client: frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
    "empty data": lambda client: frames.frame(frames.DATA, 0, 1),
    "tiny data": lambda client: frames.frame(frames.DATA, 0, 1, b"\0"),
    "data that is padding": lambda client: frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255)),
    "data on a closed stream": lambda client: frames.frame(frames.DATA, 0, 3, b"x"),
    "resets of a closed stream": lambda client: frames.reset(3, ErrorCode.CANCEL),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_its_connection(peer, name):
    client = peer()
    client.send(client.head(1) + client.call(3))
    client.read()
    for _ in range(200):
        client.send(FLOODS[name](client) * 50)
        if client.wire.eof:
            break
    assert client.goaway()[0] is CALM


@pytest.mark.parametrize("name", ["pings", "windows", "settings"])
def test_the_same_spread_over_time_or_between_calls_is_no_flood(peer, name):
    client = peer()
    number = 1
    for second in range(10):
        for _ in range(20):
            client.send(FLOODS[name](client) * (50 if second % 2 else 15))
            if not second % 2:
                for _ in range(10):
                    client.send(client.call(number))
                    number += 2
        client.loop.run(1)
        client.listener.tick()
    assert not client.wire.eof


def test_calls_that_are_reset_as_soon_as_they_are_made_end_the_connection(peer):
    client = peer()
    client.grpc.answers = False
    number = 1
    while not client.wire.eof and number < 10_000:
        client.send(client.call(number) + frames.reset(number, ErrorCode.CANCEL))
        number += 2
    assert client.goaway()[0] is CALM
    assert 400 < number // 2 < 700
    assert len(client.grpc.cancelled) == len(client.grpc.calls)


def test_calls_that_the_client_makes_the_server_reset_count_as_well(peer):
    client = peer()
    client.grpc.answers = False
    number = 1
    while not client.wire.eof and number < 10_000:
        client.send(client.call(number) + frames.window_update(number, 0))
        number += 2
    assert client.goaway()[0] is CALM


def test_a_client_whose_calls_time_out_is_no_attacker(peer):
    client = peer()
    client.grpc.answers = False
    for number in range(1, 4001, 2):
        client.send(client.call(number))
        client.loop.run(0.6)
        client.send(frames.reset(number, ErrorCode.CANCEL))
    assert not client.wire.eof


def test_malformed_requests_without_end_close_the_connection(peer, kit):
    client = peer()
    number = 1
    while not client.wire.eof and number < 10_000:
        client.send(client.head(number, [*kit.CALL, ("connection", "x")]))
        number += 2
    assert client.goaway()[0] is CALM


@pytest.mark.parametrize("piece", [b"", b"x"])
def test_a_header_block_of_endless_pieces_closes_the_connection(peer, piece):
    client = peer()
    client.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
    for _ in range(100):
        client.send(frames.frame(frames.CONTINUATION, 0, 1, piece))
    assert client.goaway()[0] is CALM


def test_a_header_block_that_grows_too_large_closes_the_connection(peer):
    client = peer()
    client.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
    for _ in range(5):
        client.send(frames.frame(frames.CONTINUATION, 0, 1, bytes(16384)))
    assert client.goaway()[0] is CALM


def test_a_bomb_of_header_fields_is_refused_while_the_connection_goes_on(peer, kit):
    client = peer()
    client.send(client.head(1, [*kit.CALL, ("x", "y" * 3000)]))
    table = client.encoder.header_table.dynamic_entries
    index = next(place for place, entry in enumerate(table) if entry[0] == b"x") + 62
    block = client.encoder.encode(kit.CALL) + bytes([0x80 | index]) * 5000
    client.send(frames.frame(frames.HEADERS, frames.END_HEADERS, 3, block))
    assert client.status(3) == (8, "received initial metadata size exceeds limit of 16384 bytes")
    client.send(client.call(5))
    assert client.answers()[5]["end"] == {"grpc-status": "0"}


def test_what_is_remembered_of_heads_and_streams_stays_small(peer):
    client = peer()
    for number in range(1, 6001, 2):
        client.encoder.encode([("x", str(number), True)])
        block = client.encoder.encode([(":method", "POST", True)]) + b"\x00\x01x" + bytes([4]) + b"%04d" % number
        client.send(frames.frame(frames.HEADERS, frames.END_HEADERS, number, block))
        client.loop.run(0.01)
        if number % 100 == 1:
            client.listener.tick()
    assert not client.wire.eof
    assert len(client.connection._heads.known) <= 16
    assert len(client.connection._forgotten) <= 1024


# Time


def test_a_connection_that_says_nothing_is_closed(peer):
    client = peer(greet=False, read_timeout_seconds=5)
    client.loop.run(6)
    client.listener.tick()
    assert client.wire.closed


def test_an_idle_connection_is_told_goodbye_and_closed(peer):
    client = peer(idle_timeout_seconds=5)
    client.send(client.call(1))
    client.read()
    client.loop.run(6)
    client.listener.tick()
    client.loop.run()
    assert client.goaway()[0] is ErrorCode.NO_ERROR
    assert not client.wire.closed
    for _ in range(4):
        client.loop.run(1)
        client.listener.tick()
    assert client.wire.closed


def test_a_frame_that_never_ends_closes_the_connection(peer):
    client = peer(read_timeout_seconds=5)
    data = client.call(1)
    for place in range(20):
        client.send(data[place : place + 1])
        client.loop.run(1)
        client.listener.tick()
    assert client.wire.eof or client.wire.closed


def test_a_request_that_never_ends_is_refused(peer, kit):
    client = peer(read_timeout_seconds=5)
    client.send(client.head(1) + client.data(1, kit.prefixed(bytes(500))[:100], end=False))
    client.loop.run(6)
    client.listener.tick()
    client.loop.run()
    assert client.status(1) == (4, "The request did not arrive within 5 seconds")
    client.send(client.call(3))
    assert client.answers()[3]["end"] == {"grpc-status": "0"}


def test_a_large_request_has_more_time(peer, kit):
    client = peer(read_timeout_seconds=5)
    data = kit.prefixed(bytes(3 << 20))
    client.send(client.head(1))
    for place in range(0, len(data), 200_000):
        client.send(client.data(1, data[place : place + 200_000], end=False))
        client.loop.run(1)
        client.listener.tick()
    client.send(client.data(1, b""))
    assert len(client.grpc.calls) == 1


def test_silent_clients_with_calls_are_asked_whether_they_live(peer):
    client = peer(keepalive_seconds=10)
    client.grpc.answers = False
    client.send(client.call(1))
    client.read()
    client.loop.run(11)
    client.listener.tick()
    client.loop.run()
    ((kind, _, _, payload),) = client.read()
    assert kind == frames.PING
    client.send(frames.frame(frames.PING, frames.ACK, 0, payload))
    client.loop.run(9)
    client.listener.tick()
    assert not client.wire.closed
    for _ in range(25):
        client.loop.run(1)
        client.listener.tick()
    assert client.wire.closed
    assert client.grpc.cancelled == [1]


def test_an_old_connection_is_replaced_without_loss(peer):
    client = peer(max_connection_age_seconds=10)
    client.grpc.answers = False
    client.send(client.call(1))
    client.loop.run(11)
    client.listener.tick()
    client.loop.run()
    assert client.goaway()[0] is ErrorCode.NO_ERROR
    client.grpc.calls[0].reply(b"x")
    client.loop.run()
    assert client.answers()[1]["end"] == {"grpc-status": "0"}


# Stopping


def test_a_server_that_stops_takes_what_is_on_its_way_and_refuses_the_rest(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1))
    client.read()
    client.listener.stop()
    client.loop.run()
    (first, ping) = client.read()
    assert frames.WORD.unpack_from(first[3])[0] == (1 << 31) - 1
    client.send(client.call(3))  # it had left before the client knew
    client.send(frames.frame(frames.PING, frames.ACK, 0, ping[3]))
    (last,) = client.read()
    assert frames.WORD.unpack_from(last[3])[0] == 3
    client.send(client.call(5))
    assert client.answers()[5]["reset"] is ErrorCode.REFUSED_STREAM
    client.loop.run(1)
    client.listener.close_quiet()
    assert not client.wire.closed
    for call in client.grpc.calls:
        call.reply(b"x")
    client.loop.run()
    client.listener.close_quiet()
    assert client.wire.closed
    assert set(client.answers()) == {1, 3}
    assert len(client.grpc.calls) == 2


def test_clients_that_do_not_answer_do_not_hold_up_a_stop(peer):
    client = peer()
    client.listener.stop()
    for _ in range(100):
        client.loop.run(0.02)
        client.listener.close_quiet()
    assert client.wire.closed


def test_new_connections_of_a_stopping_server_are_told_at_once(peer):
    client = peer()
    client.listener.stopping = True
    again = client.listener.connect()
    again.connection_made(wire := type(client.wire)())
    client.loop.run()
    assert frames.goaway((1 << 31) - 1, ErrorCode.NO_ERROR) in wire.written


def test_what_is_left_is_dropped_in_the_end(peer):
    client = peer()
    client.grpc.answers = False
    client.send(client.call(1))
    client.listener.abort()
    assert client.wire.closed
    assert client.grpc.cancelled == [1]


def test_a_connection_that_failed_ends_even_if_the_client_sends_on(peer):
    client = peer()
    client.send(frames.frame(frames.PING, 0, 5, bytes(8)))
    client.send(bytes(1000))
    client.loop.run(3)
    client.listener.tick()
    assert client.wire.closed
    client = peer()
    client.send(frames.frame(frames.PING, 0, 5, bytes(8)))
    for _ in range(20):
        client.send(bytes(1 << 20))
    assert client.wire.closed


def test_a_fault_of_the_services_ends_the_connection_with_a_log(peer, caplog):
    client = peer()

    def fail(call):
        raise ValueError("no")

    client.connection._handle = fail
    client.send(client.call(1))
    assert client.goaway() == (ErrorCode.INTERNAL_ERROR, "the server failed")
    assert "a fault while a gRPC connection was read" in caplog.text


def test_a_connection_of_a_stranger_is_dropped(peer):
    client = peer()
    client.listener.identify = lambda transport: None
    again = client.listener.connect()
    wire = type(client.wire)()
    wire.connection = again
    again.connection_made(wire)
    assert wire.closed
    assert not wire.written
    client.listener.identify = lambda transport: "someone"
    again = client.listener.connect()
    again.connection_made(type(client.wire)())
    assert again.identity == "someone"


def test_a_stream_whose_answers_are_not_read_ends(peer, kit):
    class Loud(kit.Grpc):
        def open(self, call):
            super().open(call)
            call.on_message = lambda message: call.send(bytes(100_000))

    grpc = Loud()
    client = peer(grpc=grpc)
    client.send(client.head(1, tuple((name, kit.STREAM if name == ":path" else value) for name, value in kit.CALL)))
    for _ in range(200):
        client.send(client.data(1, kit.prefixed(b"more"), end=False))
    assert client.answers()[1]["reset"] is ErrorCode.CANCEL
    assert grpc.cancelled == [1]
    assert not client.connection.streams
    client.send(client.call(3))
    assert client.goaway() is None
