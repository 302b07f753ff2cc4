"""Interpolation between the pixels of an image: where to read, and how much each pixel counts.

The weights are computed as TensorFlow's CPU kernels compute them, in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.values import Size


def _numbers(*sizes: Size) -> Any:
    return np if all(isinstance(size, int) for size in sizes) else jnp


def scale_of(whole: Size, wanted: Size, *, corners: bool) -> Any:
    """Return how many pixels of the image one pixel of the result spans."""
    xp = _numbers(whole, wanted)
    if corners and not (isinstance(wanted, int) and wanted <= 1):
        return xp.asarray(whole - 1, np.float32) / xp.asarray(wanted - 1, np.float32)
    return xp.asarray(whole, np.float32) / xp.asarray(wanted, np.float32)


def positions(whole: Size, wanted: Size, *, corners: bool, centers: bool) -> Any:
    """Return where each pixel of the result lies in the image, `[wanted]` float32."""
    xp = _numbers(whole, wanted)
    scale = scale_of(whole, wanted, corners=corners)
    places = xp.arange(wanted).astype(np.float32)
    if centers:
        return (places + np.float32(0.5)) * scale - np.float32(0.5)
    return places * scale


def nearest(whole: Size, wanted: Size, *, corners: bool, centers: bool) -> Any:
    """Return the pixel to read for each pixel of the result."""
    xp = _numbers(whole, wanted)
    scale = scale_of(whole, wanted, corners=corners)
    places = xp.arange(wanted).astype(np.float32)
    if centers:
        places = places + np.float32(0.5)
    places = places * scale
    # C's roundf: halves go away from zero.
    chosen = xp.floor(places + np.float32(0.5)) if corners else xp.floor(places)
    return xp.clip(chosen.astype(np.int32), 0, whole - 1)


def linear(whole: Size, wanted: Size, *, corners: bool, centers: bool) -> tuple[Any, Any, Any]:
    """Return the two pixels to read for each pixel of the result, and how much the second one counts."""
    xp = _numbers(whole, wanted)
    places = positions(whole, wanted, corners=corners, centers=centers)
    below = xp.floor(places)
    lower = xp.maximum(below.astype(np.int32), 0)
    upper = xp.minimum(xp.ceil(places).astype(np.int32), whole - 1)
    return lower, upper, places - below


_STEPS = 1 << 10
"""TensorFlow reads the weights of its cubic kernels out of a table with so many entries for each pixel."""


def cubic(whole: Size, wanted: Size, *, corners: bool, centers: bool) -> list[tuple[Any, Any]]:
    """Return four pixels to read for each pixel of the result, each with its weight."""
    xp = _numbers(whole, wanted)
    places = positions(whole, wanted, corners=corners, centers=centers)
    below = xp.floor(places)
    offset = xp.round((places - below) * _STEPS) / np.float32(_STEPS)
    first = below.astype(np.int32)
    sharpness = np.float32(-0.5 if centers else -0.75)
    reached = [
        (first - 1, _far(1 + offset, sharpness)),
        (first, _near(offset, sharpness)),
        (first + 1, _near(1 - offset, sharpness)),
        (first + 2, _far(2 - offset, sharpness)),
    ]
    bounded = [(xp.clip(index, 0, whole - 1), index, weight) for index, weight in reached]
    if not centers:
        return [(index, weight) for index, _, weight in bounded]
    inside = [(index, xp.where(index == asked, weight, np.float32(0))) for index, asked, weight in bounded]
    total = sum(weight for _, weight in inside)
    return [(index, weight / total) for index, weight in inside]


def _near(x: Any, a: np.float32) -> Any:
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x: Any, a: np.float32) -> Any:
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def area(whole: int, wanted: int, *, corners: bool) -> np.ndarray[Any, Any]:
    """Return how much each pixel counts in each pixel of the result, `[wanted, whole]`."""
    scale = float(scale_of(whole, wanted, corners=corners))
    weights = np.zeros((wanted, whole), np.float64)
    for row in range(wanted):
        begin, end = np.float32(row * scale), np.float32((row + 1) * scale)
        for pixel in range(math.floor(begin), math.ceil(end)):
            share = min(pixel + 1, float(end)) - max(pixel, float(begin))
            weights[row, min(pixel, whole - 1)] += scale if pixel < begin and pixel + 1 > end else share
    return (weights / scale).astype(np.float32)


def _lanczos(radius: int) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        safe = jnp.where(x == 0, 1, x)
        value = radius * jnp.sin(math.pi * safe) * jnp.sin(math.pi * safe / radius) / (math.pi * safe) ** 2
        return jnp.where(x > radius, 0, jnp.where(x <= 1e-3, 1, value))

    return kernel


def _gaussian(x: Any) -> Any:
    return jnp.where(x >= 1.5, 0, jnp.exp(-x * x / (2 * 0.5 * 0.5)))


def _box(x: Any) -> Any:
    return jnp.where(x < 0.5, 1, jnp.where(x == 0.5, 0.5, 0))


def _triangle(x: Any) -> Any:
    return jnp.maximum(0, 1 - x)


def _keys_cubic(x: Any) -> Any:
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return jnp.where(x >= 2, 0, jnp.where(x >= 1, far, near))


def _mitchell_cubic(x: Any) -> Any:
    near = (((7 * x - 12) * x) * x + 16 / 3) / 6
    far = (((-7 / 3 * x + 12) * x - 20) * x + 32 / 3) / 6
    return jnp.where(x >= 2, 0, jnp.where(x >= 1, far, near))


KERNELS: dict[str, Callable[[Any], Any]] = {
    "lanczos1": _lanczos(1),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": _gaussian,
    "box": _box,
    "triangle": _triangle,
    "keyscubic": _keys_cubic,
    "mitchellcubic": _mitchell_cubic,
}
"""How much a pixel counts at a distance in pixels."""


def spans(whole: int, wanted: int, scale: Any, translation: Any, kernel: str) -> Any:
    """Return how much each pixel counts in each pixel of a scaled and moved image, `[wanted, whole]`.

    Args:
        whole: Pixels of the image.
        wanted: Pixels of the result.
        scale: The size of a pixel of the image in pixels of the result; negative for a kernel that is not widened
            where the image shrinks.
        translation: Where the image begins in the result.
        kernel: One of `KERNELS`.
    """
    sharp = jnp.abs(scale)
    stretch = jnp.where(scale < 0, 1, jnp.maximum(1, 1 / sharp))
    places = (jnp.arange(wanted, dtype=jnp.float32) + 0.5) / sharp - translation / sharp - 0.5
    distance = jnp.abs(places[:, None] - jnp.arange(whole, dtype=jnp.float32)[None]) / stretch
    weights = KERNELS[kernel](distance)
    total = jnp.sum(weights, 1, keepdims=True)
    enough = jnp.abs(total) >= 1000 * np.finfo(np.float32).tiny
    normal = jnp.where(enough, weights / jnp.where(enough, total, 1), weights)
    inside = (places >= -0.5) & (places <= whole - 0.5)
    return jnp.where(inside[:, None], normal, 0).astype(jnp.float32)
