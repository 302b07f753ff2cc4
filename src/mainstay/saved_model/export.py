"""Export: a JAX function becomes a program whose batch may have any length and whose weights are arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend.core import jaxpr_as_fun

from mainstay.core import DTYPES, ModelError, TensorSpec
from mainstay.saved_model.modules import portable
from mainstay.saved_model.program import BATCH, PLATFORMS, Dimension, Program, ProgramTensor
from mainstay.saved_model.serving_function import PureFunction, device_dtype


def export_program(
    function: PureFunction,
    inputs: Sequence[TensorSpec],
    *,
    weights: Mapping[str, np.ndarray[Any, Any]],
    platforms: Sequence[str] = PLATFORMS,
) -> Program:
    """Return `function` as a program whose batch, and every other axis that is None, may have any length.

    Weights that the function does not use are left out. Inputs are not: their shapes may matter. The program is
    the same whether or not the process has 64-bit JAX enabled.

    Raises:
        ModelError: The function cannot be traced, has effects, gives outputs without a batch axis, or needs a custom
            call or an operation that has no stable form.
    """
    names: list[str] = []

    def flat(*arguments: jax.Array) -> tuple[jax.Array, ...]:
        given = dict(zip(weights, arguments, strict=False))
        taken = dict(zip([spec.name for spec in inputs], arguments[len(given) :], strict=True))
        outputs = _checked_outputs(function(given, taken))
        names[:] = sorted(outputs)
        return tuple(outputs[name] for name in names)

    fixed = [array_spec(np.shape(value), value.dtype) for value in weights.values()]
    with jax.enable_x64(False):
        exported, used = _trace(flat, fixed, inputs, platforms)
    tensors = [(name, True) for name in weights] + [(spec.name, False) for spec in inputs]
    arguments = [_tensor(*tensors[index], aval) for index, aval in zip(used, exported.in_avals, strict=True)]
    results = [_tensor(name, False, aval) for name, aval in zip(names, exported.out_avals, strict=True)]
    for result in results:
        _check_result(result)
    return Program(
        portable(exported.mlir_module_serialized),
        tuple(arguments),
        tuple(results),
        tuple(exported.platforms),
        exported.calling_convention_version,
    )


def _check_result(result: ProgramTensor) -> None:
    if not result.shape or result.shape[0] != BATCH:
        raise ModelError(
            "an output does not have the batch as its first axis",
            where=result.name,
            expected="one row of the output per row of the inputs",
            received=f"shape {list(result.shape)}",
        )
    if result.dtype not in DTYPES:
        raise ModelError(
            "an output has a dtype that a signature cannot name",
            where=result.name,
            expected=", ".join(DTYPES),
            received=result.dtype,
            fix="cast it in the function",
        )


def _checked_outputs(outputs: Any) -> dict[str, jax.Array]:
    if not isinstance(outputs, Mapping) or not outputs or not all(isinstance(name, str) and name for name in outputs):
        raise ModelError(
            "a serving function returns a mapping of outputs by name",
            expected='such as {"scores": array}',
            received=type(outputs).__name__,
        )
    return {name: jnp.asarray(value) for name, value in outputs.items()}


def _trace(
    flat: Callable[..., Any], fixed: list[Any], inputs: Sequence[TensorSpec], platforms: Sequence[str]
) -> tuple[export.Exported, list[int]]:
    """Return the export of `flat`, and which of its arguments the export takes."""
    failure: Exception | None = None
    for specs in _symbolic_inputs(inputs):
        every = [*fixed, *specs]
        try:
            traced = jax.jit(flat).trace(*every).jaxpr
            _refuse_effects(traced.effects)
            used = [*_used(traced, len(fixed)), *range(len(fixed), len(every))]
            kept = jax.jit(_keep(traced, every, used), keep_unused=True)
            return export.export(kept, platforms=tuple(platforms))(*[every[index] for index in used]), used
        except ModelError:
            raise
        except Exception as error:
            failure = error
    raise ModelError(
        "the function cannot be exported",
        expected="a pure JAX function whose shapes follow from those of its inputs",
        received=f"{type(failure).__name__}: {failure}",
        fix="keep Python conditions, callbacks and shapes that depend on values out of the function",
    ) from failure


def _refuse_effects(effects: Any) -> None:
    if effects:
        raise ModelError(
            "the function has effects, which a saved model cannot have",
            received=", ".join(sorted(str(effect) for effect in effects)),
            fix="remove debug prints, callbacks and the like from the function",
        )


def _keep(traced: Any, every: list[Any], used: list[int]) -> Callable[..., Any]:
    """Return a traced function of only those arguments that it uses."""

    def program(*arguments: jax.Array) -> Any:
        given = dict(zip(used, arguments, strict=True))
        blank = [given[i] if i in given else jnp.zeros(spec.shape, spec.dtype) for i, spec in enumerate(every)]
        return jaxpr_as_fun(traced)(*blank)

    return program


def _used(closed: Any, weights: int) -> list[int]:
    """Return the indices of the weights, the first arguments, that a traced function's results depend on."""
    live = {id(value) for value in closed.jaxpr.outvars}
    for equation in reversed(closed.jaxpr.eqns):
        if equation.effects or any(id(value) in live for value in equation.outvars):
            live.update(id(value) for value in equation.invars)
    return [index for index, value in enumerate(closed.jaxpr.invars[:weights]) if id(value) in live]


def _symbolic_inputs(inputs: Sequence[TensorSpec]) -> list[list[jax.ShapeDtypeStruct]]:
    """Return the inputs with symbols for their free axes: each its own, and then one per axis position.

    The second form is for functions that need, say, a mask to be as long as its tokens.
    """
    own = [[BATCH] + [f"n{i}_{axis}" for axis in range(1, len(spec.shape))] for i, spec in enumerate(inputs)]
    shared = [[BATCH] + [f"n{axis}" for axis in range(1, len(spec.shape))] for spec in inputs]
    free = sum(axis is None for spec in inputs for axis in spec.shape[1:])
    forms = []
    for symbols in [own, shared] if free > 1 else [shared]:
        scope = export.SymbolicScope()
        forms.append(
            [
                array_spec(
                    symbolic_shape([s if a is None else a for s, a in zip(names, spec.shape, strict=True)], scope),
                    device_dtype(spec.dtype),
                )
                for spec, names in zip(inputs, symbols, strict=True)
            ]
        )
    return forms


def symbolic_shape(shape: Sequence[Dimension], scope: export.SymbolicScope) -> tuple[Any, ...]:
    """Return a shape of lengths and expressions of symbols as JAX has it."""
    return tuple(export.symbolic_shape(", ".join(map(str, shape)) + ("," if len(shape) == 1 else ""), scope=scope))


def _tensor(name: str, weight: bool, aval: Any) -> ProgramTensor:
    shape = tuple(axis if isinstance(axis, int) else str(axis) for axis in aval.shape)
    return ProgramTensor(name, str(aval.dtype), shape, weight)


def array_spec(shape: Sequence[Any], dtype: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of an array that does not exist."""
    return jax.ShapeDtypeStruct(tuple(shape), dtype)  # type: ignore[no-untyped-call]
