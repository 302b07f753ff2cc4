"""Predict requests in JSON: row format (`instances`) and columnar format (`inputs`), as TF Serving reads them.

Beyond TF Serving, an optional input may be null or absent, and every refusal ends in the path of the fault. What an
object of columns has beyond the inputs is ignored, as TF Serving does, unless an optional input is absent: then it may
be that one, misspelt.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.hostops import HostInput
from mainstay.serving.batching.chunks import Chunk, DensePart
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.json_text import path, show
from mainstay.serving.rest.refusals import (
    list_refused,
    missing_input,
    object_refused,
    plain_list_refused,
    plain_value_refused,
    unknown_input,
    wrong_keys,
)
from mainstay.serving.rest.values import in_element, is_base64, read_dense, read_value
from mainstay.serving.rest.whole import whole_columns, whole_rows

_Within: TypeAlias = Callable[[str], Callable[[RequestError, int], RequestError]]
"""Gives, for an input, how the error of a row's value is worded as one of the whole list."""

_MOST_PATTERNS = 256


class _Pattern(NamedTuple):
    """What is left to check in a row whose values have types that are fine."""

    missing: bool
    bounds: tuple[tuple[int, float, float], ...]


class RequestDecoder:
    """Reads the rows of requests to one signature.

    Args:
        inputs: The signature's inputs.
        free: Whether the graph says itself what shapes fit, as an imported one does.
        batched: Whether rows of several requests may run together; else a request is whole tensors.

    Attributes:
        plans: What each input asks of its values.
    """

    def __init__(self, inputs: Sequence[HostInput], *, free: bool = False, batched: bool = True) -> None:
        self.plans = tuple(InputPlan.of(item, free=free) for item in inputs)
        self._whole = free or not batched
        self.batched = batched
        self._names = tuple(plan.name for plan in self.plans)
        self._known = frozenset(self._names)
        self._open = any(None in plan.inner for plan in self.plans)
        # Rows of one client look alike: what a combination of value types asks for is worked out once.
        self._patterns: dict[tuple[type, ...], _Pattern] = {}

    def rows(self, instances: list[Any]) -> Chunk:
        """Return the rows of an ``instances`` list, which is not empty: objects, or values where there is one input.

        Raises:
            RequestError: The list or a row of it is not as the signature says.
        """
        if self._whole:
            return whole_rows(instances, self.plans, batched=self.batched)
        first = instances[0]
        if type(first) is dict and not is_base64(first):
            return self._objects(instances)
        if len(self.plans) > 1:
            raise plain_list_refused(first, self.plans, self._keys())
        return self._plain(instances)

    def columns(self, inputs: Any) -> Chunk:
        """Return the rows of an ``inputs`` value: an object of lists, or one list where there is one input.

        Raises:
            RequestError: A column is not as the signature says, or the columns differ in length.
        """
        if self._whole:
            return whole_columns(inputs, self.plans, batched=self.batched)
        if type(inputs) is not dict or is_base64(inputs):
            if len(self.plans) > 1:
                raise plain_value_refused(inputs, self.plans, self._keys())
            inputs, base = {self._names[0]: inputs}, "$.inputs"
        else:
            if any(plan.optional and plan.name not in inputs for plan in self.plans):
                self._check_names(inputs, "$.inputs")
            base = ""
        count = self._count(inputs, base)
        columns: list[Any] = []
        missing = False
        for plan in self.plans:
            where, values = base or path("$.inputs", plan.name), inputs.get(plan.name)
            if values is None:
                values, missing = (None,) * count, True
            elif not plan.inner:
                values = [read_value(value, plan, f"{where}[{row}]") for row, value in enumerate(values)]
                missing = missing or (plan.optional and None in values)
            columns.append(values)
        return self._chunk(columns, missing, lambda name, row: f"{base or path('$.inputs', name)}[{row}]")

    def _count(self, inputs: dict[str, Any], base: str) -> int:
        """Return how many rows the columns have, all the same number."""
        first, count = "", 0
        for plan in self.plans:
            values, where = inputs.get(plan.name), base or path("$.inputs", plan.name)
            if values is None and plan.optional:
                continue
            if values is None and plan.name not in inputs:
                raise missing_input(plan, where)
            if type(values) is not list:
                raise RequestError(
                    f"JSON Value: {show(values)} is not a list with one value per row",
                    where=where,
                    expected=f"a list of {plan.described}",
                    received=show(values),
                )
            if first and len(values) != count:
                raise RequestError(
                    "the columns of 'inputs' differ in length",
                    where=where,
                    expected=f"{count} rows, as {first} has",
                    received=f"{len(values)} rows",
                )
            first, count = where, len(values)
        if not count:
            raise RequestError("No values in 'inputs'", where="$.inputs", expected="at least one row")
        return count

    def _objects(self, instances: list[Any]) -> Chunk:
        names, width, known, patterns = self._names, len(self._names), self._known, self._patterns
        rows: list[tuple[Any, ...]] = []
        missing = False
        for index, row in enumerate(instances):
            if type(row) is not dict:
                raise list_refused(row, index, self._keys())
            values: tuple[Any, ...] = tuple(map(row.get, names))
            pattern = patterns.get(tuple(map(type, values)))
            if pattern is None or ((pattern.missing or len(row) != width) and not known.issuperset(row)):
                values = self._read_row(row, index)
                missing = True
            else:
                missing = missing or pattern.missing
                for slot, low, high in pattern.bounds:
                    if not low <= values[slot] <= high:
                        values = self._read_row(row, index)
                        break
            rows.append(values)
        columns = list(zip(*rows, strict=True))
        return self._chunk(
            columns,
            missing,
            lambda name, row: path(f"$.instances[{row}]", name),
            lambda name: partial(in_element, key=name),
        )

    def _read_row(self, row: dict[str, Any], index: int) -> tuple[Any, ...]:
        """Read a row value by value, with an exact error, and remember its pattern of types if that suffices."""
        where = f"$.instances[{index}]"
        if is_base64(row) and self._names != ("b64",):
            raise list_refused(row, index, self._keys())
        self._check_names(row, where, index)
        values = []
        for plan in self.plans:
            value = row.get(plan.name)
            if not plan.inner and plan.name in row:
                try:
                    value = read_value(value, plan, path(where, plan.name))
                except RequestError as error:
                    raise in_element(error, index, plan.name) from error
            values.append(value)
        if any(plan.name not in row and not plan.optional for plan in self.plans):
            raise wrong_keys(row, index, self.plans)
        self._remember(tuple(map(type, map(row.get, self._names))))
        return tuple(values)

    def _remember(self, kinds: tuple[type, ...]) -> None:
        if len(self._patterns) >= _MOST_PATTERNS:
            return
        bounds = []
        for slot, (plan, kind) in enumerate(zip(self.plans, kinds, strict=True)):
            if plan.inner and kind is list:
                continue
            if not plan.accepts(kind):
                return
            limits = None if kind is type(None) else plan.bounds(kind)
            if limits is not None:
                bounds.append((slot, *limits))
        self._patterns[kinds] = _Pattern(type(None) in kinds, tuple(bounds))

    def _plain(self, instances: list[Any]) -> Chunk:
        plan = self.plans[0]
        for index, value in enumerate(instances):
            if type(value) is dict and not is_base64(value):
                raise object_refused(value, plan, index)
        if plan.inner:
            return self._chunk([instances], False, lambda _, row: f"$.instances[{row}]", lambda _: in_element)
        values = []
        for index, value in enumerate(instances):
            try:
                values.append(read_value(value, plan, f"$.instances[{index}]"))
            except RequestError as error:
                raise in_element(error, index) from error
        return self._chunk([values], plan.optional, lambda _, row: f"$.instances[{row}]")

    def _chunk(
        self, columns: list[Any], missing: bool, place: Callable[[str, int], str], within: _Within | None = None
    ) -> Chunk:
        """Finish the columns: those with inner axes become arrays."""
        rows, shape = len(columns[0]), []
        for slot, plan in enumerate(self.plans):
            if not plan.inner:
                continue
            values = columns[slot]
            array = read_dense(values, plan, partial(place, plan.name), within and within(plan.name))
            gone = np.fromiter((value is None for value in values), bool, rows) if plan.optional else None
            columns[slot] = array if gone is None or not gone.any() else DensePart(array, gone)
            shape.append(array.shape[1:])
        return Chunk(rows, columns, missing, tuple(shape) if self._open else (), place)

    def _check_names(self, row: dict[str, Any], where: str, index: int | None = None) -> None:
        """Refuse a name that the signature does not have."""
        for name in row:
            if name not in self._known:
                near = difflib.get_close_matches(name, self._names, 1, 0.5)
                expected = None if near else self._keys()
                fix = f"did you mean {near[0]!r}?" if near else None
                error = unknown_input(name, path(where, name), expected=expected, fix=fix)
                raise error if index is None else in_element(error, index, name)

    def _keys(self) -> str:
        required = sorted(plan.name for plan in self.plans if not plan.optional)
        optional = sorted(plan.name for plan in self.plans if plan.optional)
        text = f"an object with the keys {', '.join(required)}" if required else "an object"
        return f"{text} and, where known, {', '.join(optional)}" if optional else text
