"""Analysis: a `preprocessing_fn` is traced once, measured in as few passes as it needs, and made a host graph."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import Column, HostGraph, HostInput, Program
from mainstay.transform.accumulators import Accumulator, make_accumulator
from mainstay.transform.emission import Emitter, Key, in_order, measures_of
from mainstay.transform.misuse import misuse, source_line
from mainstay.transform.nodes import Measure, Node, apply
from mainstay.transform.sources import Source, open_source

PreprocessingFn = Callable[[dict[str, Node]], Mapping[str, Node]]


def analyze(data: Any, preprocessing_fn: PreprocessingFn, *, specs: Iterable[HostInput] | None = None) -> HostGraph:
    """Return the host graph of a `preprocessing_fn`, with what its analyzers find in the data built in.

    The function is called once, with columns instead of values. Analyzers that do not build on each other share one
    pass over the data. The graph holds registered host operations only, so that training, a saved model and a server
    compute the same bits.

    Columns have the dtypes int64, float64, float32, bool and string; a column of times is one of int64 microseconds
    since 1970 in UTC (the graph takes times, or ISO-8601 strings, at that input), and one without any value is an
    optional float64. A column is optional where it has a missing value in the data; if it has none, a missing value
    is refused later, in training and in a request. NaN is a value, not a missing one.

    Args:
        data: A mapping of arrays by column name, a `pyarrow.Table`, a list of record batches, or an object with a
            `schema` and a method `batches()` that starts anew each time. It is read once more per depth of analyzers.
        preprocessing_fn: Takes a dict of columns by name and returns a dict of columns by the name of the feature.
        specs: The dtype of some columns and whether they are optional, instead of what the data shows.

    Returns:
        The graph; its inputs are the columns that the features need, in the order of the data.

    Raises:
        TransformError: The data or the function is wrong; the message names the file and line of the latter.

    Example:
        >>> from mainstay import transform as tft
        >>> graph = tft.analyze({"x": [1.0, 3.0]}, lambda inputs: {"x": tft.scale_to_z_score(inputs["x"])})
        >>> graph({"x": [3.0]})["x"]
        array([1.], dtype=float32)
    """
    source = open_source(data)
    inputs = _inputs(source, specs)
    outputs = _trace(preprocessing_fn, source, inputs)
    nodes = in_order(outputs.values())
    emitter = Emitter(nodes, source.dtypes)
    for measures in _by_depth(nodes):
        _take(measures, emitter, source, inputs)
    return emitter.graph(outputs, inputs.values())


def _inputs(source: Source, specs: Iterable[HostInput] | None) -> dict[str, HostInput]:
    """Return what the graph takes for every usable column, in the order of the data."""
    declared: dict[str, HostInput] = {}
    for item in specs or ():
        if not isinstance(item, HostInput) or item.spec.shape != (None,):
            raise TransformError("specs are of rows", expected="HostInput of shape [None]", received=repr(item))
        if item.spec.name not in source.dtypes:
            raise TransformError(
                "specs name a column that the data does not have",
                expected=f"one of {', '.join(source.dtypes)}",
                received=item.spec.name,
            )
        declared[item.spec.name] = item
    open_names = [name for name in source.dtypes if name not in declared]
    missing = source.find_missing(open_names) if open_names else frozenset()
    inputs: dict[str, HostInput] = {}
    for name, dtype in source.dtypes.items():
        spec = TensorSpec([None], "string" if dtype == "timestamp" else dtype, name)
        inputs[name] = declared.get(name) or HostInput(spec, name in missing)
    return inputs


class _Columns(dict[str, Node]):
    """The columns that a `preprocessing_fn` gets; a name that is not there is explained."""

    def __init__(self, columns: Mapping[str, Node], unusable: Mapping[str, str]) -> None:
        super().__init__(columns)
        self._unusable = unusable

    def __missing__(self, name: object) -> Node:
        if name in self._unusable:
            raise misuse(
                f"column {name!r} has a type that cannot be computed with",
                expected="numbers, booleans, strings or times",
                received=self._unusable[str(name)],
                fix="leave it out, or convert it in the data",
            )
        near = difflib.get_close_matches(str(name), self, 1, 0.5)
        raise misuse(
            f"there is no column {name!r}",
            expected=f"one of {', '.join(self)}",
            fix=f"did you mean {near[0]!r}?" if near else None,
        )


def _trace(function: PreprocessingFn, source: Source, inputs: Mapping[str, HostInput]) -> dict[str, Node]:
    if not callable(function):
        raise TransformError("preprocessing_fn is no function", received=repr(function))
    columns: dict[str, Node] = {}
    for name, item in inputs.items():
        node = Node("Input", (), {"name": name}, item.spec.dtype, item.optional)
        is_time = source.dtypes[name] == "timestamp" and item.spec.dtype == "string"
        columns[name] = apply("DecodeTimestamp", node) if is_time else node
    try:
        outputs = function(_Columns(columns, source.unusable))
    except TransformError:
        raise
    except Exception as error:
        raise _failed(function, error) from error
    return _checked_outputs(function, outputs)


def _failed(function: PreprocessingFn, error: Exception) -> TransformError:
    """Return the error of a `preprocessing_fn` that raised one itself, naming its own innermost line."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    path, line = next((place for place in reversed(places) if place[0] == file), places[-1])
    where = f"{path}:{line}"
    return TransformError(
        f"preprocessing_fn raised {type(error).__name__}: {error}", where=where, received=source_line(where)
    )


def _checked_outputs(function: PreprocessingFn, outputs: Any) -> dict[str, Node]:
    code = getattr(function, "__code__", None)
    where = f"{code.co_filename}:{code.co_firstlineno}" if code else None
    if not isinstance(outputs, Mapping) or not outputs:
        raise misuse(
            "preprocessing_fn returns no features",
            where=where,
            expected="a dict of columns by name, with one or more",
            received=repr(outputs),
        )
    for name, node in outputs.items():
        if not isinstance(name, str) or not name:
            raise misuse("a feature has no proper name", where=where, expected="a string", received=repr(name))
        if not isinstance(node, Node):
            raise misuse(
                f"the feature {name!r} is no column",
                where=where,
                expected="a column computed from the inputs",
                received=f"{type(node).__name__} {node!r}",
            )
        if node.is_constant:
            raise misuse(
                f"the feature {name!r} is the same in every row",
                where=node.where,
                expected="a column that depends on an input",
                fix="leave it out, or combine it with a column",
            )
        if node.optional and node.dtype not in ("float32", "float64", "string"):
            raise misuse(
                f"the feature {name!r} can have missing values, and {node.dtype} has nothing to show that with",
                where=where if node.op == "Input" else node.where,
                expected="a value in every row",
                fix="fill it with fill_missing, before or after",
            )
    return dict(outputs)


def _by_depth(nodes: Iterable[Node]) -> list[list[Measure]]:
    """Return the measures of nodes, those first that build on no other; each list takes one pass."""
    depths: dict[int, int] = {}
    levels: dict[int, list[Measure]] = {}
    for node in nodes:
        measures = measures_of(node)
        for measure in measures:
            levels.setdefault(depths[id(measure.source)], []).append(measure)
        above = [depths[id(measure.source)] + 1 for measure in measures]
        depths[id(node)] = max([depths[id(source)] for source in node.inputs] + above, default=0)
    return [levels[depth] for depth in sorted(levels)]


def _take(measures: Iterable[Measure], emitter: Emitter, source: Source, inputs: Mapping[str, HostInput]) -> None:
    """Take measures in one pass over the data."""
    keys: dict[Key, Measure] = {emitter.key(measure): measure for measure in measures}
    keys = {key: measure for key, measure in keys.items() if key not in emitter.results}
    accumulators = {key: make_accumulator(key[0], measure.capacity) for key, measure in keys.items()}
    names = {name for _, name, _ in keys}
    raw = {name for name in names if name in inputs and inputs[name].spec.dtype == "string"}
    needed, operations = set(names), []
    for operation in reversed(emitter.operations):
        if operation.name in needed:
            operations.append(operation)
            needed.update(operation.inputs)
    read = [item for name, item in inputs.items() if name in needed]
    used = {operation.attrs["asset"] for operation in operations if "asset" in operation.attrs}
    assets = {name: content for name, content in emitter.assets.items() if name in used}
    program = Program(read, operations[::-1], {name: name for name in sorted(names - raw)}, assets)
    start = 0
    for chunk in source.read([item.spec.name for item in read]):
        rows = 0
        try:
            columns = [item.column(chunk[item.spec.name]) for item in read]
            rows = len(columns[0])
            values = program.run(columns)
            values.update({name: chunk[name] for name in raw})
            _update(accumulators, values)
        except TransformError as error:
            raise _in_rows(error, start) from None
        start += rows
    emitter.results.update({key: accumulator.result() for key, accumulator in accumulators.items()})


def _update(accumulators: Mapping[Key, Accumulator], values: Mapping[str, Column]) -> None:
    for (_, name, _), accumulator in accumulators.items():
        accumulator.update(values[name])


def _in_rows(error: TransformError, start: int) -> TransformError:
    """Return an error of a chunk with the row at which the chunk starts, as its own rows are counted from there."""
    where = error.where if start == 0 or error.where is None else f"after row {start:,}: {error.where}"
    return TransformError(error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix)
