"""One JSON value of one input: checked against its dtype and shape, exactly, with the path of any fault."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.plans import EXACT_INTEGERS, InputPlan
from mainstay.serving.rest.json_text import show

Array: TypeAlias = np.ndarray[Any, Any]

_MOST_AXES = 32
_TF_NAMES = {"float16": "half", "float32": "float", "float64": "double"}
_JSON_NAMES = {type(None): "Null", list: "Array", dict: "Object", str: "String", int: "Number", float: "Number"}


def read_value(value: Any, plan: InputPlan, where: str) -> Any:
    """Return one value of an input without inner axes: a bool, int, float, str or bytes, or None where it is missing.

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
        _check_float(value, plan, where)
        return value
    return refuse_type(value, plan, where)


def _check_float(value: float, plan: InputPlan, where: str) -> None:
    limits = plan.bounds(float)
    if limits is not None and math.isfinite(value) and not limits[0] <= value <= limits[1]:
        _refuse_loss(value, plan, where)


def _read_integer(value: int, plan: InputPlan, where: str) -> float:
    if plan.is_float and not -(2**63) <= value < 2**64:  # what no 64 bits hold is a number of its size, not exact
        try:
            number = float(value)
        except OverflowError:
            _refuse_loss(value, plan, where)
        _check_float(number, plan, where)
        return number
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


def _read_base64(value: dict[str, Any], where: str) -> bytes:
    if not is_base64(value):
        raise RequestError(
            f"JSON Value: {show(value)} not formatted correctly for base64 data",
            where=where,
            expected='a string or {"b64": "..."}',
            received=show(value),
        )
    text = value["b64"]
    try:
        return _decode_base64(text)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            "Unable to base64 decode", where=where, expected="base64 text", received=show(text)
        ) from error


def _decode_base64(text: str) -> bytes:
    """Decode base64 with padding or without; white space in it says nothing."""
    for space in " \n\r\t":
        if space in text:
            text = text.replace(space, "")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def is_base64(value: Any) -> bool:
    """Whether a JSON value is the object form of a binary string: ``{"b64": "..."}`` and nothing else."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def json_type(value: Any) -> str:
    """Return what TF Serving calls the type of a JSON value."""
    return str(value) if type(value) is bool else _JSON_NAMES[type(value)]


def refuse_type(value: Any, plan: InputPlan, where: str) -> NoReturn:
    """Raise the error for a value of the wrong JSON type."""
    shown = show(value)
    fix = None
    if plan.is_integer and type(value) is float and value.is_integer():
        fix = "write whole numbers without a decimal point"
    if value is None:
        fix = "this input is required: send a value in every row"
    raise RequestError(
        f"JSON Value: {shown} Type: {json_type(value)} is not of expected type: "
        f"{_TF_NAMES.get(plan.dtype, plan.dtype)}",
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


def in_element(error: RequestError, index: int, key: str | None = None) -> RequestError:
    """Return the error of a value as TF Serving words it for an element of a list."""
    named = "" if key is None else f" key: {show(key)[1:-1]}"
    return RequestError(
        f"Failed to process element: {index}{named} of 'instances' list. Error: INVALID_ARGUMENT: {error.summary}",
        where=error.where,
        expected=error.expected,
        received=error.received,
        fix=error.fix,
    )


def read_dense(
    values: Sequence[Any],
    plan: InputPlan,
    place: Callable[[int], str],
    within: Callable[[RequestError, int], RequestError] | None = None,
) -> Array:
    """Return the values of an input with inner axes as one array.

    Args:
        values: One nested list per row, or None where it is missing.
        plan: The input's plan.
        place: Gives the path of a row's value.
        within: Words the error of a row's value as one of the whole list.

    Returns:
        The values, `[rows, *inner]` of the input's dtype, or of object (str or bytes) for strings.

    Raises:
        RequestError: A list is ragged or of another shape, or a value is not of the input's dtype.
    """
    array = convert(values, plan)
    if array is not None and array.size and fits(array.shape[1:], plan.inner):
        return array
    return _read_exactly(values, plan, place, within)


def convert(values: Any, plan: InputPlan) -> Array | None:
    """Let NumPy convert nested lists, or return None wherever it may have been lax about a type or a range."""
    if plan.dtype == "string":
        return None
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        return None
    kind = array.dtype.kind
    if plan.dtype == "bool":
        return array if kind == "b" else None
    if array.ndim > _MOST_AXES or kind not in "iuf" or not array.size or _holds_bool(values):
        return None
    if plan.is_integer:
        limits = np.iinfo(plan.dtype)
        if kind == "f" or int(array.min()) < limits.min or int(array.max()) > limits.max:
            return None
        return array.astype(plan.dtype, copy=False)
    if not plan.is_float:
        return None
    exact = EXACT_INTEGERS[plan.dtype]
    if not (array.min() > -exact and array.max() < exact):  # also where a NaN is among them
        return None
    return array.astype(plan.dtype, copy=False)


def _holds_bool(values: Any) -> bool:
    """Whether a boolean hides among numbers, which NumPy would take for 0 or 1."""
    if type(values) not in (list, tuple):
        return type(values) is bool
    if values and type(values[0]) is list:
        return any(map(_holds_bool, values))
    return bool in set(map(type, values))


def fits(shape: tuple[int, ...], inner: tuple[int | None, ...]) -> bool:
    """Whether the shape of one row's value is that of a plan."""
    return len(shape) == len(inner) and all(
        want is None or have == want for have, want in zip(shape, inner, strict=True)
    )


def _read_exactly(
    values: Sequence[Any],
    plan: InputPlan,
    place: Callable[[int], str],
    within: Callable[[RequestError, int], RequestError] | None,
) -> Array:
    shape: tuple[int, ...] | None = None
    flat: list[Any] = []
    for row, value in enumerate(values):
        if value is None and plan.optional:
            continue
        try:
            shape = _read_row(value, plan, place(row), shape, flat)
        except RequestError as error:
            if within is None:
                raise
            raise within(error, row) from error
    if shape is None:
        shape = tuple(axis or 0 for axis in plan.inner)
    present = np.fromiter((value is not None for value in values), bool, len(values))
    found = from_flat(flat, (int(present.sum()), *shape), plan)
    if present.all():
        return found
    array: Array = np.full((len(values), *shape), "" if plan.dtype == "string" else 0, found.dtype)
    array[present] = found
    return array


def _read_row(
    value: Any, plan: InputPlan, where: str, shape: tuple[int, ...] | None, flat: list[Any]
) -> tuple[int, ...]:
    """Append the values of one row, in order, and return its shape, which is that of the rows before."""
    have = shape_of(value)
    if shape is not None and have != shape:
        raise unequal(have, shape, where)
    if not fits(have, plan.inner):
        raise RequestError(
            f"Expecting shape {show_shape(plan.inner)} but got: {show_shape(have)}",
            where=where,
            expected=plan.described,
            received=f"shape {show_shape(have)}" if have else show(value),
        )
    flatten(value, have, plan, where, flat)
    return have


def unequal(have: tuple[int, ...], want: tuple[int, ...], where: str) -> RequestError:
    """Return the refusal of a row that differs in shape from the first one."""
    sizes = math.prod(want), math.prod(have)
    return RequestError(
        f"Expecting tensor size: {sizes[0]} but got: {sizes[1]}"
        if sizes[0] != sizes[1]
        else f"Expecting shape {show_shape(want)} but got: {show_shape(have)}",
        where=where,
        expected=f"shape {show_shape(want)}, as in the rows before",
        received=f"shape {show_shape(have)}",
    )


def from_flat(flat: list[Any], shape: tuple[int, ...], plan: InputPlan) -> Array:
    """Return values that have been read, in order, as an array."""
    array: Array
    if plan.dtype == "string":
        array = np.empty(len(flat), object)
        array[:] = flat
    else:
        array = np.array(flat, plan.dtype)
    return array.reshape(shape)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape that nested lists claim by the first element of each."""
    shape = []
    while type(value) is list:
        shape.append(len(value))
        if not value or len(shape) > _MOST_AXES:
            break
        value = value[0]
    return tuple(shape)


def show_shape(shape: Sequence[int | None]) -> str:
    """Return a shape as TF Serving writes it."""
    return f"[{','.join('-1' if axis is None else str(axis) for axis in shape)}]"


def flatten(value: Any, shape: tuple[int, ...], plan: InputPlan, where: str, into: list[Any]) -> None:
    """Append the values of nested lists, in order, to a list.

    Raises:
        RequestError: A list is not as long as `shape` says, or a value is not of the input's dtype.
    """
    _flatten(value, 0, shape, plan, where, into)


def _flatten(value: Any, level: int, shape: tuple[int, ...], plan: InputPlan, where: str, into: list[Any]) -> None:
    rank = len(shape)
    if type(value) is not list:
        if level == rank:
            into.append(_read_scalar(value, plan, where))
            return
        raise RequestError(
            f"JSON Value: {show(value)} found at incorrect level: {level + 1} in the JSON DOM. "
            f"Expected at level: {rank}",
            where=where,
            expected=f"a list of {shape[level]}",
            received=show(value),
        )
    if level >= rank or level >= _MOST_AXES:
        raise RequestError(
            f"Encountered list at unexpected level: {level} expected < {min(rank, _MOST_AXES)}",
            where=where,
            expected=plan.dtype,
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
