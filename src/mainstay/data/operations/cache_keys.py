"""Keys of cached elements: equal only where the plan, its seeds, its data and the code of its functions are."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mainstay.core import ArgumentError, digest_json
from mainstay.data.code_identity import identity_of
from mainstay.data.columns import Nested
from mainstay.data.operations.reading import Read
from mainstay.data.plan import Operation, seeded
from mainstay.data.snapshots.manifest import VERSION
from mainstay.data.sources.source import Source

_DIGITS = 32


def key_of(plan: Operation, seeds: Sequence[int], own: str | None = None) -> str:
    """Return the key of what a plan gives, which is the name of a folder.

    Args:
        plan: The plan.
        seeds: The seeds of its operations, in the order of `plan.seeded`.
        own: The user's own name for the data and the code, in place of looking at them.

    Raises:
        ArgumentError: Code or data of the plan cannot be told from other code or data.
    """
    try:
        outline = _outline(plan, looks=own is None)
    except ArgumentError as error:
        raise ArgumentError(
            error.summary,
            where=error.where,
            expected=error.expected,
            received=error.received,
            fix=error.fix or "name the result yourself: cache(path, key=…), with another key whenever it would differ",
        ) from error
    chosen = [seed for operation, seed in zip(seeded(plan), seeds, strict=True) if _chooses_seed(operation)]
    return digest_json({"format": VERSION, "plan": outline, "seeds": chosen, "key": own})[:_DIGITS]


def _chooses_seed(operation: Operation) -> bool:
    """Return whether an operation was given its seed; others draw one for unseeded datasets inside of functions.

    Such a seed is no part of a key, for no process would find what another one wrote.
    """
    return "seed" in inspect.signature(type(operation).__init__).parameters


def _outline(plan: Operation, *, looks: bool) -> Any:
    found: list[Any] = [plan.name, _json(plan.parameters())]
    if looks:
        found.append([[name, _part(value, plan.name)] for name, value in sorted(vars(plan).items()) if _matters(name)])
        if isinstance(plan, Read):
            found += [_json(plan.source.content()), _functions(plan.source)]
    return [*found, [_outline(source, looks=looks) for source in plan.inputs]]


def _matters(name: str) -> bool:
    return not name.startswith("_") and name not in ("inputs", "seed", "label", "source")


def _part(value: Any, where: str) -> Any:
    """Return the identity of what an operation holds: a number, an array, a function, another plan."""
    if isinstance(value, Nested):
        value = value.plan
    return _outline(value, looks=True) if isinstance(value, Operation) else identity_of(value, where)


def _functions(source: Source) -> list[Any]:
    """Return the identities of the functions of the user that a source holds; its content is told by itself."""
    return [
        [name, identity_of(value, source.name)]
        for name, value in sorted(vars(source).items())
        if callable(value) and not name.startswith("_") and not isinstance(value, type)
    ]


def _json(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
