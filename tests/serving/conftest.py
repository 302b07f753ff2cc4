"""A server on a thread of its own, models without a compiler, and a client that can misbehave."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading

import numpy as np
import pytest
import uvloop

from mainstay.core import Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving import ModelServer, ServerOptions


class FakeSignature:
    """A signature that adds up its numbers, or does what `body` says; it keeps the size of every batch."""

    def __init__(self, inputs, outputs=None, body=None, buckets=(1, 2, 4, 8, 16, 32)):
        self.inputs = tuple(inputs)
        outputs = outputs or (TensorSpec([None], "float32", "total"),)
        self.signature = Signature(tuple(item.spec for item in self.inputs), tuple(outputs))
        self.buckets = buckets
        self.body = body or self.add_up
        self.batches = []
        self.warm = ()

    def add_up(self, columns):
        total = 0
        for column in columns:
            if column.values.dtype.kind != "O":
                total = (
                    total + np.where(column.missing, 0, column.values)
                    if column.missing is not None
                    else (total + column.values)
                )
        return {self.signature.outputs[0].name: np.asarray(total, np.float32)}

    def warm_up(self, buckets=None):
        self.warm = tuple(buckets)

    def run(self, columns):
        self.batches.append(len(columns[0]))
        return self.body(columns)


class FakeModel:
    def __init__(self, **signatures):
        self.signatures = signatures


def host_input(name, dtype="float64", *inner, optional=False):
    return HostInput(TensorSpec([None, *inner], dtype, name), optional)


class Running:
    """A running server, seen from a blocking client."""

    def __init__(self, models, options):
        self.server = ModelServer(models, options)
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.server.start())

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def stop(self):
        self.call(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    @property
    def port(self):
        return self.server.rest_port

    def request(self, method, path, body=None, headers=None):
        """Return status, body and headers of one request."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())

    def predict(self, document, path="/v1/models/m:predict"):
        """Return status and JSON of a prediction."""
        body = document if isinstance(document, bytes | str) else json.dumps(document)
        status, answer, _ = self.request("POST", path, body)
        return status, json.loads(answer)

    def raw(self, data, *, finish=False):
        """Send bytes and return everything until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            if finish:
                client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def read_all(client):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            data += piece
    return data


def post(document, *, close=False, path="/v1/models/m:predict"):
    """Return the bytes of a prediction request."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = [f"POST {path} HTTP/1.1", "host: test", f"content-length: {len(body)}"]
    if close:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def start():
    """Start servers: `start(models, **options)` returns a `Running`; they end with the test."""
    running = []

    def run(models=None, **options):
        models = models or {"m": FakeModel(serving_default=FakeSignature([host_input("x")]))}
        running.append(Running(models, ServerOptions(**{"rest_port": 0, "grpc_port": None} | options)))
        return running[-1]

    yield run
    for server in running:
        server.stop()


@pytest.fixture
def fakes():
    """The building blocks of tests, as one namespace."""

    class Fakes:
        Signature = FakeSignature
        Model = FakeModel
        input = staticmethod(host_input)
        post = staticmethod(post)
        read_all = staticmethod(read_all)

    return Fakes
