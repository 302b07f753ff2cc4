"""Cores: what a signature does, as one function of the graph that every way to call it shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput
from mainstay.saved_model.graph_writing.captures import Captures, Resource
from mainstay.saved_model.graph_writing.checkpointing import Variable
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graph_writing.host_graphs import emit_host_graph
from mainstay.saved_model.graph_writing.host_ops.registry import HostValue
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graph_writing.programs import cast, emit_program
from mainstay.saved_model.graph_writing.structured_values import Spec
from mainstay.saved_model.graphs.dtypes import Kind
from mainstay.saved_model.program import Program

_BOOL = np.dtype(np.bool_)


@dataclass(frozen=True, slots=True)
class Part:
    """What a signature is made of.

    Args:
        inputs: What a request carries.
        outputs: What an answer carries.
        prefix: What is in front of the program, or None.
        program: The program, or None for a prefix alone.
        weights: The weights of the program by the names that it has for them.
        suffix: What is behind the program, or None.
        form: In which form TensorFlow gets the program.
    """

    inputs: tuple[HostInput, ...]
    outputs: tuple[TensorSpec, ...]
    prefix: HostGraph | None
    program: Program | None
    weights: Mapping[str, Variable]
    suffix: HostGraph | None
    form: str


@dataclass(frozen=True, slots=True)
class Core:
    """A function of the graph that does what a signature does.

    Its arguments are the inputs, for each optional one where it is missing, and what the function holds on to.

    Args:
        function: Its name in the library.
        inputs: What a request carries.
        outputs: What an answer carries, in the order of the results.
        resources: What it holds on to.
    """

    function: str
    inputs: tuple[HostInput, ...]
    outputs: tuple[Spec, ...]
    resources: tuple[Resource, ...]

    def call(self, captures: Captures, inputs: Mapping[str, Ref], missing: Mapping[str, Ref]) -> dict[str, Ref]:
        """Call it from another function, and return its results by name.

        Args:
            captures: What the other function holds on to.
            inputs: The inputs by name.
            missing: For each optional input where it is missing, `[batch]` bool.
        """
        names = [item.spec.name for item in self.inputs]
        masks = [missing[item.spec.name] for item in self.inputs if item.optional]
        held = [captures.hold(resource) for resource in self.resources]
        results = captures.builder.call(
            self.function,
            [*(inputs[name] for name in names), *masks, *held],
            [(spec.kind, spec.shape) for spec in self.outputs],
        )
        return {spec.name: ref for spec, ref in zip(self.outputs, results, strict=True)}


def kind_of(dtype: str) -> Kind:
    """Return a dtype of a signature as a graph has it."""
    return "string" if dtype == "string" else np.dtype(dtype)


def make_core(model: ModelGraph, name: str, part: Part) -> Core:
    """Add the function that does what a signature does.

    Args:
        model: The model.
        name: The name of the signature.
        part: What it is made of.
    """
    builder = FunctionBuilder(model.library.unique(name))
    refs = {item.spec.name: _argument(builder, item.spec) for item in part.inputs}
    masks = {
        item.spec.name: builder.argument(f"{item.spec.name}_missing", _BOOL, (None,))
        for item in part.inputs
        if item.optional
    }
    captures = Captures(builder)
    results = _body(captures, model, part, {key: HostValue(ref, masks.get(key)) for key, ref in refs.items()})
    ordered = {spec.name: results[spec.name] for spec in part.outputs}
    outputs = tuple(Spec(spec.name, kind_of(spec.dtype), tuple(spec.shape)) for spec in part.outputs)
    function = model.library.add(builder.finish(ordered))
    return Core(function, part.inputs, outputs, tuple(captures.resources))


def _argument(builder: FunctionBuilder, spec: TensorSpec) -> Ref:
    return builder.argument(spec.name, kind_of(spec.dtype), tuple(spec.shape))


def _body(captures: Captures, model: ModelGraph, part: Part, values: Mapping[str, HostValue]) -> Mapping[str, Ref]:
    results: Mapping[str, Ref] = {name: value.ref for name, value in values.items()}
    if part.prefix is not None:
        results = emit_host_graph(captures, model, part.prefix, values)
    if part.program is not None:
        results = emit_program(
            captures, model.library, part.program, weights=part.weights, inputs=results, form=part.form
        )
    if part.suffix is not None:
        taken = {
            item.spec.name: HostValue(cast(captures, results[item.spec.name], item.spec.dtype))
            for item in part.suffix.inputs
        }
        results = emit_host_graph(captures, model, part.suffix, taken)
    return results


def flat_inputs(specs: Sequence[TensorSpec]) -> tuple[Spec, ...]:
    """Return the specs of a request in the order in which TensorFlow passes them: sorted by name."""
    return tuple(
        Spec(spec.name, kind_of(spec.dtype), tuple(spec.shape)) for spec in sorted(specs, key=lambda spec: spec.name)
    )
