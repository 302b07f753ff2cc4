"""The sorted string table that indexes a TensorBundle: LevelDB's table format, checksummed by CRC32C.

It is written uncompressed; what TensorFlow 1 compressed with Snappy is read as well.

Specification: LevelDB ``doc/table_format.md``. What is read here may be hostile, so every length is checked
before it is used, and anything odd is a `FormatError`.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator

from mainstay.core import FormatError, masked_crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5
_BLOCK_SIZE = 4096
_RESTART_INTERVAL = 16
_MAX_KEY_BYTES = 64 << 20
_MAX_BLOCK_BYTES = 64 << 20
_SNAPPY = 1


def encode_varint(number: int) -> bytes:
    """Return a non-negative integer in base 128, lowest digits first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _decode_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position
    raise _malformed("a number does not end", f"at byte {position}")


def _malformed(summary: str, received: object) -> FormatError:
    return FormatError(f"the index of the weights is malformed: {summary}", received=received)


class _BlockBuilder:
    """One block of sorted entries with shared key prefixes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.last_key = b""
        self._restarts = [0]
        self._count = 0

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count and self._count % _RESTART_INTERVAL == 0:
            self._restarts.append(len(self.data))
        else:
            pairs = zip(key, self.last_key, strict=False)
            shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        self.data += encode_varint(shared) + encode_varint(len(key) - shared) + encode_varint(len(value))
        self.data += key[shared:] + value
        self.last_key = key
        self._count += 1

    def finish(self) -> bytes:
        restarts = [*self._restarts, len(self._restarts)]
        return bytes(self.data) + struct.pack(f"<{len(restarts)}I", *restarts)


def encode_table(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a table of `items`, pairs of a key and a value in strictly increasing order of the keys."""
    out = bytearray()
    index, block = _BlockBuilder(), _BlockBuilder()

    def emit(raw: bytes) -> bytes:
        handle = encode_varint(len(out)) + encode_varint(len(raw))
        out.extend(raw + b"\0" + struct.pack("<I", masked_crc32c(raw + b"\0")))
        return handle

    for key, value in items:
        if len(block.data) >= _BLOCK_SIZE:
            index.add(block.last_key, emit(block.finish()))
            block = _BlockBuilder()
        block.add(key, value)
    if block.data:
        index.add(block.last_key, emit(block.finish()))
    footer = emit(_BlockBuilder().finish()) + emit(index.finish())
    return bytes(out) + footer.ljust(_FOOTER - 8, b"\0") + struct.pack("<Q", _MAGIC)


def decode_table(data: bytes) -> dict[bytes, bytes]:
    """Return the entries of a table, in order.

    Args:
        data: The whole file.

    Raises:
        FormatError: The table is truncated, compressed otherwise than by Snappy, fails a checksum or is not in order.
    """
    if len(data) < _FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise _malformed("it does not end as a table does", f"{len(data):,} bytes")
    footer = len(data) - _FOOTER
    position = footer
    for _ in range(2):
        _, position = _decode_varint(data, position, len(data) - 8)
    offset, position = _decode_varint(data, position, len(data) - 8)
    size, _ = _decode_varint(data, position, len(data) - 8)
    entries: dict[bytes, bytes] = {}
    key_bytes, last, free_from = 0, None, 0
    for _, handle in _block_entries(_read_block(data, offset, size, footer)):
        block_offset, position = _decode_varint(handle, 0, len(handle))
        block_size, _ = _decode_varint(handle, position, len(handle))
        if block_offset < free_from:
            raise _malformed("its blocks overlap", f"a block at byte {block_offset}")
        free_from = block_offset + block_size + _TRAILER
        for key, value in _block_entries(_read_block(data, block_offset, block_size, footer)):
            if last is not None and key <= last:
                raise _malformed("its keys are not in order", key)
            key_bytes += len(key)
            if key_bytes > _MAX_KEY_BYTES:
                raise _malformed("its keys are too long", f"more than {_MAX_KEY_BYTES:,} bytes of keys")
            entries[key] = value
            last = key
    return entries


def _read_block(data: bytes, offset: int, size: int, end: int) -> bytes:
    if offset + size + _TRAILER > end:
        raise _malformed("a block reaches past its end", f"bytes {offset} to {offset + size + _TRAILER} of {end}")
    stop = offset + size
    if struct.unpack_from("<I", data, stop + 1)[0] != masked_crc32c(data[offset : stop + 1]):
        raise _malformed("a block fails its checksum", f"the block at byte {offset}")
    if data[stop] == _SNAPPY:
        return _decompress(data[offset:stop])
    if data[stop] != 0:
        raise _malformed("a block is compressed", f"compression type {data[stop]}")
    return data[offset:stop]


def _decompress(block: bytes) -> bytes:
    """Return a block of Snappy's format, which TensorFlow 1 wrote."""
    import pyarrow as pa

    size, _ = _decode_varint(block, 0, len(block))
    if size > _MAX_BLOCK_BYTES:
        raise _malformed("a block is too large", f"{size:,} bytes")
    try:
        raw: bytes = pa.decompress(block, decompressed_size=size, codec="snappy", asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _malformed("a block cannot be decompressed", error) from error
    return raw


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise _malformed("a block has no restart points", f"{len(block)} bytes")
    end = len(block) - 4 - 4 * int(struct.unpack_from("<I", block, len(block) - 4)[0])
    if end < 0:
        raise _malformed("a block has more restart points than bytes", f"{len(block)} bytes")
    position, key = 0, b""
    while position < end:
        shared, position = _decode_varint(block, position, end)
        rest, position = _decode_varint(block, position, end)
        length, position = _decode_varint(block, position, end)
        if shared > len(key) or position + rest + length > end:
            raise _malformed("an entry reaches past its block", f"the entry before byte {position}")
        key = key[:shared] + block[position : position + rest]
        yield key, block[position + rest : position + rest + length]
        position += rest + length
