import gzip
import json
import socket
import struct
import threading
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving import BatchingOptions, ServerOptions
from mainstay.serving.http1.connection import Connection

ROW = {"instances": [1.5]}
ANSWER = b'{"predictions":[1.5]}'


def head_of(answer):
    return answer.partition(b"\r\n\r\n")[0]


def error_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_connection_carries_many_requests(start, fakes):
    server = start()
    with server.connect() as client:
        for _ in range(3):
            client.sendall(fakes.post(ROW))
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(ANSWER)
            assert b"connection: close" not in answer


def test_pipelined_requests_are_answered_in_order(start, fakes):
    server = start()
    requests = [fakes.post({"instances": [float(i)]}) for i in range(50)]
    requests.append(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    requests.append(fakes.post({"instances": ["wrong"]}))
    requests.append(fakes.post({"instances": [99.0]}, close=True))
    bodies = server.raw(b"".join(requests)).split(b"HTTP/1.1 ")[1:]
    assert [json.loads(body.partition(b"\r\n\r\n")[2]) for body in bodies[:50]] == [
        {"predictions": [float(i)]} for i in range(50)
    ]
    assert [body[:3] for body in bodies[50:]] == [b"200", b"400", b"200"]
    assert bodies[52].endswith(b'{"predictions":[99.0]}')


def test_more_pipelined_requests_than_the_server_reads_ahead_are_all_answered(start, fakes):
    server = start()
    count = 3000
    with server.connect() as client:
        sender = threading.Thread(target=client.sendall, args=(fakes.post(ROW) * count + fakes.post(ROW, close=True),))
        sender.start()
        assert fakes.read_all(client).count(ANSWER) == count + 1
        sender.join()


def test_a_request_may_arrive_byte_by_byte(start, fakes):
    server = start()
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in fakes.post(ROW, close=True):
            client.send(bytes([byte]))
        assert fakes.read_all(client).endswith(ANSWER)


def test_a_chunked_body_is_read(start):
    body = json.dumps(ROW).encode()
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1;name=value\r\n%c\r\n" % byte for byte in body)
    answer = start().raw(head + chunks + b"0\r\ntrailer: value\r\n\r\n")
    assert answer.endswith(ANSWER)


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"5\r\nabc", b"-1\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n"])
def test_a_malformed_chunk_is_refused_and_the_connection_closed(start, chunk):
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = start().raw(head + chunk + b"\r\nmore\r\nmore\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer
    assert "Malformed HTTP request" in error_of(answer)


def test_chunks_that_carry_nothing_do_not_go_on_forever(start):
    server = start()
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;"
    with server.connect() as client:
        client.sendall(head)
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            while True:
                client.sendall(b"x" * 65536)
    assert server.predict(ROW)[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03" * 20,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"FROBNICATE / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_is_answered_400_and_closed(start, garbage):
    server = start()
    answer = server.raw(garbage)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close" in head_of(answer)
    assert "Malformed HTTP request" in error_of(answer)
    assert server.predict(ROW)[0] == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(start):
    server = start(max_body_bytes=1 << 20)
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (20 << 20)
    answer = server.raw(head + b" " * 100_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "1048576 bytes" in error_of(answer)
    assert server.predict(ROW)[0] == 200


def test_twenty_megabytes_over_the_limit_still_get_their_answer(start, fakes):
    server = start(max_body_bytes=1 << 20)
    with server.connect() as client:
        head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (20 << 20)
        client.sendall(head + b" " * (20 << 20))
        assert fakes.read_all(client).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_over_the_limit_is_refused(start):
    server = start(max_body_bytes=10_000)
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = server.raw(head + b"3000\r\n" + b" " * 0x3000 + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"h%d: v\r\n" % i for i in range(200)),
        b"h: " + b"v" * 40_000 + b"\r\n",
        b"h" * 40_000 + b": v\r\n",
        b"h: " + b"v" * 400_000,
    ],
)
def test_a_flood_of_headers_is_refused(start, flood):
    server = start()
    answer = server.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + flood + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert server.predict(ROW)[0] == 200


def test_a_header_that_never_ends_is_refused(start):
    server = start()
    with server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            while True:
                client.sendall(b"x" * 65536)


def test_a_target_that_is_too_long_is_refused(start):
    answer = start().raw(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 414 ")


def test_an_old_client_is_answered_and_the_connection_closed(start):
    server = start()
    answer = server.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in head_of(answer)


def test_an_old_client_may_ask_to_keep_the_connection(start):
    server = start()
    with server.connect() as client:
        for _ in range(2):
            client.sendall(b"GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            assert b"connection: keep-alive" in client.recv(65536)


def test_the_answer_to_head_has_no_body(start):
    answer = start().raw(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"content-length: 18" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_expects_a_word_before_it_sends_gets_it(start, fakes):
    server = start()
    body = json.dumps(ROW).encode()
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    with server.connect() as client:
        client.sendall(head % len(body))
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65536).endswith(ANSWER)
    assert server.raw(head % (1 << 40)).startswith(b"HTTP/1.1 413 ")
    strange = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: a-pony\r\ncontent-length: 3\r\n\r\n"
    assert server.raw(strange).startswith(b"HTTP/1.1 417 ")


def test_a_gzip_body_is_unpacked(start):
    server = start()
    status, body, _ = server.request(
        "POST", "/v1/models/m:predict", gzip.compress(json.dumps(ROW).encode()), {"content-encoding": "gzip"}
    )
    assert (status, body) == (200, ANSWER)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "text"),
    [
        (gzip.compress(bytes(50 << 20), mtime=0), "gzip", 413, "once unpacked"),
        (gzip.compress(b"[]", mtime=0)[:-4], "gzip", 400, "truncated"),
        (b"not gzip", "gzip", 400, "damaged"),
        (b"{}", "br", 415, "Content-Encoding"),
        (zlib.compress(b"{}"), "deflate", 415, "Content-Encoding"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused(start, body, encoding, status, text):
    server = start(max_body_bytes=1 << 20)
    answered, answer, _ = server.request("POST", "/v1/models/m:predict", body, {"content-encoding": encoding})
    assert answered == status
    assert text in json.loads(answer)["error"]


def test_an_upgrade_is_declined_by_answering_in_http_1(start):
    answer = start().raw(
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_ends_its_side_still_gets_its_answer(start, fakes):
    assert start().raw(fakes.post(ROW), finish=True).endswith(ANSWER)


def test_a_client_that_vanishes_harms_nobody(start, fakes):
    server = start()
    for end in (10, 60, None):
        client = server.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(fakes.post(ROW)[:end])
        client.close()
    assert server.predict(ROW) == (200, {"predictions": [1.5]})


def test_what_a_vanished_client_asked_is_not_computed(start, fakes):
    entered, leave = threading.Event(), threading.Event()

    def wait(columns):
        entered.set()
        leave.wait(20)
        return {"total": columns[0].values.astype(np.float32)}

    signature = fakes.Signature([fakes.input("x")], body=wait)
    leave.set()
    server = start({"m": fakes.Model(serving_default=signature)}, batching=BatchingOptions(execution="thread"))
    leave.clear()
    entered.clear()
    with server.connect() as first:
        first.sendall(fakes.post({"instances": [1.0]}, close=True))
        assert entered.wait(20)
        signature.batches.clear()
        with server.connect() as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            second.sendall(fakes.post({"instances": [2.0, 2.0, 2.0]}))
            while len(server.server._listeners[0].connections) < 2:
                pass
        while len(server.server._listeners[0].connections) > 1:
            pass
        leave.set()
        assert fakes.read_all(first).endswith(b'{"predictions":[1.0]}')
    assert server.predict({"instances": [4.0]})[0] == 200
    assert 3 not in signature.batches


def test_a_request_that_takes_too_long_to_arrive_is_ended(start, fakes):
    server = start(read_timeout_seconds=0.01)
    for part in (30, 70):
        with server.connect() as client:
            client.sendall(fakes.post(ROW)[:part])
            assert fakes.read_all(client).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_is_idle_too_long_is_closed_without_a_word(start, fakes):
    server = start(idle_timeout_seconds=0.01)
    with server.connect() as client:
        assert fakes.read_all(client) == b""
    with server.connect() as client:
        client.sendall(fakes.post(ROW))
        assert fakes.read_all(client).endswith(ANSWER)


def test_a_client_that_does_not_read_is_dropped(start, fakes):
    signature = fakes.Signature(
        [fakes.input("x")], body=lambda columns: {"total": np.zeros((len(columns[0]), 100_000), np.float32)}
    )
    server = start({"m": fakes.Model(serving_default=signature)}, read_timeout_seconds=0.01)
    with server.connect() as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            client.sendall(fakes.post(ROW) * 100)


class Wire:
    """A transport that keeps what is written, and the clock and the options that connections share."""

    def __init__(self, rest):
        self.rest, self.options, self.loop = rest, ServerOptions(), self
        self.connections, self.stopping, self.head = set(), False, b"HTTP/1.1 200 OK\r\ncontent-length: "
        self.buffered = 0
        self.written, self.closed, self.identify = b"", False, None

    def time(self):
        return 0.0

    def get_extra_info(self, name):
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data):
        assert not self.closed
        self.written += data

    def close(self):
        self.closed = True

    write_eof = abort = close

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return True

    def pause_reading(self):
        pass

    resume_reading = pause_reading


class Echo:
    """Answers every request with what it was."""

    def handle(self, exchange):
        exchange.reply(200, f"{exchange.method} {exchange.target} ".encode() + exchange.body)


def answers_to(pieces):
    wire = Wire(Echo())
    connection = Connection(wire)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            connection.data_received(piece)
    return wire.written, wire.closed


REQUESTS = st.lists(
    st.sampled_from(
        [
            b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
            b"POST /b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
            b"POST /c HTTP/1.1\r\nHOST: x\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nt: u\r\n\r\n",
            b"HEAD /d HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nxy",
            b"GET /e HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            b"POST /f HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 23\r\n\r\n"
            + gzip.compress(b"xyz", mtime=0),
            b"GET /g HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            b"GET /h HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(REQUESTS, st.data())
def test_how_bytes_are_cut_into_packets_changes_no_answer(requests, data):
    stream = bytearray(b"".join(requests))
    for _ in range(data.draw(st.integers(0, 2))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    whole = answers_to([bytes(stream)])
    assert answers_to([bytes(stream[a:b]) for a, b in pairwise(cuts)]) == whole
    assert answers_to([bytes([byte]) for byte in stream]) == whole


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_break_a_connection(pieces):
    written, closed = answers_to([b"POST /a HTTP/1.1\r\nhost: x\r\n", *pieces])
    assert closed == (b"connection: close" in written)


def test_many_clients_with_different_numbers_of_rows_get_their_own_answers(start, fakes):
    signature = fakes.Signature([fakes.input("x")])
    server = start({"m": fakes.Model(serving_default=signature)}, batching=BatchingOptions(max_batch_size=8))
    wrong = []

    def client(seed):
        for turn in range(20):
            rows = [float(seed * 1000 + turn * 10 + i) for i in range(1 + (seed * 7 + turn) % 30)]
            if server.predict({"instances": rows}) != (200, {"predictions": rows}):
                wrong.append(rows)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert max(signature.batches) <= 8
