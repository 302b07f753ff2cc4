"""Windows that slide over axes: what convolutions and pooling have in common."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.saved_model.plain_ops.values import Dimension, same


def padding_of(
    sizes: Sequence[Dimension], widths: Sequence[int], strides: Sequence[int], pads: Sequence[Sequence[Dimension]]
) -> str | None:
    """Return the name that TensorFlow has for a padding, or None.

    Args:
        sizes: The length of each axis.
        widths: How far a window reaches along each, holes included.
        strides: How far it moves.
        pads: What is added in front and behind.
    """
    if all(isinstance(size, int) and size == 0 for pair in pads for size in pair):
        return "VALID"
    if all(_is_same(*each) for each in zip(sizes, widths, strides, pads, strict=True)):
        return "SAME"
    return None


def _is_same(size: Dimension, width: int, stride: int, pads: Sequence[Dimension]) -> bool:
    if stride == 1:
        total: Dimension = width - 1
    elif isinstance(size, int):
        total = max(0, (-(-size // stride) - 1) * stride + width - size)
    else:
        return False
    return same(pads[0], total // 2) and same(pads[1], total - total // 2)


def reach(width: int, dilation: int) -> int:
    """Return how far a window reaches whose elements are so far apart."""
    return (width - 1) * dilation + 1
