"""Writing `saved_model.pb` and what TensorFlow needs beside it into the folder of an artifact."""

from __future__ import annotations

from pathlib import Path

from mainstay.core import ModelError
from mainstay.hostops import HostGraph
from mainstay.saved_model.bundle import INDEX_FILE, add_strings
from mainstay.saved_model.graph_writing.checkpointing import Variable
from mainstay.saved_model.graph_writing.cores import Core, Part, make_core
from mainstay.saved_model.graph_writing.examples import why_no_examples
from mainstay.saved_model.graph_writing.fingerprints import fingerprint
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graph_writing.programs import Form, choose_form
from mainstay.saved_model.graph_writing.serving_methods import SERVED_INPUT, served_names
from mainstay.saved_model.graph_writing.signatures import Form as RestoredForm
from mainstay.saved_model.graph_writing.signatures import (
    Way,
    add_function,
    add_signature,
    as_served,
    by_columns,
    by_examples,
    safe_names,
)
from mainstay.saved_model.manifest import SignatureEntry
from mainstay.saved_model.plan import Plan
from mainstay.saved_model.save_report import SaveReport, SignatureReport
from mainstay.saved_model.structures import Parameter
from mainstay.saved_model.tensor_names import checkpoint_key

GRAPH_FILE = "saved_model.pb"
FINGERPRINT_FILE = "fingerprint.pb"
OBJECTS_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

_ENDPOINT = "serve"
"""The function of a loaded model that Keras' `TFSMLayer` calls."""

_MOST_BYTES = (1 << 31) - 1
"""How large a message may be."""

_SHOWS_MISSING = ("string", "float32", "float64")
"""The dtypes in which a value can say that it is missing."""


def write_tensorflow(folder: Path, plan: Plan, *, mode: str) -> SaveReport:
    """Write `saved_model.pb` and `fingerprint.pb`, and add to the weights where TensorFlow finds which.

    Args:
        folder: The folder of the artifact, in which its weights and assets are already.
        plan: What the artifact holds.
        mode: ``"ops"`` for plain operations of TensorFlow alone, ``"xla"`` for an XlaCallModule for each program,
            ``"auto"`` for plain operations where each of a program's has one.

    Returns:
        What TensorFlow gets of each signature, and why.

    Raises:
        ModelError: A program has no plain operations and `mode` asks for them, or is too large for the file.
        OSError: The file system refused.
    """
    writing = _Writing(plan, mode)
    reports = {name: writing.signature(name, entry) for name, entry in plan.manifest.signatures.items()}
    for path in plan.manifest.functions:
        writing.function(path)
    writing.serve()
    for name in sorted(plan.assets):
        writing.model.asset(name)
    model = writing.model.finish(producer=f"mainstay {plan.manifest.producers['mainstay']}")
    add_strings(folder, {OBJECTS_KEY: writing.model.objects.trackable()})
    if model.ByteSize() > _MOST_BYTES:
        raise ModelError(
            "the graph is too large for TensorFlow's file, which holds all but the weights",
            expected=f"at most {_MOST_BYTES:,} bytes",
            received=f"{model.ByteSize():,} bytes",
            fix="pass large arrays as weights, or save it with tensorflow=None",
        )
    content = model.SerializeToString(deterministic=True)
    (folder / GRAPH_FILE).write_bytes(content)
    index = (folder / INDEX_FILE).read_bytes()
    (folder / FINGERPRINT_FILE).write_bytes(fingerprint(model.meta_graphs[0], content, index))
    return SaveReport(reports)


class _Writing:
    """A model in the making, and what its signatures share."""

    def __init__(self, plan: Plan, mode: str) -> None:
        self.model = ModelGraph(plan.assets)
        self._plan = plan
        self._mode = mode
        self._trainable = {variable.name: variable.trainable for variable in plan.manifest.variables}
        self._cores: dict[int, tuple[SignatureEntry, Core | None, Form]] = {}
        for variable in plan.manifest.variables:
            self._variable(variable.name)
        self._name_lists()

    def signature(self, name: str, entry: SignatureEntry) -> SignatureReport:
        """Add a signature and say in which form it is there."""
        core, form = self._core(name, entry)
        if core is None:
            return SignatureReport(None, form.reason)
        notes = [form.reason] if form.reason else []
        if entry.method == "predict":
            add_signature(self.model, name, by_columns(core))
            if entry.program is not None and _are_features(self._plan.graphs.get(name, (None, None))[0], core):
                self._further(_beside(name, "examples"), by_examples(core, "examples"))
        else:
            notes.append(self._served(name, entry.method, core))
        unseen = [i.spec.name for i in entry.inputs if i.optional and i.spec.dtype not in _SHOWS_MISSING]
        if unseen:
            notes.append(f"without missing values of {', '.join(unseen)}, except in a tf.Example")
        return SignatureReport(form.name, "; ".join(filter(None, notes)))

    def function(self, path: str) -> None:
        """Add a restored function with those of its forms that TensorFlow can run."""
        forms = []
        for entry in self._plan.manifest.functions[path]:
            core, _ = self._core(path, entry.entry)
            if core is not None:
                forms.append(RestoredForm(by_columns(core), entry.arguments, entry.results))
        if forms:
            add_function(self.model, path, forms)

    def serve(self) -> None:
        """Add the default signature as the function that Keras looks for, which takes its inputs by position."""
        name, functions = "serving_default", self._plan.manifest.functions
        entry = self._plan.manifest.signatures.get(name)
        core = None if entry is None else self._core(name, entry)[0]
        if core is None or any(path == _ENDPOINT or path.startswith(f"{_ENDPOINT}.") for path in functions):
            return
        way = by_columns(core)
        structures = [{spec.name: {"tensor": spec.name} for spec in specs} for specs in (way.inputs, way.outputs)]
        given, made = (next(iter(s.values())) if len(s) == 1 else {"dict": s} for s in structures)
        only = way.inputs[0].name if len(way.inputs) == 1 else "inputs"
        parameter = Parameter(safe_names([only])[only], given)
        add_function(self.model, _ENDPOINT, [RestoredForm(way, [parameter], made)])

    def _served(self, name: str, method: str, core: Core) -> str:
        """Add a signature for classify or regress, which TF Serving sends tf.Examples, and one for predict."""
        columns = by_columns(core)
        names = served_names(method, columns.outputs)
        is_served = [(spec.name, spec.kind) for spec in columns.inputs] == [(SERVED_INPUT, "string")]
        reason = names if isinstance(names, str) else None if is_served else why_no_examples(core.inputs)
        if reason is not None or isinstance(names, str):
            add_signature(self.model, name, columns)
            return f"for predict alone, since {reason}"
        way = columns if is_served else by_examples(core, SERVED_INPUT)
        add_signature(self.model, name, as_served(way, names, columns=method == "classify"), method=method)
        beside = _beside(name, "predict")
        self._further(beside, columns)
        return f"{method} with tf.Examples as {SERVED_INPUT}; columns by themselves as {beside}"

    def _further(self, name: str, way: Way) -> None:
        if name not in self._plan.manifest.signatures:
            add_signature(self.model, name, way)

    def _core(self, name: str, entry: SignatureEntry) -> tuple[Core | None, Form]:
        """Return the function that does what a signature does, shared by all that have the same entry."""
        if id(entry) not in self._cores:
            prefix, suffix = self._plan.graphs.get(name, (None, None))
            form = self._form(entry)
            core = None
            if form.name is not None:
                part = Part(
                    inputs=entry.inputs,
                    outputs=entry.outputs,
                    prefix=prefix,
                    program=self._plan.program_of(entry),
                    weights=self._weights(entry),
                    suffix=suffix,
                    form=form.name,
                )
                core = make_core(self.model, name, part)
            self._cores[id(entry)] = (entry, core, form)
        _, core, form = self._cores[id(entry)]
        return core, form

    def _form(self, entry: SignatureEntry) -> Form:
        if entry.stages:
            return Form(None, "imported from a model of TensorFlow, which has it")
        program = self._plan.program_of(entry)
        return Form("ops") if program is None else choose_form(program, self._mode)

    def _weights(self, entry: SignatureEntry) -> dict[str, Variable]:
        program = entry.program
        if program is None:
            return {}
        return {
            tensor.name: self._variable(stored)
            for tensor, stored in zip(program.arguments, program.tensors, strict=True)
            if stored is not None
        }

    def _variable(self, name: str) -> Variable:
        value = self._plan.tensors[name]
        return self.model.variable(
            name,
            checkpoint_key(name),
            kind=value.dtype,
            shape=value.shape,
            trainable=self._trainable.get(name, False),
        )

    def _name_lists(self) -> None:
        """Add the lists of variables that a loaded model has."""
        numbers = {name: variable.resource.number for name, variable in self.model.variables.items()}
        trainable = [number for name, number in numbers.items() if self._trainable[name]]
        self.model.objects.list_of("variables", list(numbers.values()))
        self.model.objects.list_of("trainable_variables", trainable)


def _are_features(prefix: HostGraph | None, core: Core) -> bool:
    """Return whether the inputs of a signature are columns of data, which a tf.Example may hold."""
    if prefix is None or any(node.op == "ParseExample" for node in prefix.nodes):
        return False
    return why_no_examples(core.inputs) is None


def _beside(name: str, kind: str) -> str:
    """Return the name of the signature that does the same in another way."""
    if name == "serving_default":
        return "serving_examples" if kind == "examples" else kind
    return f"{name}_{kind}"
