"""Certificates and keys, and TF Serving's file with both."""

import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from mainstay.core import FormatError, SetupError, StorageError
from mainstay.serving.operations.certificates import Pems, make_context, names_of, read_pem, read_ssl_config


@pytest.fixture
def pems(authority):
    return Pems(*authority.issue("server", "localhost"), authority.pem)


def quoted(text):
    return '"' + text.replace("\n", "\\n") + '"'


def test_tf_serving_s_file_is_read(tmp_path, pems):
    path = tmp_path / "ssl.config"
    lines = [
        f"server_key: {quoted(pems.key)}",
        f"server_cert: {quoted(pems.certificate)}",
        f"custom_ca: {quoted(pems.authority)}",
        "client_verify: true",
    ]
    path.write_text("\n".join(lines))
    assert read_ssl_config(path) == (pems, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server_key: 'x'",
        "server_cert: 'x'",
        "server_key: 'x' server_cert: 'y' client_verify: true",
        "server_key: 3 server_cert: 'y'",
        "server_key: 'SECRET\nserver_cert: 'y'",
        "password: 'x'",
        "\ud800",
    ],
)
def test_what_is_no_such_file_is_refused_and_not_quoted(tmp_path, text):
    path = tmp_path / "ssl.config"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FormatError) as raised:
        read_ssl_config(path)
    assert "SECRET" not in str(raised.value)
    assert raised.value.__cause__ is None or "SECRET" not in str(raised.value.__cause__)


@pytest.mark.parametrize("data", [b"", b"no pem", b"\xff-----BEGIN X-----", b"-----BEGIN X-----" + b"x" * (2 << 20)])
def test_what_is_no_pem_file_is_refused(tmp_path, data):
    path = tmp_path / "a.pem"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        read_pem(path)


def test_a_pem_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StorageError):
            read_pem(path)


def context(pems, **options):
    return make_context(pems, **{"client_verify": False, "alpn": ("h2",), "where": "here", **options})


def test_only_what_is_safe_is_spoken(pems):
    made = context(pems)
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all("GCM" in cipher["name"] or "CHACHA20" in cipher["name"] for cipher in made.get_ciphers())
    assert all(cipher["name"].startswith(("TLS_", "ECDHE")) for cipher in made.get_ciphers())
    assert made.options & ssl.OP_NO_COMPRESSION
    assert made.verify_mode is ssl.CERT_NONE
    verifying = context(pems, client_verify=True)
    assert verifying.verify_mode is ssl.CERT_REQUIRED
    assert verifying.minimum_version is ssl.TLSVersion.TLSv1_3
    assert verifying.num_tickets == 0


def test_a_key_of_another_certificate_is_refused_and_not_quoted(pems, authority):
    _, other = authority.issue("other")
    with pytest.raises(SetupError, match="here: the certificates cannot be used") as raised:
        context(Pems(pems.certificate, other))
    assert other.splitlines()[1] not in str(raised.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(pems):
    key = serialization.load_pem_private_key(pems.key.encode(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(SetupError):
        context(Pems(pems.certificate, encrypted.decode()))


@pytest.mark.parametrize("part", ["certificate", "key", "authority"])
@pytest.mark.parametrize("text", ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_broken_certificates_are_refused(pems, part, text):
    parts = {"certificate": pems.certificate, "key": pems.key, "authority": pems.authority, part: text}
    with pytest.raises(SetupError):
        context(Pems(**parts), client_verify=True)


def test_keys_do_not_show_in_logs(pems):
    assert "PRIVATE" not in repr(pems)


@pytest.mark.parametrize("certificate", [None, {}, [], {"subject": (), "subjectAltName": (("IP Address", "1.2.3.4"),)}])
def test_a_certificate_without_a_name_has_none(certificate):
    assert names_of(certificate) == ()
