"""Tensors of any shape in JSON: for imported graphs, which say themselves what fits, and for signatures without rows.

Only dtypes are checked, as TF Serving does, and that every list is as long as its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.json_text import path
from mainstay.serving.rest.refusals import (
    list_refused,
    missing_input,
    object_refused,
    plain_list_refused,
    plain_value_refused,
    unknown_input,
    wrong_keys,
)
from mainstay.serving.rest.values import (
    convert,
    fits,
    flatten,
    from_flat,
    in_element,
    is_base64,
    shape_of,
    unequal,
)

Array: TypeAlias = np.ndarray[Any, Any]


def whole_rows(instances: Sequence[Any], plans: Sequence[InputPlan], *, batched: bool) -> Chunk:
    """Return the rows of an ``instances`` list, stacked.

    Args:
        instances: At least one row: objects, or plain values where there is one input.
        plans: The inputs.
        batched: Whether rows of several requests may run together.

    Raises:
        RequestError: A row is not of the right dtype, or not of the shape of the first one.
    """
    first = instances[0]
    if type(first) is dict and not is_base64(first):
        columns, place = _object_columns(instances, plans)
    elif len(plans) > 1:
        raise plain_list_refused(first, plans)
    else:
        columns, place = [_plain_column(instances, plans[0])], lambda _, row: f"$.instances[{row}]"
    return tensors_chunk(columns, plans, batched=batched, place=place)


def whole_columns(inputs: Any, plans: Sequence[InputPlan], *, batched: bool) -> Chunk:
    """Return the tensors of an ``inputs`` value: an object, or the only tensor itself.

    Args:
        inputs: The value.
        plans: The inputs.
        batched: Whether rows of several requests may run together.

    Raises:
        RequestError: A tensor is missing, ragged or not of the right dtype.
    """
    if type(inputs) is not dict or is_base64(inputs):
        if len(plans) > 1:
            raise plain_value_refused(inputs, plans)
        array = read_tensor(inputs, plans[0], "$.inputs")
        return tensors_chunk([array], plans, batched=batched, place=lambda _, row: f"$.inputs[{row}]")
    arrays = []
    for plan in plans:
        if plan.name not in inputs:
            raise missing_input(plan)
        arrays.append(read_tensor(inputs[plan.name], plan, path("$.inputs", plan.name)))
    return tensors_chunk(arrays, plans, batched=batched, place=lambda name, row: f"{path('$.inputs', name)}[{row}]")


def read_tensor(value: Any, plan: InputPlan, where: str) -> Array:
    """Return nested lists, or a single value, as an array of the input's dtype, or of object for strings.

    Raises:
        RequestError: A list is ragged, or a value is not of the input's dtype.
    """
    array = convert(value, plan)
    if array is not None:
        return array
    shape = shape_of(value)
    flat: list[Any] = []
    flatten(value, shape, plan, where, flat)
    return from_flat(flat, shape, plan)


def _plain_column(instances: Sequence[Any], plan: InputPlan) -> Array:
    array = convert(instances, plan)
    if array is not None:
        return array
    rows: list[Array] = []
    for index, value in enumerate(instances):
        if type(value) is dict and not is_base64(value):
            raise object_refused(value, plan, index)
        try:
            rows.append(_like_first(read_tensor(value, plan, f"$.instances[{index}]"), rows, index))
        except RequestError as error:
            raise in_element(error, index) from error
    return np.stack(rows)


def _object_columns(
    instances: Sequence[Any], plans: Sequence[InputPlan]
) -> tuple[list[Array], Callable[[str, int], str]]:
    names = {plan.name: slot for slot, plan in enumerate(plans)}
    required = [replace(plan, optional=False) for plan in plans]  # TF Serving takes no row without all of them
    columns: list[list[Array]] = [[] for _ in plans]
    for index, row in enumerate(instances):
        where = f"$.instances[{index}]"
        if type(row) is not dict or is_base64(row):
            raise list_refused(row, index, f"an object with the keys {', '.join(sorted(names))}")
        for name, value in row.items():
            slot = names.get(name)
            try:
                if slot is None:
                    raise unknown_input(name, path(where, name))
                array = read_tensor(value, plans[slot], path(where, name))
                columns[slot].append(_like_first(array, columns[slot], index))
            except RequestError as error:
                raise in_element(error, index, name) from error
        if len(row) != len(names):
            raise wrong_keys(row, index, required)
    return [np.stack(rows) for rows in columns], lambda name, row: path(f"$.instances[{row}]", name)


def _like_first(array: Array, rows: Sequence[Array], index: int) -> Array:
    if rows and array.shape != rows[0].shape:
        raise unequal(array.shape, rows[0].shape, f"$.instances[{index}]")
    return array


def tensors_chunk(
    arrays: list[Array], plans: Sequence[InputPlan], *, batched: bool, place: Callable[[str, int], str]
) -> Chunk:
    """Return tensors as rows where they are as the signature states, and else to run alone, just as they are.

    Args:
        arrays: The tensors, in the order of the inputs.
        plans: The inputs.
        batched: Whether rows of several requests may run together.
        place: Gives the path of a value in the request.
    """
    rows = len(arrays[0]) if arrays[0].ndim else 0
    alike = all(
        array.ndim and len(array) == rows and fits(array.shape[1:], plan.inner)
        for array, plan in zip(arrays, plans, strict=True)
    )
    if batched and rows and alike:
        is_open = any(None in plan.inner for plan in plans)
        return Chunk(rows, arrays, False, tuple(array.shape[1:] for array in arrays) if is_open else (), place)
    return Chunk(max(rows, 1), arrays, place=place, whole=True)
