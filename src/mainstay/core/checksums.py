"""The checksum of TensorFlow's file formats: CRC-32C, masked."""

from __future__ import annotations

import google_crc32c

_CHUNK_BYTES = 1 << 20


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of `data`, rotated and offset: checksums of data that holds checksums stay strong.

    Args:
        data: The bytes; those of a view are copied in pieces of 1 MiB.

    Returns:
        The checksum, an unsigned number of 32 bits. TFRecord files, event files and TensorBundles hold it.

    >>> hex(masked_crc32c(b"abc"))
    '0x21f1576e'
    """
    crc = 0
    for start in range(0, len(data), _CHUNK_BYTES):
        crc = google_crc32c.extend(crc, bytes(data[start : start + _CHUNK_BYTES]))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
