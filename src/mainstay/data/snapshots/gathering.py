"""Picking rows out of parts that lie one after the other, without joining the parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array

Part = TypeVar("Part")


def gather(
    bounds: Array, places: Array, pick: Callable[[int, Array], Part], join: Callable[[Sequence[Part]], Part]
) -> tuple[Part, Array | None]:
    """Return rows of several parts, and the order that brings them back into that of `places`.

    Args:
        bounds: Where each part begins, and where the last one ends, int64 ``[parts + 1]``.
        places: Which rows, int64 ``[n]``; at least one.
        pick: Gives the rows of a part at some indices of it.
        join: Puts what was picked together.

    Returns:
        The rows, and indices into them; None where they are in order already.
    """
    parts = np.searchsorted(bounds, places, "right") - 1
    used = np.unique(parts)
    if len(used) == 1:
        return pick(int(used[0]), places - bounds[used[0]]), None
    order = np.argsort(parts, kind="stable")
    ends = np.cumsum(np.bincount(np.searchsorted(used, parts)))
    pieces = np.split(places[order], ends[:-1])
    joined = join([pick(int(part), piece - bounds[part]) for part, piece in zip(used, pieces, strict=True)])
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return joined, back


def layout_of(chunk: Chunk) -> list[Any]:
    """Return what must agree between chunks so that joining them leaves their columns in one piece."""
    return [column.shape[1:] if isinstance(column, np.ndarray) else type(column) for column in chunk.columns]
