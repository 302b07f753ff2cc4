"""JPEG to pixels with the bits of libjpeg-turbo, which is what TensorFlow decodes with.

Files of the usual kind are decoded in C of our own, to the same bits in less time; libjpeg-turbo has all others, and
all where the C library is not there.
"""

from __future__ import annotations

import io
import math
import struct
import threading
from dataclasses import dataclass

import numpy as np

from mainstay.core import DataError
from mainstay.io.images.contents import Pixels, check_size, with_channels
from mainstay.io.images.jpeg_native import decode_native

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
    header = read_jpeg_header(contents)
    if header.components == 4:
        inks = _decode(contents, header, "CMYK", options, buffer=None)
        return with_channels(_from_cmyk(inks, is_inverted=header.is_adobes), channels)
    gray = channels == 1 or (channels == 0 and header.components == 1)
    shape = (header.height, header.width, 1 if gray else 3)
    buffer = _buffer(header.height * header.width * shape[2]) if reuse else None
    if options == DEFAULT_OPTIONS:
        out = np.empty(shape, np.uint8) if buffer is None else buffer[: math.prod(shape)].reshape(shape)
        if decode_native(contents, shape[:2], out):
            return out
    return _decode(contents, header, "GRAY" if gray else "RGB", options, buffer=buffer)


@dataclass(frozen=True)
class JpegHeader:
    """What the header of a JPEG says of its pixels."""

    height: int
    width: int
    components: int
    is_adobes: bool


def read_jpeg_header(contents: bytes) -> JpegHeader:
    """Walk over the segments to the one that has the size; see ISO/IEC 10918-1, annex B.

    Raises:
        DataError: There is no such segment, or the picture is too large.
    """
    place, is_adobes = 2, False
    while place + 10 <= len(contents) and contents[place] == 0xFF:
        kind, length = contents[place + 1], int.from_bytes(contents[place + 2 : place + 4], "big")
        if kind == 0xFF or 0xD0 <= kind <= 0xD8:  # padding, and markers without a segment
            place += 1 if kind == 0xFF else 2
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(contents[place + at : place + at + 2], "big") for at in (5, 7))
            check_size(height, width)
            return JpegHeader(height, width, contents[place + 9], is_adobes)
        is_adobes = is_adobes or (kind == 0xEE and contents[place + 4 : place + 9] == b"Adobe")
        if kind in (0xD9, 0xDA) or length < 2:
            break
        place += 2 + length
    raise _damaged(contents, "there is no frame header")


def _decode(
    contents: bytes, header: JpegHeader, colours: str, options: JpegOptions, *, buffer: Pixels | None
) -> Pixels:
    import simplejpeg

    arguments = {
        "colorspace": colours,
        "fastdct": not options.accurate,
        "fastupsample": not options.fancy_upscaling,
        "buffer": buffer,
    }
    if options.ratio > 1:
        arguments["min_height"] = -(-header.height // options.ratio)
        arguments["min_width"] = -(-header.width // options.ratio)
        arguments["min_factor"] = float(options.ratio)
    for strict in (False,) if options.recover else (True, False):
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(contents, strict=strict, **arguments)
            return pixels
        except (ValueError, KeyError) as error:
            if "subsampling" in str(error) or isinstance(error, KeyError):
                return _with_pillow(contents, colours, options)
            # libjpeg goes on after most complaints, and so does TensorFlow: a file that is cut short is the exception.
            if not strict or "Premature end of JPEG file" in str(error):
                raise _damaged(contents, error) from error
    raise _damaged(contents, "no reason")


def _with_pillow(contents: bytes, colours: str, options: JpegOptions) -> Pixels:
    """Decode a file whose colours are stored at a size that TurboJPEG does not name, such as a third of the width."""
    from PIL import Image, JpegImagePlugin

    try:
        image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(contents))
        if options.ratio > 1:
            image.draft(None, (-(-image.width // options.ratio), -(-image.height // options.ratio)))
        image.load()
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _damaged(contents, error) from error
    if colours == "CMYK":
        # Pillow turns Adobe's inks around, and reading goes on from the file's own.
        return 255 - np.asarray(image) if "adobe" in image.info else np.asarray(image)
    pixels = np.asarray(image.convert("L" if colours == "GRAY" else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _damaged(contents: bytes, reason: object) -> DataError:
    return DataError(
        "the JPEG cannot be decoded: it is damaged or cut short",
        received=f"{len(contents):,} bytes; {str(reason).strip() or type(reason).__name__}",
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


def _from_cmyk(inks: Pixels, *, is_inverted: bool) -> Pixels:
    """Turn four inks into RGB as TensorFlow does; Adobe's programs store them inverted and leave a mark."""
    wide = inks.astype(np.uint32) if is_inverted else 255 - inks.astype(np.uint32)
    return (wide[..., 3:] * wide[..., :3] // 255).astype(np.uint8)
