"""Traced steps as a function of chunks: host calls for whole columns, then one program; the rest is handed through."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import MainstayError, TensorSpec
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, Texts, is_text, plain
from mainstay.data.functions.function import Function
from mainstay.data.functions.host_calls import Made
from mainstay.data.functions.opaque import UntraceableError
from mainstay.data.functions.program import Program
from mainstay.data.functions.rows import row_function
from mainstay.data.functions.steps import Step, is_number
from mainstay.data.functions.tracing import Computed, Leaf, Through, Trace, trace
from mainstay.data.structures import Structure, flatten, leaf_names, pack, skeleton_of
from mainstay.io import Spans

_MOST_SHAPES = 64


class Compiled:
    """A trace, and the programs of its results in 32 and in 64 bits.

    Args:
        found: The trace.
    """

    def __init__(self, found: Trace) -> None:
        self.trace = found
        leaves = [*found.leaves, *([] if found.keep is None else [found.keep])]
        self._programs = [self._program(leaves, wide=wide) for wide in (False, True)]

    def _program(self, leaves: Sequence[Leaf], *, wide: bool) -> Program | None:
        results = [leaf.index for leaf in leaves if isinstance(leaf, Computed) and leaf.wide == wide]
        if not results:
            return None
        closed = self.trace.wide if wide else self.trace.narrow
        used = sorted(frozenset().union(*(self.trace.flows[index].inputs for index in results)))
        return Program(closed, used, results, wide=wide)

    def run(self, columns: Sequence[Column], chunk: Chunk, *, filtered: bool = True) -> Chunk:
        """Return the chunk of the results.

        Args:
            columns: The columns of the chunk, and the results of the host calls.
            chunk: The elements.
            filtered: Whether a filter leaves elements out.
        """
        made: dict[Leaf, Column] = {}
        for wide, program in zip((False, True), self._programs, strict=True):
            if program is not None:
                given = [columns[self.trace.numbers[position]] for position in program.used]
                results = program(given, chunk.length)
                made.update(
                    (Computed(index, wide), column) for index, column in zip(program.results, results, strict=True)
                )

        def find(leaf: Leaf) -> Column:
            if isinstance(leaf, Through):
                return plain(columns[leaf.place])
            return made[leaf] if isinstance(leaf, Computed) else pa.array([leaf.value] * chunk.length, pa.binary())

        result = Chunk(self.trace.skeleton, tuple(map(find, self.trace.leaves)), chunk.length, chunk.origin)
        return result if self.trace.keep is None or not filtered else result.filter(find(self.trace.keep))


class TracedSteps(Function):
    """Consecutive steps that JAX has traced, run for many elements at once.

    Elements of another shape get a trace of their own, those that JAX cannot take are passed to the functions one by
    one.

    Args:
        steps: The steps; only the last may be a filter.
        sample: Some elements to trace them with.

    Raises:
        UntraceableError: They cannot be traced.
    """

    def __init__(self, steps: Sequence[Step], sample: Chunk) -> None:
        self.steps = tuple(steps)
        self._sample = Chunk(sample.skeleton, sample.columns, sample.length)
        found = trace(steps, sample.skeleton, sample.columns)
        columns = call_host(found.calls, sample.columns)
        if columns is None:
            raise UntraceableError("its host calls give other structures each time")
        self.columns = columns
        self.name = " → ".join(step.name for step in steps)
        self.one_to_one = not steps[-1].is_filter
        self.calls = found.calls
        self.is_row_bound = any(made.call.function.is_slow for made in found.calls)
        self._lock = threading.Lock()
        self._kinds = _kinds(columns)
        self.compiled = Compiled(found)
        self._by_shape: dict[Any, Compiled | None] = {_shapes(columns): self.compiled}
        self._rows = [row_function(step) for step in steps]

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the chunk of the results."""
        try:
            columns = call_host(self.calls, chunk.columns)
        except MainstayError:
            # Called for each element, the function says where it fails, and it may take what whole columns cannot.
            columns = None
        compiled = None if columns is None else self.compiled_for(chunk, columns)
        if columns is not None and compiled is not None:
            return compiled.run(columns, chunk)
        chunk = chunk.plain()
        for function in self._rows:
            if chunk.length:
                chunk = function(chunk)
        return chunk

    def with_open_axes(self, specs: Structure) -> Structure:
        """Return the specs of results with None for each axis whose length host calls choose for every batch."""
        leaves = flatten(specs)
        axis = 0 if any(map(is_text, self._sample.columns)) else 1
        for made in self.calls:
            call, names = made.call, leaf_names(made.skeleton)
            found = call.function.open_results
            wanted = frozenset() if found is None else found(*call.args, **call.kwargs)
            places = [made.first + number for number, name in enumerate(names) if name[2:-2] in wanted]
            for number, leaf in enumerate(self.compiled.trace.leaves):
                if isinstance(leaf, Through) and leaf.place in places:
                    leaves[number] = _opened(leaves[number], axis)
        return pack(skeleton_of(specs), leaves)

    def compiled_for(self, chunk: Chunk, columns: Sequence[Column]) -> Compiled | None:
        """Return the programs for elements of the shapes in a chunk; None where JAX cannot take them.

        Args:
            chunk: The elements.
            columns: Its columns, and the results of the host calls.
        """
        if _kinds(columns) != self._kinds:
            return None
        shapes = _shapes(columns)
        with self._lock:
            if shapes not in self._by_shape:
                if len(self._by_shape) == _MOST_SHAPES:
                    del self._by_shape[next(iter(self._by_shape))]
                self._by_shape[shapes] = self._trace(chunk)
            return self._by_shape[shapes]

    def _trace(self, chunk: Chunk) -> Compiled | None:
        try:
            return Compiled(trace(self.steps, chunk.skeleton, chunk.plain().cut(0, min(2, chunk.length)).columns))
        except UntraceableError:
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        # What JAX makes cannot be sent to another process; there it is made again, from the same elements.
        return TracedSteps, (self.steps, self._sample)


def call_host(calls: Sequence[Made], columns: Sequence[Column]) -> list[Column] | None:
    """Return columns and the results of host calls behind them; None where the results have another structure."""
    columns = list(columns)
    for made in calls:
        result = made.call.run(columns)
        if skeleton_of(result) != made.skeleton:
            return None
        columns += flatten(result)
    return columns


def _opened(spec: Any, axis: int) -> Any:
    """Return a spec with one axis of any length."""
    if not isinstance(spec, TensorSpec) or len(spec.shape) <= axis:
        return spec
    return TensorSpec((*spec.shape[:axis], None, *spec.shape[axis + 1 :]), spec.dtype)


def _kinds(columns: Sequence[Column]) -> tuple[Any, ...]:
    """Return what a trace depends on but for the lengths of axes."""
    return tuple(
        ("object", 2)
        if isinstance(column, Texts)
        else "BinaryArray"
        if isinstance(column, Spans)
        else (column.dtype, column.ndim)
        if isinstance(column, np.ndarray)
        else type(column).__name__
        for column in columns
    )


def _shapes(columns: Sequence[Column]) -> tuple[Any, ...]:
    return tuple(column.shape[1:] for column in columns if is_number(column))
