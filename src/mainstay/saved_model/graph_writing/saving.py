"""Writing `saved_model.pb` and what TensorFlow needs beside it into the folder of an artifact."""

from __future__ import annotations

from pathlib import Path

from mainstay.saved_model.bundle import INDEX_FILE, add_strings
from mainstay.saved_model.graph_writing.checkpointing import Variable
from mainstay.saved_model.graph_writing.cores import Core, Part, make_core
from mainstay.saved_model.graph_writing.fingerprints import fingerprint
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graph_writing.programs import Form, choose_form
from mainstay.saved_model.graph_writing.signatures import (
    RestoredForm,
    add_columns,
    add_examples,
    add_function,
    why_no_examples,
)
from mainstay.saved_model.manifest import SignatureEntry
from mainstay.saved_model.plan import Plan
from mainstay.saved_model.save_report import SaveReport, SignatureReport
from mainstay.saved_model.tensor_names import checkpoint_key

GRAPH_FILE = "saved_model.pb"
FINGERPRINT_FILE = "fingerprint.pb"
OBJECTS_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

_SERVED = "inputs"
"""The one input that TF Serving's classify and regress know, serialised tf.Examples."""

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
    model = writing.model.finish(producer=f"mainstay {plan.manifest.producers['mainstay']}")
    add_strings(folder, {OBJECTS_KEY: writing.model.objects.trackable()})
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
        if entry.method != "predict":
            notes += self._serving(name, entry, core)
        else:
            add_columns(self.model, name, core)
            if entry.prefix and entry.program is not None:
                self._examples(_beside(name, "examples"), core)
        unseen = [i.spec.name for i in entry.inputs if i.optional and i.spec.dtype not in _SHOWS_MISSING]
        if unseen:
            notes.append(f"without missing values of {', '.join(unseen)}, except in a tf.Example")
        return SignatureReport(form.name, "; ".join(notes))

    def function(self, path: str) -> None:
        """Add a restored function with those of its forms that TensorFlow can run."""
        forms = []
        for entry in self._plan.manifest.functions[path]:
            core, _ = self._core(path, entry.entry)
            if core is not None:
                forms.append(RestoredForm(entry, core))
        if forms:
            add_function(self.model, path, forms)

    def _serving(self, name: str, entry: SignatureEntry, core: Core) -> list[str]:
        """Add a signature for classify or regress, which TF Serving sends tf.Examples, and one for predict."""
        given = [(item.spec.name, item.spec.dtype) for item in entry.inputs]
        if given == [(_SERVED, "string")]:
            add_columns(self.model, name, core, method=entry.method)
            return []
        reason = why_no_examples(entry.inputs)
        if reason is not None:
            add_columns(self.model, name, core)
            return [f"for predict alone, since {reason}"]
        add_examples(self.model, name, core, method=entry.method, key=_SERVED)
        beside = _beside(name, "predict")
        if beside not in self._plan.manifest.signatures:
            add_columns(self.model, beside, core)
        return [f"{entry.method} with tf.Examples; columns by themselves as {beside}"]

    def _examples(self, name: str, core: Core) -> None:
        if name not in self._plan.manifest.signatures and why_no_examples(core.inputs) is None:
            add_examples(self.model, name, core)

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


def _beside(name: str, kind: str) -> str:
    """Return the name of the signature that does the same in another way."""
    if name == "serving_default":
        return "serving_examples" if kind == "examples" else kind
    return f"{name}_{kind}"
