"""HPACK as the server writes it (RFC 7541): two entries in the client's table, everything else spelled out.

Nearly all answers have the same head and the same trailers. Once the client's table holds them, they are one or two
bytes each, and the bytes of a whole answer come from one precomputed layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct

from mainstay.serving.http2.frames import DATA, END_HEADERS, END_STREAM, FRAME_HEAD, HEADERS
from mainstay.serving.http2.header_decoder import TABLE_SIZE

CONTENT_TYPE = b"application/grpc"

_STATUS_200 = b"\x88"
_INDEX_CONTENT_TYPE = 31
_FIRST_DYNAMIC = 62
_OVERHEAD = 32

_OK = (b"grpc-status", b"0")
_NEEDED = len(b"content-type") + len(CONTENT_TYPE) + len(_OK[0]) + len(_OK[1]) + 2 * _OVERHEAD


def _number(value: int, bits: int, flags: int) -> bytes:
    """Return an integer with a prefix of so many bits, below the flags of its first byte."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((flags | value,))
    octets = [flags | most]
    value -= most
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _text(value: bytes) -> bytes:
    return _number(len(value), 7, 0) + value


def literal(name: bytes, value: bytes) -> bytes:
    """Return a field that leaves the client's table as it is."""
    return b"\x00" + _text(name) + _text(value)


class HeaderEncoder:
    """Writes the header blocks of one connection, in order.

    Attributes:
        settled: Whether `answer` and `trailers` may be used: the client's table holds all that they need.
    """

    def __init__(self) -> None:
        self._limit = TABLE_SIZE
        self._lowest = TABLE_SIZE
        self._resized = False
        self._head_at = 0  # the place in the client's table, counted from its newest entry; 0 for not there
        self._ok_at = 0
        self.settled = False
        self._lay_out(b"", b"")

    def resize(self, limit: int) -> None:
        """Take the client's SETTINGS_HEADER_TABLE_SIZE."""
        limit = min(limit, TABLE_SIZE)
        if limit == self._limit:
            return
        self._limit = limit
        self._lowest = min(self._lowest, limit)
        self._resized = True
        self.settled = False
        if self._lowest < _NEEDED:
            self._head_at = self._ok_at = 0

    def head(self) -> bytes:
        """Return the block that begins an answer."""
        block = self._update() + _STATUS_200
        if self._head_at:
            block += _number(_FIRST_DYNAMIC + self._head_at - 1, 7, 0x80)
        elif self._limit < _NEEDED:
            block += _number(_INDEX_CONTENT_TYPE, 4, 0) + _text(CONTENT_TYPE)
        else:
            self._head_at = 1
            self._ok_at += bool(self._ok_at)
            block += _number(_INDEX_CONTENT_TYPE, 6, 0x40) + _text(CONTENT_TYPE)
        self._settle()
        return block

    def ok(self) -> bytes:
        """Return the block that ends an answer well."""
        block = self._update()
        if self._ok_at:
            block += _number(_FIRST_DYNAMIC + self._ok_at - 1, 7, 0x80)
        elif self._limit < _NEEDED:
            block += literal(*_OK)
        else:
            self._ok_at = 1
            self._head_at += bool(self._head_at)
            block += b"\x40" + _text(_OK[0]) + _text(_OK[1])
        self._settle()
        return block

    def fields(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return a block of any fields."""
        return self._update() + b"".join(literal(*field) for field in fields)

    def _update(self) -> bytes:
        """Return what must begin the next block if the size of the table has changed."""
        if not self._resized:
            return b""
        sizes = [self._lowest] if self._lowest < self._limit else []
        self._resized, self._lowest = False, self._limit
        return b"".join(_number(size, 5, 0x20) for size in [*sizes, self._limit])

    def _settle(self) -> None:
        if self.settled or self._resized:
            return
        if self._limit < _NEEDED:
            self._lay_out(_STATUS_200 + _number(_INDEX_CONTENT_TYPE, 4, 0) + _text(CONTENT_TYPE), literal(*_OK))
        elif self._head_at and self._ok_at:
            head, ok = (bytes((0x80 | _FIRST_DYNAMIC + place - 1,)) for place in (self._head_at, self._ok_at))
            self._lay_out(_STATUS_200 + head, ok)
        else:
            return
        self.settled = True

    def _lay_out(self, head: bytes, ok: bytes) -> None:
        self._head, self._ok = head, ok
        self._head_start, self._ok_start, self._pack_answer, self._pack_trailers = _layout(head, ok)

    def answer(self, stream: int, size: int) -> bytes:
        """Return HEADERS and the beginning of a DATA frame that holds one message of `size` bytes, which follow."""
        return self._pack_answer(self._head_start, stream, self._head, size + 5 << 8 | DATA, 0, stream, 0, size)

    def trailers(self, stream: int) -> bytes:
        """Return the HEADERS that end a call well."""
        return self._pack_trailers(self._ok_start, stream, self._ok)


@lru_cache(maxsize=16)
def _layout(head: bytes, ok: bytes) -> tuple[bytes, bytes, Callable[..., bytes], Callable[..., bytes]]:
    """Return what begins the frames of two header blocks up to their streams, and what packs them."""
    head_start = FRAME_HEAD.pack(len(head) << 8 | HEADERS, END_HEADERS, 0)[:5]
    ok_start = FRAME_HEAD.pack(len(ok) << 8 | HEADERS, END_HEADERS | END_STREAM, 0)[:5]
    return head_start, ok_start, Struct(f">5sI{len(head)}sIBIBI").pack, Struct(f">5sI{len(ok)}s").pack
