"""Pullbacks of single primitives: how a cotangent of the outputs becomes cotangents of the operands.

A cheap primitive is pulled back from its operands, which the tape holds anyway; what a pullback needs of the forward
pass is computed again inside of it, where XLA drops all that is not needed. A program (a jitted function with heavy
work, `scan`, `cond`) is run once in a form that also gives its residuals. Both forms are compiled once for each
primitive, parameters, positions and shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.jax_internals import KnownRule, is_inexact
from mainstay.framework.tapes.programs import facts

Cotangents = list[Any]
"""One cotangent, or None for zero, for each inexact output of a primitive."""

Pull = Callable[[Cotangents], Sequence[Any]]
"""Takes the cotangents of a record's outputs and returns those of its inputs."""


def is_light(primitive: Any, programs: Sequence[Any]) -> bool:
    """Return whether a primitive may be run again when it is pulled back."""
    if not programs:
        return True
    # A loop of unknown length has no pullback at all: there is nothing to keep.
    return primitive.name == "while" or (primitive.name == "jit" and facts(programs[0]).is_light)


def may_lack_pullback(primitive: Any, programs: Sequence[Any]) -> bool:
    """Return whether a primitive may be, or hold, a loop of unknown length."""
    return bool(programs) and (primitive.name != "jit" or facts(programs[0]).names is None)


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
def _compiled_pull(primitive: Any, params: Iterable[tuple[str, Any]], positions: tuple[int, ...]) -> Any:
    return jax.jit(_pull_light(primitive, dict(params), positions), inline=True)


def pull_light(
    primitive: Any,
    params: dict[str, Any] | KnownRule,
    positions: tuple[int, ...],
    operands: Sequence[Any],
    cotangents: Cotangents,
) -> Any:
    """Pull cotangents back through a primitive that is run again for it."""
    try:
        pull = _compiled_pull(primitive, tuple(params.items()) if isinstance(params, dict) else params, positions)
    except TypeError:  # a parameter without a hash
        pull = _pull_light(primitive, dict(params), positions)
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
    try:
        outputs, vjp = forward(operands)
    except (NotImplementedError, ValueError) as error:
        if "subfuns" in params:  # the user's own functions, which have said what is wrong
            raise
        return _without_pull(primitive, params, operands, error)
    inexact = [output for output in outputs if is_inexact(output)]

    def pull(cotangents: Cotangents) -> Any:
        seeds = _seeds(inexact, cotangents)
        return _apply(vjp, seeds) if compiled else vjp(seeds)

    return outputs, pull


def _without_pull(
    primitive: Any, params: dict[str, Any], operands: Sequence[Any], error: Exception
) -> tuple[list[Any], Pull]:
    """Run a primitive that has no derivative, which is a fault only if a gradient needs it."""
    outputs = primitive.bind(*operands, **params)

    def pull(_: Cotangents) -> Any:
        raise error

    return list(outputs) if primitive.multiple_results else [outputs], pull
