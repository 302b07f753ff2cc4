"""Proves that the rows of a traced function do not depend on each other, by following the batch axis through it.

What is not known to keep rows apart counts as mixing them, so a proof can be missed and never wrongly be found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from jax.extend import core

from mainstay.saved_model.program import BATCH

Axis: TypeAlias = "int | None"
"""The axis of a value that is the batch; None for a value that does not depend on the batch."""


class _Mixed(Exception):  # noqa: N818  (no error: the answer that there is no proof)
    """Rows may depend on each other."""


def batch_axes(closed: Any, axes: Sequence[Axis]) -> list[Axis] | None:
    """Return which axis of each result is the batch, or None where the rows are not provably independent.

    Args:
        closed: A traced function whose batch is the symbol ``batch``.
        axes: The batch axis of each of its arguments.
    """
    try:
        return _follow(closed.jaxpr, axes)
    except _Mixed:
        return None


def _follow(jaxpr: Any, axes: Sequence[Axis]) -> list[Axis]:
    known: dict[Any, Axis] = dict.fromkeys(jaxpr.constvars)
    known.update(zip(jaxpr.invars, axes, strict=True))

    def axis_of(value: Any) -> Axis:
        return None if isinstance(value, core.Literal) else known[value]

    for equation in jaxpr.eqns:
        found = [axis_of(value) for value in equation.invars]
        rule = _RULES.get(equation.primitive.name)
        if rule is not None:
            made = rule(equation, found)
        elif all(axis is None for axis in found) and not _counts_rows(equation):
            made = None
        else:
            raise _Mixed(equation.primitive.name)
        many = made if isinstance(made, list) else [made] * len(equation.outvars)
        for value, axis in zip(equation.outvars, many, strict=True):
            _need(_filled(_shape(value)) in (None, axis) if hasattr(value.aval, "shape") else axis is None)
        known.update(zip(equation.outvars, many, strict=True))
    return [axis_of(value) for value in jaxpr.outvars]


def _counts_rows(equation: Any) -> bool:
    """Return whether an operation that takes nothing of the batch depends on how many rows there are."""
    made = any(_has_batch(value.aval) for value in equation.outvars)
    return made or any(BATCH in str(value) for value in equation.params.values())


def _has_batch(aval: Any) -> bool:
    return any(BATCH in str(length) for length in getattr(aval, "shape", ()) if not isinstance(length, int))


def _one(found: Sequence[Axis]) -> Axis:
    """Return the one batch axis that several operands share."""
    axes = {axis for axis in found if axis is not None}
    if len(axes) > 1:
        raise _Mixed
    return axes.pop() if axes else None


def _shape(value: Any) -> tuple[Any, ...]:
    return tuple(value.aval.shape)


def _need(condition: bool) -> None:
    if not condition:
        raise _Mixed


def _elementwise(equation: Any, found: list[Axis]) -> Axis:  # noqa: ARG001  (as every rule)
    return _one(found)


def _bitcast(equation: Any, found: list[Axis]) -> Axis:
    _need(len(_shape(equation.invars[0])) == len(_shape(equation.outvars[0])))
    return found[0]


def _outside(name: str) -> Callable[[Any, list[Axis]], Axis]:
    """Return the rule of an operation along an axis, or axes, of which the batch must not be one."""

    def rule(equation: Any, found: list[Axis]) -> Axis:
        axis = _one(found)
        along = equation.params[name]
        _need(axis is None or axis not in (along if isinstance(along, (tuple, list)) else (along,)))
        return axis

    return rule


def _reduce(equation: Any, found: list[Axis]) -> Axis:
    axis = _one(found)
    axes = equation.params["axes"]
    if axis is None:
        return None
    _need(axis not in axes)
    return int(axis - sum(other < axis for other in axes))


def _squeeze(equation: Any, found: list[Axis]) -> Axis:
    axes = equation.params["dimensions"]
    axis = found[0]
    _need(axis is None or axis not in axes)
    return axis if axis is None else axis - sum(other < axis for other in axes)


def _broadcast(equation: Any, found: list[Axis]) -> Axis:
    shape = _shape(equation.outvars[0])
    if found[0] is not None:
        return int(equation.params["broadcast_dimensions"][found[0]])
    return _filled(shape)


def _filled(shape: tuple[Any, ...]) -> Axis:
    """Return the batch axis of a value that is the same in every row."""
    places = [axis for axis, length in enumerate(shape) if not isinstance(length, int) and BATCH in str(length)]
    _need(len(places) <= 1 and all(str(shape[axis]) == BATCH for axis in places))
    return places[0] if places else None


def _iota(equation: Any, found: list[Axis]) -> Axis:  # noqa: ARG001  (as every rule)
    axis = _filled(_shape(equation.outvars[0]))
    _need(axis is None or axis != equation.params["dimension"])
    return axis


def _reshape(equation: Any, found: list[Axis]) -> Axis:
    axis = found[0]
    old, new = _shape(equation.invars[0]), _shape(equation.outvars[0])
    if axis is None:
        _need(not _has_batch(equation.outvars[0].aval))
        return None
    before = math.prod(old[:axis])
    for place, length in enumerate(new):
        if str(length) == str(old[axis]) and str(math.prod(new[:place])) == str(before):
            return place
    raise _Mixed


def _transpose(equation: Any, found: list[Axis]) -> Axis:
    return None if found[0] is None else equation.params["permutation"].index(found[0])


def _concatenate(equation: Any, found: list[Axis]) -> Axis:
    axis = _one(found)
    _need(axis is None or (None not in found and axis != equation.params["dimension"]))
    return axis


def _dot(equation: Any, found: list[Axis]) -> Axis:
    contracted, batched = equation.params["dimension_numbers"]
    left, right = found[:2]
    _need(left is None or left not in contracted[0])
    _need(right is None or right not in contracted[1])
    free = [
        [axis for axis in range(len(_shape(value))) if axis not in contracted[side] and axis not in batched[side]]
        for side, value in enumerate(equation.invars[:2])
    ]
    count = len(batched[0])
    if left is not None and right is not None:
        _need(left in batched[0] and right in batched[1])
        place = list(batched[0]).index(left)
        _need(place == list(batched[1]).index(right))
        return place
    if left is not None:
        _need(left in free[0])
        return count + free[0].index(left)
    if right is not None:
        _need(right in free[1])
        return count + len(free[0]) + free[1].index(right)
    return None


def _convolution(equation: Any, found: list[Axis]) -> Axis:
    numbers = equation.params["dimension_numbers"]
    if found[0] is None and found[1] is None:
        return None
    _need(found[1] is None and found[0] == numbers.lhs_spec[0] and equation.params["batch_group_count"] == 1)
    return int(numbers.out_spec[0])


def _gather(equation: Any, found: list[Axis]) -> Axis:
    operand, indices = found[:2]
    numbers, shape = equation.params["dimension_numbers"], _shape(equation.invars[0])
    places = [a for a in range(len(_shape(equation.outvars[0]))) if a not in numbers.offset_dims]
    if operand is None and indices is None:
        return None
    if operand is None and indices is not None:
        _need(indices < len(places))
        return places[indices]
    if indices is None and operand is not None:
        gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
        whole = str(equation.params["slice_sizes"][operand]) == str(shape[operand])
        _need(whole and operand not in gone and operand not in numbers.start_index_map)
        kept = [axis for axis in range(len(shape)) if axis not in gone]
        return int(numbers.offset_dims[kept.index(operand)])
    _need(operand in numbers.operand_batching_dims and indices in numbers.start_indices_batching_dims)
    place = numbers.operand_batching_dims.index(operand)
    _need(numbers.start_indices_batching_dims[place] == indices)
    return places[indices or 0]


def _slice(equation: Any, found: list[Axis]) -> Axis:
    axis, parameters = found[0], equation.params
    if axis is not None:
        length = _shape(equation.invars[0])[axis]
        strides = parameters["strides"]
        _need(parameters["start_indices"][axis] == 0 and str(parameters["limit_indices"][axis]) == str(length))
        _need(strides is None or strides[axis] == 1)
    return axis


def _dynamic_slice(equation: Any, found: list[Axis]) -> Axis:
    axis = found[0]
    _need(all(other is None for other in found[1:]))
    if axis is not None:
        _need(str(equation.params["slice_sizes"][axis]) == str(_shape(equation.invars[0])[axis]))
    return axis


def _dynamic_update(equation: Any, found: list[Axis]) -> Axis:
    _need(all(other is None for other in found[2:]) and found[0] == found[1])
    axis = found[0]
    if axis is not None:
        _need(str(_shape(equation.invars[0])[axis]) == str(_shape(equation.invars[1])[axis]))
    return axis


def _pad(equation: Any, found: list[Axis]) -> Axis:
    _need(found[1] is None and (found[0] is None or tuple(equation.params["padding_config"][found[0]]) == (0, 0, 0)))
    return found[0]


def _window(equation: Any, found: list[Axis]) -> Axis:
    axis = _one(found)
    if axis is not None:
        parameters = equation.params
        sizes = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
        _need(all(parameters[name][axis] == 1 for name in sizes if name in parameters))
        _need(tuple(parameters["padding"][axis]) == (0, 0))
    return axis


def _top_k(equation: Any, found: list[Axis]) -> Axis:
    last = len(_shape(equation.invars[0])) - 1
    _need(found[0] is None or found[0] != equation.params.get("axis", last) % (last + 1))
    return found[0]


def _call(equation: Any, found: list[Axis]) -> list[Axis]:
    parameters = equation.params
    inner = next(parameters[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in parameters)
    return _follow(getattr(inner, "jaxpr", inner), found)


def _scan(equation: Any, found: list[Axis]) -> list[Axis]:
    consts, carries = equation.params["num_consts"], equation.params["num_carry"]
    inner = equation.params["jaxpr"].jaxpr
    steps = found[consts + carries :]
    _need(0 not in steps)
    each = [None if axis is None else axis - 1 for axis in steps]
    carry = found[consts : consts + carries]
    made = _settled(lambda now: _follow(inner, [*found[:consts], *now, *each]), carry)
    return [*made[:carries], *(None if axis is None else axis + 1 for axis in made[carries:])]


def _settled(step: Callable[[list[Axis]], list[Axis]], carry: list[Axis]) -> list[Axis]:
    """Return what a loop makes once the batch axes of what it carries do not change any more."""
    while True:
        made = step(carry)
        joined = [_one([old, new]) for old, new in zip(carry, made, strict=False)]
        if joined == carry:
            return [*carry, *made[len(carry) :]]
        carry = joined


def _while(equation: Any, found: list[Axis]) -> list[Axis]:
    tested, consts = equation.params["cond_nconsts"], equation.params["body_nconsts"]
    shared, carry = found[tested : tested + consts], found[tested + consts :]
    body, condition = equation.params["body_jaxpr"].jaxpr, equation.params["cond_jaxpr"].jaxpr
    carry = _settled(lambda now: _follow(body, [*shared, *now]), carry)
    _need(_follow(condition, [*found[:tested], *carry]) == [None])
    return carry


def _cond(equation: Any, found: list[Axis]) -> list[Axis]:
    _need(found[0] is None)
    branches = [_follow(branch.jaxpr, found[1:]) for branch in equation.params["branches"]]
    return [_one(axes) for axes in zip(*branches, strict=True)]


_ELEMENTWISE = (
    *("abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2"),
    *("atanh", "bessel_i0e", "bessel_i1e", "cbrt", "ceil", "clamp", "clz", "complex", "conj", "convert_element_type"),
    *("copy", "copy_p", "cos", "cosh", "digamma", "div", "eq", "erf", "erf_inv", "erfc"),
    *("exp", "exp2", "expm1", "floor", "ge", "gt", "igamma", "igammac", "imag", "integer_pow"),
    *("is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max", "min", "mul"),
    *("ne", "neg", "nextafter", "not", "or", "polygamma", "population_count", "pow", "real", "reduce_precision"),
    *(
        "regularized_incomplete_beta",
        "rem",
        "round",
        "rsqrt",
        "select_n",
        "shift_left",
        "shift_right_arithmetic",
        "shift_right_logical",
        "sign",
        "sin",
    ),
    *("sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor", "zeta"),
)

_RULES: dict[str, Callable[[Any, list[Axis]], Any]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _outside("axis")),
    **dict.fromkeys(
        [f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or", "xor")] + ["argmax", "argmin"], _reduce
    ),
    **dict.fromkeys(
        ("pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call"), _call
    ),
    **dict.fromkeys([f"reduce_window{name}" for name in ("", "_max", "_min", "_sum")], _window),
    "bitcast_convert_type": _bitcast,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "cond": _cond,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update,
    "gather": _gather,
    "iota": _iota,
    "optimization_barrier": lambda equation, found: list(found),
    "pad": _pad,
    "reshape": _reshape,
    "rev": _outside("dimensions"),
    "scan": _scan,
    "slice": _slice,
    "sort": _outside("dimension"),
    "split": _outside("axis"),
    "squeeze": _squeeze,
    "top_k": _top_k,
    "transpose": _transpose,
    "while": _while,
}
