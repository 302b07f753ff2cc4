"""Preprocessing: what a dataset does to its raw elements before a model sees them, as a part of that model."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, rows, ungroup
from mainstay.data.exporting import Computation, Symbol, computation, features_of, names_of_inputs
from mainstay.data.functions.chain import Chain
from mainstay.data.functions.steps import is_number, scope
from mainstay.data.functions.tracing import NARROW, Constant
from mainstay.data.host_prefix import host_prefix
from mainstay.data.operations.batching import Batch, Batching
from mainstay.data.operations.mapping import Map
from mainstay.data.operations.sampling import FirstElements, keeps_elements
from mainstay.data.plan import Operation
from mainstay.data.specs import spec_of_rows
from mainstay.data.structures import Structure, flatten, map_structure, pack
from mainstay.hostops import Column as HostColumn
from mainstay.hostops import HostGraph

_SAMPLE = 4


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What functions of a dataset make of raw values, as a saved model takes it.

    Args:
        inputs: What the XLA part takes, batches by name.
        prefix: The host graph before it, which makes those of raw values; None where they are raw values.
        functions: The functions that are part of it, by name.
        skeleton: The structure of the features that it makes.
        features: The specs of the features, as batches, in their structure.
        sample: A few rows of the raw values, by name.
    """

    inputs: tuple[TensorSpec, ...]
    prefix: HostGraph | None
    functions: tuple[str, ...]
    skeleton: Structure
    features: Structure
    sample: Mapping[str, Any]
    _computation: Computation
    _symbols: tuple[Symbol, ...]
    _leaves: tuple[Symbol, ...]

    def __call__(self, inputs: Mapping[str, Any]) -> Structure:
        """Return the features, in the structure that the model is trained on; JAX can trace it.

        Args:
            inputs: A batch of each of `inputs`, by name, in the dtype of the device.

        Returns:
            The features ``[batch, ...]``, sealed so that XLA gives the same bits whatever is done with them.
        """
        import jax

        values = {symbol: inputs[spec.name] for symbol, spec in zip(self._symbols, self.inputs, strict=True)}
        leaves = self._computation.run(values, self._leaves)
        return pack(self.skeleton, [jax.lax.optimization_barrier(leaf) for leaf in leaves])

    def device_inputs(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the XLA part takes for raw values, in the dtype of the device."""
        values = raw if self.prefix is None else self.prefix(raw)
        with np.errstate(over="ignore"):
            return {spec.name: _narrow(np.asarray(values[spec.name])) for spec in self.inputs}


def preprocessing_of(plan: Operation, since: Operation | None = None) -> Preprocessing:
    """Return what a plan does to its elements, from some elements on.

    Args:
        plan: The plan.
        since: What gives the raw elements; None for the plan's last operation that is more than functions, batches and
            the order of elements.

    Raises:
        ArgumentError: The plan does not come from `since`, or has no elements to try it on.
        ModelError: A function cannot be exported; the message names it, and says why.
    """
    base, groups = _groups(plan, since)
    sample = FirstElements(base).sample(_SAMPLE) or FirstElements(base).begin()
    if sample is None or not sample.length:
        raise ArgumentError("there is no element to try the functions on", where="preprocessing", received="no rows")
    sample = sample.cut(0, min(sample.length, _SAMPLE))
    found, made = computation(groups, sample)
    return _checked(found, sample, made, is_batched=any(on_batches for _, on_batches in groups))


def _groups(plan: Operation, since: Operation | None) -> tuple[Operation, list[tuple[Chain, bool]]]:
    """Return what gives the raw elements, and the functions from there on, each with whether it is one of batches."""
    steps: list[Map | Batch] = []
    operation = plan
    while operation is not since:
        if isinstance(operation, (Map, Batch)):
            steps.append(operation)
        elif not keeps_elements(operation):
            if since is None and isinstance(operation, Batching):
                raise ModelError(
                    "batches that depend on all their rows cannot be served",
                    where="preprocessing",
                    received=operation.name,
                    fix="export what comes before it, or after it row by row: preprocessing(since=…)",
                )
            if since is not None:
                raise ArgumentError(
                    "between the two datasets is more than functions, batches and the order of elements",
                    where="preprocessing(since=…)",
                    received=operation.name,
                )
            break
        operation = operation.inputs[0]
    while keeps_elements(operation):
        operation = operation.inputs[0]
    if isinstance(operation, Batch):
        steps.append(operation)
        operation = operation.inputs[0]
    groups: list[tuple[Chain, bool]] = []
    is_batched = False
    for step in reversed(steps):
        if isinstance(step, Batch):
            if is_batched:
                raise ModelError("batches of batches cannot be served", where="preprocessing", received="two batch()")
            is_batched = True
        else:
            groups.append((step.chain_of_one, is_batched))
    if not groups:
        raise ArgumentError("there is no function to put into the model", where="preprocessing", expected="a map")
    return operation, groups


def _checked(found: Computation, sample: Chunk, made: Chunk, *, is_batched: bool) -> Preprocessing:
    skeleton = features_of(found.skeleton)
    order = _numbers(skeleton)
    leaves = [found.leaves[index] for index in order]
    columns = [ungroup(made.columns[index]) if is_batched else made.columns[index] for index in order]
    _check_numbers(found, leaves, columns)
    needed = found.needed(leaves)
    raw_leaves = sorted(symbol.leaf for symbol in needed if hasattr(symbol, "leaf"))
    names = names_of_inputs(sample.skeleton, raw_leaves)
    raw = {leaf: _batch_spec(sample.columns[leaf], name) for leaf, name in names.items()}
    prefix, inputs = host_prefix(found, needed, raw, leaves)
    result = Preprocessing(
        inputs=tuple(inputs.values()),
        prefix=prefix,
        functions=tuple(found.names),
        skeleton=_renumbered(skeleton, order),
        features=pack(_renumbered(skeleton, order), [_batch_spec(_narrow(column), "") for column in columns]),
        sample={name: _raw_values(sample.columns[leaf]) for leaf, name in names.items()},
        _computation=found,
        _symbols=tuple(inputs),
        _leaves=tuple(leaves),
    )
    _prove(result, columns, sample.length)
    return result


def _prove(result: Preprocessing, columns: Sequence[Column], length: int) -> None:
    """Refuse functions that give other bits in 32 bits, or another result for a row that is alone in its batch."""
    import jax

    wanted = [_narrow(column) for column in columns]
    for start, stop in [(0, length), *((row, row + 1) for row in range(length))]:
        raw = {name: _part(values, start, stop) for name, values in result.sample.items()}
        with scope(wide=False):
            features = flatten(jax.jit(result)(result.device_inputs(raw)))
        for one, column in zip(features, wanted, strict=True):
            array, expected = np.asarray(one), column[start:stop]
            if array.shape != expected.shape or array.dtype != expected.dtype or not _same(array, expected):
                raise ModelError(
                    "in front of the model the functions give something else than in the dataset",
                    where=", ".join(result.functions),
                    expected=f"{expected.reshape(-1)[:4].tolist()} for row {start}, as in the dataset",
                    received=f"{array.reshape(-1)[:4].tolist()} of {array.dtype}{list(array.shape)}",
                    fix="compute in 32 bits, with x.astype('float32') on the raw values first, and for each row alone",
                )


def _same(one: Column, other: Column) -> bool:
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))


def _check_numbers(found: Computation, leaves: Sequence[Symbol], columns: Sequence[Column]) -> None:
    for symbol, column in zip(leaves, columns, strict=True):
        if isinstance(symbol, Constant) or not is_number(column):
            raise ModelError(
                "a feature is no array of numbers",
                where=", ".join(found.names),
                expected="numbers of one shape, which a model takes",
                received="strings or lists",
            )


def _numbers(skeleton: Structure) -> list[int]:
    return [int(leaf) for leaf in flatten(skeleton)]


def _renumbered(skeleton: Structure, order: Sequence[int]) -> Structure:
    places = {leaf: place for place, leaf in enumerate(order)}
    return map_structure(lambda leaf: places[leaf], skeleton)


def _batch_spec(column: Column, name: str) -> TensorSpec:
    spec = spec_of_rows(column)
    return TensorSpec((None, *spec.shape), spec.dtype, name)


def _raw_values(column: Column) -> Any:
    return column if isinstance(column, np.ndarray) else HostColumn(np.array(rows(column), object))


def _part(values: Any, start: int, stop: int) -> Any:
    return values[start:stop] if isinstance(values, np.ndarray) else HostColumn(values.values[start:stop])


def _narrow(column: Column) -> Any:
    with np.errstate(over="ignore"):
        return column.astype(NARROW.get(column.dtype.name, column.dtype), copy=False)
