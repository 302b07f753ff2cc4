"""Images to another size, as `tf.image.resize` makes them: in C for images of bytes, else in NumPy to the same bits."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainstay.core import ADDRESS, ArgumentError, native_function
from mainstay.io.images.contents import MAX_PIXELS, Pixels
from mainstay.io.images.weights import METHODS, AxisWeights, axis_weights
from mainstay.io.staging import host_function

Floats = NDArray[np.float32]

_OUTSIDE, _NO_MEMORY = 1, 2  # what the C function returns
_ARGUMENTS = (ADDRESS, ctypes.c_int64, ctypes.c_int64, ADDRESS, ADDRESS, ADDRESS, ctypes.c_int32)


class _Axis(ctypes.Structure):
    _fields_ = (
        ("input", ctypes.c_int64),
        ("output", ctypes.c_int64),
        ("span", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
    )


@host_function(is_slow=True)
def resize_images(
    images: Any,
    size: tuple[int, int],
    method: str = "bilinear",
    *,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Pixels:
    """Resize images as `tf.image.resize` does.

    Args:
        images: ``[height, width, channels]``, or ``[batch, height, width, channels]``, of numbers.
        size: ``(height, width)`` wanted.
        method: ``bilinear``, ``nearest``, ``bicubic``, ``area``, ``lanczos3``, ``lanczos5``, ``gaussian`` or
            ``mitchellcubic``.
        preserve_aspect_ratio: Whether the size is a limit, and the proportions are kept.
        antialias: Whether every pixel counts where an image shrinks; without it details may turn into false patterns.

    Returns:
        The images, ``float32``; of their own dtype with ``nearest`` or where the size is theirs already.

    Raises:
        ArgumentError: The images have another number of axes, or the size or the method is none.

    >>> resize_images(np.array([[[0], [100]]], np.uint8), (1, 4))[0, :, 0].tolist()
    [0.0, 25.0, 75.0, 100.0]
    """
    stack = np.asarray(images)
    if stack.ndim not in (3, 4) or stack.dtype.kind not in "biuf" or not stack.size:
        raise ArgumentError(
            "these are not images",
            expected="[height, width, channels] or [batch, height, width, channels] of numbers",
            received=f"{list(stack.shape)} of {stack.dtype}",
        )
    height, width = check_resize(size, method)
    before = stack.shape[-3:-1]
    if preserve_aspect_ratio:
        height, width = _kept_proportions(before, (height, width))
    if (height, width) == before:
        return stack.copy()
    single = stack.ndim == 3
    stack = stack[None] if single else stack
    dtype = stack.dtype if method == "nearest" else np.dtype(np.float32)
    result = np.empty((len(stack), height, width, stack.shape[-1]), dtype)
    for image, out in zip(stack, result, strict=True):
        resize_into(out, image, method, antialias=antialias)
    return result[0] if single else result


def check_resize(size: Any, method: str) -> tuple[int, int]:
    """Return a size as ``(height, width)``.

    Raises:
        ArgumentError: It is no size of an image, or there is no such method.
    """
    if method not in METHODS:
        raise ArgumentError("there is no such method", where="method", expected=", ".join(METHODS), received=method)
    try:
        height, width = (int(length) for length in size)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "this is not a size", where="size", expected="(height, width)", received=repr(size)
        ) from error
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ArgumentError(
            "an image cannot have this size", where="size", expected=f"1 to {MAX_PIXELS:,} pixels", received=repr(size)
        )
    return height, width


def resize_into(out: Pixels, image: Pixels, method: str = "bilinear", *, antialias: bool = False) -> None:
    """Write an image, resized to the size of an array, into that array.

    Args:
        out: ``[height, width, channels]``, contiguous; floats are written as they are, integers rounded half to even
            and held in their range.
        image: ``[height, width, channels]`` of numbers.
        method: One of `METHODS`.
        antialias: Whether a kernel is widened where the image shrinks.
    """
    if method == "nearest" and out.dtype == image.dtype:
        rows, columns = (axis_weights(image.shape[k], out.shape[k], method, False).starts for k in (0, 1))
        out[...] = image[rows[:, None], columns]
    elif not _resize_native(out, image, method, antialias):
        _store(out, _resize_plain(image, out.shape[:2], method, antialias))


def _resize_native(out: Pixels, image: Pixels, method: str, antialias: bool) -> bool:
    """Resize in C if that is possible, and tell whether it was."""
    height, width, channels = image.shape
    # The one channel of a gray image may have any stride: NumPy gives a new axis none.
    pixels_touch = image.strides[1] == channels and (channels == 1 or image.strides[2] == 1)
    rows_touch = pixels_touch and image.strides[0] >= width * channels
    if image.dtype != np.uint8 or out.dtype not in (np.uint8, np.float32) or channels > 4 or not rows_touch:
        return False
    resize = native_function("mainstay_resize", ctypes.c_int32, *_ARGUMENTS)
    if resize is None or not out.flags.c_contiguous or out.shape[-1] != channels:
        return False
    # The tables stay alive in these names while C reads them, whatever the cache drops meanwhile.
    rows = native_axis(height, out.shape[0], method, antialias)
    columns = native_axis(width, out.shape[1], method, antialias)
    source = (image.ctypes.data, image.strides[0], channels)
    status = resize(*source, rows.address, columns.address, out.ctypes.data, out.dtype == np.uint8)
    if status == _NO_MEMORY:
        raise MemoryError("no memory to resize an image")
    return bool(status != _OUTSIDE)


@dataclass(frozen=True)
class NativeAxis:
    """A table as C reads it, which needs this object to stay alive meanwhile."""

    table: AxisWeights
    axis: _Axis
    address: int


@lru_cache(maxsize=2048)
def native_axis(before: int, after: int, method: str, antialias: bool) -> NativeAxis:
    """Return the table of one axis for the C functions; the arguments are those of `axis_weights`."""
    table = axis_weights(before, after, method, antialias)
    axis = _Axis(table.input, table.output, table.span, table.starts.ctypes.data, table.weights.ctypes.data)
    return NativeAxis(table, axis, ctypes.addressof(axis))


def _resize_plain(image: Pixels, size: tuple[int, ...], method: str, antialias: bool) -> Floats:
    rows = axis_weights(image.shape[0], size[0], method, antialias)
    columns = axis_weights(image.shape[1], size[1], method, antialias)
    return _resample(_resample(image, rows, 0), columns, 1)


def _resample(image: Pixels, axis: AxisWeights, along: int) -> Floats:
    """Resample along the rows or the columns, rounding as the C function rounds."""
    weights = axis.weights.reshape((axis.output, axis.span, 1, 1) if along == 0 else (1, axis.output, axis.span, 1))

    def inputs(k: int) -> Floats:
        return np.asarray(np.take(image, axis.starts + k, axis=along), np.float32)

    def weight(k: int) -> Floats:
        return np.asarray(np.take(weights, k, axis=along + 1))

    if axis.span == 2:
        first = inputs(0)
        return np.asarray(first + (inputs(1) - first) * weight(1))
    total = np.asarray(inputs(0) * weight(0))
    for k in range(1, axis.span):
        total += inputs(k) * weight(k)
    return total


def _store(out: Pixels, values: Floats) -> None:
    if out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    out[...] = values


def _kept_proportions(before: tuple[int, ...], limit: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the same proportions within a limit, rounded as TensorFlow rounds it."""
    scale = min(np.float32(limit[0]) / np.float32(before[0]), np.float32(limit[1]) / np.float32(before[1]))
    height, width = (max(1, round(float(scale * np.float32(length)))) for length in before)
    return height, width
