"""Certificates and keys in PEM, from files or from TF Serving's `ssl_config_file`, and what they are read into."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import FormatError, MainstayError, SetupError, storage_errors
from mainstay.serving.operations.text_protos import read_text_proto

ALPN_HTTP1, ALPN_HTTP2 = "http/1.1", "h2"
# Forward secret and authenticated only; TLS 1.3 has its own, all of them fine.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Pems:
    """Certificates and keys as text in PEM.

    Args:
        certificate: The server's certificate, followed by those between it and the authority.
        key: The server's private key, not encrypted.
        authority: The certificates of whoever vouches for clients; empty where nobody has to.
    """

    certificate: str
    key: str
    authority: str = ""

    def __repr__(self) -> str:
        return "Pems(…)"  # a key has no place in a log


def read_ssl_config(path: str | os.PathLike[str]) -> tuple[Pems, bool]:
    """Return what TF Serving's `ssl_config_file` says: the certificates and whether clients must show one.

    Args:
        path: An `SSLConfig` in protobuf's text form, with the PEM texts in it.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is no such file, or lacks the key or the certificate.
    """
    config = read_text_proto(path, "tensorflow.serving.SSLConfig", secret=True)
    for name in ("server_key", "server_cert"):
        if not getattr(config, name):
            raise FormatError(f"{name} is missing", where=path, expected="text in PEM")
    if config.client_verify and not config.custom_ca:
        raise FormatError(
            "clients cannot be verified without an authority", where=path, fix="give custom_ca beside client_verify"
        )
    return Pems(config.server_cert, config.server_key, config.custom_ca), bool(config.client_verify)


def read_pem(path: str | os.PathLike[str]) -> str:
    """Return a file of PEM text.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is nothing of the kind.
    """
    with storage_errors(path, "read"), open(path, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES or b"-----BEGIN " not in data or not data.isascii():
        raise FormatError("this is no PEM file", where=path, expected="text with -----BEGIN …-----")
    return data.decode("ascii")


def make_context(pems: Pems, *, client_verify: bool, alpn: tuple[str, ...], where: str) -> ssl.SSLContext:
    """Return what a listener encrypts with.

    Args:
        pems: The certificates and the key.
        client_verify: Whether clients must show a certificate of the authority.
        alpn: The protocols that are spoken, preferred first.
        where: Where the certificates come from, for errors.

    Raises:
        SetupError: They are no certificate with its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(list(alpn))
    try:
        with _file(pems.certificate) as certificate, _file(pems.key) as key:
            context.load_cert_chain(certificate, key, password=_no_password)
        if pems.authority:
            context.load_verify_locations(cadata=pems.authority)
    except (ssl.SSLError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else None
        raise SetupError(
            "the certificates cannot be used",
            where=where,
            expected="a certificate and its own unencrypted key, in PEM",
            received=reason or "something else",
            fix="compare `openssl x509 -noout -pubkey` of the certificate with `openssl pkey -pubout` of the key",
        ) from None  # the original may quote the key
    if client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
        # A session that is resumed is not verified again, so a client that was struck off could come back with it.
        # Only TLS 1.3 can be told not to resume any: what Python has no word for is the session cache of 1.2.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


@contextlib.contextmanager
def _file(text: str) -> Iterator[str]:
    """Give text as a file that only this process can read, for a library that takes nothing else."""
    handle, name = tempfile.mkstemp(prefix="mainstay-", suffix=".pem")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        yield name
    finally:
        Path(name).unlink()


def names_of(certificate: object) -> tuple[str, ...]:
    """Return whom a verified certificate is about: its alternative names, then its common names.

    Args:
        certificate: What `ssl.SSLSocket.getpeercert` gives.

    >>> names_of({"subject": ((("commonName", "a"),),), "subjectAltName": (("DNS", "b"), ("URI", "spiffe://c"))})
    ('b', 'spiffe://c', 'a')
    """
    if not isinstance(certificate, dict):
        return ()
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI", "email")]
    subject = certificate.get("subject", ())
    names += [value for part in subject for name, value in part if name == "commonName"]
    return tuple(dict.fromkeys(str(name) for name in names))


def describe(error: Exception) -> str:
    """Return an error as one line for the log."""
    return error.one_line() if isinstance(error, MainstayError) else f"{type(error).__name__}: {error}"
