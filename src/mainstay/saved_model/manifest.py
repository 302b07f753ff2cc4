"""The manifest: what an artifact holds and what its signatures take and give, as strict JSON.

Every key is required and none is unknown: a reader that does not understand a key cannot know what it would miss.
A change of meaning raises `FORMAT_VERSION`; `docs/formats/saved-model.md` has the rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstay.core import ArgumentError, Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.program import ProgramTensor
from mainstay.saved_model.save_report import SaveReport
from mainstay.saved_model.structures import Parameter, Structure

FORMAT = "mainstay.saved_model"
FORMAT_VERSION = 2
"""The version of the artifact's format that is written; it and all earlier ones are read."""

METHODS = ("predict", "classify", "regress")
"""What a signature is for: the methods of TensorFlow Serving."""


@dataclass(frozen=True, slots=True)
class ProgramEntry:
    """Where a signature's program lies and what it takes and gives; see `programs.Program`.

    Args:
        file: The path of its module.
        stablehlo_version: The version at which the module is written.
        calling_convention: The version of the calling convention of `jax.export`.
        arguments: Its arguments in order, after the platform index.
        tensors: For each argument the name of its tensor in `variables/`, or None for an input.
        results: Its results in order.
        x64: Whether it runs with 64-bit numbers.
    """

    file: str
    stablehlo_version: str
    calling_convention: int
    arguments: tuple[ProgramTensor, ...]
    tensors: tuple[str | None, ...]
    results: tuple[ProgramTensor, ...]
    x64: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an imported signature.

    Values have names. At first there are those of the inputs; each stage takes some and adds what it makes; the outputs
    are taken from all of them.

    Args:
        inputs: The names of the values that it takes.
        outputs: The names of the values that it makes.
        program: A program whose inputs and results have these names; None for a graph.
        file: The path of a graph of TensorFlow's host operations, a `tensorflow.FunctionDefLibrary`; None for a
            program.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    program: ProgramEntry | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """One signature.

    Args:
        inputs: What a request carries.
        outputs: What an answer carries.
        device_inputs: What the program's function takes, in order; empty without a program.
        program: Its program, or None for a host prefix alone and for stages.
        prefix: Whether `host_graph.json` holds a prefix for it.
        suffix: Whether `host_graph.json` holds a suffix for it.
        tolerance: How far an answer may be from its sealed one.
        rows: Whether the first axis of every input and output is the batch, whose rows do not depend on each other.
        method: One of `METHODS`.
        stages: What an imported signature does, step by step, in place of prefix, program and suffix.
        buckets: The batch sizes to compile for, ascending, where the writer knows better than the reader; empty where
            it does not.
    """

    inputs: tuple[HostInput, ...]
    outputs: tuple[TensorSpec, ...]
    device_inputs: tuple[TensorSpec, ...]
    program: ProgramEntry | None
    prefix: bool
    suffix: bool
    tolerance: float
    rows: bool = True
    method: str = "predict"
    stages: tuple[Stage, ...] = ()
    buckets: tuple[int, ...] = ()

    @property
    def signature(self) -> Signature:
        """What the signature takes and gives, without saying which inputs are optional."""
        return Signature(tuple(item.spec for item in self.inputs), self.outputs)

    @property
    def programs(self) -> tuple[ProgramEntry, ...]:
        """Its program, or those of its stages."""
        staged = tuple(stage.program for stage in self.stages if stage.program is not None)
        return staged if self.program is None else (self.program, *staged)


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """One traced form of a function that the saved object had as an attribute.

    Args:
        entry: What it does, as for a signature: inputs and outputs by the names in `arguments` and `results`.
        arguments: Its parameters.
        results: What it returns.
    """

    entry: SignatureEntry
    arguments: tuple[Parameter, ...]
    results: Structure


@dataclass(frozen=True, slots=True)
class VariableEntry:
    """A variable of the saved object.

    Args:
        name: The name of its tensor, the path of attributes that leads to it.
        trainable: Whether training changes it.
    """

    name: str
    trainable: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of an artifact.

    Args:
        platforms: The platforms that the programs run on.
        sealed_on: The platform that the golden answers were made on.
        producers: The versions of what wrote it, by name.
        provenance: What the caller wanted to be known about its origin; any JSON object.
        signatures: The signatures by name.
        files: The size in bytes and the sha256 of every other file, by path.
        functions: The forms of each restored function by its dotted path.
        variables: The variables of the saved object, in order.
        assets: The names of the files in ``assets/``.
        tensorflow: What `saved_model.pb` holds; None where there is none.
    """

    platforms: tuple[str, ...]
    sealed_on: str
    producers: Mapping[str, str]
    provenance: Mapping[str, Any]
    signatures: Mapping[str, SignatureEntry]
    files: Mapping[str, tuple[int, str]]
    functions: Mapping[str, tuple[FunctionEntry, ...]] = field(default_factory=dict)
    variables: tuple[VariableEntry, ...] = ()
    assets: tuple[str, ...] = ()
    tensorflow: SaveReport | None = None

    def entries(self) -> Iterator[tuple[str, SignatureEntry]]:
        """Yield every signature and every form of a restored function, with a name for messages."""
        for name, entry in self.signatures.items():
            yield f"signature {name}", entry
        for path, forms in self.functions.items():
            for form in forms:
                yield f"function {path}", form.entry

    def to_bytes(self) -> bytes:
        """Return the manifest as the content of its file.

        Raises:
            ArgumentError: The provenance is not JSON.
        """
        value = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "platforms": list(self.platforms),
            "sealed_on": self.sealed_on,
            "producers": dict(self.producers),
            "provenance": self.provenance,
            "signatures": {name: _signature_json(entry) for name, entry in self.signatures.items()},
            "functions": {path: [_function_json(form) for form in forms] for path, forms in self.functions.items()},
            "variables": [{"name": item.name, "trainable": item.trainable} for item in self.variables],
            "assets": sorted(self.assets),
            "tensorflow": self.tensorflow
            and {name: {"form": r.form, "reason": r.reason} for name, r in self.tensorflow.signatures.items()},
            "files": {path: {"size": size, "sha256": digest} for path, (size, digest) in self.files.items()},
        }
        try:
            return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                "the provenance is not JSON",
                where="$.provenance",
                expected="objects with string keys, lists, strings, finite numbers, booleans and null",
                received=error,
            ) from error


def _signature_json(entry: SignatureEntry) -> dict[str, Any]:
    return {
        "inputs": [{**item.spec.to_json(), "optional": item.optional} for item in entry.inputs],
        "outputs": [spec.to_json() for spec in entry.outputs],
        "device_inputs": [spec.to_json() for spec in entry.device_inputs],
        "prefix": entry.prefix,
        "suffix": entry.suffix,
        "tolerance": entry.tolerance,
        "rows": entry.rows,
        "method": entry.method,
        "buckets": list(entry.buckets),
        "program": entry.program and _program_json(entry.program),
        "stages": [
            {
                "inputs": list(stage.inputs),
                "outputs": list(stage.outputs),
                "program": stage.program and _program_json(stage.program),
                "file": stage.file,
            }
            for stage in entry.stages
        ],
    }


def _program_json(program: ProgramEntry) -> dict[str, Any]:
    return {
        "file": program.file,
        "stablehlo_version": program.stablehlo_version,
        "calling_convention": program.calling_convention,
        "x64": program.x64,
        "arguments": [
            {
                "kind": "weight" if tensor.weight else "input",
                "name": tensor.name,
                "tensor": stored,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
            }
            for tensor, stored in zip(program.arguments, program.tensors, strict=True)
        ],
        "results": [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in program.results],
    }


def _function_json(form: FunctionEntry) -> dict[str, Any]:
    return {
        "entry": _signature_json(form.entry),
        "arguments": [
            {"name": item.name, "value": item.value, "keyword_only": item.keyword_only} for item in form.arguments
        ],
        "results": form.results,
    }
