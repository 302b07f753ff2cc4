"""JPEG to pixels with libjpeg-turbo, which is what TensorFlow decodes with: the same settings give the same bits."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from mainstay.core import DataError
from mainstay.io.images.contents import Pixels, check_size, with_channels

_scratch = threading.local()
_KEPT_BYTES = 1 << 24  # a thread keeps no larger buffer than this between two images


@dataclass(frozen=True)
class JpegOptions:
    """How a JPEG is decoded, with the names and the defaults of ``tf.io.decode_jpeg``.

    Args:
        ratio: 1, 2, 4 or 8: the image is decoded at this fraction of its size, which costs less than resizing it.
        fancy_upscaling: Whether colour, which most files store at half the size, is interpolated and not repeated.
        accurate: Whether the slower and more accurate inverse DCT is used.
        recover: Whether the rest of a file that is cut short is filled with gray instead of being an error.
    """

    ratio: int = 1
    fancy_upscaling: bool = True
    accurate: bool = False
    recover: bool = False


DEFAULT_OPTIONS = JpegOptions()


def read_jpeg(contents: bytes, channels: int, options: JpegOptions = DEFAULT_OPTIONS, *, reuse: bool = False) -> Pixels:
    """Return the pixels of a JPEG; its EXIF orientation is not applied, as TensorFlow does not apply it.

    Args:
        contents: The file.
        channels: 0 for those of the file (1 or 3), 1 or 3.
        options: How to decode.
        reuse: Whether the pixels may lie in a buffer that this thread's next call writes over.

    Returns:
        ``[height, width, channels] uint8``.

    Raises:
        DataError: The file is damaged, cut short or too large.
    """
    import simplejpeg  # type: ignore[import-untyped]

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(contents, strict=False)
    except ValueError as error:
        raise _damaged(contents, error) from error
    check_size(height, width)
    if colours in ("CMYK", "YCCK"):
        return _from_cmyk(_decode(contents, "CMYK", (height, width), options, buffer=None), contents, channels)
    gray = channels == 1 or (channels == 0 and colours == "Gray")
    buffer = _buffer(height * width * (1 if gray else 3)) if reuse else None
    return _decode(contents, "GRAY" if gray else "RGB", (height, width), options, buffer=buffer)


def _decode(
    contents: bytes, colours: str, size: tuple[int, int], options: JpegOptions, *, buffer: Pixels | None
) -> Pixels:
    import simplejpeg

    arguments = {
        "colorspace": colours,
        "fastdct": not options.accurate,
        "fastupsample": not options.fancy_upscaling,
        "buffer": buffer,
    }
    if options.ratio > 1:
        arguments["min_height"] = -(-size[0] // options.ratio)
        arguments["min_width"] = -(-size[1] // options.ratio)
        arguments["min_factor"] = float(options.ratio)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(contents, strict=not options.recover, **arguments)
    except ValueError as error:
        # libjpeg goes on after most complaints, and so does TensorFlow: a file that is cut short is the exception.
        if options.recover or "Premature end of JPEG file" in str(error):
            raise _damaged(contents, error) from error
        try:
            pixels = simplejpeg.decode_jpeg(contents, strict=False, **arguments)
        except ValueError as again:
            raise _damaged(contents, again) from again
    return pixels


def _damaged(contents: bytes, error: Exception) -> DataError:
    return DataError(
        "the JPEG cannot be decoded: it is damaged or cut short",
        received=f"{len(contents):,} bytes; libjpeg says: {str(error).strip() or type(error).__name__}",
        fix="get the file again, or leave it out",
    )


def _buffer(size: int) -> Pixels:
    """Return this thread's buffer of at least so many bytes."""
    kept: Pixels | None = getattr(_scratch, "buffer", None)
    if kept is not None and kept.size >= size:
        return kept
    buffer = np.empty(size, np.uint8)
    if size <= _KEPT_BYTES:
        _scratch.buffer = buffer
    return buffer


def _from_cmyk(inks: Pixels, contents: bytes, channels: int) -> Pixels:
    """Turn four inks into RGB as TensorFlow does; Adobe's programs store them inverted and leave a mark."""
    wide = inks.astype(np.uint32)
    if not _has_adobe_mark(contents):
        wide = 255 - wide
    colour = (wide[..., 3:] * wide[..., :3] // 255).astype(np.uint8)
    return with_channels(colour, channels)


def _has_adobe_mark(contents: bytes) -> bool:
    """Tell whether an APP14 segment of Adobe stands among the segments before the image data."""
    place = 2
    while place + 4 <= len(contents) and contents[place] == 0xFF:
        kind, length = contents[place + 1], int.from_bytes(contents[place + 2 : place + 4], "big")
        if kind == 0xEE and contents[place + 4 : place + 9] == b"Adobe":
            return True
        if kind == 0xDA or length < 2:
            return False
        place += 2 + length
    return False
