"""Arrays to image files, with the names and the arguments of `tf.io`."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.io.images.contents import Pixels

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def encode_jpeg(image: Any, *, quality: int = 95, chroma_downsampling: bool = True) -> bytes:
    """Encode an image as JPEG.

    Args:
        image: ``[height, width, 1 or 3] uint8``.
        quality: 0 to 100.
        chroma_downsampling: Whether colour is stored at half the size.

    Returns:
        The bytes of the file.

    Raises:
        ArgumentError: The image has another shape or type, or the quality is out of range.

    >>> encode_jpeg(np.zeros((8, 8, 3), np.uint8))[:2]
    b'\\xff\\xd8'
    """
    import simplejpeg

    pixels = _checked(image, (1, 3), ("uint8",))
    if not 0 <= quality <= 100:
        raise ArgumentError("no such quality", where="quality", expected="0 to 100", received=quality)
    gray = pixels.shape[-1] == 1
    subsampling = "Gray" if gray else "420" if chroma_downsampling else "444"
    encoded: bytes = simplejpeg.encode_jpeg(
        pixels, quality=quality, colorspace="GRAY" if gray else "RGB", colorsubsampling=subsampling, fastdct=False
    )
    return encoded


def encode_png(image: Any, compression: int = -1) -> bytes:
    """Encode an image as PNG.

    Args:
        image: ``[height, width, channels] uint8`` or ``uint16``, with 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA)
            channels.
        compression: 0 (none) to 9 (most); -1 for zlib's own choice.

    Returns:
        The bytes of the file.

    Raises:
        ArgumentError: The image has another shape or type, or there is no such compression.

    >>> encode_png(np.zeros((1, 1, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    pixels = _checked(image, (1, 2, 3, 4), ("uint8", "uint16"))
    if not -1 <= compression <= 9:
        raise ArgumentError("no such compression", where="compression", expected="-1 to 9", received=compression)
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(_filtered(rows, channels * pixels.dtype.itemsize), compression)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _filtered(rows: Pixels, step: int) -> bytes:
    """Store each row as its difference from the row above or from its left, whichever varies less."""
    above = rows - np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    left = rows.copy()
    left[:, step:] -= rows[:, :-step]
    better = _cost(above) < _cost(left)
    filters = np.where(better, 2, 1).astype(np.uint8)[:, None]
    return np.concatenate([filters, np.where(better[:, None], above, left)], axis=1).tobytes()


def _cost(differences: Pixels) -> Pixels:
    """Return how far each row is from zeros, which compress best."""
    return np.asarray(np.abs(differences.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _checked(image: Any, channels: tuple[int, ...], dtypes: tuple[str, ...]) -> Pixels:
    pixels = np.ascontiguousarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] not in channels or pixels.dtype.name not in dtypes or not pixels.size:
        raise ArgumentError(
            "this is not an image that can be encoded",
            where="image",
            expected=f"[height, width, {' or '.join(map(str, channels))}] of {' or '.join(dtypes)}",
            received=f"{list(pixels.shape)} of {pixels.dtype.name}",
        )
    return pixels
