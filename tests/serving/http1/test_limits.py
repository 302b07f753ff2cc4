"""What connections may take together: their number, the bytes that they hold, and the time of their bodies."""

import gzip
import json
import socket
import struct
import threading

import numpy as np

from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.rest.options import RestOptions

THREAD = BatchingOptions(execution="thread")


def test_connections_beyond_the_limit_are_told_so(start, fakes):
    server = start(rest=RestOptions(max_connections=2))
    first, second = server.connect(), server.connect()
    for client in (first, second):  # the server has taken them once it answers
        client.sendall(fakes.post({"instances": [1.0]}))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    with server.connect() as third:
        answer = fakes.read_all(third)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in answer
    assert b"connection: close" in answer
    first.close()
    second.close()
    while len(server.server._listeners[0].connections) > 1:
        pass
    assert server.predict({"instances": [1.0]})[0] == 200


def test_bodies_beyond_the_memory_for_all_of_them_are_turned_away(start, fakes):
    server = start(rest=RestOptions(max_buffered_bytes=10_000))
    listener = server.server._listeners[0]
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\n"
    with server.connect() as slow:
        slow.sendall(head + b"content-length: 9000\r\n\r\n" + b" " * 8000)
        while listener.buffered < 8000:
            pass
        with server.connect() as other:
            other.sendall(head + b"content-length: 3000\r\n\r\n")
            assert fakes.read_all(other).startswith(b"HTTP/1.1 503")
        with server.connect() as chunked:
            chunked.sendall(head + b"transfer-encoding: chunked\r\n\r\n" + b"bb8\r\n" + b" " * 3000)
            assert fakes.read_all(chunked).startswith(b"HTTP/1.1 503")
        assert server.predict({"instances": [1.0]})[0] == 200
        body = json.dumps({"instances": [2.0]}).encode()
        slow.sendall(b" " * (1000 - len(body)) + body)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert listener.buffered == 0


def test_what_clients_held_that_went_away_is_free_again(start):
    server = start()
    listener = server.server._listeners[0]
    with server.connect() as client:
        client.sendall(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n" + b" " * 5000)
        while not listener.buffered:
            pass
    while listener.buffered or listener.connections:
        pass
    assert server.predict({"instances": [1.0]})[0] == 200


def test_a_large_body_is_answered(start):
    server = start()
    body = json.dumps({"instances": [1.0]}) + " " * (100 << 20)
    assert server.predict(body) == (200, {"predictions": [1.0]})


def test_thousands_of_quiet_connections_are_kept_and_each_is_looked_at(start, fakes):
    server = start(idle_timeout_seconds=1e-3)
    listener = server.server._listeners[0]
    clients = [server.connect() for _ in range(600)]
    for client in clients:  # they are closed by the ticks that follow, though there are more than one tick looks at
        assert fakes.read_all(client) == b""
        client.close()
    assert not listener.connections
    assert server.predict({"instances": [1.0]})[0] == 200


def test_bodies_count_until_they_are_answered(start, fakes):
    running, go = threading.Event(), threading.Event()

    def wait(columns):
        running.set()
        assert go.wait(20)
        return {"total": np.zeros(len(columns[0].values), np.float32)}

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], body=wait))
    server = start({"m": model}, rest=RestOptions(max_buffered_bytes=10_000), batching=THREAD)
    listener = server.server._listeners[0]
    body = b'{"instances": [1.0]}' + b" " * 8000
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    with server.connect() as first:
        for _ in range(2):  # the second time by a shorter way
            running.clear()
            go.clear()
            first.sendall(head + body)
            assert running.wait(20)
            assert listener.buffered == len(body)
            with server.connect() as second:
                second.sendall(head + body)
                assert fakes.read_all(second).startswith(b"HTTP/1.1 503")
            go.set()
            assert first.recv(65536).startswith(b"HTTP/1.1 200")
            assert listener.buffered == 0
        running.clear()
        go.clear()
        first.sendall(head + body)
        assert running.wait(20)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone, not only silent
    while listener.buffered or listener.connections:
        pass
    go.set()


def test_a_body_that_is_unpacked_counts_as_what_it_is_then(start, fakes):
    server = start(rest=RestOptions(max_buffered_bytes=1_000_000))
    small = gzip.compress(b'{"instances": [1.0]}' + b" " * 2_000_000)
    large = gzip.compress(b'{"instances": [1.0]}' + b" " * 900_000, compresslevel=0)
    for body, status in ((small, 503), (large, 200)):
        answered = server.request("POST", "/v1/models/m:predict", body, {"content-encoding": "gzip"})
        assert answered[0] == status
    assert server.server._listeners[0].buffered == 0


def test_large_bodies_are_unpacked_beside_the_loop(start, monkeypatch):
    threads = []

    def unpack(data, most):
        threads.append(threading.current_thread())
        return gzip.decompress(data)

    monkeypatch.setattr("mainstay.serving.http1.connection.unpack_gzip", unpack)
    server = start()
    for level in (9, 0):
        body = gzip.compress(b'{"instances": [1.0]}' + b" " * 100_000, compresslevel=level)
        assert server.request("POST", "/v1/models/m:predict", body, {"content-encoding": "gzip"})[0] == 200
    assert threads[0] is server.thread
    assert threads[1] is not server.thread
