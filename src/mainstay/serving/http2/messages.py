"""gRPC's messages in a stream of bytes: a flag, a length, the message; put together from pieces, and decompressed."""

from __future__ import annotations

import zlib
from struct import Struct
from typing import cast

from mainstay.serving.status import Code

PREFIX = Struct(">BI")
"""Whether the message is compressed, and its length."""

# Smaller pieces are copied together: each object costs some hundred bytes, and clients choose the sizes.
_SMALL_PIECE = 4096
_SMALLEST_GZIP = 18
# Deflate can do no better than this, and whole chunks of input end sooner.
_LARGEST_RATIO = 1032

Parts = list[bytes | bytearray | memoryview]


_NOTHING = memoryview(b"")


class MessageError(ValueError):
    """A message cannot be taken; the call ends with `code` and `message`."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def too_large(size: int | str, most: int) -> MessageError:
    """Return the error of a message that is too large, as grpc-core words it."""
    return MessageError(Code.RESOURCE_EXHAUSTED, f"SERVER: Received message larger than max ({size} vs. {most})")


class Assembly:
    """Puts the messages of one call together.

    Args:
        most: The largest message, as received.

    Attributes:
        length: The size of the message that is being received; -1 until it is known.
        held: How many bytes are kept of it.
        compressed: Whether it is compressed.
    """

    __slots__ = ("_most", "_parts", "_prefix", "compressed", "held", "length")

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: Parts = []
        self._prefix = b""
        self.length = -1
        self.held = 0
        self.compressed = False

    @property
    def between(self) -> bool:
        """Whether nothing of a next message has come."""
        return self.length < 0 and not self._prefix

    def feed(self, piece: memoryview) -> tuple[bytes | None, memoryview]:
        """Take a piece.

        Returns:
            A message, once it is whole, and what is left of the piece for the next one.

        Raises:
            MessageError: The message will be too large, or is no gRPC message.
        """
        if self.length < 0:
            missing = PREFIX.size - len(self._prefix)
            self._prefix += bytes(piece[:missing])
            piece = piece[missing:]
            if len(self._prefix) < PREFIX.size:
                return None, piece
            flag, length = PREFIX.unpack(self._prefix)
            self._prefix = b""
            if flag > 1:
                raise MessageError(Code.INTERNAL, f"Bad GRPC frame type 0x{flag:02x}")
            if length > self._most:
                raise too_large(length, self._most)
            self.compressed = bool(flag)
            self.length = length
        missing = self.length - self.held
        if len(piece) < missing:
            self._keep(piece)
            return None, _NOTHING
        if missing:
            self._keep(piece[:missing])
        parts, self._parts = self._parts, []
        self.length, self.held = -1, 0
        only = parts[0] if len(parts) == 1 else None
        return only if isinstance(only, bytes) else b"".join(parts), piece[missing:]

    def _keep(self, piece: memoryview) -> None:
        self.held += len(piece)
        if len(piece) >= _SMALL_PIECE:
            packet = len(cast("bytes", piece.obj))
            # A view keeps all of the packet that it is in: worth it only where that is not much more.
            self._parts.append(piece if 2 * len(piece) >= packet else bytes(piece))
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, bytearray):
            last += piece
        elif piece:
            self._parts.append(bytearray(piece))


def unpacked_size(message: bytes, encoding: bytes | None) -> int:
    """Return how large a compressed message becomes, or for ``deflate``, which does not tell, a bound on it.

    Raises:
        MessageError: It cannot be decompressed.
    """
    if encoding == b"gzip":
        if len(message) < _SMALLEST_GZIP:
            raise _damaged(encoding)
        return int.from_bytes(message[-4:], "little")
    if encoding == b"deflate":
        return len(message) * _LARGEST_RATIO
    raise MessageError(Code.INTERNAL, "Compressed flag set with identity or empty encoding")


def unpack(message: bytes, encoding: bytes, most: int) -> bytes:
    """Return a message decompressed; a bomb is stopped at `most` bytes.

    Raises:
        MessageError: It is damaged, or becomes larger.
    """
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS if encoding == b"gzip" else zlib.MAX_WBITS)
    try:
        data = stream.decompress(message, most + 1)
    except zlib.error:
        raise _damaged(encoding) from None
    if len(data) > most:
        raise too_large(f"more than {most}", most)
    if not stream.eof or stream.unused_data:
        raise _damaged(encoding)
    return data


def pack(message: bytes) -> bytes:
    """Return a message gzipped, for speed rather than size."""
    stream = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return stream.compress(message) + stream.flush()


def _damaged(encoding: bytes) -> MessageError:
    return MessageError(
        Code.INTERNAL, f"Unexpected error decompressing data for algorithm {encoding.decode('latin-1')}"
    )
