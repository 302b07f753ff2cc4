"""What connections may take together: their number, the bytes that they hold, and the time of their bodies."""

import json

from mainstay.serving.rest.options import RestOptions


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
