"""Raw inputs of a signature without a host prefix: the device inputs themselves, checked and given their dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import RequestError, TensorSpec, TransformError
from mainstay.hostops import Column, column_from_arrow


def raw_columns(specs: Sequence[TensorSpec], values: Mapping[str, Any]) -> list[Column]:
    """Return the inputs as columns in the order of `specs`.

    Numbers take the dtype of their spec where that loses nothing but the precision of a floating point number.

    Args:
        specs: The specs of the inputs; the first axis is the batch.
        values: An array-like or `Column` by name; names that are not in `specs` are ignored.

    Raises:
        RequestError: An input lacks, or has the wrong dtype, shape or number of rows.
    """
    columns = []
    for spec in specs:
        if spec.name not in values:
            raise RequestError(
                "an input is not there", where=f"$.{spec.name}", expected=spec, received=", ".join(map(str, values))
            )
        columns.append(Column(_array(spec, values[spec.name])))
        if len(columns[-1]) != len(columns[0]):
            raise RequestError(
                "the inputs differ in length",
                where=f"$.{spec.name}",
                expected=f"{len(columns[0])} rows, as {specs[0].name!r} has",
                received=f"{len(columns[-1])} rows",
            )
    return columns


def exact_columns(specs: Sequence[TensorSpec], values: Mapping[str, Any]) -> list[Column]:
    """Return the inputs of one request without rows, each as a column of one item, in the order of `specs`.

    Args:
        specs: The specs of the inputs.
        values: An array-like by name; names that are not in `specs` are ignored.

    Raises:
        RequestError: An input lacks, or has the wrong dtype or shape.
    """
    missing = [spec for spec in specs if spec.name not in values]
    if missing:
        raise RequestError(
            "an input is not there",
            where=f"$.{missing[0].name}",
            expected=missing[0],
            received=", ".join(map(str, values)) or "nothing",
        )
    return [Column(_array(spec, values[spec.name])[None]) for spec in specs]


def as_text(strings: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an object array of `str` or `bytes` with all of them as `str`; bytes that are no UTF-8 are escaped."""
    values = strings.reshape(-1).tolist()
    if bytes not in map(type, values):
        return strings
    texts = np.empty(len(values), object)
    texts[:] = [value.decode("utf-8", "surrogateescape") if type(value) is bytes else value for value in values]
    return texts.reshape(strings.shape)


def as_bytes(strings: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an object array of `str` or `bytes` with all of them as `bytes`, see `as_text`."""
    values = strings.reshape(-1).tolist()
    if str not in map(type, values):
        return strings
    texts = np.empty(len(values), object)
    texts[:] = [value.encode("utf-8", "surrogateescape") if type(value) is str else value for value in values]
    return texts.reshape(strings.shape)


def _array(spec: TensorSpec, value: Any) -> np.ndarray[Any, Any]:
    where = f"$.{spec.name}"
    array = _plain(where, value)
    shape = array.shape
    fits = len(shape) == len(spec.shape) and all(
        want in (None, have) for want, have in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise RequestError("an input has the wrong shape", where=where, expected=spec, received=f"shape {list(shape)}")
    if spec.dtype == "string":
        return _texts(where, spec, array)
    dtype = np.dtype(spec.dtype)
    if array.dtype == dtype:
        return array
    if array.size == 0 or (dtype.kind != "b" and array.dtype.kind == "b"):
        return array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind in "iu":
        return _integers(where, array, dtype)
    if dtype.kind not in "biu" and array.dtype.kind not in "OSUMmc":
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    received = "string" if array.dtype.kind in "OSU" else array.dtype
    raise RequestError("an input has the wrong dtype", where=where, expected=spec, received=received)


def _plain(where: str, value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        try:
            value = column_from_arrow(value)
        except TransformError as error:
            raise RequestError(error.summary, where=where, expected=error.expected, received=error.received) from error
    if isinstance(value, Column):
        if value.missing is not None and bool(value.missing.any()):
            row = int(np.argmax(value.missing))
            raise RequestError("a value is missing", where=f"{where}[{row}]", expected="a value in every row")
        value = value.values
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError("the values do not form one array", where=where, received=error) from error


def _texts(where: str, spec: TensorSpec, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return texts as an object array of bytes."""
    if array.dtype.kind not in "OSU" and array.size:
        raise RequestError("an input has the wrong dtype", where=where, expected=spec, received=array.dtype)
    texts = np.empty(array.shape, object)
    for place, value in np.ndenumerate(array):
        if not isinstance(value, (str, bytes)):
            at = "".join(f"[{axis}]" for axis in place)
            raise RequestError("a value is no text", where=f"{where}{at}", expected=spec, received=type(value).__name__)
        texts[place] = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return texts


def _integers(where: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    info = np.iinfo(dtype)
    low, high = int(array.min()), int(array.max())
    if low < info.min or high > info.max:
        raise RequestError(
            "an integer is out of range",
            where=where,
            expected=f"{info.min} to {info.max}, {dtype}",
            received=low if low < info.min else high,
        )
    return array.astype(dtype)
