"""Where a server is: what the address that a client is given says."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from mainstay.core import ArgumentError, UnavailableError

UNREACHABLE = "the server cannot be reached"
_PORTS = {"http": 8501, "https": 8501, "grpc": 8500, "grpcs": 8500}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Args:
        protocol: ``rest`` or ``grpc``.
        host: Its name or number; of a UNIX socket ``localhost``.
        port: Its port.
        socket: The path of its UNIX socket, or an empty string.
        secure: Whether it is spoken to over TLS.
        prefix: What stands before ``/v1/`` in its paths, where a proxy puts it under one.
    """

    protocol: str
    host: str
    port: int
    socket: str = ""
    secure: bool = False
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as a request names them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address.

    Args:
        text: ``http://host:port``, ``https://``, ``grpc://``, ``grpcs://``; ``http+unix:///path`` and
            ``grpc+unix:///path`` for sockets of this machine. Without a port, TF Serving's: 8501 for REST, 8500 for
            gRPC.

    Raises:
        ArgumentError: It is none.

    >>> parse_address("grpc://models.example").authority
    'models.example:8500'
    """
    try:
        parts = urlsplit(text)
        scheme, _, kind = parts.scheme.partition("+")
        if scheme not in _PORTS or kind not in ("", "unix") or parts.query or parts.fragment or parts.username:
            raise ValueError
        protocol, secure = ("grpc" if "grpc" in scheme else "rest"), scheme in ("https", "grpcs")
        if kind:
            if parts.netloc or not parts.path.strip("/"):
                raise ValueError
            return Address(protocol, "localhost", _PORTS[scheme], parts.path, secure)
        if not parts.hostname or (protocol == "grpc" and parts.path.strip("/")):
            raise ValueError
        return Address(protocol, parts.hostname, parts.port or _PORTS[scheme], "", secure, parts.path.rstrip("/"))
    except ValueError:
        raise ArgumentError(
            "this is no address of a server",
            expected="http://host:port, https://…, grpc://host:port, grpcs://…, http+unix:///path or grpc+unix:///path",
            received=text,
        ) from None


def unreachable(error: Exception, address: Address) -> UnavailableError:
    """Return what a caller is told whose connection failed or was lost."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    fix = "start it, or correct the address"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {error.verify_message}"
        fix = "name the authority that signed it, with tls= of the client or --ca"
    return UnavailableError(f"{UNREACHABLE}: {reason}", where=address.socket or address.authority, fix=fix)
