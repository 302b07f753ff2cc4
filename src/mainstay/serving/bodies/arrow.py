"""Arrow streams: record batches whose columns are the inputs, and one whose columns are the outputs.

Inner axes are lists of fixed size, one in the other, or Arrow's fixed-shape tensors; lists of any length serve where
all are equally long. Compressed buffers and dictionaries are refused: a few bytes of either may stand for many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import DensePart

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, Any]
Tensor: TypeAlias = Array | DensePart

_MOST_AXES = 32
_MOST_BATCHES = 4096
_RECORD_BATCH = "record batch"
_COMPRESSION = 3


def read_stream(body: bytes) -> dict[str, Tensor]:
    """Return the columns of a stream by name, each ``[rows, ...]``; they share its memory where Arrow lets them.

    Raises:
        RequestError: It is no such stream, is compressed, or has a column that is no tensor.
    """
    import pyarrow as pa  # imported late: most servers never see a stream

    try:
        table = _read(body)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _fault(f"the Arrow stream is damaged: {error}", "$", "what pyarrow.ipc.new_stream writes") from error
    if len(set(table.column_names)) != table.num_columns:
        raise _fault("the Arrow stream has two columns of one name", "$", "unique names")
    return {name: _column(table.column(name), f"$.{name}") for name in table.column_names}


def _read(body: bytes) -> pa.Table:
    import pyarrow as pa

    source = pa.BufferReader(pa.py_buffer(body))
    messages = pa.MessageReader.open_stream(source)
    for _ in range(_MOST_BATCHES):
        try:
            message = messages.read_next_message()
        except StopIteration:
            break
        if message.type == "dictionary":
            raise _fault("the Arrow stream has a dictionary", "$", "plain columns", "a dictionary", "decode it first")
        if message.type == _RECORD_BATCH and _is_compressed(message.metadata.to_pybytes()):
            raise _fault("the Arrow stream is compressed", "$", "plain buffers", fix="write it without compression")
    else:
        raise _fault("the Arrow stream has too many record batches", "$", f"up to {_MOST_BATCHES}")
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        for field in reader.schema:
            _check_type(field.type, f"$.{field.name}")
        batches = list(reader)
        for batch in batches:
            batch.validate(full=True)
        return pa.Table.from_batches(batches, reader.schema)


def _is_compressed(metadata: bytes) -> bool:
    """Whether the flatbuffer of a record batch's message names a compression: Message.header, then its fourth field."""

    def number(at: int, size: int, *, signed: bool = False) -> int:
        if not 0 <= at <= len(metadata) - size:
            raise ValueError("a place outside the message")
        return int.from_bytes(metadata[at : at + size], "little", signed=signed)

    def field(table: int, index: int) -> int:
        fields = table - number(table, 4, signed=True)
        place = 4 + 2 * index
        offset = number(fields + place, 2) if place < number(fields, 2) else 0
        return table + offset if offset else 0

    header = field(number(0, 4), 2)
    return bool(header and field(header + number(header, 4), _COMPRESSION))


def _check_type(kind: pa.DataType, where: str) -> None:
    """Refuse columns of types that no tensor has, before anything of them is read."""
    import pyarrow as pa

    types = pa.types
    for _ in range(_MOST_AXES):
        is_list = types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)
        if not is_list and not isinstance(kind, pa.FixedShapeTensorType):
            break
        kind = kind.value_type
    fine = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    if not (
        fine
        or any(
            check(kind) for check in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
        )
    ):
        raise _fault("a column is no tensor", where, "numbers, booleans or strings, or lists of them", str(kind))


def _column(column: pa.ChunkedArray, where: str) -> Tensor:
    import pyarrow as pa

    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    missing = np.asarray(array.is_null()) if array.null_count else None
    if isinstance(array, pa.FixedShapeTensorArray):
        if missing is not None:
            raise _fault("a column of tensors has nulls", where, "a tensor in every row")
        return np.asarray(array.to_numpy_ndarray())
    values = _values(array, missing, where)
    return values if missing is None else DensePart(values, missing)


def _values(array: pa.Array, missing: Array | None, where: str) -> Array:
    """Return the values of a column, or of the lists in it, `[rows, ...]`; those of nulls say nothing."""
    import pyarrow as pa

    types, rows = pa.types, len(array)
    axes: list[int] = []
    while types.is_nested(array.type):
        if array.null_count:
            _check_nulls(array, rows, missing if types.is_fixed_size_list(array.type) else None, where)
        if types.is_fixed_size_list(array.type):
            # What lies under a null is taken along, and masked: `values` does not skip it, as `flatten` would.
            size = array.type.list_size
            array = array.values.slice(array.offset * size, len(array) * size)
        else:
            size = _equal_lengths(array, where)
            array = array.flatten()
        axes.append(size)
    if array.null_count:
        _check_nulls(array, rows, missing, where)
        array = array.fill_null(_filler(array.type))
    values: Array = array.to_numpy(zero_copy_only=False)
    return values.reshape(rows, *axes)


def _check_nulls(array: pa.Array, rows: int, missing: Array | None, where: str) -> None:
    """Refuse a null, of a list or in one, that lies in a row which is not missing as a whole."""
    inside = np.asarray(array.is_null()).reshape(rows, -1).any(axis=1)
    if missing is None or (inside & ~missing).any():
        raise _fault("a value is missing inside a list", where, "a value in every place", "null")


def _filler(kind: pa.DataType) -> Any:
    import pyarrow as pa

    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return ""
    if types.is_binary(kind) or types.is_large_binary(kind):
        return b""
    return pa.scalar(False if types.is_boolean(kind) else 0, kind)


def _equal_lengths(array: pa.Array, where: str) -> int:
    lengths = np.diff(np.asarray(array.offsets))
    if not lengths.size:
        return 0
    if (lengths != lengths[0]).any():
        raise _fault("the lists of a column differ in length", where, f"lists of {lengths[0]}, as in the first row")
    return int(lengths[0])


def write_stream(arrays: Mapping[str, Array]) -> bytes:
    """Return outputs as a stream of one record batch.

    Args:
        arrays: The outputs by name, each ``[rows, ...]``.

    Raises:
        RequestError: They are no rows, or not equally many.
    """
    import pyarrow as pa

    lengths = {len(array) if array.ndim else -1 for array in arrays.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise RequestError("the outputs are no rows of one table, which Arrow asks for", fix="accept application/json")
    batch = pa.record_batch([_arrow(array) for array in arrays.values()], names=list(arrays))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _arrow(array: Array) -> pa.Array:
    import pyarrow as pa

    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind == "O":
        values = flat.tolist()
        texts = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in values]
        column = pa.array(texts, pa.binary())
        if all(map(_is_text, texts)):
            column = column.cast(pa.string())
    else:
        column = pa.array(flat.astype(np.float32) if flat.dtype.name == "bfloat16" else flat)
    for size in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fault(
    summary: str, where: str, expected: str, received: str | None = None, fix: str | None = None
) -> RequestError:
    return RequestError(summary, where=where, expected=expected, received=received, fix=fix)
