"""A server for as long as its process lives: stopped while it starts, reloaded by a signal, known to systemd."""

import json
import os
import signal
import socket
import threading

import pytest

from mainstay.serving import ServerOptions, serve


@pytest.fixture
def model(fakes):
    return fakes.Model(serving_default=fakes.Signature([fakes.input("x")]))


def options(**keys):
    return ServerOptions(rest_port=0, grpc_port=None, **keys)


def test_a_server_that_is_told_to_stop_while_it_starts_never_becomes_ready(model):
    loading, go_on = threading.Event(), threading.Event()

    def warm_up(buckets=None):
        loading.set()
        go_on.wait(30)

    def stop():
        loading.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)

    model.signatures["serving_default"].warm_up = warm_up
    stopper = threading.Thread(target=stop)
    stopper.start()
    ready = []
    serve({"m": model}, options(), on_ready=ready.append)
    go_on.set()
    stopper.join()
    assert ready == []


def test_systemd_is_told_when_the_server_is_ready_reloads_and_stops(model, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        told = []

        def watch():
            told.append(systemd.recv(1000))
            os.kill(os.getpid(), signal.SIGHUP)
            told.extend(systemd.recv(1000) for _ in range(2))
            os.kill(os.getpid(), signal.SIGTERM)
            told.append(systemd.recv(1000))

        watcher = threading.Thread(target=watch)
        watcher.start()
        serve({"m": model}, options())
        watcher.join()
    assert [line.split(b"\n")[0] for line in told] == [b"READY=1", b"RELOADING=1", b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("right", [True, False])
def test_a_signal_has_the_traffic_file_read_again_and_says_what_is_wrong_with_it(
    model, tmp_path, monkeypatch, caplog, right
):
    file = tmp_path / "traffic.json"
    file.write_text('{"models": {}}')
    seen = []

    def ready(server):
        file.write_text(json.dumps({"models": {"m": {"weights": {"1": 3 if right else "three"}}}}))
        reload = server.reload

        async def noted():
            try:
                await reload()
            finally:
                seen.append(server.traffic.config)
                os.kill(os.getpid(), signal.SIGTERM)

        server.reload = noted
        os.kill(os.getpid(), signal.SIGHUP)

    serve({"m": model}, options(traffic=file), on_ready=ready)
    if right:
        assert seen[0].models["m"].weights == {1: 3.0}
    else:
        assert seen[0].models == {}
        assert "not everything was read again: not a number" in caplog.text
        assert f"{file}: $.models.m.weights.1" in caplog.text


def test_a_server_listens_on_unix_sockets_alone(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = []

    def ready(server):
        assert (server.rest_port, server.grpc_port) == (0, 0)

        def ask():
            for path, data in (
                ("rest", b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
                ("grpc", PREFACE),
            ):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(30)
                    client.connect(path)
                    client.sendall(data)
                    answers.append(client.recv(100))
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=ask).start()

    sockets = {"unix_socket": tmp_path / "rest", "grpc_unix_socket": tmp_path / "grpc"}
    short = {name: path.relative_to(tmp_path) for name, path in sockets.items()}
    serve({"m": model}, ServerOptions(rest_port=None, grpc_port=None, **short), on_ready=ready)
    assert answers[0].startswith(b"HTTP/1.1 200 OK")
    assert answers[1][3:4] == b"\x04"  # the type of a SETTINGS frame
    assert not any(path.exists() for path in sockets.values())


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
