"""Heads that come again: a client that keeps its connection sends the same one before every body.

Parsing it once is enough, as the parser starts each message anew: the same bytes mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_END = b"\r\n\r\n"
_MOST_BYTES = 4096
# What changes how a body is read, or what is answered before it comes.
_UNUSUAL = (b"transfer-encoding", b"content-encoding", b"expect", b"upgrade")


class KnownHead(NamedTuple):
    """The head of a request that was read in full, and what it said.

    Args:
        head: Its bytes, up to and including the empty line.
        size: How many bytes the whole request has.
        method: The method.
        target: The target.
        headers: The headers by lower-case name.
    """

    head: bytes
    size: int
    method: str
    target: str
    headers: Mapping[bytes, bytes]


def known_head(data: bytes, method: str, target: str, headers: Mapping[bytes, bytes]) -> KnownHead | None:
    """Return what need not be parsed again of a request, or None where the next one may be read in another way.

    Args:
        data: The bytes that the request came in, which were those of one whole request for the parser.
        method: Its method.
        target: Its target.
        headers: Its headers by lower-case name.

    Example:
        >>> data = b"POST /x HTTP/1.1\\r\\nhost: a\\r\\ncontent-length: 2\\r\\n\\r\\n{}"
        >>> known_head(data, "POST", "/x", {b"host": b"a", b"content-length": b"2"}).size
        50
    """
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or any(name in headers for name in _UNUSUAL):
        return None
    size = data.find(_END, 0, _MOST_BYTES) + len(_END)
    if size < len(_END) or size + int(length) != len(data):
        return None
    return KnownHead(data[:size], len(data), method, target, headers)
