"""Windows that slide over images: layouts, padding, and shifted slices that XLA's CPU compiler vectorises."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Size

MOST_TAPS = 49
"""Windows with more positions are left to XLA: one slice each makes the compiled program long."""


@dataclass(frozen=True)
class Layout:
    """Which axes of an image are space and which are channels.

    Args:
        spatial: The spatial axes.
        channels: The axis of the channels.
    """

    spatial: tuple[int, ...]
    channels: int

    @property
    def rank(self) -> int:
        """The number of axes, the batch included."""
        return len(self.spatial) + 2

    def of_space(self, numbers: Sequence[Any], default: int = 1) -> tuple[Any, ...]:
        """Return the numbers of the spatial axes out of one for every axis (or none at all)."""
        if not numbers:
            return (default,) * len(self.spatial)
        if len(numbers) == 1:
            return tuple(numbers) * len(self.spatial)
        if len(numbers) == len(self.spatial):
            return tuple(numbers)
        return tuple(numbers[axis] for axis in self.spatial)

    @property
    def names(self) -> str:
        """The layout as `lax.conv_general_dilated` spells it, with digits for the spatial axes."""
        names = [""] * self.rank
        names[0], names[self.channels] = "N", "C"
        for index, axis in enumerate(self.spatial):
            names[axis] = str(index)
        return "".join(names)

    @property
    def kernel_names(self) -> str:
        """The layout of a kernel: space, input channels, output channels."""
        return "".join(map(str, range(len(self.spatial)))) + "IO"


def layout_of(node: OpNode, rank: int) -> Layout:
    """Return the layout that a node states, for images of a rank.

    Raises:
        ModelError: It is a layout of vectors of channels, which only some GPUs compute.
    """
    name = node.text("data_format") if node.attr("data_format") else "NHWC"
    if name in ("NCHW", "NCDHW", "NCW", "CHANNELS_FIRST"):
        return Layout(tuple(range(2, rank)), 1)
    if name in ("NHWC", "NDHWC", "NWC", "CHANNELS_LAST"):
        return Layout(tuple(range(1, rank - 1)), rank - 1)
    raise ModelError("an image has a layout that is not read", where=node.name, expected="NHWC or NCHW", received=name)


@dataclass(frozen=True)
class Window:
    """The geometry of a window that slides over the spatial axes.

    Args:
        layout: The layout of the image.
        size: Positions along each spatial axis.
        strides: Steps along each spatial axis.
        dilation: Distance of neighbouring positions.
        pads: How many elements are added before and after.
    """

    layout: Layout
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[Any, Any], ...]

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

    @property
    def is_padded(self) -> bool:
        """Whether there is any padding."""
        return any(not (isinstance(each, int) and each == 0) for pair in self.pads for each in pair)

    @property
    def is_measured(self) -> bool:
        """Whether the padding is known in numbers: that of ``SAME`` follows from the size of the image."""
        return all(isinstance(each, int) for pair in self.pads for each in pair)

    def counts(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Return the number of windows along each spatial axis."""
        numbers = []
        for index, axis in enumerate(self.layout.spatial):
            span = (self.size[index] - 1) * self.dilation[index] + 1
            numbers.append((shape[axis] + sum(self.pads[index]) - span) // self.strides[index] + 1)
        return tuple(numbers)

    def full(self, numbers: Sequence[Any], rest: Any) -> list[Any]:
        """Return one entry for every axis: `numbers` for the spatial ones and `rest` for the others."""
        entries = [rest] * self.layout.rank
        for axis, number in zip(self.layout.spatial, numbers, strict=True):
            entries[axis] = number
        return entries


def window_of(
    node: OpNode,
    shape: Sequence[Any],
    layout: Layout,
    *,
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int] | None = None,
) -> Window:
    """Return the window that a node slides over images of a shape, with the padding that the node asks for."""
    dilation = (1,) * len(layout.spatial) if dilation is None else tuple(dilation)
    spans = [(length - 1) * step + 1 for length, step in zip(size, dilation, strict=True)]
    kind = node.text("padding")
    if kind == "EXPLICIT":
        pads = _explicit(node, layout)
    elif kind == "SAME":
        pads = tuple(map(_same, [shape[axis] for axis in layout.spatial], spans, strides))
    elif kind == "VALID":
        pads = ((0, 0),) * len(layout.spatial)
    else:
        raise ModelError("images are padded in an unknown way", where=node.name, received=kind)
    return Window(layout, tuple(size), tuple(strides), dilation, pads)


def _same(whole: Size, span: int, stride: int) -> tuple[Size, Size]:
    """Return the padding that gives one window for each stride; what cannot be halved is more at the end."""
    total = span - 1 if stride == 1 else jax.core.max_dim((-(-whole // stride) - 1) * stride + span - whole, 0)
    return total // 2, total - total // 2


def _explicit(node: OpNode, layout: Layout) -> tuple[tuple[int, int], ...]:
    flat = node.attr("explicit_paddings", ())
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    chosen: tuple[tuple[int, int], ...] = layout.of_space(pairs, 0)
    return chosen


def taps(x: Any, window: Window, fill: Any) -> list[Any]:
    """Return, for each position in the window in row-major order, the elements there of all windows."""
    counts = window.counts(x.shape)
    if window.is_padded:
        amounts = [(low, high, 0) for low, high in window.full(window.pads, (0, 0))]
        x = lax.pad(x, jnp.asarray(fill, x.dtype), amounts)
    return [_tap(x, window, counts, offsets) for offsets in itertools.product(*map(range, window.size))]


def _tap(padded: Any, window: Window, counts: tuple[Any, ...], offsets: tuple[int, ...]) -> Any:
    starts = [offset * step for offset, step in zip(offsets, window.dilation, strict=True)]
    limits = [
        start + stride * (count - 1) + 1 for start, stride, count in zip(starts, window.strides, counts, strict=True)
    ]
    full_limits = window.full(limits, None)
    full_limits = [padded.shape[axis] if limit is None else limit for axis, limit in enumerate(full_limits)]
    return lax.slice(padded, window.full(starts, 0), full_limits, window.full(window.strides, 1))
