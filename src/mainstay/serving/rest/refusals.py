"""How requests are refused whose inputs are not those of the signature, in the words of TF Serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.core import RequestError
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.json_text import path, show


def unknown_input(name: str, where: str, **more: Any) -> RequestError:
    """Return the refusal of an input that the signature does not have."""
    return RequestError(f"JSON object: does not have named input: {show(name)[1:-1]}", where=where, **more)


def wrong_keys(row: Any, index: int, plans: Sequence[InputPlan]) -> RequestError:
    """Return the refusal of a row that lacks an input."""
    lacking = next(plan for plan in plans if plan.name not in row and not plan.optional)
    names = sorted(plan.name for plan in plans)
    return RequestError(
        f"Failed to process element: {index} of 'instances' list. JSON object: {show(row)} keys must be equal to: "
        f"{','.join(names)}",
        where=path(f"$.instances[{index}]", lacking.name),
        expected=lacking.described,
        received="nothing",
    )


def missing_input(plan: InputPlan, where: str = "") -> RequestError:
    """Return the refusal of columns of which one lacks."""
    return RequestError(
        f"Missing named input: {plan.name} in 'inputs' object.",
        where=where or path("$.inputs", plan.name),
        expected=f"a list of {plan.described}",
        received="nothing",
    )


def plain_list_refused(first: Any, plans: Sequence[InputPlan], expected: str = "") -> RequestError:
    """Return the refusal of rows without names where there are several inputs."""
    return RequestError(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
        where="$.instances[0]",
        expected=expected or f"an object with the keys {', '.join(sorted(plan.name for plan in plans))}",
        received=show(first),
    )


def plain_value_refused(inputs: Any, plans: Sequence[InputPlan], expected: str = "") -> RequestError:
    """Return the refusal of a column without a name where there are several inputs."""
    return RequestError(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
        where="$.inputs",
        expected=expected or f"an object with the keys {', '.join(sorted(plan.name for plan in plans))}",
        received=show(inputs),
    )


def list_refused(row: Any, index: int, expected: str) -> RequestError:
    """Return the refusal of a plain row among objects."""
    return RequestError(
        f"Expecting object but got list at item {index} of input list",
        where=f"$.instances[{index}]",
        expected=expected,
        received=show(row),
    )


def object_refused(value: Any, plan: InputPlan, index: int) -> RequestError:
    """Return the refusal of an object among plain rows."""
    return RequestError(
        f"Expecting value/list but got object at item {index} of input list",
        where=f"$.instances[{index}]",
        expected=plan.described,
        received=show(value),
    )
