"""Programs: traced functions compiled for blocks of elements of one size.

Every element goes through the same program, whatever chunk it lies in: a short block is filled up with its last
element. So an element's result never depends on where a pass began, and there is one compilation.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.data.columns import Array
from mainstay.data.functions.steps import scope
from mainstay.data.functions.tracing import dtype_in

_BLOCK_BYTES = 1 << 20
_MOST_ROWS = 1024
_LEAST_ROWS = 8

_ONE_KERNEL: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Leaves every matrix product to the kernel that a saved model uses, so that both give the same bits."""


class Program:
    """Some results of a closed jaxpr, for many elements; called on any thread, several at a time.

    Args:
        closed: The jaxpr, of one element.
        used: The positions of the inputs that the results depend on.
        results: The numbers of the results.
        wide: Whether it computes in 64 bits.
    """

    def __init__(self, closed: Any, used: Sequence[int], results: Sequence[int], *, wide: bool) -> None:
        self.used, self.results = tuple(used), tuple(results)
        self._closed, self._wide = closed, wide
        self._lock = threading.Lock()
        self._compiled: Any = None
        avals = [*(closed.in_avals[index] for index in used), *(closed.out_avals[index] for index in results)]
        row_bytes = sum(int(np.prod(aval.shape)) * aval.dtype.itemsize for aval in avals)
        self.block = _block_rows(row_bytes)

    def __call__(self, columns: Sequence[Array], length: int) -> list[Array]:
        """Return the results.

        Args:
            columns: The column of each used input, `[length, ...]`.
            length: How many elements there are, at least one.
        """
        compiled = self._executable()
        if not columns:
            columns = [np.zeros(length, np.bool_)]
        columns = [column.astype(dtype_in(column.dtype, wide=self._wide), copy=False) for column in columns]
        parts = []
        with scope(wide=self._wide):
            for start in range(0, length, self.block):
                stop = min(start + self.block, length)
                outputs = compiled(*[_filled(column[start:stop], self.block) for column in columns])
                parts.append([np.asarray(output)[: stop - start] for output in outputs])
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _executable(self) -> Any:
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    self._compiled = self._compile()
        return self._compiled

    def _compile(self) -> Any:
        import jax

        avals = [self._closed.in_avals[index] for index in self.used]
        specs = [jax.ShapeDtypeStruct((self.block, *aval.shape), aval.dtype) for aval in avals]
        if not specs:
            specs = [jax.ShapeDtypeStruct((self.block,), np.bool_)]
        with scope(wide=self._wide):
            lowered = jax.jit(jax.vmap(self._one), keep_unused=True).lower(*specs)
            try:
                return lowered.compile(compiler_options=_ONE_KERNEL)
            except jax.errors.JaxRuntimeError as error:
                if "No such compile option" not in str(error):
                    raise
                return lowered.compile()

    def _one(self, *given: Any) -> tuple[Any, ...]:
        return chosen(self._closed, dict(zip(self.used, given, strict=False)), self.results)


def chosen(closed: Any, given: dict[int, Any], results: Sequence[int]) -> tuple[Any, ...]:
    """Return some results of a closed jaxpr from the inputs that they depend on."""
    import jax.numpy as jnp
    from jax.extend.core import jaxpr_as_fun

    inputs = [
        given[index] if index in given else jnp.zeros(aval.shape, aval.dtype)
        for index, aval in enumerate(closed.in_avals)
    ]
    outputs = jaxpr_as_fun(closed)(*inputs)
    return tuple(outputs[index] for index in results)


def _block_rows(row_bytes: int) -> int:
    """Return how many elements a block has: a power of two, by the size of an element alone."""
    rows = min(_MOST_ROWS, _BLOCK_BYTES // max(row_bytes, 1))
    return 1 << (rows.bit_length() - 1) if rows >= _LEAST_ROWS else 1


def _filled(column: Array, length: int) -> Array:
    """Return a column made longer with copies of its last element, which a function surely takes."""
    if len(column) == length:
        return column
    filled = np.empty((length, *column.shape[1:]), column.dtype)
    filled[: len(column)] = column
    filled[len(column) :] = column[-1]
    return filled
