"""The signatures of a SavedModel that TensorFlow wrote, called as those of an artifact are."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import (
    DTYPES,
    ArgumentError,
    DataError,
    FormatError,
    MainstayError,
    ModelError,
    RequestError,
    Signature,
    TensorSpec,
    TransformError,
)
from mainstay.hostops import Column, HostInput
from mainstay.saved_model.graph_reading.feeds import answer, feed
from mainstay.saved_model.graph_reading.graph import (
    ARGUMENT,
    Graph,
    NamedNode,
    Reference,
    parse_reference,
    value_name,
)
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.library import FunctionBody, Library
from mainstay.saved_model.graph_reading.meta_graphs import MetaGraph
from mainstay.saved_model.graph_reading.probing import rows_seem_independent
from mainstay.saved_model.graph_reading.programs import Program, Programs
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_number
from mainstay.saved_model.graphs.tensors import read_shape, read_tensor_proto

Array = np.ndarray[Any, Any]

_MOST_BLANK_ELEMENTS = 1 << 30

BUCKETS = (1, 4, 16, 64)
"""The batch sizes that `run` compiles; a batch is padded to the next one, and a larger one than the last is split."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a signature.

    Args:
        name: Its name in the signature.
        reference: The tensor of the main graph.
        kind: Its dtype, or ``"string"``.
        shape: Its shape, None for an open axis; None altogether for an open rank.
        default: What an input is when it is left out, or None for a required one.
    """

    name: str
    reference: Reference
    kind: Kind
    shape: tuple[int | None, ...] | None
    default: Array | None = None

    @property
    def spec(self) -> TensorSpec:
        """The port as a spec; an open rank is shown as one open axis.

        Raises:
            ModelError: Its dtype has no name in specs.
        """
        if str(self.kind) not in DTYPES:
            raise ModelError(
                "a signature has a tensor of a dtype that it cannot have here",
                where=self.name,
                expected=", ".join(DTYPES),
                received=self.kind,
                fix="cast it in the model",
            )
        return TensorSpec((None,) if self.shape is None else self.shape, str(self.kind), self.name)


def read_ports(meta: MetaGraph, name: str) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the inputs and the outputs of a signature, each in the order of their names.

    Raises:
        FormatError: The signature is malformed.
    """
    message = meta.message.signature_def[name]
    defaults = {key: read_tensor_proto(value, where=f"{name}.{key}") for key, value in sorted(message.defaults.items())}
    inputs = tuple(
        port for key in sorted(message.inputs) for port in _ports(meta, f"{name}.{key}", key, message.inputs[key])
    )
    outputs = tuple(
        port for key in sorted(message.outputs) for port in _ports(meta, f"{name}.{key}", key, message.outputs[key])
    )
    known = {port.name for port in inputs}
    if not set(defaults) <= known:
        raise FormatError("a signature has a default for no input", where=name, received=sorted(set(defaults) - known))
    with_defaults = tuple(
        Port(port.name, port.reference, port.kind, port.shape, defaults.get(port.name)) for port in inputs
    )
    return with_defaults, outputs


def _ports(meta: MetaGraph, where: str, name: str, info: Any) -> list[Port]:
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        parts = {
            "values": (info.coo_sparse.values_tensor_name, kind_of_number(info.dtype), (None,)),
            "indices": (info.coo_sparse.indices_tensor_name, np.dtype(np.int64), (None, None)),
            "dense_shape": (info.coo_sparse.dense_shape_tensor_name, np.dtype(np.int64), (None,)),
        }
        return [
            Port(f"{name}/{part}", _reference(meta, text, where), kind, shape)
            for part, (text, kind, shape) in parts.items()
        ]
    if encoding == "composite_tensor":
        return [
            Port(
                f"{name}/{index}",
                _reference(meta, part.name, where),
                kind_of_number(part.dtype),
                read_shape(part.tensor_shape, where=where),
            )
            for index, part in enumerate(info.composite_tensor.components)
        ]
    if encoding != "name":
        raise FormatError("a signature does not say what a tensor is", where=where, received=encoding)
    reference = _reference(meta, info.name, where)
    outputs = meta.nodes[reference[0]].op.outputs
    # Old models state a wrong dtype at times; the graph takes and gives what it does.
    kind = outputs[reference[1]] if reference[1] < len(outputs) else kind_of_number(info.dtype)
    return [Port(name, reference, kind, read_shape(info.tensor_shape, where=where))]


def _reference(meta: MetaGraph, text: str, where: str) -> Reference:
    name, output = parse_reference(text)
    node = meta.nodes.get(name)
    if node is None or not isinstance(output, int):
        raise FormatError("a signature names a tensor that is not there", where=where, received=text)
    if value_name(name) in meta.nodes:
        return value_name(name), 0
    return name, output


def signature_body(meta: MetaGraph, name: str, inputs: Iterable[Port], outputs: Iterable[Port]) -> FunctionBody:
    """Return the part of the main graph that a signature runs, as a function of its inputs."""
    places: dict[str, NamedNode] = {}
    moved: dict[Reference, Reference] = {}
    for index, port in enumerate(inputs):
        place = f"input {port.name}"
        op = OpNode(f"{name}/{port.name}", ARGUMENT, {"index": index}, (port.kind,))
        places[place] = NamedNode(op, (), ())
        moved[port.reference] = (place, 0)
    nodes = dict(places)
    for key, node in meta.nodes.items():
        touched = any(reference in moved for reference in node.inputs)
        sources = tuple(moved.get(reference, reference) for reference in node.inputs) if touched else node.inputs
        nodes[key] = NamedNode(node.op, sources, node.controls) if touched else node
    results = tuple(moved.get(port.reference, port.reference) for port in outputs)
    return FunctionBody(name, nodes, tuple(places), results)


def signature_graph(meta: MetaGraph, name: str, inputs: Iterable[Port], outputs: Iterable[Port]) -> Graph:
    """Return the part of the main graph that a signature runs, in order, calls in their place."""
    body = signature_body(meta, name, tuple(inputs), outputs)
    return meta.library.ordered(meta.library.prepared(body, everything=False))


class ForeignSignature:
    """One signature of a SavedModel that TensorFlow wrote.

    It is made by `load`. The shapes that it states are not enforced, as TensorFlow Serving does not: the graph
    itself says what fits. Strings come out as `bytes`, as they do from TensorFlow.

    Attributes:
        name: Its name.
        method: What kind of answer it gives, such as ``tensorflow/serving/predict``.
        checks_shapes: False: the shapes that it states are for people.
        definition: Its `tensorflow.SignatureDef`, with the names of the tensors in the graph; not to be changed.
        inputs: What a request carries, in the order in which `run` takes it.
        signature: The specs of what it takes and gives.
        buckets: The batch sizes that `run` compiles, ascending; a batch is padded with its last row to the next one,
            and a larger one than the last is split. Only where rows are seen to depend on each other, or not all
            inputs and outputs have the batch, `run` takes them as they are, as a call always does.
    """

    checks_shapes = False

    def __init__(self, meta: MetaGraph, name: str, programs: Programs) -> None:
        self.name = name
        stated = meta.message.signature_def[name]
        self.definition = type(stated).FromString(stated.SerializeToString())  # on its own, so that the rest may go
        self.method: str = stated.method_name
        self.ports, self.results = read_ports(meta, name)
        self.inputs = tuple(HostInput(port.spec, port.default is not None) for port in self.ports)
        self.signature = Signature(tuple(port.spec for port in self.ports), tuple(port.spec for port in self.results))
        self.buckets: tuple[int, ...] = BUCKETS
        self.graph = signature_graph(meta, name, self.ports, self.results)
        self._programs = programs
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """What runs it, made at the first call."""
        if self._program is None:
            self._program = Program(self.graph, self._programs)
        return self._program

    @property
    def library(self) -> Library:
        """The functions that its graph calls."""
        return self._programs.library

    @property
    def max_bucket(self) -> int:
        """The largest batch that a server makes."""
        return self.buckets[-1]

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, TensorSpec]]:
        """The inputs as `tf.function` gives them: no positional ones, and the specs by name."""
        return (), {spec.name: spec for spec in self.signature.inputs}

    @property
    def structured_outputs(self) -> dict[str, TensorSpec]:
        """The outputs as `tf.function` gives them: the specs by name."""
        return {spec.name: spec for spec in self.signature.outputs}

    def __call__(self, *values: Any, **inputs: Any) -> dict[str, Array]:
        """Answer a request.

        Args:
            values: One mapping of array-likes by input name, or the one input of a signature that has just one.
            inputs: The inputs by keyword, instead.

        Returns:
            The outputs by name; strings as object arrays of `bytes`.

        Raises:
            RequestError: An input lacks or is wrong; `where` says which.
        """
        if len(values) > 1 or (values and inputs):
            raise ArgumentError(
                "a signature takes one mapping, one value or keyword arguments",
                received=f"{len(values)} positional and {len(inputs)} keyword arguments",
            )
        if values and isinstance(values[0], Mapping):
            inputs = dict(values[0])
        elif values and len(self.inputs) != 1:
            names = ", ".join(item.spec.name for item in self.inputs)
            raise ArgumentError(
                "a signature of several inputs takes them by name", where=self.name, expected=f"values for {names}"
            )
        elif values:
            inputs = {self.inputs[0].spec.name: values[0]}
        return self._answer(self._fed(inputs))

    def _fed(self, values: Mapping[str, Any]) -> list[Any]:
        fed = []
        for port in self.ports:
            if port.name in values:
                fed.append(feed(values[port.name], port.kind, f"$.{port.name}"))
            elif port.default is not None:
                fed.append(port.default)
            else:
                raise RequestError(
                    "an input is not there",
                    where=f"$.{port.name}",
                    expected=port.spec,
                    received=", ".join(map(str, values)) or "nothing",
                )
        return fed

    def columns(self, values: Mapping[str, Any]) -> list[Column]:
        """Return a request's inputs as checked columns in the order of `inputs`, as `run` takes them.

        Args:
            values: An array-like or `Column` by name; an optional input may be left out, other names are ignored.

        Raises:
            RequestError: An input lacks or has the wrong dtype.
        """
        return [Column(np.asarray(value)) for value in self._fed(values)]

    def run(self, columns: list[Column]) -> dict[str, Array]:
        """Answer a batch of columns; see `columns`.

        Args:
            columns: The inputs in the order of `inputs`.

        Returns:
            The outputs by name; strings as object arrays of `bytes`.

        Raises:
            RequestError: The graph refuses a value.
        """
        fed = [feed(column, port.kind, f"$.{port.name}") for column, port in zip(columns, self.ports, strict=True)]
        lengths = {len(value) for value in fed if np.ndim(value)}
        if len(lengths) != 1 or 0 in lengths or not self.works_on_rows:
            return self._answer(fed)
        rows, most = lengths.pop(), self.buckets[-1]
        if rows <= most:
            return self._padded(fed, rows)
        parts = [
            self._padded([value[start : start + most] for value in fed], min(most, rows - start))
            for start in range(0, rows, most)
        ]
        return {port.name: np.concatenate([part[port.name] for part in parts]) for port in self.results}

    def run_whole(self, tensors: Sequence[Any]) -> dict[str, Array]:
        """Answer the tensors of one request just as they are, whatever their shapes.

        Args:
            tensors: The inputs in the order of `inputs`; None for one that is left out and has a default.

        Returns:
            The outputs by name; strings as object arrays of `bytes`.

        Raises:
            RequestError: A tensor has the wrong dtype, or the graph refuses it.
        """
        given = {port.name: value for port, value in zip(self.ports, tensors, strict=True) if value is not None}
        return self._answer(self._fed(given))

    def use_buckets(self, buckets: Sequence[int]) -> None:
        """Pad batches to these sizes from now on.

        Args:
            buckets: The sizes, ascending.
        """
        self.buckets = tuple(buckets)

    def _padded(self, fed: list[Any], rows: int) -> dict[str, Array]:
        bucket = self.buckets[bisect_left(self.buckets, rows)]
        order = np.minimum(np.arange(bucket), rows - 1)
        answers = self._answer(fed if rows == bucket else [np.asarray(value)[order] for value in fed])
        for name, value in answers.items():
            if value.shape[:1] != (bucket,):
                raise ModelError(
                    "an output does not have a row for each row of the inputs",
                    where=f"{self.name}.{name}",
                    expected=f"{bucket} rows",
                    received=f"shape {list(value.shape)}",
                    fix="call the signature with the arrays of one request",
                )
        return answers if rows == bucket else {name: value[:rows] for name, value in answers.items()}

    @cached_property
    def rows(self) -> bool:
        """Whether a server may put rows of several requests together."""
        ports = (*self.ports, *self.results)
        return all(port.shape is None or port.shape[:1] == (None,) for port in ports) and self._rows_are_independent

    @cached_property
    def works_on_rows(self) -> bool:
        """Whether all inputs and outputs have the batch as their first axis, and no row is seen to change another."""
        ports = (*self.ports, *self.results)
        batched = bool(self.ports) and all(port.shape and port.shape[0] is None for port in ports)
        return batched and self._rows_are_independent

    @cached_property
    def _rows_are_independent(self) -> bool:
        """Whether no row is seen to change another."""
        return rows_seem_independent(self) is not False

    def _answer(self, fed: list[Any]) -> dict[str, Array]:
        try:
            values = self.program.run(fed)
        except (DataError, TransformError) as error:
            raise RequestError(
                error.summary, where=error.where, expected=error.expected, received=error.received, fix=error.fix
            ) from error
        return {port.name: answer(value) for port, value in zip(self.results, values, strict=True)}

    def blank(self, rows: int) -> list[Column]:
        """Return rows of zeros and empty strings, in the order of `inputs`; open axes but the first have length 1."""
        columns = []
        for port in self.ports:
            if port.default is not None:
                columns.append(Column(port.default))
                continue
            shape = [1 if axis is None else axis for axis in port.shape or ()]
            if port.shape and port.shape[0] is None:
                shape[0] = rows
            if math.prod(shape) > _MOST_BLANK_ELEMENTS:
                raise ModelError(
                    "a signature states an input that is too large", where=f"{self.name}.{port.name}", received=shape
                )
            filler = np.zeros(shape, port.kind if isinstance(port.kind, np.dtype) else object)
            if port.kind == "string":
                filler[...] = b""
            columns.append(Column(filler))
        return columns

    def example(self, rows: int) -> list[Column]:
        """Return rows to try the signature with; a graph may refuse them."""
        return self.blank(rows)

    def warm_up(self, buckets: Iterable[int] | None = None) -> None:
        """Compile for batch sizes, so that no request waits for the compiler.

        A graph may refuse rows of zeros and empty strings; it is then compiled when a request comes.

        Args:
            buckets: The sizes, of which each is rounded up to one of `buckets`; None for all of these.
        """
        last = len(self.buckets) - 1
        wanted = self.buckets if buckets is None else buckets
        for size in sorted({self.buckets[min(bisect_left(self.buckets, size), last)] for size in wanted}):
            try:
                self.run(self.blank(size))
            except MainstayError:
                return

    def __repr__(self) -> str:
        return f"ForeignSignature({self.name!r})"
