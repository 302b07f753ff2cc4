"""Imports a SavedModel that TensorFlow wrote: its device stages become StableHLO, its host stages stored graphs.

The shapes of what a program computes follow from those of its inputs. What a host stage makes has shapes that nothing
states, so a signature is first run on requests of two sizes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from mainstay.core import ModelError, TensorSpec, message_class
from mainstay.saved_model.graph_reading.control_flow import as_carried
from mainstay.saved_model.graph_reading.device_stages import DeviceStage
from mainstay.saved_model.graph_reading.evaluation import NodeNeedsValueError, take
from mainstay.saved_model.graph_reading.graph import Source
from mainstay.saved_model.graph_reading.graph_ops.linear_algebra import LIBRARY_CALLS
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Table, Value, Variable
from mainstay.saved_model.graph_reading.graph_text import (
    STAGE,
    FunctionWriter,
    output_text,
    write_called,
    write_initialiser,
)
from mainstay.saved_model.graph_reading.model import ForeignModel, load_foreign
from mainstay.saved_model.graph_reading.partition import Stage
from mainstay.saved_model.graph_reading.probing import Probe, axes, probe, rows_seem_independent
from mainstay.saved_model.graph_reading.signatures import ForeignSignature, Port
from mainstay.saved_model.imports import GraphStage, ImportedModel, ImportedSignature, ProgramStage, save_imported
from mainstay.saved_model.modules import portable
from mainstay.saved_model.program import BATCH, PLATFORMS, Program, ProgramTensor
from mainstay.saved_model.row_wise import batch_axes

Array = np.ndarray[Any, Any]

_MOST_TRIALS = 200


def import_model(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    golden: Mapping[str, Any] | None = None,
    tags: str | Sequence[str] | None = None,
) -> None:
    """Make an artifact of a SavedModel that TensorFlow wrote.

    Args:
        path: The SavedModel.
        output: Where the artifact goes; nothing may be there yet.
        golden: Requests to seal with their answers; without them, those that the conversion tried.
        tags: The tags of its graph; None for the only graph, or the one for serving.

    Raises:
        ArtifactError: There is no SavedModel, or it is malformed.
        ModelError: It needs ops that are not read here, changes variables, or its shapes cannot be followed.
        StorageError: The file system refused; nothing is left behind.
    """
    model = load_foreign(Path(path), tags=tags)
    tensors = Weights(model)
    signatures = {name: _Import(signature, tensors, golden).signature() for name, signature in model.signatures.items()}
    imported = ImportedModel(signatures, tensors.stored, {}, tuple(tensors.variables))
    save_imported(imported, output, golden=golden, provenance={"producer": f"TensorFlow {model.producer}"})


class Weights:
    """The tensors that the programs take, each under a name of its own.

    Attributes:
        stored: The tensors by name.
        variables: The names of those that are variables of the model.
    """

    def __init__(self, model: ForeignModel) -> None:
        self.stored: dict[str, Array] = {}
        self.variables: list[str] = []
        self._known = {id(variable): variable for variable in model.variables}
        self._names: dict[int, str] = {}

    def name(self, value: Value, path: str) -> str:
        """Return the name under which a variable or a large constant is stored."""
        key = id(value)
        if key not in self._names:
            wanted = value.name.replace(".", "/") if isinstance(value, Variable) else f"constants/{path}"
            name = wanted
            number = 1
            while name in self.stored:
                number += 1
                name = f"{wanted}_{number}"
            array = np.asarray(value.value if isinstance(value, Variable) else value)
            self._names[key] = name
            self._known[key] = value
            self.stored[name] = array
            if isinstance(value, Variable):
                self.variables.append(name)
        return self._names[key]


@dataclass(frozen=True)
class _Form:
    """How open axes are named while a program is traced.

    Args:
        shared: Whether axes at one position, but for the batch, are as long in all inputs.
        fixed: Whether an axis of what a host stage makes is fixed if its length did not change.
    """

    shared: bool
    fixed: bool


_FORMS = tuple(_Form(shared, fixed) for fixed in (False, True) for shared in (False, True))


@dataclass
class _Names:
    """The names of the values of a signature, and the shapes of those that a program reads."""

    of: dict[Source, str] = field(default_factory=dict)
    shapes: dict[Source, tuple[Any, ...]] = field(default_factory=dict)


class _Import:
    """The import of one signature."""

    def __init__(self, signature: ForeignSignature, weights: Weights, golden: Mapping[str, Any] | None) -> None:
        self._signature = signature
        self._program = signature.program
        self._graph = signature.program.graph
        self._weights = weights
        self._golden = golden
        if self._graph.effects:
            node = self._graph.nodes[self._graph.effects[0]].op
            raise ModelError(
                "a signature changes a variable or a table, which an artifact cannot",
                where=f"{signature.name}: {node.name} ({node.op})",
                fix="export the model for inference",
            )

    def signature(self) -> ImportedSignature:
        """Return the signature in stages.

        Raises:
            ModelError: It cannot be imported.
        """
        for _ in range(_MOST_TRIALS):
            probes = probe(self._signature, self._golden)
            try:
                return self._converted(probes)
            except NodeNeedsValueError as error:
                # Without known sizes more nodes depend on values than with those of a request.
                self._program.need_value(error.index)
        raise ModelError("a signature has too many shapes that depend on values", where=self._signature.name)

    def _converted(self, probes: Sequence[Probe]) -> ImportedSignature:
        names = self._names(probes)
        stages: list[ProgramStage | GraphStage] = []
        proven = True
        for stage in self._program.partition.stages:
            if stage.on_device:
                made, row_wise = self._device_stage(self._program.device_stages[stage], names)
                stages.append(made)
                proven = proven and row_wise
            else:
                stages.append(self._host_stage(stage, names))
        last = self._last_stage(names)
        stages += [last] if last else []
        outputs, batched = self._outputs(probes)
        batched = batched and all(port.shape and port.shape[0] is None for port in self._signature.ports)
        inputs = tuple(
            TensorSpec(self._input_shape(port, probes, index), str(port.kind), port.name)
            for index, port in enumerate(self._signature.ports)
        )
        method = self._signature.method.rpartition("/")[2]
        return ImportedSignature(
            inputs,
            outputs,
            stages,
            rows=batched and self._works_on_rows(proven),
            method=method if method in ("classify", "regress") else "predict",
            requests=dict(zip((port.name for port in self._signature.ports), probes[-1].arguments, strict=True)),
        )

    def _works_on_rows(self, proven: bool) -> bool:
        if proven and all(stage.on_device for stage in self._program.partition.stages):
            return True
        # What the host computes is in no proof, and may pad rows to the longest or sum them up.
        seen = rows_seem_independent(self._signature, self._golden)
        return proven if seen is None else seen

    def _outputs(self, probes: Sequence[Probe]) -> tuple[tuple[TensorSpec, ...], bool]:
        """Return the outputs, axes open where they are stated so or seen to differ, and whether all have the batch."""
        specs, batched = [], True
        for index, port in enumerate(self._signature.results):
            found = axes(probes, [each.results[index].shape for each in probes])
            batched = batched and found[:1] == (BATCH,)
            shape = [axis if isinstance(axis, int) else None for axis in found]
            if port.shape is not None and len(port.shape) == len(shape):
                shape = [None if stated is None else axis for stated, axis in zip(port.shape, shape, strict=True)]
            specs.append(TensorSpec(shape, str(port.kind), port.name))
        return tuple(specs), batched

    def _input_shape(self, port: Port, probes: Sequence[Probe], index: int) -> tuple[int | None, ...]:
        if port.shape is not None:
            return port.shape
        return (None,) * probes[0].arguments[index].ndim

    def _names(self, probes: Sequence[Probe]) -> _Names:
        """Name every value that crosses between stages: inputs and outputs by their names in the signature."""
        names = _Names()
        taken = set()
        for index, port in zip(self._graph.arguments, self._signature.ports, strict=True):
            names.of[index, 0] = port.name
            taken.add(port.name)
        made = {source for stage in self._program.partition.stages for source in stage.outputs}
        for source, port in zip(self._graph.results, self._signature.results, strict=True):
            if port.name in taken:
                raise ModelError(
                    "an output has the name of an input or of another output",
                    where=self._signature.name,
                    received=port.name,
                )
            if source in made and source not in names.of:
                names.of[source] = port.name
                taken.add(port.name)
        for source in sorted(made - names.of.keys()):
            names.of[source] = f"value {source[0]}.{source[1]}"
        for index, port in enumerate(self._signature.ports):
            source = (self._graph.arguments[index], 0)
            stated = self._input_shape(port, probes, index)
            first = (BATCH,) if stated[:1] == (None,) else stated[:1]
            names.shapes[source] = (*first, *stated[1:])
        for stage in self._program.partition.stages:
            for source in () if stage.on_device else stage.outputs:
                values = [np.shape(each.values[source]) for each in probes]
                names.shapes[source] = axes(probes, values)
        return names

    def _host_stage(self, stage: Stage, names: _Names) -> GraphStage:
        inputs = [source for source in stage.inputs if source in names.of]
        kinds = [(names.of[source], self._kind(source)) for source in inputs]
        writer = FunctionWriter(STAGE, kinds)
        text = {source: names.of[source] for source in inputs}
        builder = _StageBuilder(self._program.constants, self._graph, writer, text)
        for index in stage.nodes:
            builder.add(index)
        outputs = [source for source in stage.outputs if self._kind(source) not in ("resource", "variant")]
        if len(outputs) != len(stage.outputs):
            raise ModelError("a stage hands on what cannot be stored", where=self._signature.name)
        for source in outputs:
            writer.give(names.of[source], builder.text(source), self._kind(source))
        graph = self._library_of(writer, builder)
        return GraphStage(graph, tuple(name for name, _ in kinds), tuple(names.of[source] for source in outputs))

    def _library_of(self, writer: FunctionWriter, builder: _StageBuilder) -> bytes:
        library = message_class("tensorflow.FunctionDefLibrary")()
        library.function.append(writer.message)
        library.function.append(write_initialiser(builder.resources))
        library.function.extend(write_called(builder.ops, self._signature.library))
        data: bytes = library.SerializeToString(deterministic=True)
        return data

    def _kind(self, source: Source) -> Any:
        return self._graph.nodes[source[0]].op.outputs[source[1]]

    def _last_stage(self, names: _Names) -> GraphStage | None:
        """Return a stage for the outputs that are inputs, constants, or other outputs as well; None without any."""
        left = [
            (source, port)
            for source, port in zip(self._graph.results, self._signature.results, strict=True)
            if names.of.get(source) != port.name
        ]
        if not left:
            return None
        read = dict.fromkeys(source for source, _ in left if source in names.of)
        writer = FunctionWriter(STAGE, [(names.of[source], self._kind(source)) for source in read])
        builder = _StageBuilder(
            self._program.constants, self._graph, writer, {source: names.of[source] for source in read}
        )
        for number, (source, port) in enumerate(left):
            op = OpNode("", "Identity", {"T": port.kind}, (port.kind,))
            writer.add(f"output{number}", op, [builder.text(source)])
            writer.give(port.name, f"output{number}:output:0", port.kind)
        return GraphStage(
            self._library_of(writer, builder),
            tuple(names.of[source] for source in read),
            tuple(port.name for _, port in left),
        )

    def _device_stage(self, device: DeviceStage, names: _Names) -> tuple[ProgramStage, bool]:
        for index in device.stage.nodes:
            if self._graph.nodes[index].op.op in LIBRARY_CALLS:
                raise NodeNeedsValueError(index)
        failure: Exception | None = None
        failed: list[int] = []
        for form in _FORMS:
            try:
                return self._exported(device, names, form, failed)
            except NodeNeedsValueError:
                raise
            except Exception as error:
                failure = failure or error
        if failed:
            # With the lengths of a request at hand the host can compute it.
            raise NodeNeedsValueError(failed[-1]) from failure
        raise ModelError(
            "a signature cannot be imported: its shapes do not follow from those of its inputs",
            where=self._signature.name,
            received=f"{type(failure).__name__}: {failure}",
            fix="load it as it is, without importing it",
        ) from failure

    def _exported(
        self, device: DeviceStage, names: _Names, form: _Form, failed: list[int]
    ) -> tuple[ProgramStage, bool]:
        stage = device.stage
        shape_only = self._program.partition.shape_only
        scope = export.SymbolicScope()
        weights = [(source, self._weight(source)) for source in device.roots]
        read = [source for source in stage.inputs if source[0] not in shape_only]
        specs = [jax.ShapeDtypeStruct(np.shape(array), array.dtype) for _, (_, array) in weights]  # type: ignore[no-untyped-call]
        for number, source in enumerate(read):
            shape = _symbolic(names.shapes[source], number, form, scope, host=source[0] not in self._graph.arguments)
            specs.append(jax.ShapeDtypeStruct(shape, self._kind(source)))  # type: ignore[no-untyped-call]
        shapes = {source: spec.shape for source, spec in zip(read, specs[len(weights) :], strict=True)}

        def run(*arguments: Any) -> list[Any]:
            given: dict[Source, Value] = {}
            for (source, (value, _)), argument in zip(weights, arguments, strict=False):
                given[source] = Variable(value.name, argument) if isinstance(value, Variable) else argument
            given |= dict(zip(read, arguments[len(weights) :], strict=True))
            for source in stage.inputs:
                if source[0] in shape_only:
                    given[source] = self._from_shapes(source, {**names.shapes, **shapes})
            return [
                as_carried(value, self._kind(source))
                for source, value in zip(stage.outputs, device.trace(given, failed), strict=True)
            ]

        with jax.enable_x64(True):
            jitted = jax.jit(run, keep_unused=True)
            made = export.export(jitted, platforms=PLATFORMS)(*specs)
            traced = jitted.trace(*specs).jaxpr
        inputs = [names.of[source] for source in read]
        labels = [(self._weights.name(value, self._path(source)), True) for source, (value, _) in weights]
        arguments = [
            _tensor(name, weight, aval)
            for (name, weight), aval in zip([*labels, *((name, False) for name in inputs)], made.in_avals, strict=True)
        ]
        results = [
            _tensor(names.of[source], False, aval) for source, aval in zip(stage.outputs, made.out_avals, strict=True)
        ]
        for source, result in zip(stage.outputs, results, strict=True):
            names.shapes[source] = result.shape
        program = Program(
            portable(made.mlir_module_serialized),
            tuple(arguments),
            tuple(results),
            tuple(made.platforms),
            made.calling_convention_version,
            x64=True,
        )
        batch = [None] * len(weights) + [
            0 if spec.shape[:1] and str(spec.shape[0]) == BATCH else None for spec in specs[len(weights) :]
        ]
        found = batch_axes(traced, batch)
        return ProgramStage(program), found is not None and all(axis == 0 for axis in found)

    def _path(self, source: Source) -> str:
        return self._graph.nodes[source[0]].op.name

    def _weight(self, source: Source) -> tuple[Value, Array]:
        """Return the variable or constant that a stage takes as a weight, and its array."""
        value = take(self._program.constants, source)
        array = value.value if isinstance(value, Variable) else value
        if isinstance(value, Table) or not isinstance(array, np.ndarray | jax.Array) or array.dtype == object:
            raise ModelError("a program takes what cannot be stored", where=self._path(source), received=value)
        return value, np.asarray(array)

    def _from_shapes(self, source: Source, shapes: Mapping[Source, tuple[Any, ...]]) -> Value:
        """Return a value that depends on shapes alone, in symbols.

        Raises:
            NodeNeedsValueError: A shape is not known in symbols.
        """
        node = self._graph.nodes[source[0]]
        inputs: list[Value] = []
        for each in node.inputs:
            if each[0] in self._program.constants:
                inputs.append(take(self._program.constants, each))
            elif each[0] in self._program.partition.shape_only:
                inputs.append(self._from_shapes(each, shapes))
            else:
                shape = shapes.get(each)
                if shape is None or any(axis is None or isinstance(axis, str) for axis in shape):
                    raise NodeNeedsValueError(source[0])
                inputs.append(_Shaped(shape))
        return self._program.evaluation.node(node.op, inputs)[source[1]]


class _Shaped:
    """Stands for an array of which only the shape matters."""

    def __init__(self, shape: tuple[Any, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)


class _StageBuilder:
    """Writes the nodes of a host stage, with the constants and resources that they read."""

    def __init__(
        self, constants: Mapping[int, Any], graph: Any, writer: FunctionWriter, text: dict[Source, str]
    ) -> None:
        self._constants = constants
        self._graph = graph
        self._writer = writer
        self._text = text
        self.ops: list[OpNode] = []
        self.resources: list[tuple[OpNode, Value]] = []

    def add(self, index: int) -> None:
        """Write a node."""
        node = self._graph.nodes[index]
        self._writer.add(f"node{index}", node.op, [self.text(source) for source in node.inputs])
        self.ops.append(node.op)
        for output in range(len(node.op.outputs)):
            self._text[index, output] = output_text(f"node{index}", node.op, output)

    def text(self, source: Source) -> str:
        """Return how the function reads a value, writing it first if it is a constant or free."""
        if source not in self._text:
            if source[0] in self._constants:
                value = take(self._constants, source)
                name = f"constant{source[0]}_{source[1]}"
                if isinstance(value, Variable | Table):
                    self._text[source] = self._resource(value)
                else:
                    self._text[source] = self._writer.constant(name, np.asarray(value))
            else:
                self.add(source[0])
        return self._text[source]

    def _resource(self, value: Variable | Table) -> str:
        number = next((n for n, (_, known) in enumerate(self.resources) if known is value), len(self.resources))
        shared = f"resource {number}".encode()
        if isinstance(value, Variable):
            attrs = {"dtype": value.dtype, "shape": value.shape, "shared_name": shared}
            op = OpNode("", "VarHandleOp", attrs, ("resource",))
        else:
            attrs = {"key_dtype": value.key_kind, "value_dtype": value.value_kind, "shared_name": shared}
            op = OpNode("", "HashTableV2", attrs, ("resource",))
        if number == len(self.resources):
            self.resources.append((op, value))
            self._writer.add(f"resource{number}", op, ())
        return output_text(f"resource{number}", op, 0)


def _symbolic(
    shape: Sequence[Any], number: int, form: _Form, scope: export.SymbolicScope, *, host: bool
) -> tuple[Any, ...]:
    """Return a shape with JAX's symbols for its open axes."""
    parts: list[str] = []
    for position, axis in enumerate(shape):
        if axis == BATCH:
            parts.append(BATCH)
        elif isinstance(axis, int | np.integer) and (form.fixed or not host):
            parts.append(str(axis))
        elif isinstance(axis, str) and axis.isidentifier():
            parts.append(axis)
        else:
            parts.append(f"n{position}" if form.shared else f"n{number}_{position}")
    if not parts:
        return ()
    return tuple(export.symbolic_shape(", ".join(parts) + ("," if len(parts) == 1 else ""), scope=scope))


def _tensor(name: str, weight: bool, aval: Any) -> ProgramTensor:
    shape = tuple(axis if isinstance(axis, int) else str(axis) for axis in aval.shape)
    return ProgramTensor(name, str(aval.dtype), shape, weight)
