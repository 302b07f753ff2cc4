"""W3C trace context: the headers `traceparent` and `tracestate`, https://www.w3.org/TR/trace-context-1/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_LENGTH = 55
_DASH = ord("-")
_CHARACTERS = b"-0123456789abcdef"
_MOST_STATE = 512
_SAMPLED = 1


class Parent(NamedTuple):
    """The span of the client that a request belongs to.

    Args:
        trace: The trace's id, 32 hexadecimal digits.
        span: The span's id, 16 hexadecimal digits.
        sampled: Whether the client keeps the trace.
        state: What the systems on the way added, as it came.
    """

    trace: str
    span: str
    sampled: bool
    state: str = ""


def parent_of(headers: Mapping[bytes, bytes]) -> Parent | None:
    """Return the client's span that headers name, by lower-case names; None where they name none, or badly.

    >>> parent_of({b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).sampled
    True
    """
    header = headers.get(b"traceparent")
    if header is None:
        return None
    if (
        len(header) == _LENGTH
        and header[:3] == b"00-"
        and header[35] == header[52] == _DASH
        and header.count(b"-") == 3
        and not header.translate(None, _CHARACTERS)
    ):  # every header of today, for half the price of the expression
        trace, span, flags = header[3:35], header[36:52], header[53:]
    else:
        found = _TRACEPARENT.fullmatch(header.strip())
        if found is None:
            return None
        version, trace, span, flags, more = found.groups()
        if version == b"ff" or (version == b"00" and more is not None):
            return None
    if not trace.strip(b"0") or not span.strip(b"0"):
        return None
    return Parent(trace.decode(), span.decode(), bool(int(flags, 16) & _SAMPLED), _state(headers.get(b"tracestate")))


def _state(header: bytes | None) -> str:
    """Return a trace state that can be handed on: too long or not printable, it is left out."""
    if header is None or len(header) > _MOST_STATE:
        return ""
    text = header.decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() else ""
