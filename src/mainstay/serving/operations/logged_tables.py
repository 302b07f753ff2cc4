"""Logged requests as Arrow tables, for the request log in Parquet: a row of the table for each row of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mainstay.serving.grpc.tensor_proto import as_bytes
from mainstay.serving.operations.logged_requests import LoggedRequest

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, Any]


def table_of(request: LoggedRequest, wall: float) -> pa.Table:
    """Return the rows of a request as a table.

    Its columns are ``time``, ``request_id`` and ``trace_id`` of the request, ``row`` in it, and structs ``inputs`` and
    ``outputs`` with the values by name. Values with axes are lists, strings are binary, and floats narrower than 32
    bits are widened. A request that was run as whole tensors is one row, with all axes.

    Args:
        request: The request.
        wall: What the loop's clock is behind the time of day, in seconds.
    """
    import pyarrow as pa

    whole = request.chunk.whole
    inputs = {name: _column(values, missing, whole) for name, (values, missing) in request.inputs().items()}
    outputs = {name: _column(values, None, whole) for name, values in request.outputs.items()}
    rows = 1 if whole else request.chunk.rows
    moment = pa.scalar(int((request.ended + wall) * 1e6), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "time": pa.repeat(moment, rows),
            "request_id": pa.repeat(pa.scalar(request.request_id), rows),
            "trace_id": pa.repeat(pa.scalar(request.trace), rows),
            "row": pa.array(np.arange(rows, dtype=np.int64)),
            "inputs": _struct(inputs, rows),
            "outputs": _struct(outputs, rows),
        },
        metadata={
            "mainstay.model": request.model,
            "mainstay.version": str(request.version),
            "mainstay.signature": request.signature,
        },
    )


def _struct(columns: dict[str, pa.Array], rows: int) -> pa.Array:
    import pyarrow as pa

    if not columns:
        return pa.nulls(rows, pa.struct([]))
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _column(values: Array, missing: Array | None, whole: bool) -> pa.Array:
    import pyarrow as pa
    from pyarrow import compute

    shape = (1, *values.shape) if whole else values.shape
    flat = values.reshape(-1)
    if values.dtype.kind in "OSU":
        leaves = pa.array([as_bytes(value) for value in flat.tolist()], pa.binary())
    elif values.dtype.kind == "V" or values.dtype == np.float16:  # bfloat16 is a void to NumPy
        leaves = pa.array(flat.astype(np.float32))
    else:
        leaves = pa.array(np.ascontiguousarray(flat))
    count = int(np.prod(shape))
    for size in reversed(shape[1:]):
        count = count // size if size else int(np.prod(shape[:-1]))
        leaves = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * size), leaves)
        shape = shape[:-1]
    if missing is None:
        return leaves
    return compute.if_else(pa.array(~missing), leaves, pa.scalar(None, leaves.type))
