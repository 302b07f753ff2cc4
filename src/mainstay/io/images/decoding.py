"""Image files to arrays, with the names, the arguments and the results of `tf.io`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.io.images.bmp import read_bmp
from mainstay.io.images.contents import Pixels, check_channels, image_bytes, image_format, to_dtype, with_channels
from mainstay.io.images.gif import count_frames, read_gif
from mainstay.io.images.jpeg import DEFAULT_OPTIONS, JpegOptions, read_jpeg
from mainstay.io.images.png import read_png
from mainstay.io.staging import host_function


@host_function(varies=True, is_slow=True)
def decode_image(
    contents: Any, channels: int | None = None, *, dtype: Any = "uint8", expand_animations: bool = True
) -> Pixels:
    """Decode a JPEG, PNG, GIF or BMP, told by its contents.

    Args:
        contents: The bytes of the file.
        channels: 0 or None for those of the file, 1 (gray), 3 (RGB) or 4 (RGBA); every format is converted.
        dtype: ``uint8``; ``uint16``, which keeps the sixteen bits of a PNG; ``float32``, in [0, 1].
        expand_animations: Whether a GIF gives all its frames; else its first.

    Returns:
        ``[height, width, channels]``; ``[frames, height, width, channels]`` of a GIF, animated or not, with
        `expand_animations`. The EXIF orientation is not applied.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: The bytes are no image, damaged, cut short, or an image too large.

    >>> from mainstay.io import encode_png
    >>> decode_image(encode_png(np.zeros((2, 3, 1), np.uint8)), channels=3).shape
    (2, 3, 3)
    """
    channels, contents = check_channels(channels), image_bytes(contents)
    kind = image_format(contents)
    if kind == "gif":
        frames = read_gif(contents, first_only=not expand_animations)
        return to_dtype(with_channels(frames if expand_animations else frames[0], channels), dtype)
    return to_dtype(read_still(contents, kind, channels, sixteen=np.dtype(dtype).itemsize > 1), dtype)


@host_function(varies=True, is_slow=True)
def decode_jpeg(
    contents: Any,
    channels: int = 0,
    *,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    dct_method: str = "",
) -> Pixels:
    """Decode a JPEG, bit for bit as `tf.io.decode_jpeg` does; a PNG and a GIF of one frame are taken as well.

    Args:
        contents: The bytes of the file.
        channels: 0 for those of the file, 1 (gray), 3 (RGB) or 4 (RGBA).
        ratio: 1, 2, 4 or 8: decode at this fraction of the size.
        fancy_upscaling: Whether colour stored at half the size is interpolated, not repeated.
        try_recover_truncated: Whether the rest of a file that is cut short is filled with gray.
        dct_method: ``''`` and ``'INTEGER_FAST'`` are the same; ``'INTEGER_ACCURATE'``.

    Returns:
        ``[height, width, channels] uint8``. The EXIF orientation is not applied.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: The bytes are no such image, damaged, cut short, animated, or an image too large.

    >>> from mainstay.io import encode_jpeg
    >>> decode_jpeg(encode_jpeg(np.zeros((16, 24, 3), np.uint8)), ratio=8).shape
    (2, 3, 3)
    """
    if ratio not in (1, 2, 4, 8):
        raise ArgumentError("no such ratio", where="ratio", expected="1, 2, 4 or 8", received=ratio)
    if dct_method not in ("", "INTEGER_FAST", "INTEGER_ACCURATE"):
        raise ArgumentError(
            "no such method",
            where="dct_method",
            expected="'', 'INTEGER_FAST' or 'INTEGER_ACCURATE'",
            received=dct_method,
        )
    options = JpegOptions(ratio, fancy_upscaling, dct_method == "INTEGER_ACCURATE", try_recover_truncated)
    return _decode_one(contents, channels, "decode_jpeg", options)


@host_function(varies=True, is_slow=True)
def decode_png(contents: Any, channels: int = 0, *, dtype: Any = "uint8") -> Pixels:
    """Decode a PNG as `tf.io.decode_png` does; a JPEG and a GIF of one frame are taken as well.

    Args:
        contents: The bytes of the file.
        channels: 0 for those of the file, 1 (gray), 3 (RGB) or 4 (RGBA).
        dtype: ``uint8`` or ``uint16``.

    Returns:
        ``[height, width, channels]`` of the type.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: The bytes are no such image, damaged, cut short, animated, or an image too large.

    >>> from mainstay.io import encode_png
    >>> decode_png(encode_png(np.full((1, 1, 1), 65535, np.uint16)), dtype="uint16").tolist()
    [[[65535]]]
    """
    if np.dtype(dtype).name not in ("uint8", "uint16"):
        raise ArgumentError("no such type", where="dtype", expected="uint8 or uint16", received=np.dtype(dtype).name)
    sixteen = np.dtype(dtype).itemsize > 1
    return to_dtype(_decode_one(contents, channels, "decode_png", sixteen=sixteen), dtype)


@host_function(varies=True, is_slow=True)
def decode_gif(contents: Any) -> Pixels:
    """Decode all frames of a GIF as they are shown; a JPEG and a PNG give one frame.

    Args:
        contents: The bytes of the file.

    Returns:
        ``[frames, height, width, 3] uint8``.

    Raises:
        DataError: The bytes are no such image, damaged, cut short, or an image too large.
    """
    contents = image_bytes(contents)
    kind = _kind(contents, "decode_gif", ("gif", "jpeg", "png"))
    return read_gif(contents) if kind == "gif" else read_still(contents, kind, 3)[None]


@host_function(varies=True, is_slow=True)
def decode_bmp(contents: Any, channels: int = 0) -> Pixels:
    """Decode a BMP.

    Args:
        contents: The bytes of the file.
        channels: 0 for those of the file, 1 (gray), 3 (RGB) or 4 (RGBA).

    Returns:
        ``[height, width, channels] uint8``.

    Raises:
        ArgumentError: There is no such number of channels.
        DataError: The bytes are no BMP, damaged, cut short, or an image too large.
    """
    channels, contents = check_channels(channels), image_bytes(contents)
    return read_still(contents, _kind(contents, "decode_bmp", ("bmp",)), channels)


def read_still(
    contents: bytes,
    kind: str,
    channels: int,
    options: JpegOptions = DEFAULT_OPTIONS,
    *,
    sixteen: bool = False,
    reuse: bool = False,
) -> Pixels:
    """Return the one image of a file, or the first frame of a GIF.

    Args:
        contents: The file.
        kind: What `image_format` said.
        channels: 0, 1, 3 or 4.
        options: For a JPEG.
        sixteen: Whether a PNG is read in sixteen bits.
        reuse: Whether the pixels may lie in a buffer that this thread's next call writes over.

    Raises:
        DataError: The file is damaged, cut short or too large.
    """
    if kind == "jpeg":
        return with_channels(read_jpeg(contents, min(channels, 3), options, reuse=reuse), channels)
    if kind == "png":
        return read_png(contents, channels, sixteen=sixteen)
    return with_channels(read_bmp(contents) if kind == "bmp" else read_gif(contents, first_only=True)[0], channels)


def _decode_one(
    contents: Any, channels: int | None, name: str, options: JpegOptions = DEFAULT_OPTIONS, *, sixteen: bool = False
) -> Pixels:
    channels, contents = check_channels(channels), image_bytes(contents)
    kind = _kind(contents, name, ("jpeg", "png", "gif"))
    if kind == "gif" and (frames := count_frames(contents)) > 1:
        raise DataError(
            f"{name} decodes no animation",
            received=f"a GIF of {frames} frames",
            fix="use decode_gif, or decode_image with expand_animations=False",
        )
    return read_still(contents, kind, channels, options, sixteen=sixteen)


def _kind(contents: bytes, name: str, allowed: tuple[str, ...]) -> str:
    kind = image_format(contents)
    if kind not in allowed:
        raise DataError(
            f"{name} does not decode this format",
            expected=" or ".join(allowed).upper(),
            received=kind.upper(),
            fix=f"use decode_{kind} or decode_image",
        )
    return kind
