"""PNG to pixels: eight bits through Pillow, sixteen bits of every kind through our own reader."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from mainstay.core import DataError
from mainstay.io.images.contents import Pixels, check_size, with_channels
from mainstay.io.images.png16 import read_png16

_IHDR_END = 33
_GRAY_ALPHA = 4


def read_png(contents: bytes, channels: int, *, sixteen: bool = False) -> Pixels:
    """Return the pixels of a PNG.

    Args:
        contents: The file.
        channels: 0 for those of the file: 1 gray, 2 gray and alpha, 3 RGB (or a palette), 4 RGBA (or a palette with
            alpha); 1, 3 or 4.
        sixteen: Whether sixteen bits are wanted; eight bits are then spread over sixteen, else the upper eight kept.

    Returns:
        ``[height, width, channels] uint8`` or ``uint16``.

    Raises:
        DataError: The file is damaged, cut short or too large.
    """
    if len(contents) < _IHDR_END or contents[12:16] != b"IHDR":
        raise DataError("the PNG is cut short or has no header", received=f"{len(contents):,} bytes")
    width, height, bits, kind = struct.unpack_from(">IIBB", contents, 16)
    check_size(height, width)
    try:
        _check_end(contents)
        if bits == 16 and (sixteen or channels == 1 or kind == _GRAY_ALPHA):
            pixels = with_channels(read_png16(contents), channels)
            return pixels if sixteen else (pixels >> 8).astype(np.uint8)
        pixels = with_channels(_with_pillow(contents, alpha=channels == 4), channels)
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, struct.error, EOFError, zlib.error) as error:
        raise DataError("the PNG cannot be decoded: it is damaged or cut short", received=error) from error
    return pixels.astype(np.uint16) * np.uint16(257) if sixteen else pixels


def _check_end(contents: bytes) -> None:
    """Walk over the chunks, for Pillow does not miss the last ones."""
    place = 8
    while place + 12 <= len(contents):
        if contents[place + 4 : place + 8] == b"IEND":
            return
        place += 12 + int.from_bytes(contents[place : place + 4], "big")
    raise ValueError("there is no end chunk")


def _with_pillow(contents: bytes, *, alpha: bool) -> Pixels:
    from PIL import Image, PngImagePlugin

    image: Image.Image = PngImagePlugin.PngImageFile(io.BytesIO(contents))
    image.load()
    transparent = "transparency" in image.info
    if image.mode == "P" or (transparent and alpha):
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    if image.mode.startswith("I"):
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels
