"""The gRPC port of a whole server, over real sockets."""

import socket

from mainstay.serving.http2 import frames

HEALTH = "/grpc.health.v1.Health/Check"


def call_of_health(kit, peer):
    fields = tuple((name, HEALTH if name == ":path" else value) for name, value in kit.CALL)
    greeting = frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0)
    return greeting + peer().head(1, fields) + frames.frame(frames.DATA, frames.END_STREAM, 1, kit.prefixed(b""))


def test_a_server_answers_grpc_and_says_goodbye(start, kit, peer):
    server = start(grpc_port=0)
    assert server.server.grpc_port not in (0, server.port)
    with socket.create_connection(("127.0.0.1", server.server.grpc_port), timeout=20) as client:
        client.sendall(call_of_health(kit, peer))
        data = b""
        while kit.prefixed(b"\x08\x01") not in data:  # SERVING
            data += client.recv(65536)
        server.call(server.server.stop())
        while piece := client.recv(65536):
            data += piece
    assert frames.goaway(frames.LARGEST_WINDOW, frames.ErrorCode.NO_ERROR) in data
    assert frames.goaway(1, frames.ErrorCode.NO_ERROR) in data


def test_a_server_without_a_grpc_port_has_none(start):
    assert start().server.grpc_port == 0
