"""Reading a manifest that a stranger wrote: every key is there, none is unknown, and nothing contradicts itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mainstay.core import DTYPES, ArgumentError, FormatError, TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.folder import ASSETS, EXTRA, GRAPH_SUFFIX, PROGRAM_SUFFIX, is_plain_name, is_signature_name
from mainstay.saved_model.manifest import (
    FORMAT,
    FORMAT_VERSION,
    METHODS,
    FunctionEntry,
    Manifest,
    ProgramEntry,
    SignatureEntry,
    Stage,
    VariableEntry,
)
from mainstay.saved_model.manifest_checks import check_function, check_signature
from mainstay.saved_model.program import ProgramTensor
from mainstay.saved_model.save_report import FORMS, SaveReport, SignatureReport
from mainstay.saved_model.structures import Parameter, check

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DEVICE_DTYPES = {*DTYPES, "float8_e5m2", "float8_e4m3fn", "complex64"} - {"string"}


def parse_json(data: bytes, where: str) -> Any:
    """Return the value of a JSON file that may be hostile.

    Raises:
        FormatError: It is not UTF-8 JSON, nests too deep, has a key twice, or holds NaN or infinity.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise ValueError("an object has a key twice")
        return value

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError("malformed JSON", where=where, received=error) from error


class _Reader:
    """Reads one JSON object and insists on its keys."""

    def __init__(self, value: Any, where: str, keys: set[str]) -> None:
        self.where = where
        if not isinstance(value, dict) or set(value) != keys:
            received = ", ".join(sorted(value)) if isinstance(value, dict) else type(value).__name__
            raise FormatError(
                "a part of the manifest is not as specified",
                where=where,
                expected=f"an object with the keys {', '.join(sorted(keys))}",
                received=received,
            )
        self._value = value

    def get(self, key: str, kind: type | tuple[type, ...]) -> Any:
        """Return the value of a key, of that type; true and false are no numbers."""
        value = self._value[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.refuse(key, " or ".join(item.__name__ for item in kinds))
        return value

    def refuse(self, key: str, expected: str) -> None:
        """Raise the error for a key whose value is not as expected."""
        raise FormatError(
            "a value of the manifest is not as specified",
            where=f"{self.where}.{key}",
            expected=expected,
            received=repr(self._value[key]),
        )


_FIRST_KEYS = {"format", "format_version", "platforms", "sealed_on", "producers", "provenance", "signatures", "files"}
_TOP_KEYS = {1: _FIRST_KEYS, 2: _FIRST_KEYS | {"functions", "variables", "assets", "tensorflow"}}
_FIRST_ENTRY = {"inputs", "outputs", "device_inputs", "program", "prefix", "suffix", "tolerance"}
_ENTRY_KEYS = {1: _FIRST_ENTRY, 2: _FIRST_ENTRY | {"rows", "method", "stages", "buckets"}}
_FIRST_PROGRAM = {"file", "stablehlo_version", "calling_convention", "arguments", "results"}
_PROGRAM_KEYS = {1: _FIRST_PROGRAM, 2: _FIRST_PROGRAM | {"x64"}}


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest of its file's content.

    Raises:
        FormatError: It is malformed, of an unknown version, or has unknown or missing keys.
    """
    value = parse_json(data, "manifest.json")
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise FormatError("this is no manifest of a saved model", where="$.format", expected=FORMAT)
    version = value.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise FormatError(
            "unknown format version of a saved model",
            where="$.format_version",
            expected=f"1 to {FORMAT_VERSION}, which this Mainstay reads",
            received=repr(version),
            fix="load it with a newer Mainstay",
        )
    top = _Reader(value, "$", _TOP_KEYS[version])
    files = {path: _file(item, f"$.files.{path}") for path, item in top.get("files", dict).items()}
    signatures = {}
    for name, item in top.get("signatures", dict).items():
        if not is_signature_name(name) or (version == 1 and not is_plain_name(name)):
            raise FormatError("the name of a signature is not as specified", received=repr(name))
        signatures[name] = _signature(item, f"$.signatures.{name}", version)
        _check_first_files(name, signatures[name], version)
    platforms, producers = top.get("platforms", list), top.get("producers", dict)
    if not platforms or not all(isinstance(item, str) for item in platforms) or len(set(platforms)) != len(platforms):
        top.refuse("platforms", "a list of different names")
    if not all(isinstance(item, str) for item in producers.values()):
        top.refuse("producers", "versions by name")
    further = _further(top, files) if version > 1 else {"assets": tuple(_in_assets(files))}
    if not (signatures or further.get("functions") or further.get("variables")):
        top.refuse("signatures", "one signature or more, or functions or variables")
    sealed_on, provenance = top.get("sealed_on", str), top.get("provenance", dict)
    return Manifest(tuple(platforms), sealed_on, producers, provenance, signatures, files, **further)


def read_version(data: bytes) -> int:
    """Return the format version of a manifest that `read_manifest` takes."""
    version: int = parse_json(data, "manifest.json")["format_version"]
    return version


def _in_assets(files: Mapping[str, Any]) -> list[str]:
    return sorted(path.removeprefix(f"{ASSETS}/") for path in files if path.startswith(f"{ASSETS}/"))


def _further(top: _Reader, files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a manifest that format version 2 added."""
    functions = {path: _function(item, path) for path, item in top.get("functions", dict).items()}
    variables = []
    for index, item in enumerate(top.get("variables", list)):
        entry = _Reader(item, f"$.variables[{index}]", {"name", "trainable"})
        variables.append(VariableEntry(entry.get("name", str), entry.get("trainable", bool)))
    if len({item.name for item in variables}) != len(variables):
        top.refuse("variables", "variables of different names")
    if top.get("assets", list) != _in_assets(files):
        top.refuse("assets", "the names of the files in assets/, sorted")
    report = top.get("tensorflow", (dict, type(None)))
    return {
        "functions": functions,
        "variables": tuple(variables),
        "assets": tuple(_in_assets(files)),
        "tensorflow": None if report is None else SaveReport({n: _report(n, item) for n, item in report.items()}),
    }


def _report(name: str, value: Any) -> SignatureReport:
    entry = _Reader(value, f"$.tensorflow.{name}", {"form", "reason"})
    form = entry.get("form", (str, type(None)))
    if form not in (*FORMS, None):
        entry.refuse("form", f"null or one of {', '.join(FORMS)}")
    return SignatureReport(form, entry.get("reason", str))


def _function(value: Any, path: str) -> tuple[FunctionEntry, ...]:
    where = f"$.functions.{path}"
    if not isinstance(value, list) or not value or not all(part.isidentifier() for part in path.split(".")):
        raise FormatError("a function of the manifest is not as specified", where=where, expected="a list of its forms")
    forms = []
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        entry = _Reader(item, place, {"entry", "arguments", "results"})
        parameters = []
        for number, given in enumerate(entry.get("arguments", list)):
            reader = _Reader(given, f"{place}.arguments[{number}]", {"name", "value", "keyword_only"})
            taken = check(reader.get("value", dict), f"{place}.arguments[{number}].value")
            parameters.append(Parameter(reader.get("name", str), taken, reader.get("keyword_only", bool)))
        results = check(entry.get("results", dict), f"{place}.results")
        does = _signature(entry.get("entry", dict), f"{place}.entry", FORMAT_VERSION)
        forms.append(FunctionEntry(does, tuple(parameters), results))
        check_function(place, forms[-1])
    return tuple(forms)


def _file(value: Any, where: str) -> tuple[int, str]:
    entry = _Reader(value, where, {"size", "sha256"})
    size, digest = entry.get("size", int), entry.get("sha256", str)
    if size < 0:
        entry.refuse("size", "0 or more")
    if not _SHA256.fullmatch(digest):
        entry.refuse("sha256", "64 hexadecimal digits")
    return size, digest


def _signature(value: Any, where: str, version: int) -> SignatureEntry:
    entry = _Reader(value, where, _ENTRY_KEYS[version])
    inputs = tuple(
        HostInput(_spec(item, f"{where}.inputs[{i}]", {"optional"}), item["optional"] is True)
        for i, item in enumerate(entry.get("inputs", list))
    )
    outputs, device = (
        tuple(_spec(item, f"{where}.{key}[{i}]") for i, item in enumerate(entry.get(key, list)))
        for key in ("outputs", "device_inputs")
    )
    tolerance = entry.get("tolerance", (int, float))
    if not 0.0 <= tolerance < 1.0:
        entry.refuse("tolerance", "0 to 1")
    program = None
    if entry.get("program", (dict, type(None))) is not None:
        program = _program(value["program"], f"{where}.program", version)
    read = SignatureEntry(
        inputs,
        outputs,
        device,
        program,
        entry.get("prefix", bool),
        entry.get("suffix", bool),
        float(tolerance),
        **(_further_entry(entry, where) if version > 1 else {}),
    )
    check_signature(where, read)
    return read


def _further_entry(entry: _Reader, where: str) -> dict[str, Any]:
    """Return the parts of a signature that format version 2 added."""
    if entry.get("method", str) not in METHODS:
        entry.refuse("method", f"one of {', '.join(METHODS)}")
    stages = tuple(_stage(item, f"{where}.stages[{i}]") for i, item in enumerate(entry.get("stages", list)))
    buckets = entry.get("buckets", list)
    if any(type(size) is not int or size < 1 for size in buckets) or buckets != sorted(set(buckets)):
        entry.refuse("buckets", "batch sizes in ascending order")
    return {
        "rows": entry.get("rows", bool),
        "method": entry.get("method", str),
        "stages": stages,
        "buckets": tuple(buckets),
    }


def _stage(value: Any, where: str) -> Stage:
    entry = _Reader(value, where, {"inputs", "outputs", "program", "file"})
    for key in ("inputs", "outputs"):
        if not all(isinstance(item, str) and item for item in entry.get(key, list)):
            entry.refuse(key, "a list of names")
    program = entry.get("program", (dict, type(None)))
    file = entry.get("file", (str, type(None)))
    if (program is None) == (file is None):
        entry.refuse("file", "a path for a graph, and null for a program")
    if file is not None and not _is_extra(file, GRAPH_SUFFIX):
        entry.refuse("file", f"{EXTRA}/<name>{GRAPH_SUFFIX}")
    read = None if program is None else _program(program, f"{where}.program", FORMAT_VERSION)
    return Stage(tuple(value["inputs"]), tuple(value["outputs"]), read, file)


def _is_extra(path: str, suffix: str) -> bool:
    name = path.removeprefix(f"{EXTRA}/")
    return path != name and name.endswith(suffix) and is_plain_name(name)


def _check_first_files(name: str, entry: SignatureEntry, version: int) -> None:
    """Refuse a program whose file has not the name of its signature, as format version 1 has it."""
    if version == 1 and entry.program and entry.program.file != f"{EXTRA}/{name}{PROGRAM_SUFFIX}":
        raise FormatError(
            "a value of the manifest is not as specified",
            where=f"$.signatures.{name}.program.file",
            expected=f"{EXTRA}/{name}{PROGRAM_SUFFIX}",
            received=repr(entry.program.file),
        )


def _spec(value: Any, where: str, more: set[str] | None = None) -> TensorSpec:
    entry = _Reader(value, where, {"name", "dtype", "shape"} | (more or set()))
    shape = entry.get("shape", list)
    for key in more or ():
        entry.get(key, bool)
    if any(axis is not None and (type(axis) is not int or axis < 0) for axis in shape):
        entry.refuse("shape", "a list of lengths and null")
    try:
        return TensorSpec(shape, entry.get("dtype", str), entry.get("name", str))
    except ArgumentError as error:
        raise FormatError(error.summary, where=where, expected=error.expected, received=error.received) from error


def _program(value: Any, where: str, version: int) -> ProgramEntry:
    entry = _Reader(value, where, _PROGRAM_KEYS[version])
    if not _is_extra(entry.get("file", str), PROGRAM_SUFFIX):
        entry.refuse("file", f"{EXTRA}/<name>{PROGRAM_SUFFIX}")
    arguments, tensors = [], []
    for i, item in enumerate(entry.get("arguments", list)):
        reader = _Reader(item, f"{where}.arguments[{i}]", {"kind", "name", "tensor", "dtype", "shape"})
        if reader.get("kind", str) not in ("weight", "input"):
            reader.refuse("kind", "weight or input")
        arguments.append(_tensor(reader, item["kind"] == "weight"))
        tensors.append(reader.get("tensor", str) if item["kind"] == "weight" else reader.get("tensor", type(None)))
    results = [
        _tensor(_Reader(item, f"{where}.results[{i}]", {"name", "dtype", "shape"}), False)
        for i, item in enumerate(entry.get("results", list))
    ]
    return ProgramEntry(
        entry.get("file", str),
        entry.get("stablehlo_version", str),
        entry.get("calling_convention", int),
        tuple(arguments),
        tuple(tensors),
        tuple(results),
        entry.get("x64", bool) if version > 1 else False,
    )


def _tensor(entry: _Reader, weight: bool) -> ProgramTensor:
    shape = entry.get("shape", list)
    if any(type(axis) not in (int, str) or (type(axis) is int and axis < 0) for axis in shape):
        entry.refuse("shape", "a list of lengths and symbols")
    if entry.get("dtype", str) not in _DEVICE_DTYPES:
        entry.refuse("dtype", "a dtype of numbers or booleans")
    return ProgramTensor(entry.get("name", str), entry.get("dtype", str), tuple(shape), weight)
