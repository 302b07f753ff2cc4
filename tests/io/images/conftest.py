"""Small image files of known pixels."""

import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image


def pixels(height=5, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height=40, width=56):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y], axis=-1).astype(np.uint8)


def saved(image, kind, **options):
    image = Image.fromarray(np.squeeze(image)) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size, depth, colour_type, lines, *, interlace=0, extra=b""):
    """A PNG of (height, width) whose filtered lines are given."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], depth, colour_type, 0, 0, interlace))
    body = png_chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + png_chunk(b"IEND", b"")


def gif(frames, size=(4, 6)):
    """A GIF on (height, width) of frames (left, top, width, height, colours, transparent colour, disposal)."""
    palette = bytes([10, 20, 30, 200, 100, 50, 0, 255, 0, 255, 255, 255])
    out = b"GIF89a" + struct.pack("<HHBBB", size[1], size[0], 0x81, 1, 0) + palette
    for left, top, width, height, colours, transparent, disposal in frames:
        flags = disposal << 2 | (transparent is not None)
        out += b"\x21\xf9\x04" + bytes([flags, 0, 0, transparent or 0]) + b"\0"
        out += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02"
        codes = [code for index, colour in enumerate(colours) for code in ([4, colour] if index % 2 == 0 else [colour])]
        bits = "".join(format(code, "03b")[::-1] for code in [*codes, 5])
        bits += "0" * (-len(bits) % 8)
        data = bytes(int(bits[place : place + 8][::-1], 2) for place in range(0, len(bits), 8))
        out += bytes([len(data)]) + data + b"\0"
    return out + b";"


@pytest.fixture
def files():
    return SimpleNamespace(pixels=pixels, smooth=smooth, saved=saved, png=png, png_chunk=png_chunk, gif=gif)
