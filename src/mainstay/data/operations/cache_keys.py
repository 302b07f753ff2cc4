"""Keys of cached elements: equal only where the plan, its seeds, its data and the code of its functions are."""

from __future__ import annotations

from typing import Any

from mainstay.core import ArgumentError, digest_json
from mainstay.data.code_identity import identity_of
from mainstay.data.operations.reading import Read
from mainstay.data.plan import Operation
from mainstay.data.snapshots.manifest import VERSION

_DIGITS = 32


def key_of(plan: Operation, seeds: tuple[int, ...], own: str | None = None) -> str:
    """Return the key of what a plan gives, which is the name of a folder.

    Args:
        plan: The plan.
        seeds: The seeds of its operations.
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
    return digest_json({"format": VERSION, "plan": outline, "seeds": list(seeds), "key": own})[:_DIGITS]


def _outline(plan: Operation, *, looks: bool) -> Any:
    found: list[Any] = [plan.name, _json(plan.parameters())]
    if looks:
        found.append(_functions(plan, plan.name))
        if isinstance(plan, Read):
            found += [_json(plan.source.content()), _functions(plan.source, plan.source.name)]
    return [*found, [_outline(source, looks=looks) for source in plan.inputs]]


def _functions(holder: Any, name: str) -> list[Any]:
    """Return the identities of the functions of the user that an operation or a source holds."""
    return [
        [attribute, identity_of(value, name)]
        for attribute, value in sorted(vars(holder).items())
        if callable(value) and not attribute.startswith("_") and not isinstance(value, type)
    ]


def _json(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
