"""Request bodies that come gzipped: unpacked up to a bound, so that a small body cannot become a huge one."""

from __future__ import annotations

import zlib

from mainstay.serving.rest.answers import Answer, refusal
from mainstay.serving.status import Code

# Each further member costs a copy of the rest, which a body of many tiny members would turn into an attack.
_MOST_GZIP_MEMBERS = 16


def unpack_gzip(data: bytes, most: int) -> bytes | Answer:
    """Return a gzip body unpacked, or the answer that refuses it; a bomb is stopped at the bound."""
    whole = bytearray()
    for _ in range(_MOST_GZIP_MEMBERS):
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            whole += stream.decompress(data, most - len(whole) + 1)
        except zlib.error as error:
            return refusal(Code.INVALID_ARGUMENT, f"The gzip body is damaged: {error}")
        if len(whole) > most:
            return refusal(413, f"The request's body exceeds {most} bytes once unpacked")
        if not stream.eof:
            return refusal(Code.INVALID_ARGUMENT, "The gzip body is truncated")
        data = stream.unused_data
        if not data:
            return bytes(whole)
    return refusal(Code.INVALID_ARGUMENT, f"The gzip body has more than {_MOST_GZIP_MEMBERS} members")
