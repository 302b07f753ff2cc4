"""Words to systemd go to the socket that it names, if any."""

import os
import socket

import pytest

from mainstay.serving.processes.systemd import NOTIFY_VARIABLE, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path, monkeypatch, abstract):
    name = f"@mainstay-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        systemd.settimeout(20)
        monkeypatch.setenv(NOTIFY_VARIABLE, name)
        assert notify("READY=1")
        assert systemd.recv(1000) == b"READY=1"
        assert notify("RELOADING=1")
        first, _, stamp = systemd.recv(1000).partition(b"\nMONOTONIC_USEC=")
        assert first == b"RELOADING=1"
        assert int(stamp) > 0


@pytest.mark.parametrize("name", ["", "relative", "/absent/socket"])
def test_without_systemd_nobody_is_told(monkeypatch, name):
    monkeypatch.setenv(NOTIFY_VARIABLE, name)
    assert not notify("READY=1")


def test_outside_of_a_unit_nobody_is_told(monkeypatch):
    monkeypatch.delenv(NOTIFY_VARIABLE, raising=False)
    assert not notify("READY=1")
