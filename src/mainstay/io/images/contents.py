"""The bytes of an image file: which format they are, and the one limit on how large an image may be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainstay.core import ArgumentError, DataError

Pixels = NDArray[Any]

MAX_PIXELS = 178_956_970
"""The most pixels of one image, all frames together: a file of a few kilobytes can claim to be gigabytes of image."""

_SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png", b"GIF87a": "gif", b"GIF89a": "gif", b"BM": "bmp"}


def image_bytes(contents: object) -> bytes:
    """Return the bytes of one image file.

    Args:
        contents: ``bytes``, another buffer of bytes, or an array of no dimensions that holds one.

    Raises:
        ArgumentError: It is anything else.
    """
    if isinstance(contents, np.ndarray) and contents.ndim == 0:
        contents = contents.item()
    if type(contents) is bytes:
        return contents
    if isinstance(contents, (bytes, bytearray, memoryview)):
        return bytes(contents)
    raise ArgumentError(
        "an image is decoded from the bytes of its file",
        expected="bytes",
        received=repr(contents) if isinstance(contents, str) else type(contents).__name__,
        fix="pass the contents of the file: pathlib.Path(path).read_bytes()",
    )


def image_format(contents: bytes) -> str:
    """Return ``'jpeg'``, ``'png'``, ``'gif'`` or ``'bmp'``, told by the first bytes and not by a file's name.

    >>> image_format(b"GIF89a...")
    'gif'

    Raises:
        DataError: The bytes are none of these, or there are none.
    """
    for signature, name in _SIGNATURES.items():
        if contents.startswith(signature):
            return name
    raise DataError(
        "this is not an image" if contents else "the image is empty",
        expected="the contents of a JPEG, PNG, GIF or BMP file",
        received=f"{len(contents):,} bytes that begin with {contents[:12]!r}",
    )


def check_size(height: int, width: int, *, frames: int = 1) -> None:
    """Refuse an image that has no pixels, or more than `MAX_PIXELS`, before memory is taken for it.

    Raises:
        DataError: It is refused.
    """
    if height < 1 or width < 1 or frames < 1:
        raise DataError("the image has no pixels", received=f"{width} by {height} pixels, {frames} frames")
    if height * width * frames > MAX_PIXELS:
        raise DataError(
            "the image is too large to be decoded safely",
            expected=f"at most {MAX_PIXELS:,} pixels",
            received=f"{width:,} by {height:,} pixels" + (f", {frames:,} frames" if frames > 1 else ""),
            fix="leave the file out, or make a smaller copy of it with an image editor",
        )


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Return an image with as many channels as are wanted.

    Args:
        pixels: ``[..., 1 to 4] uint8`` or ``uint16``: gray, gray and alpha, RGB or RGBA.
        channels: 0 to leave it, 1, 3 or 4. Alpha is dropped, not blended; a new one is opaque. Gray is the luma of
            ITU-R BT.601.
    """
    have = pixels.shape[-1]
    if channels in (0, have):
        return pixels
    if channels == 1:
        return pixels[..., :1] if have == 2 else _luma(pixels)
    colour = pixels[..., :3] if have >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    if channels == 3:
        return np.ascontiguousarray(colour)
    opaque = np.full((*pixels.shape[:-1], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.concatenate([colour, pixels[..., -1:] if have in (2, 4) else opaque], axis=-1)


def _luma(pixels: Pixels) -> Pixels:
    """Weigh the colours as libpng does, down to how it rounds."""
    wide = pixels[..., :3].astype(np.uint32) @ np.array([9797, 19234, 3737], np.uint32)
    return ((wide + (16384 if pixels.dtype.itemsize > 1 else 0)) >> 15).astype(pixels.dtype)[..., None]


def check_channels(channels: int | None) -> int:
    """Return the channels wanted, 0 for those of the file.

    Raises:
        ArgumentError: An image cannot have so many.
    """
    if channels not in (None, 0, 1, 3, 4):
        raise ArgumentError(
            "an image cannot be decoded to these channels",
            where="channels",
            expected="0 (as in the file), 1 (gray), 3 (RGB) or 4 (RGBA)",
            received=channels,
        )
    return channels or 0


def to_dtype(pixels: Pixels, dtype: object) -> Pixels:
    """Return pixels as ``tf.io.decode_image`` gives them in a type: integers fill its range, floats lie in [0, 1].

    Args:
        pixels: ``uint8``, or ``uint16`` of a PNG of 16 bits.
        dtype: ``uint8``, ``uint16`` or ``float32``.

    Raises:
        ArgumentError: It is another type.
    """
    name = np.dtype(dtype).name  # type: ignore[call-overload]
    if name not in ("uint8", "uint16", "float32"):
        raise ArgumentError(
            "an image cannot be decoded to this type", where="dtype", expected="uint8, uint16 or float32", received=name
        )
    if name == pixels.dtype.name:
        return pixels
    if name == "float32":
        scale = np.float32(1.0 / np.iinfo(pixels.dtype).max)
        return np.asarray(pixels.astype(np.float32) * scale)
    # TensorFlow multiplies by 256 here, and by 257 only inside a PNG, where libpng does it.
    return pixels.astype(np.uint16) * np.uint16(256) if name == "uint16" else (pixels >> 8).astype(np.uint8)
