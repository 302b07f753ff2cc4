"""The backward sweep: cotangents of targets become cotangents of the values that a tape tracked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax

from mainstay.core import ModelError
from mainstay.framework.tapes.recording import Record


@jax.jit
def _add(first: Any, second: Any) -> Any:
    return first + second


def sweep(records: Sequence[Record], seeds: Iterable[tuple[Any, Any]], wanted: set[int]) -> dict[int, Any]:
    """Pull seeds back to the wanted values.

    Args:
        records: What a tape recorded, oldest first.
        seeds: Pairs of a tracked value and the cotangent to start from there.
        wanted: The ids of the values whose cotangents are asked for; records that lead to none of them are not run.

    Returns:
        The cotangent by the id of a value; a value that no seed depends on is missing.

    Raises:
        ModelError: A record on the way has no reverse derivative.
    """
    cotangents: dict[int, Any] = {}
    for value, seed in seeds:
        _accumulate(cotangents, id(value), seed)
    for record in reversed(_leading_to(records, wanted)):
        if any(id(output) in cotangents for output in record.outputs):
            _pull(record, cotangents)
    return cotangents


def _leading_to(records: Sequence[Record], wanted: set[int]) -> list[Record]:
    """Return the records on a path that starts at a wanted value."""
    reached, found = set(wanted), []
    for record in records:
        if any(id(value) in reached for value in record.inputs):
            found.append(record)
            reached.update(id(output) for output in record.outputs)
    return found


def _pull(record: Record, cotangents: dict[int, Any]) -> None:
    inputs = {id(value) for value in record.inputs}
    taken: list[Any] = []
    seen: set[int] = set()
    for output in record.outputs:
        key = id(output)
        taken.append(None if key in seen else cotangents.get(key))
        seen.add(key)
        if key in inputs:  # handed through unchanged: its cotangent comes back through the pullback
            cotangents.pop(key, None)
    try:
        pulled = record.pull(taken)
    except (NotImplementedError, ValueError) as error:
        raise _without_reverse(record, error) from error
    for value, cotangent in zip(record.inputs, pulled, strict=True):
        _accumulate(cotangents, id(value), cotangent)


def _accumulate(cotangents: dict[int, Any], key: int, cotangent: Any) -> None:
    known = cotangents.get(key)
    cotangents[key] = cotangent if known is None else _add(known, cotangent)


def _without_reverse(record: Record, error: Exception) -> Exception:
    """Say what to write instead of a loop of unknown length; other errors are JAX' own to explain."""
    if "Reverse-mode differentiation" in str(error):
        return ModelError(
            "the gradient goes through a loop whose number of turns is not known when it is compiled",
            where=record.place,
            expected="a loop with a bound, so that the values of each turn can be kept for the way back",
            received="a while loop, or a for loop over a traced range",
            fix="bound it: `for i in range(n)` with a Python number n, maximum_iterations, or `jax.lax.scan`;"
            " or wrap its result in stop_gradient if no gradient should go through it",
        )
    if isinstance(error, NotImplementedError) or "do not support JVP" in str(error):
        return ModelError(
            "the gradient goes through an operation that has none",
            where=record.place,
            received=str(error),
            fix="wrap its result in stop_gradient, or give it a gradient with custom_gradient",
        )
    return error
