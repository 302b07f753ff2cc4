"""Pullbacks of single primitives: how a cotangent of the outputs becomes cotangents of the operands.

A cheap primitive is pulled back from its operands, which the tape holds anyway; what a pullback needs of the forward
pass is computed again inside of it, where XLA drops all that is not needed. A program (a jitted function with heavy
work, `scan`, `cond`) is run once in a form that also gives its residuals. Both forms are compiled once for each
primitive, parameters, positions and shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.jax_internals import is_inexact, open_program, subprograms

Cotangents = list[Any]
"""One cotangent, or None for zero, for each inexact output of a primitive."""

Pull = Callable[[Cotangents], Sequence[Any]]
"""Takes the cotangents of a record's outputs and returns those of its inputs."""

# Work that must not be done twice. Everything else is a pass over memory at most, which XLA fuses into the pullback.
_HEAVY = frozenset(
    ["approx_top_k", "conv_general_dilated", "dot_general", "fft", "ragged_dot_general", "sort", "top_k"]
    + [
        "cumsum",
        "cumprod",
        "cummax",
        "cummin",
        "cumlogsumexp",
        "reduce_window",
        "reduce_window_max",
        "reduce_window_sum",
    ]
    + ["cholesky", "eig", "eigh", "geqrf", "householder_product", "lu", "qr", "schur", "svd", "triangular_solve"]
    + ["tridiagonal", "tridiagonal_solve", "random_bits", "threefry2x32"]
)
# What may stand around one heavy step whose own result no pullback needs.
_LINEAR = frozenset(
    ["add", "broadcast_in_dim", "convert_element_type", "mul", "neg", "pad", "reduce_sum", "reshape", "rev", "slice"]
    + ["squeeze", "sub", "transpose"]
)
_LONGEST_LIGHT = 64


@functools.lru_cache(1024)
def _is_light(program: Any) -> bool:
    """Return whether a program may be run again in its pullback."""
    names = _primitive_names(program)
    if names is None or len(names) > _LONGEST_LIGHT:
        return False
    heavy = [name for name in names if name in _HEAVY]
    return not heavy or (len(heavy) == 1 and all(name in _HEAVY or name in _LINEAR for name in names))


def _primitive_names(program: Any) -> list[str] | None:
    """Return the names of all primitives of a program, or None if one is not plain: a loop, a branch, a custom rule."""
    names: list[str] = []
    for equation in open_program(program)[0].eqns:
        inner = subprograms(equation.params)
        if not inner:
            names.append(equation.primitive.name)
        elif equation.primitive.name != "jit":
            return None
        for item in inner:
            found = _primitive_names(item)
            if found is None:
                return None
            names += found
    return names


def is_light(primitive: Any, programs: Sequence[Any]) -> bool:
    """Return whether a primitive may be run again when it is pulled back."""
    if not programs:
        return True
    # A loop of unknown length has no pullback at all: there is nothing to keep.
    return primitive.name == "while" or (primitive.name == "jit" and _is_light(programs[0]))


def _bind(primitive: Any, params: dict[str, Any], positions: tuple[int, ...], operands: Sequence[Any]) -> Any:
    """Return the primitive as a function of the tracked operands that returns (inexact outputs, all outputs)."""

    def run(*tracked: Any) -> tuple[list[Any], list[Any]]:
        full = list(operands)
        for position, value in zip(positions, tracked, strict=True):
            full[position] = value
        outputs = primitive.bind(*full, **params)
        outputs = list(outputs) if primitive.multiple_results else [outputs]
        return [output for output in outputs if is_inexact(output)], outputs

    return run


def _seeds(outputs: Sequence[Any], cotangents: Cotangents) -> list[Any]:
    return [
        jnp.zeros(output.shape, output.dtype) if cotangent is None else cotangent
        for output, cotangent in zip(outputs, cotangents, strict=True)
    ]


def _pull_light(primitive: Any, params: dict[str, Any], positions: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    def pull(operands: Sequence[Any], cotangents: Cotangents) -> Any:
        run = _bind(primitive, params, positions, operands)
        outputs, vjp = jax.vjp(lambda *tracked: run(*tracked)[0], *[operands[k] for k in positions])
        return vjp(_seeds(outputs, cotangents))

    return pull


@functools.lru_cache(4096)
def _compiled_pull(primitive: Any, params: tuple[tuple[str, Any], ...], positions: tuple[int, ...]) -> Any:
    return jax.jit(_pull_light(primitive, dict(params), positions), inline=True)


def pull_light(
    primitive: Any, params: dict[str, Any], positions: tuple[int, ...], operands: Sequence[Any], cotangents: Cotangents
) -> Any:
    """Pull cotangents back through a primitive that is run again for it."""
    try:
        pull = _compiled_pull(primitive, tuple(params.items()), positions)
    except TypeError:  # a parameter without a hash
        pull = _pull_light(primitive, params, positions)
    return pull(operands, cotangents)


def _forward(primitive: Any, params: dict[str, Any], positions: tuple[int, ...]) -> Callable[[Any], Any]:
    def forward(operands: Sequence[Any]) -> tuple[list[Any], Any]:
        run = _bind(primitive, params, positions, operands)
        _, vjp, outputs = jax.vjp(run, *[operands[k] for k in positions], has_aux=True)
        return outputs, vjp

    return forward


@functools.lru_cache(512)
def _compiled_forward(primitive: Any, params: tuple[tuple[str, Any], ...], positions: tuple[int, ...]) -> Any:
    return jax.jit(_forward(primitive, dict(params), positions), inline=True)


@functools.partial(jax.jit, inline=True)
def _apply(vjp: Any, cotangents: list[Any]) -> Any:
    return vjp(cotangents)


def run_with_pull(
    primitive: Any, params: dict[str, Any], positions: tuple[int, ...], operands: Sequence[Any], *, compiled: bool
) -> tuple[list[Any], Pull]:
    """Run a primitive and keep what its pullback needs.

    Args:
        primitive: The primitive.
        params: Its parameters.
        positions: The operands to differentiate.
        operands: All operands.
        compiled: Whether the forward pass with residuals may be compiled and kept: not for Python functions, which
            may do something else next time, and not for programs that close over arrays, which would live on.

    Returns:
        All outputs, and the pullback.
    """
    if compiled:
        try:
            forward = _compiled_forward(primitive, tuple(params.items()), positions)
        except TypeError:  # a parameter without a hash
            compiled = False
    if not compiled:
        forward = _forward(primitive, params, positions)
    outputs, vjp = forward(operands)
    inexact = [output for output in outputs if is_inexact(output)]

    def pull(cotangents: Cotangents) -> Any:
        seeds = _seeds(inexact, cotangents)
        return _apply(vjp, seeds) if compiled else vjp(seeds)

    return outputs, pull
