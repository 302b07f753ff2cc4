"""HPACK as the server reads it (RFC 7541): header blocks into fields, with bounds on everything that a client controls.

The `hpack` package decodes the same, some ten times slower: most gRPC clients move their dynamic table with every
call, so that this is on the path of each request. Its tables are used here, and tests hold the two against each other.
"""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from mainstay.serving.http2.faults import ConnectionFaultError
from mainstay.serving.http2.frames import ErrorCode

Field = tuple[bytes, bytes]

TABLE_SIZE = 4096
"""The dynamic table that clients may fill: the protocol's first value, which the server never changes."""

_STATIC: tuple[Field, ...] = ((b"", b""), *HeaderTable.STATIC_TABLE)
_NUM_STATIC = len(_STATIC) - 1
_OVERHEAD = 32
_MOST_RESIZES = 2
# Longer integers than this have no use: it stands for lengths and indexes beyond any bound.
_LARGEST_SHIFT = 28


class HeaderDecoder:
    """Reads the header blocks of one connection, in order.

    Args:
        most: The largest list of fields, each counted with 32 bytes on top, as SETTINGS_MAX_HEADER_LIST_SIZE says.

    Attributes:
        changes: How often the dynamic table has changed. As long as it stays, equal blocks mean equal fields.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._table: list[Field] = []  # the newest entry last
        self._size = 0
        self._limit = TABLE_SIZE
        self.changes = 0

    def decode(self, block: bytes) -> list[Field] | None:
        """Return the fields of a block, or None if they are more than allowed; the table moves on all the same.

        Raises:
            ConnectionFaultError: The block is damaged, after which no other can be read.
        """
        try:
            return self._decode(block)
        except (IndexError, HPACKDecodingError) as error:
            raise _damaged("a header block is damaged or cut short") from error

    def _decode(self, block: bytes) -> list[Field] | None:
        fields: list[Field] = []
        position, end, size, resizes = 0, len(block), 0, 0
        while position < end:
            first = block[position]
            if first & 0x80:
                index = first & 0x7F
                position += 1
                if index == 0x7F:
                    index, position = _integer(block, position, 0x7F)
                field = _STATIC[index] if 0 < index <= _NUM_STATIC else self._dynamic(index)
            elif first & 0x40:
                field, position = self._literal(block, position, first & 0x3F, 0x3F)
                self._add(field)
            elif first & 0x20:
                if fields or size:
                    raise _damaged("the header table is resized behind a field")
                resizes += 1
                position = self._resize(block, position, resizes)
                continue
            else:
                field, position = self._literal(block, position, first & 0x0F, 0x0F)
            size += len(field[0]) + len(field[1]) + _OVERHEAD
            if size <= self._most:
                fields.append(field)
        return fields if size <= self._most else None

    def _dynamic(self, index: int) -> Field:
        if not _NUM_STATIC < index <= _NUM_STATIC + len(self._table):
            raise _damaged("a header field has an index that is in no table")
        return self._table[_NUM_STATIC - index]

    def _literal(self, block: bytes, position: int, index: int, mask: int) -> tuple[Field, int]:
        position += 1
        if index == mask:
            index, position = _integer(block, position, mask)
        if index:
            name = _STATIC[index][0] if index <= _NUM_STATIC else self._dynamic(index)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return (name, value), position

    def _add(self, field: Field) -> None:
        self.changes += 1
        self._table.append(field)
        self._size += len(field[0]) + len(field[1]) + _OVERHEAD
        if self._size > self._limit:
            self._evict()

    def _evict(self) -> None:
        table, gone = self._table, 0
        while self._size > self._limit:
            name, value = table[gone]
            self._size -= len(name) + len(value) + _OVERHEAD
            gone += 1
        del table[:gone]

    def _resize(self, block: bytes, position: int, count: int) -> int:
        limit = block[position] & 0x1F
        position += 1
        if limit == 0x1F:
            limit, position = _integer(block, position, 0x1F)
        if limit > TABLE_SIZE:
            raise _damaged(f"the header table is resized to {limit}, above {TABLE_SIZE}")
        if count > _MOST_RESIZES:
            raise _damaged("the header table is resized more than twice in one block")
        self.changes += 1
        self._limit = limit
        self._evict()
        return position


def _integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """Return an integer that goes on behind its prefix, and the position behind it."""
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > _LARGEST_SHIFT:
            raise _damaged("an integer in a header block is too long")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    first = block[position]
    length = first & 0x7F
    position += 1
    if length == 0x7F:
        length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise _damaged("a string in a header block is cut short")
    text = block[position:end]
    return (decode_huffman(text) if first & 0x80 else text), end


def _damaged(reason: str) -> ConnectionFaultError:
    return ConnectionFaultError(ErrorCode.COMPRESSION_ERROR, reason)
