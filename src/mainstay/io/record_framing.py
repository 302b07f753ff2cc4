"""The framing of TFRecord files: each record with its length, and a masked CRC-32C of both."""

from __future__ import annotations

import struct

from mainstay.core import masked_crc32c

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


def frame_record(record: bytes) -> bytes:
    """Return a record as it stands in a TFRecord file, or in a TensorBoard event file.

    Args:
        record: The bytes of the record, which may be empty.

    Returns:
        The length (uint64), its checksum (uint32), the record, and the record's checksum (uint32), little-endian.

    >>> frame_record(b"abc").hex()
    '0300000000000000b099490e6162636e57f121'
    """
    length = _LENGTH.pack(len(record))
    return b"".join((length, _CHECKSUM.pack(masked_crc32c(length)), record, _CHECKSUM.pack(masked_crc32c(record))))
