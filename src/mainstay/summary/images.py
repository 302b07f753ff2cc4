"""Images, as PNG that is encoded here."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.summary.messages import BLOB_SEQUENCE, plugin_metadata, string_tensor
from mainstay.summary.recording import record
from mainstay.summary.state import read

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""By number of channels: grey, grey with alpha, RGB, RGBA."""


def image(name: str, data: Any, step: Any = None, *, max_outputs: int = 3, description: str | None = None) -> bool:
    """Record a batch of images.

    Args:
        name: The name of the series; a slash groups series.
        data: [count, height, width, channels] with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels. Floats are
            clipped to 0 … 1 and scaled as `tf.image.convert_image_dtype` does, NaN is black; uint8 is kept; uint16
            gives its upper byte; bool is black and white; other integers are clipped to 0 … 255.
        step: The step; without it, the default one.
        max_outputs: How many images to keep; the first ones of the batch.
        description: Markdown to show beside the images.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: An argument is wrong.
        StorageError: The event file could not be written.
    """
    if not isinstance(max_outputs, int) or isinstance(max_outputs, bool) or max_outputs < 0:
        raise ArgumentError(
            "the number of images is wrong", where=name, expected="a whole number from 0 on", received=repr(max_outputs)
        )

    metadata = plugin_metadata("images", BLOB_SEQUENCE, description)
    return record(name, lambda value: _encode(name, value, max_outputs), (data,), step, metadata)


def _encode(name: str, value: Any, max_outputs: int) -> Any:
    pixels = _checked(value, name)
    height, width = pixels.shape[1:3]
    encoded = [encode_png(to_bytes(single)) for single in pixels[:max_outputs]]
    return string_tensor([str(width).encode(), str(height).encode(), *encoded], [2 + len(encoded)])


def _checked(value: Any, name: str) -> np.ndarray[Any, Any]:
    pixels = np.asarray(read(value))
    if (
        pixels.dtype.kind not in "biufV"
        or pixels.ndim != 4
        or pixels.shape[3] not in _COLOUR_TYPES
        or 0 in pixels.shape[1:]
    ):
        raise ArgumentError(
            "the images of a summary are wrong",
            where=name,
            expected="numbers [count, height, width, channels] with 1 to 4 channels",
            received=f"{pixels.dtype} {list(pixels.shape)}",
            fix="add the axes that are missing, for example data[None, :, :, None] for one grey image",
        )
    return pixels


def to_bytes(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return pixels of any real dtype as uint8; see `image`."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    if pixels.dtype.kind in "iu":
        return pixels.clip(0, 255).astype(np.uint8)
    scaled = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0).clip(0.0, 1.0) * np.float32(
        255.5
    )
    clipped: np.ndarray[Any, np.dtype[np.uint8]] = np.minimum(scaled, 255).astype(np.uint8)
    return clipped


def encode_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Return an image as a PNG file.

    Args:
        pixels: [height, width, channels] uint8 with 1 to 4 channels.

    Returns:
        The bytes of the file. Specification: ISO/IEC 15948.
    """
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with the number of its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
