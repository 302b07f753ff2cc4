"""Patterns of several equations that have one plain form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jax.extend import core


def gelus(jaxpr: Any) -> frozenset[int]:
    """Return the indices of the `erfc` equations that belong to a GELU, ``x / 2 * erfc(-x / sqrt(2))``.

    There ``1 - erf`` is as good: what it loses for a large argument is lost in the product. Elsewhere the digits of a
    small `erfc` are what a program wants.
    """
    makers = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}
    users: dict[Any, list[Any]] = {}
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if not isinstance(atom, core.Literal):
                users.setdefault(atom, []).append(equation)
    results = {atom for atom in jaxpr.outvars if not isinstance(atom, core.Literal)}
    return frozenset(
        index
        for index, equation in enumerate(jaxpr.eqns)
        if equation.primitive.name == "erfc"
        and equation.outvars[0] not in results
        and all(_multiplies(user, equation, makers) for user in users.get(equation.outvars[0], []))
    )


def _multiplies(user: Any, erfc: Any, makers: Mapping[Any, Any]) -> bool:
    """Return whether an equation multiplies an `erfc` with a multiple of its argument."""
    if user.primitive.name != "mul":
        return False
    others = [atom for atom in user.invars if atom is not erfc.outvars[0]]
    return len(others) == 1 and _source(others[0], makers) is _source(erfc.invars[0], makers)


def _source(atom: Any, makers: Mapping[Any, Any]) -> Any:
    """Return the value of which another is a multiple by a constant."""
    while not isinstance(atom, core.Literal) and atom in makers:
        name, operands = makers[atom].primitive.name, makers[atom].invars
        free = [each for each in operands if not isinstance(each, core.Literal)]
        if len(free) != 1 or name not in ("mul", "neg", "div") or (name == "div" and free[0] is not operands[0]):
            break
        atom = free[0]
    return atom
