"""Elements from outside: values of any make become arrays and bytes, and are held against what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Column, Loose, Nested, stack, strings
from mainstay.data.specs import RaggedTensorSpec, Spec, spec_of, spec_of_rows
from mainstay.data.structures import Structure, describe, flatten, leaf_names, map_structure, skeleton_of
from mainstay.io import Ragged

_NUMBERS, _TEXT = frozenset({int, float, bool}), frozenset({str, bytes})
_UNCHANGING = _NUMBERS | _TEXT | {type(None)}
_NUMERIC = "biuf"


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a name of `mainstay.core.DTYPES`; objects for strings."""
    if name == "string":
        return np.dtype(object)
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def leaf_of(value: Any) -> Any:
    """Return a value as what columns hold: an array, bytes or a `Ragged`.

    Args:
        value: A number, text, bytes, a list, anything with `__array__` such as an image of Pillow, or a tensor.

    Raises:
        DataError: It holds neither numbers nor strings, or is a list of lists of different lengths.
    """
    if isinstance(value, (bytes, Ragged, Nested)):
        return value
    if isinstance(value, str):
        return value.encode()
    if getattr(value, "requires_grad", False):
        value = value.detach()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            "a value is no array", expected="numbers or strings in one shape", received=f"{_shown(value)}: {error}"
        ) from error
    if array.dtype.kind in "biuf" or array.dtype == ml_dtypes.bfloat16:
        return array
    return _text_of(value, array)


def _text_of(value: Any, array: np.ndarray[Any, Any]) -> Any:
    """Return an array of strings as bytes, not by way of NumPy's strings, which lose the zero bytes at their end."""
    objects = array if isinstance(value, np.ndarray) else np.array(value, object)
    flat = [item.encode() if isinstance(item, str) else item for item in objects.reshape(-1).tolist()]
    if not all(isinstance(item, bytes) for item in flat) or (array.dtype.kind not in "SU" and array.dtype != object):
        raise DataError("a value holds neither numbers nor strings", received=f"dtype {array.dtype}: {_shown(value)}")
    if not objects.ndim:
        return flat[0]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(objects.shape)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.80}"


@dataclass(frozen=True)
class Promise:
    """What elements look like, and how to make them so.

    Args:
        specs: The specs in their structure.
        converts: Whether another dtype is converted, as far as no value changes but for the rounding of floats.
    """

    specs: Structure
    converts: bool = False

    @cached_property
    def skeleton(self) -> Structure:
        """The structure with the number of each leaf at its place."""
        return skeleton_of(self.specs)

    @cached_property
    def _flat(self) -> list[tuple[Spec, np.dtype[Any], str]]:
        names = leaf_names(self.specs)
        return [(spec, dtype_of(spec.dtype), name) for spec, name in zip(flatten(self.specs), names, strict=True)]

    def pick(self, element: Structure) -> Sequence[Any]:
        """Return what lies at the leaves of an element, as it came.

        Raises:
            DataError: It has another structure.
        """
        if type(element) is tuple and len(element) == self._flat_length:
            return element
        values: list[Any] = []
        _pick(self.skeleton, element, "", values)
        return values

    def hold(self, element: Structure) -> list[Any]:
        """Return what `pick` does, as values that nobody else can change."""
        values = self.pick(element)
        if not self._has_lists:
            return [value if type(value) in _UNCHANGING else held(value) for value in values]
        return [
            _ragged(value, dtype) if isinstance(spec, RaggedTensorSpec) else held(value)
            for value, (spec, dtype, _) in zip(values, self._flat, strict=True)
        ]

    @cached_property
    def _has_lists(self) -> bool:
        return any(isinstance(spec, RaggedTensorSpec) for spec, _, _ in self._flat)

    @cached_property
    def _flat_length(self) -> int:
        """The length of the plain tuple of leaves that an element is; else -1."""
        count = len(self._flat)
        return count if type(self.skeleton) is tuple and self.skeleton == tuple(range(count)) else -1

    def chunk(self, rows: Sequence[Sequence[Any]], origin: Origin) -> Chunk:
        """Return the chunk of some elements.

        Args:
            rows: What `pick` gave for each; at least one.
            origin: Where each comes from.

        Raises:
            DataError: One is not as promised; the message says which, and which component of it.
        """
        columns = tuple(self._column(values, number, origin) for number, values in enumerate(zip(*rows, strict=True)))
        return Chunk(self.skeleton, columns, len(rows), origin)

    def _column(self, values: tuple[Any, ...], number: int, origin: Origin) -> Column:
        spec, dtype, name = self._flat[number]
        column = None if isinstance(spec, RaggedTensorSpec) else _at_once(values, dtype)
        if column is not None:
            if self.converts and isinstance(column, np.ndarray) and column.dtype != dtype and not dtype.hasobject:
                column = _cast(column, dtype)
            if column is not None and _admits_all(spec, column):
                return column
        leaves = []
        for index, value in enumerate(values):
            try:
                leaves.append(self._fit(value, spec, dtype, name))
            except DataError as error:
                raise located(error, origin.describe(int(origin.indices[index]))) from error
        return stack(leaves)

    def _fit(self, value: Any, spec: Spec, dtype: np.dtype[Any], name: str) -> Any:
        try:
            leaf = _ragged(value, dtype) if isinstance(spec, RaggedTensorSpec) else leaf_of(value)
        except DataError as error:
            raise located(error, name) from error
        if self.converts and isinstance(leaf, np.ndarray) and leaf.dtype != dtype and not leaf.dtype.hasobject:
            made = _cast(leaf, dtype)
            if made is None:
                raise DataError(
                    f"a value cannot be held as {dtype.name if not dtype.hasobject else spec.dtype}",
                    where=name,
                    expected=spec,
                    received=f"{leaf.dtype}: {_shown(value)}",
                    fix="round it, or promise a dtype that holds it",
                )
            leaf = made
        found = spec_of(leaf)
        if not _admits(spec, found):
            raise DataError(
                "a component differs from what was promised" if self.converts else "a component changes",
                where=name,
                expected=spec,
                received=f"{found}: {_shown(value)}",
                fix="write None for an axis whose length varies" if found.dtype == spec.dtype else None,
            )
        return leaf


def located(error: DataError, where: str) -> DataError:
    """Return an error with the place that it is in put before its own."""
    where = where if error.where is None else f"{where}, {error.where}"
    return DataError(error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix)


def _admits(spec: Spec, found: Spec) -> bool:
    return (
        type(found) is type(spec)
        and found.dtype == spec.dtype
        and len(found.shape) == len(spec.shape)
        and all(want is None or want == have for want, have in zip(spec.shape, found.shape, strict=True))
    )


def _admits_all(spec: Spec, column: Column) -> bool:
    if not isinstance(column, Loose):
        return _admits(spec, spec_of_rows(column))
    if any(len(row.shape) != len(spec.shape) for row in column.rows):
        return False
    fixed = [(axis, length) for axis, length in enumerate(spec.shape) if length is not None]
    return spec.dtype == column.rows[0].dtype.name and all(
        row.shape[axis] == length for row in column.rows for axis, length in fixed
    )


def held(value: Any) -> Any:
    """Return a value that nobody else can change: numbers and text as they are, others as arrays of their own."""
    if type(value) in _UNCHANGING or isinstance(value, np.generic):
        return value
    leaf = value if isinstance(value, (np.ndarray, Ragged)) else leaf_of(value)
    return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf


def _at_once(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Column | None:
    """Return the column of values of one kind, read in one go; None where each must be looked at."""
    kinds = set(map(type, values))
    if kinds <= _TEXT:
        return strings(values)
    if kinds == {np.ndarray}:
        first = values[0].dtype
        alike = first.kind in _NUMERIC and all(value.dtype == first for value in values)
        return stack(values) if alike else None
    is_plain = len(kinds) == 1 and (kinds <= _NUMBERS or issubclass(next(iter(kinds)), np.generic))
    if is_plain or (kinds <= _NUMBERS and dtype.kind == "f"):
        column = np.array(values)
        return column if column.dtype.kind in _NUMERIC and column.ndim == 1 else None
    return None


def promise_of(element: Structure) -> Promise:
    """Return the promise that all elements are like a first one: same structure, dtypes and shapes."""
    return Promise(map_structure(lambda value: spec_of(leaf_of(value)), element))


def empty_chunk(specs: Structure) -> Chunk:
    """Return a chunk of no elements."""

    def column(spec: Spec) -> Column:
        if isinstance(spec, RaggedTensorSpec):
            return Loose([])
        shape = (0, *(axis or 0 for axis in spec.shape))
        return strings([]) if spec.dtype == "string" and not spec.shape else np.empty(shape, dtype_of(spec.dtype))

    return Chunk.of(map_structure(column, specs), 0)


def _pick(skeleton: Structure, element: Structure, path: str, values: list[Any]) -> None:
    """Collect what lies at the leaves of a skeleton: a list may stand for a tuple, and a structure for an array."""
    if isinstance(skeleton, int):
        values.append(element)
    elif isinstance(skeleton, tuple):
        if not isinstance(element, (tuple, list)) or len(element) != len(skeleton):
            raise _mismatch(f"a tuple of {len(skeleton)}", element, path)
        for index, (inner, item) in enumerate(zip(skeleton, element, strict=True)):
            _pick(inner, item, f"{path}[{index}]", values)
    elif isinstance(skeleton, Mapping):
        if not isinstance(element, Mapping) or element.keys() != skeleton.keys():
            raise _mismatch(f"a dict with the keys {sorted(skeleton)}", element, path)
        for key in sorted(skeleton):
            _pick(skeleton[key], element[key], f"{path}[{key!r}]", values)
    elif element is not None:
        raise _mismatch("None", element, path)


def _mismatch(expected: str, element: Structure, path: str) -> DataError:
    return DataError(
        "an element has another structure", where=path or None, expected=expected, received=describe(element)
    )


def _ragged(value: Any, dtype: np.dtype[Any]) -> Ragged:
    if isinstance(value, Ragged):
        return value
    try:
        return Ragged.from_rows(list(value), None if dtype.hasobject else dtype)
    except (TypeError, ValueError, ArgumentError) as error:
        raise DataError("a value is no list of lists", received=f"{_shown(value)}: {error}") from error


def _cast(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | None:
    """Return an array in another dtype, or None where a value would change by more than the rounding of floats."""
    if array.dtype.hasobject or dtype.hasobject:
        return None
    with np.errstate(all="ignore"):
        made = array.astype(dtype)
    return made if dtype.kind not in "biu" or np.array_equal(made, array) else None
