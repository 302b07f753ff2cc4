import ssl

import pytest

from mainstay.core import ArgumentError
from mainstay.serving.client.address import Address, parse_address, unreachable


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://a.example", Address("rest", "a.example", 8501)),
        ("http://a:80/models/", Address("rest", "a", 80, prefix="/models")),
        ("https://a:443", Address("rest", "a", 443, secure=True)),
        ("grpc://127.0.0.1", Address("grpc", "127.0.0.1", 8500)),
        ("grpcs://[::1]:9000", Address("grpc", "::1", 9000, secure=True)),
        ("http+unix:///run/m.sock", Address("rest", "localhost", 8501, "/run/m.sock")),
        ("grpc+unix:///run/m.sock", Address("grpc", "localhost", 8500, "/run/m.sock")),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


def test_the_authority_of_a_number_with_colons_has_brackets():
    assert parse_address("grpc://[::1]:9").authority == "[::1]:9"


@pytest.mark.parametrize(
    "text",
    ["", "a:80", "ftp://a", "http://", "grpc://a/path", "http://a?x", "http://u:p@a", "http://a:99999", "http+unix://a/b",
     "grpc+unix:///", "http+tcp://a"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ArgumentError, match="no address of a server"):
        parse_address(text)


def test_a_certificate_that_is_not_trusted_is_told_from_a_server_that_is_away():
    address = parse_address("https://a:9")
    refused = unreachable(ConnectionRefusedError(111, "Connection refused"), address)
    assert str(refused).startswith("a:9: the server cannot be reached: Connection refused")
    assert refused.fix == "start it, or correct the address"
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    untrusted = unreachable(error, address)
    assert str(untrusted).startswith(
        "a:9: the server cannot be reached: its certificate is not trusted: self-signed certificate"
    )
    assert "--ca" in untrusted.fix
