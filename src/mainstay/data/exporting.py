"""Exporting: the functions of a plan, from some elements on, as one computation on batches of raw values."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ModelError
from mainstay.data.chunks import Chunk
from mainstay.data.functions.chain import Chain
from mainstay.data.functions.opaque import Opaque
from mainstay.data.functions.program import chosen
from mainstay.data.functions.rows import RowFilter, RowMap
from mainstay.data.functions.traced import TracedSteps, call_host
from mainstay.data.functions.tracing import Computed, Constant, Through, Trace, replay
from mainstay.data.structures import Structure, leaf_names, skeleton_of


@dataclass(frozen=True)
class Raw:
    """A leaf of the raw elements, by its number."""

    leaf: int


@dataclass(frozen=True)
class Hosted:
    """A result of a host call, by the numbers of the call and of the result."""

    call: int
    result: int


@dataclass(frozen=True)
class Device:
    """A result of XLA, by the numbers of the stage and of the result."""

    stage: int
    result: int


Symbol: TypeAlias = "Raw | Hosted | Device | Constant"


@dataclass(frozen=True, eq=False)
class Stage:
    """Traced steps in the computation.

    Args:
        function: The steps.
        columns: What each column that they take is, the results of their host calls behind those of the elements.
        on_batches: Whether their elements are batches.
        number: Which stage it is.
        skeleton: The structure of their elements.
    """

    function: TracedSteps
    columns: tuple[Symbol, ...]
    on_batches: bool
    number: int
    skeleton: Structure

    @property
    def trace(self) -> Trace:
        """What the steps compute."""
        return self.function.compiled.trace

    def needs(self, results: Sequence[int]) -> set[Symbol]:
        """Return what some results depend on."""
        positions = frozenset().union(*(self.trace.flows[index].inputs for index in results))
        return {self.columns[self.trace.numbers[position]] for position in positions}

    def run(self, values: Mapping[Symbol, Any], results: Sequence[int]) -> dict[Symbol, Any]:
        """Return some results for batches of what they depend on, while JAX traces."""
        import jax
        import jax.numpy as jnp

        trace = self.trace
        given = {
            position: values[self.columns[place]]
            for position, place in enumerate(trace.numbers)
            if self.columns[place] in values
        }
        if not given:
            raise ModelError("a feature is the same for every element", where=self.function.name)
        if not self.on_batches:
            rows = jax.vmap(lambda *row: chosen(trace.narrow, dict(zip(given, row, strict=True)), results))
            made = list(rows(*given.values()))
        else:
            length = next(iter(given.values())).shape[0]
            arrays: list[Any] = [Opaque(place) for place in range(len(self.columns))]
            for position, place in enumerate(trace.numbers):
                aval = trace.narrow.in_avals[position]
                blank = given[position] if position in given else jnp.zeros((length, *aval.shape[1:]), aval.dtype)
                arrays[place] = blank
            found = replay(self.function.steps, self.skeleton, arrays, trace)
            made = [found[index] for index in results]
        return {
            Device(self.number, index): jax.lax.optimization_barrier(x) for index, x in zip(results, made, strict=True)
        }


@dataclass(frozen=True, eq=False)
class Call:
    """A host call in the computation.

    Args:
        made: The call, as it was traced.
        columns: What each column that it may take is.
        width: How many values a row of its first result has; 0 where that is no array.
    """

    made: Any
    columns: tuple[Symbol, ...]
    width: int


@dataclass(eq=False)
class Computation:
    """What functions make of raw elements.

    Attributes:
        stages: The traced steps, in order.
        calls: The host calls, in order.
        skeleton: The structure of the resulting elements.
        leaves: What each leaf of them is.
        names: The functions, by name.
    """

    stages: list[Stage] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    skeleton: Structure = None
    leaves: list[Symbol] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def needed(self, leaves: Sequence[Symbol]) -> set[Symbol]:
        """Return everything that some leaves depend on, themselves among them."""
        found: set[Symbol] = set()
        waiting = list(leaves)
        while waiting:
            symbol = waiting.pop()
            if symbol in found:
                continue
            found.add(symbol)
            if isinstance(symbol, Device):
                waiting += self.stages[symbol.stage].needs([symbol.result])
            elif isinstance(symbol, Hosted):
                call = self.calls[symbol.call]
                waiting += [call.columns[place] for place in call.made.call.places]
        return found

    def run(self, values: Mapping[Symbol, Any], leaves: Sequence[Symbol]) -> list[Any]:
        """Return some leaves for batches of the raw values and host results that they need, while JAX traces."""
        known = dict(values)
        needed = self.needed(leaves)
        for number, stage in enumerate(self.stages):
            results = sorted(s.result for s in needed if isinstance(s, Device) and s.stage == number)
            if results:
                known.update(stage.run(known, results))
        return [known[leaf] for leaf in leaves]


def computation(groups: Sequence[tuple[Chain, bool]], sample: Chunk) -> tuple[Computation, Chunk]:
    """Return what chains make of raw elements, and what they make of a sample.

    Args:
        groups: The chains in order, each with whether its elements are batches.
        sample: Some raw elements.

    Raises:
        ModelError: A function cannot be exported; the message names it.
    """
    found = Computation(skeleton=sample.skeleton, leaves=[Raw(index) for index in range(len(sample.columns))])
    chunk, is_batched = sample, False
    for chain, on_batches in groups:
        if on_batches and not is_batched:
            chunk, is_batched = chunk.group(chunk.length), True
        for function in chain.functions:
            if isinstance(function, RowFilter) or _only_filters(function):
                continue
            if not isinstance(function, TracedSteps):
                raise _refusal(function)
            found.names += [step.name for step in function.steps if not step.is_filter]
            _add(found, function, on_batches=on_batches)
            chunk = _unfiltered(function, chunk)
    return found, chunk


def _only_filters(function: Any) -> bool:
    return isinstance(function, TracedSteps) and all(step.is_filter for step in function.steps)


def _unfiltered(function: TracedSteps, chunk: Chunk) -> Chunk:
    columns = call_host(function.calls, chunk.columns)
    compiled = None if columns is None else function.compiled_for(chunk, columns)
    if columns is None or compiled is None:
        raise ModelError("a function gives another structure for each element", where=function.name)
    return compiled.run(columns, chunk, filtered=False)


def _add(found: Computation, function: TracedSteps, *, on_batches: bool) -> None:
    trace = function.compiled.trace
    symbols: list[Symbol] = list(found.leaves)
    for made in trace.calls:
        first = function.columns[made.first] if made.count else None
        width = int(first.shape[-1]) if isinstance(first, np.ndarray) and first.ndim > 1 else 0
        call = Call(made, tuple(symbols), width)
        found.calls.append(call)
        symbols += [Hosted(len(found.calls) - 1, result) for result in range(made.count)]
    number = len(found.stages)
    found.stages.append(Stage(function, tuple(symbols), on_batches, number, found.skeleton))
    leaves: list[Symbol] = []
    for leaf in trace.leaves:
        if isinstance(leaf, Through):
            leaves.append(symbols[leaf.place])
        else:
            leaves.append(Device(number, leaf.index) if isinstance(leaf, Computed) else leaf)
    found.skeleton, found.leaves = trace.skeleton, leaves


def _refusal(function: Any) -> ModelError:
    reason = function.reason if isinstance(function, (RowMap, RowFilter)) else "it is no function of the user"
    return ModelError(
        "a function cannot be put into the model",
        where=function.name,
        expected="a function that JAX traces, and host functions that are registered",
        received=f"one that Python calls for each element, because {reason}",
        fix="write it with jax.numpy or keras.ops, or export what comes after it: preprocessing(since=…)",
    )


def names_of_inputs(element: Structure, leaves: Sequence[int]) -> dict[int, str]:
    """Return the name of some leaves of raw elements as inputs of a signature.

    The keys of a dict name its leaves; one leaf without a key is called ``inputs``, several ``inputs_0`` and so on.

    Raises:
        ModelError: A leaf lies deeper, or belongs to the label.
    """
    skeleton, paths = skeleton_of(element), leaf_names(element)
    parts = skeleton if type(skeleton) is tuple and len(skeleton) in (2, 3) else (skeleton,)
    features = parts[0]
    inside = set(_leaves_of(features))
    for leaf in leaves:
        if leaf not in inside:
            raise ModelError(
                "the features are made of the label, or of its weight, which nobody has when the model is asked",
                where=f"element{paths[leaf]}",
                expected="features that depend on the first part of the element alone",
                fix="leave it out of the features, or export what comes after: preprocessing(since=…)",
            )
    if isinstance(features, Mapping):
        keys = {leaf: str(key) for key, leaf in features.items() if isinstance(leaf, int)}
        deep = next((leaf for leaf in leaves if leaf not in keys), None)
        if deep is not None:
            raise ModelError("an input of a signature has no name of its own", where=f"element{paths[deep]}")
        return {leaf: keys[leaf] for leaf in leaves}
    if len(leaves) == 1:
        return {leaves[0]: "inputs"}
    return {leaf: f"inputs_{index}" for index, leaf in enumerate(leaves)}


def _leaves_of(skeleton: Structure) -> list[int]:
    if isinstance(skeleton, int):
        return [skeleton]
    items = skeleton.values() if isinstance(skeleton, Mapping) else skeleton or ()
    return [leaf for item in items for leaf in _leaves_of(item)]


def features_of(skeleton: Structure) -> Structure:
    """Return the part of the structure of an element that a model takes."""
    return skeleton[0] if type(skeleton) is tuple and len(skeleton) in (2, 3) else skeleton
