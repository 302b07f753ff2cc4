"""JSON lines as a source: an object on each line, its fields as columns of given or inferred types."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data.chunks import Chunk
from mainstay.data.sources.arrow_columns import MissingValueError, convert, missing, plain_type, refused
from mainstay.data.sources.files import FileList
from mainstay.data.sources.text import LinePlace, LinesSource
from mainstay.data.specs import spec_of_chunk
from mainstay.data.structures import Structure
from mainstay.io import LineBlock, check_columns, codec_by_suffix, first_failure, read_line_blocks


class JsonSource(LinesSource):
    """The objects of files of JSON lines.

    Args:
        files: The files; how they are compressed, their suffixes say.
        columns: The fields that are wanted, in this order; None for all.
        dtypes: The dtype or the `TensorSpec` of fields; others are inferred from all lines, when first needed.
        defaults: What stands for missing values.
        arrange: Makes the structure of an element of the columns.
    """

    def __init__(
        self,
        files: FileList,
        columns: Sequence[str] | None,
        dtypes: Mapping[str, Any],
        defaults: Mapping[str, Any],
        arrange: Callable[[Sequence[str]], Callable[[Sequence[Any]], Structure]],
    ) -> None:
        super().__init__(files, tuple(map(codec_by_suffix, files.paths)))
        self._columns, self.defaults = columns, dict(defaults)
        self._given = {name: arrow_type(dtype, f"dtypes[{name!r}]") for name, dtype in dtypes.items()}
        self._make_arrange = arrange

    @functools.cached_property
    def types(self) -> dict[str, pa.DataType]:
        """The Arrow type of each field that is wanted, in their order."""
        wanted = self._columns
        if wanted is not None and all(name in self._given for name in wanted):
            return {name: self._given[name] for name in wanted}
        found = self._inferred()
        names = check_columns(list(found if wanted is None else wanted), list(found))
        if self.defaults:
            check_columns(list(self.defaults), names)
        return {name: found[name] for name in names}

    @functools.cached_property
    def _arrange(self) -> Callable[[Sequence[Any]], Structure]:
        return self._make_arrange(tuple(self.types))

    def _inferred(self) -> dict[str, pa.DataType]:
        """Return the type of every field after all lines."""
        schema = pa.schema(list(self._given.items()))
        for index, path in enumerate(self.files.paths):
            for block in read_line_blocks(path, self.codecs[index]):
                table = self._read(block, schema if len(schema) else None, unexpected="infer")
                try:
                    schema = pa.unify_schemas([schema, _text_kept(table.schema)], promote_options="permissive")
                except (pa.ArrowException, ValueError) as error:
                    raise DataError(
                        "a field has values of different kinds",
                        where=LinePlace(path, self.codecs[index], block.start)(0),
                        received=str(error),
                        fix="let the field have one kind of values on every line, or leave it out with columns=[…]",
                    ) from error
        found = {field.name: _settled(field.type) for field in schema}
        for name, kind in found.items():
            if plain_type(kind) is None and (self._columns is None or name in self._columns):
                raise refused(self.name, name, kind)
        return found

    def _read(self, block: LineBlock, schema: pa.Schema | None, unexpected: str = "ignore") -> pa.Table:
        if not block.data.any():
            return pa.table({})
        try:
            return _parse(block.data, schema, unexpected)
        except pa.ArrowException as error:
            raise self._explained(block, schema, unexpected, error) from error

    def _explained(self, block: LineBlock, schema: pa.Schema | None, unexpected: str, error: Exception) -> DataError:
        """Return the error that names the first line of a block that the parser refuses."""
        codec = self.codecs[self.files.paths.index(block.path)]
        place = LinePlace(block.path, codec, block.start)
        starts, lengths = block.spans()
        for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            text = block.data[start : start + length].tobytes()
            try:
                value = json.loads(text) if text.strip() else {}
            except ValueError as reason:
                return DataError(
                    "a line is no JSON", where=place(number), expected="an object", received=f"{text!r:.200}: {reason}"
                )
            if not isinstance(value, dict):
                return DataError(
                    "a line is no object", where=place(number), expected='an object, {"name": …}', received=repr(value)
                )

        def fits(low: int, high: int) -> bool:
            stop = int(starts[high - 1] + lengths[high - 1]) + 1
            try:
                _parse(block.data[int(starts[low]) : stop], schema, unexpected)
            except pa.ArrowException:
                return False
            return True

        number = first_failure(len(starts), fits)
        text = block.data[int(starts[number]) : int(starts[number] + lengths[number])].tobytes()
        kinds = ", ".join(f"{field.name}: {field.type}" for field in schema) if schema else "one kind of each field"
        return DataError(
            "a value is not of its field's dtype",
            where=place(number),
            expected=kinds,
            received=f"{text.decode(errors='replace')[:300]} ({error})",
            fix="correct the line, or give the field another dtype",
        )

    @property
    def spec(self) -> Structure:
        """The specs of the fields."""
        empty = [convert(pa.array([], kind)) for kind in self.types.values()]
        return spec_of_chunk(Chunk.of(self._arrange(empty), 0))

    def details(self) -> Any:
        """The fields, their types and defaults."""
        types = {name: str(kind) for name, kind in self.types.items()}
        return ["JSON lines", types, repr(sorted(self.defaults.items())), str(self.spec)]

    def parse(self, block: LineBlock) -> Structure:
        """Return the fields of the objects.

        Raises:
            DataError: A line is no object, or a value is missing or not of its dtype.
        """
        table = self._read(block, pa.schema([(name, _variable(kind)) for name, kind in self.types.items()]))
        columns = []
        for name, kind in self.types.items():
            array = (
                table.column(name).combine_chunks() if name in table.column_names else pa.nulls(table.num_rows, kind)
            )
            if array.type != kind:
                array = self._of_one_length(block, name, array, kind)
            try:
                columns.append(convert(array, self.defaults.get(name)))
            except MissingValueError as error:
                raise missing(self._place(block, table.num_rows, error.row), name, kind) from None
        return self._arrange(columns)

    def _of_one_length(self, block: LineBlock, name: str, array: Any, kind: pa.DataType) -> pa.Array:
        """Return lists that shall all have one length as such."""

        def fits(low: int, high: int) -> bool:
            try:
                array.slice(low, high - low).cast(kind)
            except pa.ArrowException:
                return False
            return True

        if fits(0, len(array)):
            return array.cast(kind)
        row = first_failure(len(array), fits)
        raise DataError(
            f"a list of the field {name!r} has another length",
            where=self._place(block, len(array), row),
            expected=kind,
            received=array[row].as_py(),
        )

    def _place(self, block: LineBlock, count: int, row: int) -> str:
        codec = self.codecs[self.files.paths.index(block.path)]
        return LinePlace(block.path, codec, block.start)(int(self.lines(block, count)[row]))

    def lines(self, block: LineBlock, count: int) -> Any:
        """Return the line of each object; blank lines hold none."""
        starts, lengths = block.spans()
        if len(starts) == count:
            return range(count)
        texts = (block.data[s : s + n].tobytes() for s, n in zip(starts.tolist(), lengths.tolist(), strict=True))
        return np.array([number for number, text in enumerate(texts) if text.strip()][:count], np.int64)


def _parse(data: Any, schema: pa.Schema | None, unexpected: str) -> pa.Table:
    return pa_json.read_json(
        pa.py_buffer(data),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )


def _variable(kind: pa.DataType) -> pa.DataType:
    """Return a type with lists of any length in place of those of one, which the parser does not know."""
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_variable(kind.value_type))
    return kind


def _text_kept(schema: pa.Schema) -> pa.Schema:
    """Return a schema without the timestamps that the parser sees in texts: text stays text."""
    return pa.schema([pa.field(field.name, _as_text(field.type)) for field in schema])


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _as_text(field.type)) for field in kind])
    return kind


def _settled(kind: pa.DataType) -> pa.DataType:
    """Return a type with float64 where no value was ever seen."""
    if pa.types.is_null(kind):
        return pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(_settled(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _settled(field.type)) for field in kind])
    return kind


def arrow_type(dtype: Any, where: str) -> pa.DataType:
    """Return the Arrow type of a dtype, or of a `TensorSpec` for lists.

    Raises:
        ArgumentError: It is neither.
    """
    spec = dtype if isinstance(dtype, TensorSpec) else None
    try:
        name = TensorSpec((), dtype if spec is None else spec.dtype).dtype
        kind = pa.string() if name == "string" else pa.from_numpy_dtype(np.dtype(name))
    except (ArgumentError, TypeError, ValueError, pa.ArrowException) as error:
        raise ArgumentError(
            "unknown dtype", where=where, expected="a dtype, or a TensorSpec for lists", received=repr(dtype)
        ) from error
    for size in reversed(() if spec is None else spec.shape):
        kind = pa.list_(kind) if size is None else pa.list_(kind, size)
    return kind
