"""TLS for every listener: certificates that are exchanged while the server runs, and clients that show theirs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, MainstayError
from mainstay.serving.operations.certificates import (
    Pems,
    describe,
    make_context,
    names_of,
    read_pem,
    read_ssl_config,
)
from mainstay.serving.operations.watched_files import WatchedFiles
from mainstay.serving.status import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How connections are encrypted: with the files named here, or with TF Serving's single file.

    Args:
        certificate: The server's certificate in PEM, followed by those between it and the authority.
        key: Its private key in PEM, not encrypted.
        client_authority: The certificates in PEM that vouch for clients.
        client_verify: Whether clients must show a certificate of that authority; they have to speak TLS 1.3 then, and
            do without resuming sessions, since one that is resumed is not verified again.
        client_names: Whose certificates are taken: common names or alternative names; empty takes all that are
            vouched for.
        ssl_config: TF Serving's `ssl_config_file` instead of the files above.

    Raises:
        ArgumentError: The options do not go together.
    """

    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    client_verify: bool = False
    client_names: tuple[str, ...] = ()
    ssl_config: Path | None = None

    def __post_init__(self) -> None:
        files = (self.certificate, self.key, self.client_authority)
        if self.ssl_config is not None:
            if any(file is not None for file in files) or self.client_verify:
                raise ArgumentError(
                    "certificates are given twice", expected="either files in PEM or an ssl_config file, not both"
                )
        elif self.certificate is None or self.key is None:
            raise ArgumentError("TLS needs a certificate and its key", fix="give both, or an ssl_config file")
        if self.ssl_config is None and self.client_verify and self.client_authority is None:
            raise ArgumentError(
                "clients cannot be verified without an authority", fix="give client_authority beside client_verify"
            )
        if self.client_names and self.ssl_config is None and not self.client_verify:
            raise ArgumentError("names of clients are known only where clients are verified", fix="add client_verify")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        named = (self.certificate, self.key, self.client_authority, self.ssl_config)
        return tuple(path for path in named if path is not None)


class Tls:
    """The certificates of the server as they are now.

    Args:
        options: Where they are.

    Raises:
        StorageError: A file cannot be read.
        FormatError: A file is nothing of the kind.
        SetupError: They are no certificate with its key.
    """

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._files = WatchedFiles(options.files)
        self._pems, self._verify = self._read()
        if options.client_names and not self._verify:
            raise ArgumentError("names of clients are known only where clients are verified", fix="set client_verify")
        self._current: dict[tuple[str, ...], ssl.SSLContext] = {}
        self.reloads = 0
        self.failures = 0

    def _read(self) -> tuple[Pems, bool]:
        options = self._options
        if options.ssl_config is not None:
            return read_ssl_config(options.ssl_config)
        if options.certificate is None or options.key is None:
            raise ArgumentError("TLS needs a certificate and its key")
        authority = "" if options.client_authority is None else read_pem(options.client_authority)
        return Pems(read_pem(options.certificate), read_pem(options.key), authority), options.client_verify

    def _context(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        where = ", ".join(str(path) for path in self._options.files)
        return make_context(self._pems, client_verify=self._verify, alpn=alpn, where=where)

    @property
    def verifies(self) -> bool:
        """Whether clients must show a certificate."""
        return self._verify

    def context(self, *alpn: str) -> ssl.SSLContext:
        """Return what a listener encrypts with; a new connection gets the certificates of its own time.

        Args:
            alpn: The protocols that the listener speaks, preferred first.

        Raises:
            SetupError: They are no certificate with its key.
        """
        outer = self._context(alpn)
        self._current[alpn] = self._context(alpn)

        def take_current(connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
            # Called in the middle of every handshake, before the certificate is sent.
            connection.context = self._current[alpn]

        outer.sni_callback = take_current
        return outer

    def poll(self) -> bool:
        """Read the files again if they have changed; files that are wrong leave everything as it is.

        Returns:
            Whether new certificates are in use.
        """
        if not self._files.changed():
            return False
        return self.reload()

    def reload(self) -> bool:
        """Read the files again; see `poll`."""
        before = self._pems, self._verify
        try:
            self._pems, verify = self._read()
            if verify != self._verify:
                # The outer context, which every handshake begins with, cannot be exchanged.
                logger.warning("whether clients are verified changes only when the server starts anew")
            fresh = {alpn: self._context(alpn) for alpn in self._current}
        except (MainstayError, OSError) as error:
            self._pems, self._verify = before
            self.failures += 1
            logger.error("the certificates stay as they are: %s", describe(error))
            return False
        self._current = fresh
        self.reloads += 1
        logger.info("new connections get the new certificates")
        return True

    def identity(self, transport: Any) -> str | None:
        """Return who is at the other end of an encrypted connection.

        Args:
            transport: The connection's transport.

        Returns:
            The name in the client's certificate; empty where it showed none; None where its names are none of those
            that are taken, and the connection is to be closed.
        """
        if not self._verify:
            return ""
        names = names_of(transport.get_extra_info("peercert"))
        wanted = self._options.client_names
        if not wanted:
            return names[0] if names else ""
        return next((name for name in names if name in wanted), None)
