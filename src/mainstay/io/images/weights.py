"""The weights of a resampling along one axis, computed as TensorFlow computes them for each method.

TensorFlow has four ways to resize and `tf.image.resize` chooses among them: interpolation of the two nearest pixels
(`resize_bilinear`), the nearest pixel, Keys' cubic of a quantised position (`resize_bicubic`), the mean over an area
(`resize_area`), and a sum over a kernel's whole width (`scale_and_translate`), which is widened by the scale where
`antialias` is asked for. All are separable, so a table for each axis says everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

METHODS = ("area", "bicubic", "bilinear", "gaussian", "lanczos3", "lanczos5", "mitchellcubic", "nearest")
"""The names of `tf.image.ResizeMethod`."""

_CUBIC_STEPS = 1024  # resize_bicubic looks its weights up in a table of so many positions between two pixels


@dataclass(frozen=True)
class AxisWeights:
    """One axis of a resampling: output ``i`` is the sum of ``weights[i, k] * input[starts[i] + k]``.

    Args:
        input: The length of the axis before.
        starts: The first input of each output, ``[output] int64``; ``starts + span`` never passes the end.
        weights: ``[output, span] float32``.
    """

    input: int
    starts: Integers
    weights: Floats

    @property
    def output(self) -> int:
        """The length of the axis after."""
        return len(self.starts)

    @property
    def span(self) -> int:
        """How many inputs an output is made of."""
        return int(self.weights.shape[1])


@lru_cache(maxsize=1024)
def axis_weights(input_size: int, output_size: int, method: str, antialias: bool) -> AxisWeights:
    """Return the weights of one axis.

    Args:
        input_size: The length of the axis before, at least 1.
        output_size: The length of the axis after, at least 1.
        method: One of `METHODS`.
        antialias: Whether a kernel is widened where the axis shrinks; nothing to `nearest` and `area`.

    Returns:
        A table that is shared: nobody writes to it.
    """
    if method == "nearest":
        starts, weights = _nearest(input_size, output_size)
    elif method == "area":
        starts, weights = _area(input_size, output_size)
    elif method == "bilinear" and not antialias:
        starts, weights = _linear(input_size, output_size)
    elif method == "bicubic" and not antialias:
        starts, weights = _cubic(input_size, output_size)
    else:
        starts, weights = _kernel(input_size, output_size, method, antialias)
    table = AxisWeights(input_size, *_inside(starts, weights, input_size))
    table.starts.setflags(write=False)
    table.weights.setflags(write=False)
    return table


def _inside(starts: Integers, weights: Floats, input_size: int) -> tuple[Integers, Floats]:
    """Move every span inside the axis, keeping each weight with its input; weights outside are zero already."""
    span = min(weights.shape[1], input_size)
    moved = np.clip(starts, 0, input_size - span)
    places = (starts - moved)[:, None] + np.arange(weights.shape[1])
    table = np.zeros((len(starts), span), np.float32)
    rows, columns = np.nonzero(weights)
    table[rows, places[rows, columns]] = weights[rows, columns]
    return np.ascontiguousarray(moved), table


def _centres(input_size: int, output_size: int) -> Floats:
    """Return where the middle of each output lies among the inputs, in the arithmetic of float32."""
    scale = np.float32(input_size) / np.float32(output_size)
    return (np.arange(output_size, dtype=np.float32) + np.float32(0.5)) * scale


def _nearest(input_size: int, output_size: int) -> tuple[Integers, Floats]:
    starts = np.minimum(np.floor(_centres(input_size, output_size)).astype(np.int64), input_size - 1)
    return starts, np.ones((output_size, 1), np.float32)


def _linear(input_size: int, output_size: int) -> tuple[Integers, Floats]:
    places = _centres(input_size, output_size) - np.float32(0.5)
    floor = np.floor(places)
    share = places - floor
    lower = floor.astype(np.int64)
    # Before the first and past the last pixel both neighbours are the pixel at the border.
    share = np.where(lower < 0, np.float32(1), np.where(lower >= input_size - 1, np.float32(0), share))
    return lower, np.stack([np.float32(1) - share, share], axis=1).astype(np.float32)


def _cubic(input_size: int, output_size: int) -> tuple[Integers, Floats]:
    places = _centres(input_size, output_size) - np.float32(0.5)
    floor = np.floor(places)
    share = np.rint((places - floor) * np.float32(_CUBIC_STEPS)) / np.float32(_CUBIC_STEPS)
    distances = np.stack([1 + share, share, 1 - share, 2 - share], axis=1)
    starts = floor.astype(np.int64) - 1
    return starts, _normalised(_keys_cubic(distances), starts, input_size)


def _area(input_size: int, output_size: int) -> tuple[Integers, Floats]:
    scale = np.float32(input_size) / np.float32(output_size)
    begin = np.arange(output_size, dtype=np.float32) * scale
    end = np.arange(1, output_size + 1, dtype=np.float32) * scale
    starts = np.floor(begin).astype(np.int64)
    span = int((np.ceil(end).astype(np.int64) - starts).max())
    places = starts[:, None] + np.arange(span)
    covered = np.minimum(places + 1, end[:, None]) - np.maximum(places, begin[:, None])
    weights = np.maximum(covered, 0).astype(np.float32) / scale
    return starts, _at_border(weights, starts, input_size)


def _at_border(weights: Floats, starts: Integers, input_size: int) -> Floats:
    """Give what rounding put past the last input to the last input."""
    places = starts[:, None] + np.arange(weights.shape[1])
    beyond = np.where(places >= input_size, weights, np.float32(0))
    weights = np.where(places >= input_size, np.float32(0), weights)
    return np.where(places == input_size - 1, weights + beyond.sum(axis=1, keepdims=True), weights).astype(np.float32)


def _kernel(input_size: int, output_size: int, method: str, antialias: bool) -> tuple[Integers, Floats]:
    radius, function = _KERNELS[method]
    shrink = np.float32(1) / (np.float32(output_size) / np.float32(input_size))
    width = np.maximum(shrink, np.float32(1)) if antialias else np.float32(1)
    centres = (np.arange(output_size, dtype=np.float32) + np.float32(0.5)) * shrink
    reach = np.float32(radius) * width
    starts = np.clip(np.ceil(centres - reach - np.float32(0.5)).astype(np.int64), 0, input_size - 1)
    ends = np.clip(np.floor(centres + reach - np.float32(0.5)).astype(np.int64), 0, input_size - 1) + 1
    places = starts[:, None] + np.arange(int((ends - starts).max()))
    distances = np.abs((places.astype(np.float32) + np.float32(0.5) - centres[:, None]) / width)
    weights = np.where(places < ends[:, None], function(distances), np.float32(0)).astype(np.float32)
    return starts, _normalised(weights, starts, input_size)


def _normalised(weights: Floats, starts: Integers, input_size: int) -> Floats:
    """Leave out what lies outside the image and let the rest sum to one."""
    places = starts[:, None] + np.arange(weights.shape[1])
    weights = np.where((places >= 0) & (places < input_size), weights, np.float32(0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _triangle(distance: Floats) -> Floats:
    return np.asarray(np.maximum(np.float32(1) - distance, np.float32(0)))


def _cubic_curve(distance: Floats, near: tuple[float, float, float], far: tuple[float, float, float, float]) -> Floats:
    inner = (near[0] * distance + near[1]) * distance * distance + near[2]
    outer = ((far[0] * distance + far[1]) * distance + far[2]) * distance + far[3]
    return np.where(distance <= 1, inner, np.where(distance < 2, outer, 0)).astype(np.float32)


def _keys_cubic(distance: Floats) -> Floats:
    return _cubic_curve(distance, (1.5, -2.5, 1.0), (-0.5, 2.5, -4.0, 2.0))


def _mitchell_cubic(distance: Floats) -> Floats:
    return _cubic_curve(distance, (7 / 6, -2.0, 8 / 9), (-7 / 18, 2.0, -10 / 3, 16 / 9))


def _gaussian(distance: Floats) -> Floats:
    return np.where(distance < 1.5, np.exp(-2 * distance * distance), 0).astype(np.float32)


def _lanczos(radius: int) -> Callable[[Floats], Floats]:
    def curve(distance: Floats) -> Floats:
        return np.where(distance < radius, np.sinc(distance) * np.sinc(distance / radius), 0).astype(np.float32)

    return curve


_KERNELS: dict[str, tuple[float, Callable[[Floats], Floats]]] = {
    "bicubic": (2, _keys_cubic),
    "bilinear": (1, _triangle),
    "gaussian": (1.5, _gaussian),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "mitchellcubic": (2, _mitchell_cubic),
}
