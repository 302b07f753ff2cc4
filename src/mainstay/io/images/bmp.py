"""BMP to pixels: 24 and 32 bits are read here, alpha included; the rarer kinds go through Pillow."""

from __future__ import annotations

import io
import struct

import numpy as np

from mainstay.core import DataError
from mainstay.io.images.contents import Pixels, check_size

_HEADER_BYTES = 54
_PLAIN, _MASKED = 0, 3  # BI_RGB and BI_BITFIELDS


def read_bmp(contents: bytes) -> Pixels:
    """Return the pixels of a BMP.

    Returns:
        ``[height, width, channels] uint8``: 1 channel where the palette is gray, else 3; 4 for 32 bits.

    Raises:
        DataError: The file is damaged, cut short or too large.
    """
    if len(contents) < 26:
        raise DataError("the BMP is cut short", expected="a header of 26 bytes", received=f"{len(contents)} bytes")
    info_size = struct.unpack_from("<I", contents, 14)[0]
    if info_size < 40 or len(contents) < _HEADER_BYTES:
        return _with_pillow(contents)
    start = struct.unpack_from("<I", contents, 10)[0]
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", contents, 18)
    check_size(abs(height), width)
    if bits not in (24, 32) or compression not in (_PLAIN, _MASKED) or not _usual_masks(contents, compression):
        return _with_pillow(contents)
    row = (bits // 8 * width + 3) // 4 * 4
    if len(contents) < start + row * abs(height):
        raise DataError(
            "the BMP is cut short", expected=f"{start + row * abs(height):,} bytes", received=f"{len(contents):,} bytes"
        )
    rows = np.frombuffer(contents, np.uint8, row * abs(height), start).reshape(abs(height), row)
    pixels = rows[:, : bits // 8 * width].reshape(abs(height), width, bits // 8)
    if height > 0:
        pixels = pixels[::-1]  # the first row of the file is the last of the image
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: bits // 8]])


def _usual_masks(contents: bytes, compression: int) -> bool:
    """Tell whether the bytes of a pixel are blue, green, red and alpha."""
    if compression == _PLAIN:
        return True
    return contents[54:66] == struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)


def _with_pillow(contents: bytes) -> Pixels:
    from PIL import BmpImagePlugin, Image

    try:
        image: Image.Image = BmpImagePlugin.BmpImageFile(io.BytesIO(contents))
        check_size(image.height, image.width)
        image.load()
        # Pillow calls a palette of grays L, as TensorFlow does with every palette.
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, EOFError) as error:
        raise DataError(
            "the BMP cannot be decoded: it is damaged, cut short or of an unknown kind", received=error
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels
