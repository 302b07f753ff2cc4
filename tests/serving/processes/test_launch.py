"""Several workers are one server: one port, one file of a socket, one report, and an end that loses no request."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("server_program.py")


class Server:
    """A running server of two workers."""

    def __init__(self, process, folder):
        self.process, self.folder = process, folder
        self.workers = {}
        self.port = 0
        self.until(r"2 workers serve on 127\.0\.0\.1:(\d+)")
        self.port = int(self.found[1])

    def until(self, pattern):
        """Read the log until a line matches."""
        for line in self.process.stdout:
            if ready := re.match(r"worker (\d) is ready \(process (\d+)\)", line):
                self.workers[int(ready[1])] = int(ready[2])
            self.found = re.match(pattern, line)
            if self.found:
                return
        raise AssertionError(f"the log ended without {pattern}")

    def ask(self, method="GET", path="/readyz", body=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def predict(self):
        return self.ask("POST", "/v1/models/m:predict", b'{"instances":[1,2]}')

    def counted(self):
        metrics = self.ask(path="/metrics")[1].decode()
        return sum(map(float, re.findall(r'^mainstay_requests_total\{.*method="Predict".*\} (\S+)', metrics, re.M)))


@pytest.fixture
def server(tmp_path):
    write(tmp_path, 1)
    # The path of a UNIX socket is short, and that of a test's folder may be long.
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), os.path.relpath(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process, tmp_path)
        finally:
            process.terminate()
            process.stdout.read()


def write(folder, weight):
    (folder / "traffic.json").write_text(json.dumps({"models": {"m": {"weights": {"1": weight}}}}))


def test_workers_answer_as_one_survive_a_crash_reload_and_drain(server):
    for _ in range(20):
        assert server.predict() == (200, b'{"predictions":[2.0,4.0]}')
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(os.path.relpath(server.folder / "rest.sock"))
        client.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    # Whichever worker is asked, the counts are those of both.
    assert [server.counted() for _ in range(4)] == [20.0] * 4
    report = json.loads(server.ask(path="/mainstay/traffic")[1])
    assert report["models"]["m"]["versions"]["1"]["requests"] == 20
    assert report["models"]["m"]["weights"] == {"1": {"weight": 1.0, "version": 1}}

    # A crash of one leaves the other, and what was counted.
    os.kill(server.workers[0], signal.SIGKILL)
    server.until(r"worker 0 is ready")
    assert server.predict()[0] == 200
    assert server.counted() == 21.0

    # What one process is told reaches all of them.
    write(server.folder, 7)
    server.process.send_signal(signal.SIGHUP)
    for _ in range(2):
        server.until(r"worker \d has taken the configuration")
    report = json.loads(server.ask(path="/mainstay/traffic")[1])
    assert report["models"]["m"]["weights"]["1"]["weight"] == 7.0

    # A request that has begun is answered before its worker ends.
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 19\r\n\r\n")
        assert server.predict()[0] == 200
        server.process.terminate()
        server.until(r"stopping: ")
        client.sendall(b'{"instances":[1,2]}')
        assert b"200 OK" in client.recv(1000)
    server.process.stdout.read()
    assert server.process.wait(60) == 0
    assert not (server.folder / "rest.sock").exists()
