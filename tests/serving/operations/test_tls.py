"""TLS: real handshakes, certificates exchanged on the way, clients that show theirs."""

import contextlib
import http.client
import os
import socket
import ssl

import pytest

from mainstay.core import ArgumentError, FormatError, SetupError
from mainstay.serving.operations.certificates import names_of
from mainstay.serving.operations.tls import Tls, TlsOptions


@pytest.fixture
def options(server_files):
    certificate, key, authority = server_files

    def make(**more):
        return TlsOptions(certificate=certificate, key=key, **({"client_authority": authority} | more))

    return make


def client_context(authority, *client_files, alpn=()):
    context = ssl.create_default_context(cadata=authority.pem)
    if client_files:
        context.load_cert_chain(*client_files)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@pytest.fixture
def issue(tmp_path):
    def run(authority, name, *names):
        paths = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        for path, text in zip(paths, authority.issue(name, *names), strict=True):
            path.write_text(text)
        return paths

    return run


def get(port, context, path="/healthz"):
    """Return the status and the names in the server's certificate."""
    with contextlib.closing(http.client.HTTPSConnection("localhost", port, timeout=20, context=context)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        return answer.status, names_of(client.sock.getpeercert()), client.sock.selected_alpn_protocol()


def replace(paths, texts):
    for path, text in zip(paths, texts, strict=True):
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, path)


def test_requests_are_answered_over_tls(start, options, authority):
    server = start(tls=options())
    status, names, alpn = get(server.port, client_context(authority, alpn=("h2", "http/1.1")))
    assert (status, names, alpn) == (200, ("localhost", "server"), "http/1.1")
    assert server.server.url.startswith("https://")


def test_plain_requests_and_old_protocols_are_turned_away(start, options, authority):
    server = start(tls=options())
    with server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in client.recv(1000)
    old = client_context(authority)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(server.port, old)
    assert get(server.port, client_context(authority))[0] == 200


def test_new_connections_get_the_new_certificate_and_old_ones_go_on(start, options, server_files, authority):
    server = start(tls=options())
    context = client_context(authority)
    with contextlib.closing(http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)) as old:
        old.request("GET", "/healthz")
        old.getresponse().read()
        replace(server_files[:2], authority.issue("renewed", "localhost"))
        assert server.server._operations.tls.poll()
        assert get(server.port, context)[1] == ("localhost", "renewed")
        old.request("GET", "/healthz")
        assert old.getresponse().read() == b'{"status":"alive"}'
        assert "server" in names_of(old.sock.getpeercert())


def test_the_server_looks_by_itself_whether_files_have_changed(start, options, server_files, authority):
    server = start(tls=options())
    replace(server_files[:2], authority.issue("renewed", "localhost"))
    server.loop.call_soon_threadsafe(server.server._operations.tick)
    while get(server.port, client_context(authority))[1] != ("localhost", "renewed"):
        pass


@pytest.mark.parametrize("broken", ["", "no pem", "mixed"])
def test_broken_files_change_nothing(start, options, server_files, authority, caplog, broken):
    server = start(tls=options())
    text = authority.issue("other")[1] if broken == "mixed" else broken
    server_files[1].write_text(text)
    tls = server.server._operations.tls
    assert not tls.poll()
    assert (tls.reloads, tls.failures) == (0, 1)
    assert "the certificates stay as they are" in caplog.text
    assert get(server.port, client_context(authority))[1] == ("localhost", "server")
    replace(server_files[:2], authority.issue("repaired", "localhost"))
    assert tls.poll()
    assert get(server.port, client_context(authority))[1] == ("localhost", "repaired")


def test_files_that_vanish_change_nothing(start, options, server_files, authority):
    server = start(tls=options())
    os.unlink(server_files[0])
    assert not server.server._operations.tls.poll()
    assert get(server.port, client_context(authority))[0] == 200


def test_clients_have_to_show_a_certificate_of_the_authority(start, options, authority, other_authority, issue):
    server = start(tls=options(client_verify=True))
    good, bad = issue(authority, "client"), issue(other_authority, "stranger")
    assert get(server.port, client_context(authority, *good))[0] == 200
    for context in (client_context(authority), client_context(authority, *bad)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            get(server.port, context)


def test_only_listed_names_are_let_in(start, options, authority, issue):
    server = start(tls=options(client_verify=True, client_names=("spiffe://cluster/batch", "plain")))
    listed, plain = issue(authority, "any", "spiffe://cluster/batch"), issue(authority, "plain")
    other = issue(authority, "other", "spiffe://cluster/web")
    assert get(server.port, client_context(authority, *listed))[0] == 200
    assert get(server.port, client_context(authority, *plain))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        get(server.port, client_context(authority, *other))


def test_an_authority_that_is_exchanged_decides_from_then_on(
    start, options, server_files, authority, other_authority, issue
):
    server = start(tls=options(client_verify=True))
    ours, theirs = issue(authority, "client"), issue(other_authority, "stranger")
    assert get(server.port, client_context(authority, *ours))[0] == 200
    replace(server_files[2:], [other_authority.pem])
    assert server.server._operations.tls.poll()
    assert get(server.port, client_context(authority, *theirs))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(server.port, client_context(authority, *ours))


def test_a_session_cannot_be_resumed_behind_the_back_of_the_authority(start, options, authority, issue):
    server = start(tls=options(client_verify=True))
    context = client_context(authority, *issue(authority, "client"))
    session = None
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as client,
        ):
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            while client.recv(1000):
                pass
            session = client.session
            assert not client.session_reused
            assert not session.has_ticket
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(server.port, context)


def test_grpc_has_the_same_certificates_and_speaks_http_2(start, options, server_files, authority):
    server = start(tls=options(), grpc_port=0)
    context = client_context(authority, alpn=("h2",))
    for name in ("server", "renewed"):
        with (
            socket.create_connection(("127.0.0.1", server.server.grpc_port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            assert client.selected_alpn_protocol() == "h2"
            assert name in names_of(client.getpeercert())
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            assert client.recv(9)[3] == 4  # its settings
        replace(server_files[:2], authority.issue("renewed", "localhost"))
        assert server.server._operations.tls.reload()


def test_tf_serving_s_file_serves_too(start, tmp_path, server_files, authority):
    certificate, key, _ = (path.read_text().replace("\n", "\\n") for path in server_files)
    path = tmp_path / "ssl.config"
    path.write_text(f'server_key: "{key}"\nserver_cert: "{certificate}"\n')
    server = start(tls=TlsOptions(ssl_config=path))
    assert get(server.port, client_context(authority))[0] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"certificate": "a"},
        {"key": "a"},
        {"certificate": "a", "key": "b", "client_verify": True},
        {"certificate": "a", "key": "b", "client_names": ("x",)},
        {"certificate": "a", "key": "b", "ssl_config": "c"},
        {"ssl_config": "c", "client_verify": True},
    ],
)
def test_options_that_do_not_go_together_are_refused(wrong):
    with pytest.raises(ArgumentError):
        TlsOptions(**wrong)


def test_the_server_does_not_start_with_broken_certificates(options, server_files):
    server_files[0].write_text("no pem")
    with pytest.raises(FormatError):
        Tls(options())
    server_files[0].write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(SetupError):
        Tls(options()).context("h2")
