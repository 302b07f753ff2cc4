"""Windows over the spatial axes of an array, as shifted strided slices: one slice per position in the window."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

MOST_TAPS = 49
"""Windows with more positions are left to XLA: one slice each makes the compiled program long."""


@dataclass(frozen=True)
class Window:
    """The geometry of a window that slides over some axes of an array.

    Args:
        axes: The axes it slides over.
        size: Positions along each axis.
        strides: Steps along each axis.
        dilation: Distance of neighbouring positions along each axis.
        pads: How many elements are added before and after, for each axis.
    """

    axes: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def num_taps(self) -> int:
        """The number of positions in the window."""
        count = 1
        for size in self.size:
            count *= size
        return count

    @property
    def overlaps(self) -> bool:
        """Whether an element can belong to more than one window."""
        return any(size > stride for size, stride in zip(self.size, self.strides, strict=True))

    def output_sizes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the number of windows along each axis of an array of this shape."""
        sizes = []
        for index, axis in enumerate(self.axes):
            span = (self.size[index] - 1) * self.dilation[index] + 1
            sizes.append((shape[axis] + sum(self.pads[index]) - span) // self.strides[index] + 1)
        return tuple(sizes)


def window_of(
    shape: Sequence[int],
    axes: tuple[int, ...],
    *,
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] | None = None,
) -> Window:
    """Return the window that `padding` (``same`` or ``valid``) makes over these axes of an array of this shape."""
    dilation = (1,) * len(axes) if dilation is None else dilation
    spans = [(length - 1) * step + 1 for length, step in zip(size, dilation, strict=True)]
    pads = lax.padtype_to_pads([shape[axis] for axis in axes], spans, strides, padding.upper())
    return Window(
        axes, tuple(size), tuple(strides), tuple(dilation), tuple((int(low), int(high)) for low, high in pads)
    )


def taps(x: jax.Array, window: Window, fill: float = 0.0) -> list[jax.Array]:
    """Return, for each position in the window in row-major order, the elements there of all windows.

    Args:
        x: The array, of any rank.
        window: The window.
        fill: The value of the padding.
    """
    outputs = window.output_sizes(x.shape)
    amounts: list[tuple[int, int, int]] = [(0, 0, 0)] * x.ndim
    for axis, (low, high) in zip(window.axes, window.pads, strict=True):
        amounts[axis] = (low, high, 0)
    padded = lax.pad(x, lax.full((), fill, x.dtype), amounts) if any(any(pads) for pads in window.pads) else x
    return [_tap(padded, window, outputs, offsets) for offsets in itertools.product(*map(range, window.size))]


def _tap(padded: jax.Array, window: Window, outputs: tuple[int, ...], offsets: tuple[int, ...]) -> jax.Array:
    starts, limits, steps = [0] * padded.ndim, list(padded.shape), [1] * padded.ndim
    for index, axis in enumerate(window.axes):
        starts[axis] = offsets[index] * window.dilation[index]
        limits[axis] = starts[axis] + window.strides[index] * (outputs[index] - 1) + 1
        steps[axis] = window.strides[index]
    return lax.slice(padded, starts, limits, steps)


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """Return a size that is given once or per axis as one number per axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """Return the spatial axes of a batch of images (or sequences, or volumes) of this rank."""
    return tuple(range(1, rank - 1)) if data_format == "channels_last" else tuple(range(2, rank))


def is_float(x: Any) -> bool:
    """Return whether an array holds real floating point numbers."""
    return bool(jax.numpy.issubdtype(x.dtype, jax.numpy.floating))
