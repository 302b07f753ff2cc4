"""Imported models: programs and host graphs that were made from a model of another framework become an artifact."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.folder import EXTRA, GRAPH_SUFFIX, PROGRAM_SUFFIX, file_stems
from mainstay.saved_model.manifest import Manifest, ProgramEntry, SignatureEntry, Stage, VariableEntry
from mainstay.saved_model.manifest_checks import check_signature
from mainstay.saved_model.plan import Plan, check_assets, producers, sealing_platform
from mainstay.saved_model.program import PLATFORMS, STABLEHLO_VERSION, Program
from mainstay.saved_model.saving import check_names, write_plan
from mainstay.saved_model.subject import Subject

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ProgramStage:
    """A step of an imported signature that a program does.

    Its inputs are the program's arguments that take no weight, its outputs the results. An argument that takes a weight
    has the name of its tensor.

    Args:
        program: The program, its module portable; see `modules.portable`.
    """

    program: Program


@dataclass(frozen=True, eq=False)
class GraphStage:
    """A step of an imported signature that a graph of TensorFlow's host operations does.

    Args:
        graph: A serialised `tensorflow.FunctionDefLibrary`. Its function ``stage`` is the step, with arguments and
            results named as the values; its function ``initialise`` fills the tables that the step reads.
        inputs: The names of the values that it takes.
        outputs: The names of the values that it makes.
    """

    graph: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ImportedSignature:
    """One signature of an imported model.

    Args:
        inputs: What a request carries, by the names that stages use.
        outputs: What an answer carries.
        stages: What it does, step by step.
        rows: Whether the first axis of everything is the batch, whose rows do not depend on each other.
        method: What it is for: ``predict``, ``classify`` or ``regress``.
        tolerance: How far an answer may be from its sealed one, relative to ``max(1, |answer|)``.
        requests: What to seal with its answers where the caller gives nothing, by input.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    stages: Sequence[ProgramStage | GraphStage]
    rows: bool = False
    method: str = "predict"
    tolerance: float = 1e-5
    requests: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """What is imported.

    Args:
        signatures: The signatures by name.
        tensors: The weights by name.
        assets: The files that graphs read, by name.
        variables: The names of the tensors that are variables of the model, in order.
    """

    signatures: Mapping[str, ImportedSignature]
    tensors: Mapping[str, Array] = field(default_factory=dict)
    assets: Mapping[str, bytes] = field(default_factory=dict)
    variables: Sequence[str] = ()


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
        ModelError: It needs ops that are not read here, or cannot be converted.
        StorageError: The file system refused; nothing is left behind.
    """
    from mainstay.saved_model.graph_reading import importing

    importing.import_model(path, output, golden=golden, tags=tags)


def save_imported(
    model: ImportedModel,
    path: str | os.PathLike[str],
    *,
    golden: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    sidecars: Mapping[str, bytes] | None = None,
) -> None:
    """Write an imported model as an artifact, proven like any other.

    Args:
        model: The model.
        path: Where the artifact goes; nothing may be there yet.
        golden: Requests to seal with their answers: rows where a signature has rows, else one request. Without them
            those of each signature are sealed.
        provenance: What shall be known about its origin, as JSON values.
        sidecars: Further files by name.

    Raises:
        ArgumentError: The parts do not fit together, or there are strings to take and no golden requests.
        FormatError: The stages of a signature contradict each other.
        ParityError: A signature with rows answers otherwise in another batch size.
        StorageError: The file system refused; nothing is left behind.
    """
    check_names(model.signatures, sidecars or {})
    programs: dict[str, Program] = {}
    extra = dict(sidecars or {})
    entries = {}
    stems = file_stems(model.signatures)
    for name, signature in model.signatures.items():
        stages = []
        for number, stage in enumerate(signature.stages):
            stem = f"{stems[name]}.{number}"
            if isinstance(stage, GraphStage):
                extra[f"{stem}{GRAPH_SUFFIX}"] = stage.graph
                stages.append(Stage(stage.inputs, stage.outputs, None, f"{EXTRA}/{stem}{GRAPH_SUFFIX}"))
            else:
                programs[stem] = stage.program
                stages.append(_program_stage(stem, stage.program))
        entries[name] = SignatureEntry(
            inputs=tuple(HostInput(spec) for spec in signature.inputs),
            outputs=tuple(signature.outputs),
            device_inputs=(),
            program=None,
            prefix=False,
            suffix=False,
            tolerance=signature.tolerance,
            rows=signature.rows,
            method=signature.method,
            stages=tuple(stages),
        )
        check_signature(f"signature {name}", entries[name])
    assets = check_assets({}, model.assets)
    manifest = Manifest(
        PLATFORMS,
        sealing_platform(programs, PLATFORMS),
        producers(),
        dict(provenance or {}),
        entries,
        {},
        variables=tuple(map(VariableEntry, model.variables)),
        assets=tuple(sorted(assets)),
    )
    manifest.to_bytes()
    graphs = dict.fromkeys(entries, (None, None))
    plan = Plan(manifest, programs, graphs, assets, model.tensors, extra)
    own = {name: signature.requests for name, signature in model.signatures.items() if signature.requests}
    write_plan(plan, path, subject=Subject({}), golden=golden, own=own, tensorflow=None)


def _program_stage(stem: str, program: Program) -> Stage:
    entry = ProgramEntry(
        file=f"{EXTRA}/{stem}{PROGRAM_SUFFIX}",
        stablehlo_version=STABLEHLO_VERSION,
        calling_convention=program.calling_convention,
        arguments=program.arguments,
        tensors=tuple(tensor.name if tensor.weight else None for tensor in program.arguments),
        results=program.results,
        x64=program.x64,
    )
    inputs = tuple(tensor.name for tensor in program.arguments if not tensor.weight)
    return Stage(inputs, tuple(tensor.name for tensor in program.results), entry)
