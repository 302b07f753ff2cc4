"""Host graphs on the elements of a dataset: on one row, on one batch of rows, or on columns of many such elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mainstay.core import TransformError

if TYPE_CHECKING:
    from mainstay.hostops.graph import HostGraph

Array = np.ndarray[Any, Any]


def of_element(graph: HostGraph, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a graph gives for one element: a row, or a batch of rows.

    Args:
        graph: The graph.
        values: The value of each input by name, of one row or of all rows of a batch; others are ignored.
    """
    if not _are_rows(graph, values):
        return graph.run(graph.columns(values))
    batch = {name: _batch_of_one(values[name]) for name in _given(graph, values)}
    return {name: result[0] for name, result in graph.run(graph.columns(batch)).items()}


def of_elements(graph: HostGraph, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of what a graph gives for many elements, each a row or a batch of rows.

    Args:
        graph: The graph.
        columns: The column of each input by name: an array with the elements along the first axis, or an Arrow array
            of bytes where each element is one string. Others are ignored.

    Raises:
        TransformError: An input is no such column.
    """
    given = _given(graph, columns)
    batches = {axes - len(given[name]) for name, axes in ((name, _axes(columns[name])) for name in given)}
    if batches == {0}:
        return {name: _as_column(result) for name, result in graph.run(graph.columns(columns)).items()}
    if batches != {1}:
        raise TransformError("the inputs of a host graph are neither rows nor batches", received=sorted(batches))
    size = columns[next(iter(given))].shape[1]
    flat = {name: columns[name].reshape(-1, *columns[name].shape[2:]) for name in given}
    results = graph.run(graph.columns(flat))
    return {name: _as_bytes(result).reshape(-1, size, *result.shape[1:]) for name, result in results.items()}


def _given(graph: HostGraph, values: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return the shape of each input that there are values for."""
    return {item.spec.name: tuple(item.spec.shape) for item in graph.inputs if item.spec.name in values}


def _are_rows(graph: HostGraph, values: Mapping[str, Any]) -> bool:
    given = _given(graph, values)
    return bool(given) and all(_axes(values[name]) == len(shape) - 1 for name, shape in given.items())


def _axes(value: Any) -> int:
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return 1
    return 0 if isinstance(value, (str, bytes)) else int(np.ndim(value))


def _batch_of_one(value: Any) -> Any:
    return [value] if isinstance(value, (str, bytes)) else np.asarray(value)[None]


def _as_column(result: Any) -> Any:
    """Return an output as a column: strings as an Arrow array of bytes."""
    if not isinstance(result, np.ndarray) or result.dtype != object:
        return result
    return pa.array(_as_bytes(result).tolist(), pa.binary())


def _as_bytes(result: Any) -> Any:
    if result.dtype != object:
        return result
    strings = np.empty(len(result), object)
    strings[:] = [item.encode("utf-8", "surrogateescape") for item in result]
    return strings
