"""Ports that workers share, and the files of UNIX sockets."""

import os
import socket
import stat

import pytest

from mainstay.core import SetupError
from mainstay.serving.processes.sockets import open_unix, remove_unix, reserve_port


def test_a_free_port_is_the_same_for_all_who_share_it():
    with reserve_port("127.0.0.1", 0) as held:
        address = held.getsockname()
        for _ in range(2):
            with socket.socket() as worker:
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                worker.bind(address)
                worker.listen()
                socket.create_connection(address, timeout=20).close()


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_in_use_is_an_error_even_where_its_owner_shares_it(shared):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match="the port is in use") as caught:
            reserve_port("127.0.0.1", port)
    assert caught.value.where == f"127.0.0.1:{port}"
    assert "choose another port" in caught.value.fix


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_here_is_an_error(host):
    with pytest.raises(SetupError, match="cannot listen"):
        reserve_port(host, 0)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_the_permissions_that_it_is_given(tmp_path, mode):
    path = tmp_path / "s"
    with open_unix(path, mode):
        found = path.stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == mode
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))


def test_the_file_of_a_dead_server_is_replaced(tmp_path):
    path = tmp_path / "s"
    open_unix(path).close()
    assert path.exists()
    with open_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(path))


def test_a_server_that_lives_keeps_its_socket(tmp_path):
    path = tmp_path / "s"
    with open_unix(path):
        with pytest.raises(SetupError, match="a server listens there already"):
            open_unix(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))


def test_another_file_is_never_removed(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(SetupError, match="taken"):
        open_unix(path)
    assert path.read_text() == "precious"
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(SetupError, match="taken"):
        open_unix(tmp_path / "link")


@pytest.mark.parametrize("path", ["absent/s", "s" * 200])
def test_a_path_that_cannot_be_is_an_error(tmp_path, path):
    with pytest.raises(SetupError):
        open_unix(tmp_path / path)


def test_a_stopping_server_removes_its_own_file_only(tmp_path):
    path = tmp_path / "s"
    with open_unix(path):
        mine = os.stat(path)
        remove_unix(path, mine)
        assert not path.exists()
        with open_unix(path):
            remove_unix(path, mine)
            assert path.exists()
    remove_unix(path, None)
    remove_unix(path, None)
