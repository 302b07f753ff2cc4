"""The plan of an artifact: programs exported, weights and assets gathered, all checked before a byte is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mainstay import __version__
from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.hostops import HostGraph, HostInput
from mainstay.saved_model.bundle import write_bundle
from mainstay.saved_model.folder import ASSETS, EXTRA, HOST_GRAPH_FILE, PROGRAM_SUFFIX, is_plain_name
from mainstay.saved_model.host_graphs import host_graphs_json
from mainstay.saved_model.manifest import Manifest, ProgramEntry, SignatureEntry
from mainstay.saved_model.program import PLATFORMS, STABLEHLO_VERSION, Program
from mainstay.saved_model.serving_function import ServingFunction, device_dtype, fits

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """What an artifact will hold, but for the golden requests.

    Args:
        manifest: Its manifest, with no files listed yet.
        programs: The program of each signature that has one.
        graphs: The prefix and suffix of each signature.
        assets: The files that the graphs read.
        tensors: The weights, and what else is stored with them, by the name under which they are stored.
    """

    manifest: Manifest
    programs: Mapping[str, Program]
    graphs: Mapping[str, tuple[HostGraph | None, HostGraph | None]]
    assets: Mapping[str, bytes]
    tensors: Mapping[str, Array]

    def write(self, folder: Path) -> None:
        """Write everything but golden requests and manifest."""
        extra = folder / EXTRA
        extra.mkdir(parents=True)
        if self.programs or self.tensors:
            write_bundle(folder, self.tensors)
        for name, program in self.programs.items():
            (extra / f"{name}{PROGRAM_SUFFIX}").write_bytes(program.module)
        if self.assets:
            (folder / ASSETS).mkdir()
        for name, content in self.assets.items():
            (folder / ASSETS / name).write_bytes(content)
        text = json.dumps(host_graphs_json(self.graphs), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        (folder / HOST_GRAPH_FILE).write_bytes((text + "\n").encode("utf-8", "surrogatepass"))


def make_plan(
    functions: Mapping[str, ServingFunction], provenance: Mapping[str, Any], further: Mapping[str, Array]
) -> Plan:
    """Export every function and gather what the artifact will hold.

    Args:
        functions: The serving functions by the name of their signature.
        provenance: What shall be known about the origin, as JSON values.
        further: Arrays to store with the weights, by name.

    Raises:
        ArgumentError: The parts do not fit together, or the provenance is not JSON.
        ModelError: A function cannot be exported.
    """
    programs, entries = {}, {}
    tensors: dict[str, Array] = {}
    for name, function in functions.items():
        program, stored = _program(name, function, tensors)
        if program is not None:
            programs[name] = program
        entries[name] = _entry(name, function, program, stored)
    for name, value in further.items():
        if not _same(tensors.setdefault(name, value), value):
            raise ArgumentError("a further tensor has the name of another weight", received=name)
    graphs = {name: (function.prefix, function.suffix) for name, function in functions.items()}
    manifest = Manifest(PLATFORMS, _platform(programs), _producers(), dict(provenance), entries, {})
    manifest.to_bytes()
    return Plan(manifest, programs, graphs, _assets(graphs), tensors)


def _program(
    name: str, function: ServingFunction, tensors: dict[str, Array]
) -> tuple[Program | None, tuple[str | None, ...]]:
    """Return a signature's program and where its weights are stored, adding to `tensors` those that it uses."""
    if function.function is None:
        return None, ()
    from mainstay.saved_model.export import export_program

    weights = {path: _device_weight(path, value) for path, value in function.weights.items()}
    try:
        program = export_program(function.function, function.inputs, weights=weights)
    except ModelError as error:
        raise ModelError(
            error.summary,
            where=f"signature {name}" + (f", {error.where}" if error.where else ""),
            expected=error.expected,
            received=error.received,
            fix=error.fix,
        ) from error
    return program, tuple(
        _store(name, tensor.name, weights[tensor.name], tensors) if tensor.weight else None
        for tensor in program.arguments
    )


def _device_weight(path: str, value: Any) -> Array:
    array = np.asarray(value)
    target = np.dtype(device_dtype(str(array.dtype))) if array.dtype.kind != "O" else array.dtype
    if array.dtype.kind in "OUSM":
        raise ModelError("a weight is no array of numbers", where=path, received=f"dtype {array.dtype}")
    narrow = array.astype(target, copy=False)
    if target.kind in "iu" and not np.array_equal(narrow, array):
        raise ModelError("a weight has integers beyond 32 bits", where=path, expected=target, received=array.dtype)
    return narrow


def _store(signature: str, path: str, value: Array, tensors: dict[str, Array]) -> str:
    """Return the name under which a weight is stored: its own, unless another signature has another weight of it."""
    for name in (path, f"{signature}/{path}"):
        if _same(tensors.setdefault(name, value), value):
            return name
    raise ArgumentError("two weights have one name", where=f"signature {signature}", received=path)


def _same(one: Array, other: Array) -> bool:
    """Return whether two arrays are equal bit for bit."""
    return one is other or (one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())


def _entry(
    name: str, function: ServingFunction, program: Program | None, stored: tuple[str | None, ...]
) -> SignatureEntry:
    prefix, suffix = function.prefix, function.suffix
    results = tuple(
        TensorSpec([axis if isinstance(axis, int) else None for axis in tensor.shape], tensor.dtype, tensor.name)
        for tensor in (program.results if program else ())
    )
    if suffix is not None:
        _check_suffix(name, suffix, results)
    last = suffix.output_specs if suffix is not None else results if program or prefix is None else prefix.output_specs
    return SignatureEntry(
        inputs=prefix.inputs if prefix is not None else tuple(HostInput(spec) for spec in function.inputs),
        outputs=last,
        device_inputs=function.inputs,
        program=None
        if program is None
        else ProgramEntry(
            file=f"{EXTRA}/{name}{PROGRAM_SUFFIX}",
            stablehlo_version=STABLEHLO_VERSION,
            calling_convention=program.calling_convention,
            arguments=program.arguments,
            tensors=stored,
            results=program.results,
        ),
        prefix=prefix is not None,
        suffix=suffix is not None,
        tolerance=function.tolerance,
    )


def _check_suffix(name: str, suffix: HostGraph, results: tuple[TensorSpec, ...]) -> None:
    made = {spec.name: spec for spec in results}
    for item in suffix.inputs:
        if item.spec.name not in made or not fits(made[item.spec.name], item.spec):
            raise ArgumentError(
                "the function does not make what the host suffix takes",
                where=f"signature {name}, {item.spec.name}",
                expected=item.spec,
                received=made.get(item.spec.name, ", ".join(made)),
            )


def _assets(graphs: Mapping[str, tuple[HostGraph | None, HostGraph | None]]) -> dict[str, bytes]:
    assets: dict[str, bytes] = {}
    for signature, pair in graphs.items():
        for graph in pair:
            for name, content in (graph.assets if graph is not None else {}).items():
                if not is_plain_name(name):
                    raise ArgumentError("the name of an asset cannot be a file's", received=repr(name))
                if assets.setdefault(name, content) != content:
                    raise ArgumentError(
                        "two host graphs have different assets of one name",
                        where=f"signature {signature}",
                        received=name,
                        fix="give one of them another name",
                    )
    return assets


def _platform(programs: Mapping[str, Program]) -> str:
    if not programs:
        return "cpu"
    from mainstay.saved_model.executables import platform

    return platform()


def _producers() -> dict[str, str]:
    return {"mainstay": __version__} | {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
