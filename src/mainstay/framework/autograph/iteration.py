"""What `for` goes through when it is staged: rows of traced arrays, `range`, `enumerate` and `zip` of traced values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.core import ModelError
from mainstay.framework.autograph.loops import Rounds
from mainstay.framework.autograph.staging import is_traced, plain


class Staged:
    """Something that only `for` in converted code can go through."""

    def rounds(self) -> Rounds:
        """Return its rounds."""
        raise NotImplementedError

    def __iter__(self) -> Any:
        raise ModelError(
            f"{self} has as many items as a tensor says, which is not known while the function is traced",
            expected="a `for` statement",
            fix="use a `for` statement in a converted function, not a comprehension or an unpacking",
        )


@dataclass(frozen=True)
class Range(Staged):
    """`range` of traced bounds."""

    start: Any
    stop: Any
    step: Any

    def __str__(self) -> str:
        return "range(...) of tensors"

    def rounds(self) -> Rounds:
        """Return its rounds."""
        bounds = (self.start, self.stop, self.step)
        dtype = jnp.result_type(*bounds)
        if jnp.issubdtype(dtype, jnp.unsignedinteger) and any(isinstance(item, int) and item < 0 for item in bounds):
            dtype = jnp.dtype(jnp.int32)  # as in range(n, -1, -1)
        # The distance of two small integers may be no small integer.
        wide = jnp.promote_types(dtype, jnp.int32) if dtype.itemsize < 4 else dtype
        start, stop, step = (jnp.asarray(item, wide) for item in bounds)
        up = jnp.where(stop > start, (stop - start - 1) // step + 1, 0)
        down = jnp.where(stop < start, (start - stop - 1) // -step + 1, 0)
        # The sign of the step may be known at run time only.
        number = jnp.where(step > 0, up, down).astype(jnp.int32)
        return Rounds(lambda index: (start + index.astype(wide) * step).astype(dtype), number)


@dataclass(frozen=True)
class Rows(Staged):
    """The rows of a traced array."""

    array: Any

    def rounds(self) -> Rounds:
        """Return its rounds."""
        number = self.array.shape[0]
        if isinstance(number, int):
            return Rounds(lambda index, row: row, number, (self.array,))
        # A symbolic dimension, as in a program that is exported: the loop cannot be as long as nobody knows.
        pick = lambda index: jax.lax.dynamic_index_in_dim(self.array, index, keepdims=False)  # noqa: E731
        return Rounds(pick, jnp.asarray(number, jnp.int32))


@dataclass(frozen=True)
class Enumerated(Staged):
    """`enumerate` of something staged."""

    items: Staged
    start: Any

    def __str__(self) -> str:
        return f"enumerate({self.items})"

    def rounds(self) -> Rounds:
        """Return its rounds."""
        inner = self.items.rounds()
        return Rounds(lambda index, *rows: (index + self.start, inner.items(index, *rows)), inner.number, inner.rows)


@dataclass(frozen=True)
class Zipped(Staged):
    """`zip` of several things that are all staged."""

    parts: tuple[Staged, ...]
    strict: bool

    def __str__(self) -> str:
        return f"zip({', '.join(map(str, self.parts))})"

    def rounds(self) -> Rounds:
        """Return its rounds."""
        inner = [part.rounds() for part in self.parts]
        known = [item.number for item in inner if isinstance(item.number, int)]
        if self.strict and (len(known) < len(inner) or len(set(known)) > 1):
            raise ValueError(f"zip() of tensors with {', '.join(str(item.number) for item in inner)} rows")
        number: Any = min(known) if known else inner[0].number
        if len(known) < len(inner):
            for item in inner:
                number = jnp.minimum(number, item.number)
        rows = [row for item in inner for row in item.rows]

        def items(index: jax.Array, *given: Any) -> tuple[Any, ...]:
            left = list(given)
            return tuple(item.items(index, *[left.pop(0) for _ in item.rows]) for item in inner)

        if isinstance(number, int):
            return Rounds(items, number, [row[:number] for row in rows])
        # The rows are picked by number, since nobody knows how many there will be.
        return Rounds(lambda index: items(index, *[jnp.take(row, index, axis=0) for row in rows]), number)


def staged(items: Any) -> Staged | None:
    """Return what a `for` over a traced value goes through, or None for what Python goes through itself."""
    if isinstance(items, Staged):
        return items
    if not is_traced(items):
        return None
    array = plain(items)
    if array.ndim == 0:
        raise TypeError("iteration over a 0-d array")
    return Rows(array)


def rounds_of(items: Any) -> Rounds | None:
    """Return the rounds of a staged `for`, or None."""
    found = staged(items)
    return None if found is None else found.rounds()
