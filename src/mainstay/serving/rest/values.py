"""One JSON value of one input: checked against its dtype and shape, exactly, with the path of any fault."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.plans import EXACT_INTEGERS, InputPlan
from mainstay.serving.rest.json_text import show

_TF_NAMES = {"float16": "half", "float32": "float", "float64": "double"}
_JSON_NAMES = {type(None): "Null", list: "Array", dict: "Object", str: "String", int: "Number", float: "Number"}


def read_value(value: Any, plan: InputPlan, where: str) -> Any:
    """Return one value of an input without inner axes: a bool, int, float or str, or None where it is missing.

    Raises:
        RequestError: The value is not of the input's dtype or out of its range.
    """
    if value is None and plan.optional:
        return None
    return _read_scalar(value, plan, where)


def _read_scalar(value: Any, plan: InputPlan, where: str) -> Any:
    kind = type(value)
    if plan.dtype == "string":
        if kind is str:
            return value
        if kind is dict:
            return _read_base64(value, where)
    elif plan.dtype == "bool":
        if kind is bool:
            return value
    elif kind is int:
        return _read_integer(value, plan, where)
    elif kind is float and plan.is_float:
        limits = plan.bounds(float)
        if limits is not None and math.isfinite(value) and not limits[0] <= value <= limits[1]:
            _refuse_loss(value, plan, where)
        return value
    return refuse_type(value, plan, where)


def _read_integer(value: int, plan: InputPlan, where: str) -> float:
    low, high = plan.bounds(int) or (0, 0)
    if low <= value <= high:
        return value
    if plan.is_integer:
        raise RequestError(
            f"JSON Value: {show(value)} Type: Number is not of expected type: {plan.dtype}",
            where=where,
            expected=f"{plan.dtype}, {low} to {high}",
            received=f"{show(value)}, which is out of range",
        )
    try:
        with np.errstate(over="ignore"):
            exact = int(np.asarray(float(value), plan.dtype)) == value
    except (OverflowError, ValueError):
        exact = False
    return value if exact else _refuse_loss(value, plan, where)


def _read_base64(value: dict[str, Any], where: str) -> str:
    if not is_base64(value):
        raise RequestError(
            f"JSON Value: {show(value)} not formatted correctly for base64 data",
            where=where,
            expected='a string or {"b64": "..."}',
            received=show(value),
        )
    text = value["b64"]
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            "Unable to base64 decode", where=where, expected="base64 text", received=show(text)
        ) from error
    return data.decode("utf-8", "surrogateescape")


def is_base64(value: Any) -> bool:
    """Whether a JSON value is the object form of a binary string: ``{"b64": "..."}`` and nothing else."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def refuse_type(value: Any, plan: InputPlan, where: str) -> NoReturn:
    """Raise the error for a value of the wrong JSON type."""
    shown = show(value)
    fix = None
    if plan.is_integer and type(value) is float and value.is_integer():
        fix = "write whole numbers without a decimal point"
    if value is None:
        fix = "this input is required: send a value in every row"
    name = {True: "True", False: "False"}[value] if type(value) is bool else _JSON_NAMES[type(value)]
    raise RequestError(
        f"JSON Value: {shown} Type: {name} is not of expected type: {_TF_NAMES.get(plan.dtype, plan.dtype)}",
        where=where,
        expected=plan.described,
        received=shown,
        fix=fix,
    )


def _refuse_loss(value: float, plan: InputPlan, where: str) -> NoReturn:
    raise RequestError(
        f"Cannot convert JSON value: {show(value)} to {_TF_NAMES.get(plan.dtype, plan.dtype)} "
        "without loss of precision.",
        where=where,
        expected=f"a number that {plan.dtype} can hold",
        received=show(value),
    )


def read_dense(values: Sequence[Any], plan: InputPlan, place: Callable[[int], str]) -> np.ndarray[Any, Any]:
    """Return the values of an input with inner axes as one array.

    Args:
        values: One nested list per row, or None where it is missing.
        plan: The input's plan.
        place: Gives the path of a row's value.

    Returns:
        The values, `[rows, *inner]` of the input's dtype, or of object (str) for strings.

    Raises:
        RequestError: A list is ragged or of another shape, or a value is not of the input's dtype.
    """
    array = _convert_at_once(values, plan)
    return _read_exactly(values, plan, place) if array is None else array


def _convert_at_once(values: Sequence[Any], plan: InputPlan) -> np.ndarray[Any, Any] | None:
    """Let NumPy convert everything, or return None wherever it may have been lax about a type or a range."""
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        return None
    if not fits(array.shape[1:], plan.inner) or not array.size or _holds_bool(values):
        return None
    if plan.is_integer:
        limits = np.iinfo(plan.dtype)
        if array.dtype.kind != "i" or array.min() < limits.min or array.max() > limits.max:
            return None
        return array.astype(plan.dtype, copy=False)
    if not plan.is_float or array.dtype.kind not in "if":
        return None
    exact = EXACT_INTEGERS[plan.dtype]
    if not (array.min() > -exact and array.max() < exact):  # also where a NaN is among them
        return None
    return array.astype(plan.dtype, copy=False)


def _holds_bool(values: Sequence[Any]) -> bool:
    """Whether a boolean hides among numbers, which NumPy would take for 0 or 1."""
    if values and type(values[0]) is list:
        return any(_holds_bool(row) for row in values)
    return bool in set(map(type, values))


def fits(shape: tuple[int, ...], inner: tuple[int | None, ...]) -> bool:
    """Whether the shape of one row's value is that of a plan."""
    return len(shape) == len(inner) and all(
        want is None or have == want for have, want in zip(shape, inner, strict=True)
    )


def _read_exactly(values: Sequence[Any], plan: InputPlan, place: Callable[[int], str]) -> np.ndarray[Any, Any]:
    shape: tuple[int, ...] | None = None
    flat: list[Any] = []
    for row, value in enumerate(values):
        if value is None and plan.optional:
            continue
        where = place(row)
        have = _shape_of(value)
        if not fits(have, plan.inner) or (shape is not None and have != shape):
            raise RequestError(
                f"Expecting shape {_show_shape(plan.inner if shape is None else shape)} but got: {_show_shape(have)}",
                where=where,
                expected=plan.described if shape is None else f"shape {_show_shape(shape)}, as in the rows before",
                received=f"shape {_show_shape(have)}" if have else show(value),
            )
        shape = have
        _flatten(value, 0, have, plan, where, flat)
    if shape is None:
        shape = tuple(axis or 0 for axis in plan.inner)
    filler: Any = "" if plan.dtype == "string" else 0
    array: np.ndarray[Any, Any] = np.full(
        (len(values), *shape), filler, object if plan.dtype == "string" else plan.dtype
    )
    present = np.fromiter((value is not None for value in values), bool, len(values))
    block = np.empty(len(flat), object)
    block[:] = flat
    array[present] = (
        block.reshape((-1, *shape))
        if plan.dtype == "string"
        else block.astype(plan.dtype).reshape((int(present.sum()), *shape))
    )
    return array


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while type(value) is list:
        shape.append(len(value))
        if not value or len(shape) > 32:
            break
        value = value[0]
    return tuple(shape)


def _show_shape(shape: Sequence[int | None]) -> str:
    return f"[{','.join('-1' if axis is None else str(axis) for axis in shape)}]"


def _flatten(value: Any, level: int, shape: tuple[int, ...], plan: InputPlan, where: str, into: list[Any]) -> None:
    if level == len(shape):
        into.append(_read_scalar(value, plan, where))
        return
    if type(value) is not list:
        raise RequestError(
            f"JSON Value: {show(value)} found at incorrect level: {level + 1} in the JSON DOM. "
            f"Expected at level: {len(shape)}",
            where=where,
            expected=f"a list of {shape[level]}",
            received=show(value),
        )
    if len(value) != shape[level]:
        raise RequestError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}",
            where=where,
            expected=f"a list of {shape[level]}",
            received=f"a list of {len(value)}",
        )
    for index, item in enumerate(value):
        _flatten(item, level + 1, shape, plan, f"{where}[{index}]", into)
