"""JPEG to pixels, or straight to a resized picture, in C: usual files only, with the bits of libjpeg-turbo."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

import numpy as np

from mainstay.core import ADDRESS, native_function
from mainstay.io.images.contents import Pixels
from mainstay.io.images.resizing import native_axis

_DONE, _NO_MEMORY = 0, 2  # what the C function returns
_kept = threading.local()


class _Request(ctypes.Structure):
    _fields_ = (
        ("channels", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("top", ctypes.c_int64),
        ("left", ctypes.c_int64),
        ("rows", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("bytes", ctypes.c_int32),
        ("plain", ctypes.c_int32),
        ("state", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Window:
    """The part of a picture that is resized, in pixels."""

    top: int
    left: int
    height: int
    width: int


def decode_native(contents: bytes, shape: tuple[int, int], out: Pixels, *, plain: bool = False) -> bool:
    """Decode a JPEG of colours or of grays, and tell whether C could.

    Args:
        contents: The file.
        shape: Its height and width.
        out: ``[height, width, 1 or 3] uint8``, contiguous.
        plain: Whether to do without AVX2, which is slow and gives the same result: for tests.

    Returns:
        Whether `out` holds the pixels. It does not where the library is not there, where the processor has no AVX2
        (libjpeg-turbo is faster there), and for a file that is damaged or rare: libjpeg-turbo is to decode or to refuse
        it.
    """
    return _decode(contents, _Request(out.shape[2], *shape, 0, 0, None, None, out.ctypes.data, 1, plain))


def decode_resized(
    contents: bytes,
    shape: tuple[int, int],
    out: Pixels,
    window: Window,
    *,
    method: str,
    antialias: bool,
    plain: bool = False,
) -> bool:
    """Decode a JPEG and write a part of it, resized to the size of an array, into that array, if C can.

    The result is that of decoding and `resize_into`, bit for bit; the whole picture is never in memory.

    Args:
        contents: The file.
        shape: Its height and width.
        out: ``[height, width, 1 or 3]`` of ``float32`` or ``uint8``, contiguous.
        window: The part that is resized, within the picture.
        method: A method of `resize_images`.
        antialias: Whether every pixel counts where the picture shrinks.
        plain: Whether to do without AVX2, which is slow and gives the same result: for tests.

    Returns:
        Whether `out` holds the result, as in `decode_native`.
    """
    # The tables stay alive in these names while C reads them, whatever the cache drops meanwhile.
    rows = native_axis(window.height, out.shape[0], method, antialias)
    columns = native_axis(window.width, out.shape[1], method, antialias)
    request = _Request(
        *(out.shape[2], *shape, window.top, window.left),
        *(rows.address, columns.address, out.ctypes.data, out.dtype == np.uint8, plain),
    )
    return _decode(contents, request)


def _decode(contents: bytes, request: _Request) -> bool:
    decode = native_function("mainstay_decode_jpeg", ctypes.c_int32, ctypes.c_char_p, ctypes.c_int64, ADDRESS)
    state_size = native_function("mainstay_jpeg_state_size", ctypes.c_int64)
    if decode is None or state_size is None:
        return False
    # What the calls of a thread keep for each other, such as tables that most files share.
    if not hasattr(_kept, "state"):
        _kept.state = np.zeros(state_size(), np.uint8)
    request.state = _kept.state.ctypes.data
    status = decode(contents, len(contents), ctypes.addressof(request))
    if status == _NO_MEMORY:
        raise MemoryError("no memory to decode a JPEG")
    return bool(status == _DONE)
