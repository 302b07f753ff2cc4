"""What a tape must know of a program inside a primitive (the body of `jit`, `scan`, `cond`), found once for each."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from mainstay.framework.jax_internals import open_program, subprograms

# Work that must not be done twice. Everything else is a pass over memory at most, which XLA fuses into the pullback.
_HEAVY = frozenset(
    [
        *["approx_top_k", "conv_general_dilated", "dot_general", "fft", "ragged_dot_general", "sort", "top_k"],
        *["cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"],
        *["reduce_window", "reduce_window_max", "reduce_window_sum", "random_bits", "threefry2x32"],
        *["cholesky", "eig", "eigh", "geqrf", "householder_product", "lu", "qr", "schur", "svd"],
        *["triangular_solve", "tridiagonal", "tridiagonal_solve"],
    ]
)
# What may stand around one heavy step whose own result no pullback needs.
_LINEAR = frozenset(
    [
        *["add", "convert_element_type", "mul", "neg", "reduce_sum", "sub"],
        *["broadcast_in_dim", "pad", "reshape", "rev", "slice", "squeeze", "transpose"],
    ]
)
_LONGEST_LIGHT = 64


class Facts(NamedTuple):
    """What is known of a program.

    Attributes:
        constants: The arrays that it closes over, at any depth.
        names: The names of its primitives, at any depth of `jit`; None if one is a loop, a branch or a custom rule, or
            has an effect, as printing.
    """

    constants: tuple[Any, ...]
    names: tuple[str, ...] | None

    @property
    def is_light(self) -> bool:
        """Whether the program may be run again in its pullback."""
        if self.constants or self.names is None or len(self.names) > _LONGEST_LIGHT:
            return False
        heavy = sum(name in _HEAVY for name in self.names)
        return not heavy or (heavy == 1 and all(name in _HEAVY or name in _LINEAR for name in self.names))


# Weak, so that the arrays a program closes over live no longer than the program does.
_known: weakref.WeakKeyDictionary[Any, Facts] = weakref.WeakKeyDictionary()


def facts(program: Any) -> Facts:
    """Return what is known of a program."""
    known = _known.get(program)
    if known is None:
        known = _known[program] = _found(program)
    return known


def constants(programs: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arrays that programs close over, at any depth."""
    return tuple(value for program in programs for value in facts(program).constants)


def _found(program: Any) -> Facts:
    opened, closed_over = open_program(program)
    arrays, names, plain = list(closed_over), [], not opened.effects
    for equation in opened.eqns:
        inner = subprograms(equation.params)
        if not inner:
            names.append(equation.primitive.name)
        plain = plain and (not inner or equation.primitive.name == "jit")
        for item in inner:
            known = facts(item)
            arrays += known.constants
            plain = plain and known.names is not None
            names += known.names or ()
    return Facts(tuple(arrays), tuple(names) if plain else None)
