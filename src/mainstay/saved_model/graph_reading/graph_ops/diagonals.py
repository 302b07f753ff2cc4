"""Diagonals and bands of matrices, in the three versions of their operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, integers


@dataclass(frozen=True)
class _Layout:
    """Where the diagonals of a matrix stand in the tensor that holds them, one in each row.

    Args:
        rows: The row of the matrix for each position, `[diagonals, length]`.
        columns: The column of the matrix for each position.
        inside: Whether there is such a position; the others are padding.
    """

    rows: np.ndarray[Any, Any]
    columns: np.ndarray[Any, Any]
    inside: np.ndarray[Any, Any]


def _layout(height: int, width: int, band: tuple[int, int], align: str) -> _Layout:
    lower, upper = band
    if not -height < lower <= upper < width and (height, width) != (0, 0):
        raise ModelError("a matrix has no such diagonals", expected=f"{1 - height} to {width - 1}", received=band)
    lengths = {each: min(height + min(0, each), width - max(0, each)) for each in range(lower, upper + 1)}
    longest = max(lengths.values())
    rows = np.zeros((len(lengths), longest), np.int64)
    columns, inside = np.zeros_like(rows), np.zeros_like(rows, bool)
    above, below = align.split("_")
    for place, each in enumerate(range(upper, lower - 1, -1)):
        side = above if each > 0 else below if each < 0 else "LEFT"
        begin = longest - lengths[each] if side == "RIGHT" else 0
        there = slice(begin, begin + lengths[each])
        rows[place, there] = max(0, -each) + np.arange(lengths[each])
        columns[place, there] = max(0, each) + np.arange(lengths[each])
        inside[place, there] = True
    return _Layout(rows, columns, inside)


def _band(offsets: Value) -> tuple[int, int]:
    given = integers(offsets)
    return given[0], given[-1]


def _align(node: OpNode) -> str:
    return node.text("align") if node.attr("align") else "LEFT_LEFT"


def _extract(x: Any, band: tuple[int, int], padding: Value, align: str) -> Any:
    layout = _layout(x.shape[-2], x.shape[-1], band, align)
    picked = jnp.where(layout.inside, x[..., layout.rows, layout.columns], jnp.asarray(padding, x.dtype))
    return picked[..., 0, :] if band[0] == band[1] else picked


def _write(matrix: Any, diagonals: Any, band: tuple[int, int], align: str) -> Any:
    layout = _layout(matrix.shape[-2], matrix.shape[-1], band, align)
    if band[0] == band[1]:
        diagonals = diagonals[..., None, :]
    places = np.nonzero(layout.inside)
    values = diagonals[(..., *places)]
    return matrix.at[..., layout.rows[places], layout.columns[places]].set(values)


@graph_op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(_node: OpNode, x: Value) -> Value:
    """Return the main diagonal of each matrix."""
    return _extract(jnp.asarray(x), (0, 0), np.zeros((), x.dtype), "LEFT_LEFT")


@graph_op("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_v3(node: OpNode, x: Value, offsets: Value, padding: Value) -> Value:
    """Return a range of diagonals of each matrix."""
    return _extract(jnp.asarray(x), _band(offsets), padding, _align(node))


@graph_op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(_node: OpNode, diagonal: Value) -> Value:
    """Return matrices with a main diagonal and zeros elsewhere."""
    diagonal = jnp.asarray(diagonal)
    size = diagonal.shape[-1]
    return jnp.where(np.eye(size, dtype=bool), diagonal[..., None], jnp.zeros((), diagonal.dtype))


@graph_op("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_v3(node: OpNode, diagonals: Value, offsets: Value, rows: Value, columns: Value, *rest: Value) -> Value:
    """Return matrices with a range of diagonals, and padding elsewhere."""
    diagonals, (lower, upper) = jnp.asarray(diagonals), _band(offsets)
    longest = diagonals.shape[-1]
    height, width = _matrix_size(longest, (lower, upper), (integer(rows), integer(columns)))
    outer = diagonals.shape[:-1] if lower == upper else diagonals.shape[:-2]
    padding = jnp.asarray(rest[0], diagonals.dtype)
    matrix = jnp.broadcast_to(padding, (*outer, height, width))
    return _write(matrix, diagonals, (lower, upper), _align(node))


def _matrix_size(longest: int, band: tuple[int, int], given: tuple[int, int]) -> tuple[int, int]:
    least = (longest - min(band[1], 0), longest + max(band[0], 0))
    if given == (-1, -1):
        return max(least), max(least)
    return tuple(fallback if size == -1 else size for size, fallback in zip(given, least, strict=True))  # type: ignore[return-value]


@graph_op("MatrixSetDiag", "BatchMatrixSetDiag")
def matrix_set_diag(_node: OpNode, x: Value, diagonal: Value) -> Value:
    """Return matrices with another main diagonal."""
    return _write(jnp.asarray(x), jnp.asarray(diagonal), (0, 0), "LEFT_LEFT")


@graph_op("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag_v3(node: OpNode, x: Value, diagonals: Value, offsets: Value) -> Value:
    """Return matrices with other values on a range of diagonals."""
    return _write(jnp.asarray(x), jnp.asarray(diagonals), _band(offsets), _align(node))


@graph_op("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(_node: OpNode, x: Value, below: Value, above: Value) -> Value:
    """Return matrices with zeros outside of a band; a negative width keeps a whole triangle."""
    x, lower, upper = jnp.asarray(x), jnp.asarray(below), jnp.asarray(above)
    row = jnp.arange(x.shape[-2])[:, None].astype(jnp.int64)
    column = jnp.arange(x.shape[-1])[None, :].astype(jnp.int64)
    inside = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
    return jnp.where(inside, x, jnp.zeros((), x.dtype))


@graph_op("Diag")
def diag(_node: OpNode, diagonal: Value) -> Value:
    """Return a tensor of twice the rank that has the elements where both halves of its indices agree."""
    diagonal = jnp.asarray(diagonal)
    count = diagonal.size
    return jnp.diag(diagonal.reshape(count)).reshape(diagonal.shape * 2)


@graph_op("DiagPart")
def diag_part(_node: OpNode, x: Value) -> Value:
    """Return the elements for which both halves of the indices agree."""
    x = jnp.asarray(x)
    shape = x.shape[: x.ndim // 2]
    count = int(np.prod(shape))
    return jnp.diagonal(x.reshape(count, count)).reshape(shape)
