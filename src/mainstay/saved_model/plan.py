"""The plan of an artifact: programs exported, weights and assets gathered, all checked before a byte is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mainstay import __version__
from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.hostops import HostGraph, HostInput
from mainstay.saved_model.bundle import write_bundle
from mainstay.saved_model.folder import ASSETS, EXTRA, HOST_GRAPH_FILE, PROGRAM_SUFFIX, file_stems, is_plain_name
from mainstay.saved_model.host_graphs import host_graphs_json
from mainstay.saved_model.manifest import FunctionEntry, Manifest, ProgramEntry, SignatureEntry, VariableEntry
from mainstay.saved_model.program import PLATFORMS, STABLEHLO_VERSION, Program
from mainstay.saved_model.serving_function import ServingFunction, device_dtype, fits
from mainstay.saved_model.subject import Subject
from mainstay.saved_model.tensor_names import checkpoint_key

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """What an artifact will hold, but for the golden requests and `saved_model.pb`.

    Args:
        manifest: Its manifest, with no files listed yet.
        programs: The programs by the stem of their file.
        graphs: The prefix and suffix of each signature.
        assets: The files in ``assets/`` by name.
        tensors: The weights, and what else is stored with them, by name.
        extra: Further files in ``assets.extra/mainstay/`` by name.
    """

    manifest: Manifest
    programs: Mapping[str, Program]
    graphs: Mapping[str, tuple[HostGraph | None, HostGraph | None]]
    assets: Mapping[str, bytes]
    tensors: Mapping[str, Array]
    extra: Mapping[str, bytes]

    def program_of(self, entry: SignatureEntry) -> Program | None:
        """Return the program of a signature or of a form of a function, None where it has none of its own."""
        return None if entry.program is None else self.programs[stem_of(entry.program.file)]

    def write(self, folder: Path) -> None:
        """Write everything but `saved_model.pb`, golden requests and manifest."""
        extra = folder / EXTRA
        extra.mkdir(parents=True)
        if self.programs or self.tensors:
            write_bundle(folder, {checkpoint_key(name): value for name, value in self.tensors.items()})
        for name, program in self.programs.items():
            (extra / f"{name}{PROGRAM_SUFFIX}").write_bytes(program.module)
        for name, content in self.extra.items():
            (extra / name).write_bytes(content)
        if self.assets:
            (folder / ASSETS).mkdir()
        for name, content in self.assets.items():
            (folder / ASSETS / name).write_bytes(content)
        text = json.dumps(host_graphs_json(self.graphs), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        (folder / HOST_GRAPH_FILE).write_bytes((text + "\n").encode("utf-8", "surrogatepass"))


def stem_of(file: str) -> str:
    """Return the name that a program's path has between the folder and the suffix."""
    return file.removeprefix(f"{EXTRA}/").removesuffix(PROGRAM_SUFFIX)


def make_plan(
    subject: Subject,
    *,
    provenance: Mapping[str, Any],
    tensors: Mapping[str, Array],
    extra: Mapping[str, bytes],
    platforms: Sequence[str] = PLATFORMS,
) -> Plan:
    """Export every function and gather what the artifact will hold.

    Args:
        subject: What is saved.
        provenance: What shall be known about the origin, as JSON values.
        tensors: Arrays to store with the weights, by name.
        extra: Further files in ``assets.extra/mainstay/`` by name.
        platforms: What the programs shall run on.

    Raises:
        ArgumentError: The parts do not fit together, or the provenance is not JSON.
        ModelError: A function cannot be exported.
    """
    gathering = _Gathering(tuple(platforms))
    stems = file_stems(subject.signatures)
    signatures = {
        name: gathering.entry(function, stem=stems[name], where=f"signature {name}")
        for name, function in subject.signatures.items()
    }
    functions = {
        path: tuple(
            FunctionEntry(
                gathering.entry(form.function, stem=f"function.{path}.{number}", where=f"function {path}"),
                form.arguments,
                form.results,
            )
            for number, form in enumerate(forms)
        )
        for path, forms in subject.functions.items()
    }
    frozen = {name for function in subject.signatures.values() for name in function.frozen}
    variables = subject.variables or tuple(VariableEntry(name, name not in frozen) for name in gathering.tensors)
    for name, value in (*subject.tensors.items(), *tensors.items()):
        if not _same(gathering.tensors.setdefault(name, value), value):
            raise ArgumentError("a further tensor has the name of another weight", received=name)
    graphs = {name: (function.prefix, function.suffix) for name, function in subject.signatures.items()}
    assets = check_assets(graphs, subject.assets)
    manifest = Manifest(
        tuple(platforms),
        sealing_platform(gathering.programs, platforms),
        producers(),
        dict(provenance),
        signatures,
        {},
        functions,
        variables,
        tuple(sorted(assets)),
    )
    manifest.to_bytes()
    return Plan(manifest, gathering.programs, graphs, assets, gathering.tensors, extra)


class _Gathering:
    """Collects programs and weights while functions are exported, each function once."""

    def __init__(self, platforms: tuple[str, ...]) -> None:
        self.platforms = platforms
        self.programs: dict[str, Program] = {}
        self.tensors: dict[str, Array] = {}
        self._entries: dict[int, tuple[ServingFunction, SignatureEntry]] = {}

    def entry(self, function: ServingFunction, *, stem: str, where: str) -> SignatureEntry:
        """Return the entry of a function, whose program has the file `stem` unless it is there already."""
        if id(function) not in self._entries:
            self._entries[id(function)] = (function, self._exported(function, stem, where))
        return self._entries[id(function)][1]

    def _exported(self, function: ServingFunction, stem: str, where: str) -> SignatureEntry:
        if function.function is None:
            return _entry(where, function, None, None)
        from mainstay.saved_model.cost import DEAR, SMALL_BUCKETS, multiplications
        from mainstay.saved_model.export import export_program

        weights = {path: _device_weight(path, value) for path, value in function.weights.items()}
        try:
            exported = export_program(
                function.function, function.inputs, weights=weights, platforms=self.platforms, rows=function.rows
            )
        except ModelError as error:
            raise ModelError(
                error.summary,
                where=where + (f", {error.where}" if error.where else ""),
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from error
        values = {**weights, **exported.captured}
        program = exported.program
        self.programs[stem] = program
        stored = ProgramEntry(
            file=f"{EXTRA}/{stem}{PROGRAM_SUFFIX}",
            stablehlo_version=STABLEHLO_VERSION,
            calling_convention=program.calling_convention,
            arguments=program.arguments,
            tensors=tuple(
                self._store(stem, tensor.name, values[tensor.name]) if tensor.weight else None
                for tensor in program.arguments
            ),
            results=program.results,
        )
        dear = exported.rows and multiplications(program.jaxpr) >= DEAR
        return _entry(where, function, stored, exported.rows, SMALL_BUCKETS if dear else ())

    def _store(self, stem: str, path: str, value: Array) -> str:
        """Return the name under which a weight is stored: its own, unless another one of that name is there."""
        for name in (path, f"{stem}/{path}"):
            if _same(self.tensors.setdefault(name, value), value):
                return name
        raise ArgumentError("two weights have one name", where=f"signature {stem}", received=path)


def _device_weight(path: str, value: Any) -> Array:
    array = np.asarray(value)
    target = np.dtype(device_dtype(str(array.dtype))) if array.dtype.kind != "O" else array.dtype
    if array.dtype.kind in "OUSM":
        raise ModelError("a weight is no array of numbers", where=path, received=f"dtype {array.dtype}")
    narrow = array.astype(target, copy=False)
    if target.kind in "iu" and not np.array_equal(narrow, array):
        raise ModelError("a weight has integers beyond 32 bits", where=path, expected=target, received=array.dtype)
    return narrow


def _same(one: Array, other: Array) -> bool:
    """Return whether two arrays are equal bit for bit."""
    if one is other:
        return True
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.__array_interface__["data"] == other.__array_interface__["data"] and one.strides == other.strides:
        return True
    left, right = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other))
    return np.array_equal(left, right)


def _entry(
    where: str,
    function: ServingFunction,
    program: ProgramEntry | None,
    rows: bool | None,
    buckets: tuple[int, ...] = (),
) -> SignatureEntry:
    prefix, suffix = function.prefix, function.suffix
    results = tuple(
        TensorSpec([axis if isinstance(axis, int) else None for axis in tensor.shape], tensor.dtype, tensor.name)
        for tensor in (program.results if program else ())
    )
    if suffix is not None:
        _check_suffix(where, suffix, results)
    if rows is False and (prefix is not None or suffix is not None):
        raise ArgumentError(
            "host graphs work on rows, and the rows of this function may depend on each other",
            where=where,
            fix="pass rows=True for a function that works row by row",
        )
    last = suffix.output_specs if suffix is not None else results if program or prefix is None else prefix.output_specs
    return SignatureEntry(
        inputs=prefix.inputs if prefix is not None else tuple(HostInput(spec) for spec in function.inputs),
        outputs=last,
        device_inputs=function.inputs,
        program=program,
        prefix=prefix is not None,
        suffix=suffix is not None,
        tolerance=function.tolerance,
        rows=rows is not False,
        buckets=buckets,
        method=function.method,
    )


def _check_suffix(where: str, suffix: HostGraph, results: tuple[TensorSpec, ...]) -> None:
    made = {spec.name: spec for spec in results}
    for item in suffix.inputs:
        if item.spec.name not in made or not fits(made[item.spec.name], item.spec):
            raise ArgumentError(
                "the function does not make what the host suffix takes",
                where=f"{where}, {item.spec.name}",
                expected=item.spec,
                received=made.get(item.spec.name, ", ".join(made)),
            )


def check_assets(
    graphs: Mapping[str, tuple[HostGraph | None, HostGraph | None]], further: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the files that host graphs read, and further ones, by name.

    Raises:
        ArgumentError: A name cannot be a file's, or there are different files of one name.
    """
    assets: dict[str, bytes] = {}
    given = [
        (f"signature {name}", graph.assets) for name, pair in graphs.items() for graph in pair if graph is not None
    ]
    for where, contents in (*given, ("the assets of the object", further)):
        for name, content in contents.items():
            if not is_plain_name(name):
                raise ArgumentError("the name of an asset cannot be a file's", received=repr(name))
            if assets.setdefault(name, content) != content:
                raise ArgumentError(
                    "there are different assets of one name",
                    where=where,
                    received=name,
                    fix="give one of them another name",
                )
    return assets


def sealing_platform(programs: Mapping[str, Program], platforms: Sequence[str]) -> str:
    """Return the platform that golden answers are made on here.

    Raises:
        ArgumentError: The programs are not meant for it.
    """
    if not programs:
        return "cpu"
    from mainstay.saved_model.executables import platform

    here = platform()
    if here not in platforms:
        raise ArgumentError(
            "a saved model is proven on the machine that writes it, for whose platform it is not meant",
            where="platforms",
            expected=f"{here!r} among them",
            received=", ".join(platforms) or "nothing",
        )
    return here


def producers() -> dict[str, str]:
    """Return the versions of what writes artifacts here, by name."""
    return {"mainstay": __version__} | {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
