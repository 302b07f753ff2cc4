"""Reading a manifest that a stranger wrote: every key is there, none is unknown, and nothing contradicts itself."""

from __future__ import annotations

import json
import re
from typing import Any

from mainstay.core import DTYPES, ArgumentError, FormatError, Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.folder import EXTRA, PROGRAM_SUFFIX, is_plain_name
from mainstay.saved_model.manifest import FORMAT, FORMAT_VERSION, Manifest, ProgramEntry, SignatureEntry
from mainstay.saved_model.program import ProgramTensor

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


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest of its file's content.

    Raises:
        FormatError: It is malformed, of an unknown version, or has unknown or missing keys.
    """
    value = parse_json(data, "manifest.json")
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise FormatError("this is no manifest of a saved model", where="$.format", expected=FORMAT)
    version = value.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise FormatError(
            "unknown format version of a saved model",
            where="$.format_version",
            expected=FORMAT_VERSION,
            received=repr(version),
            fix="load it with a newer Mainstay",
        )
    keys = {"format", "format_version", "platforms", "sealed_on", "producers", "provenance", "signatures", "files"}
    top = _Reader(value, "$", keys)
    files = {path: _file(item, f"$.files.{path}") for path, item in top.get("files", dict).items()}
    signatures = {}
    for name, item in top.get("signatures", dict).items():
        if not is_plain_name(name):
            raise FormatError("the name of a signature is not as specified", received=repr(name))
        signatures[name] = _signature(name, item)
    platforms, producers = top.get("platforms", list), top.get("producers", dict)
    if not platforms or not all(isinstance(item, str) for item in platforms):
        top.refuse("platforms", "a list of names")
    if not all(isinstance(item, str) for item in producers.values()):
        top.refuse("producers", "versions by name")
    if not signatures:
        top.refuse("signatures", "one signature or more")
    return Manifest(
        tuple(platforms), top.get("sealed_on", str), producers, top.get("provenance", dict), signatures, files
    )


def _file(value: Any, where: str) -> tuple[int, str]:
    entry = _Reader(value, where, {"size", "sha256"})
    size, digest = entry.get("size", int), entry.get("sha256", str)
    if size < 0:
        entry.refuse("size", "0 or more")
    if not _SHA256.fullmatch(digest):
        entry.refuse("sha256", "64 hexadecimal digits")
    return size, digest


def _signature(name: str, value: Any) -> SignatureEntry:
    where = f"$.signatures.{name}"
    keys = {"inputs", "outputs", "device_inputs", "program", "prefix", "suffix", "tolerance"}
    entry = _Reader(value, where, keys)
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
        program = _program(name, value["program"], f"{where}.program")
    read = SignatureEntry(
        inputs, outputs, device, program, entry.get("prefix", bool), entry.get("suffix", bool), float(tolerance)
    )
    _check_signature(where, read)
    return read


def _check_signature(where: str, entry: SignatureEntry) -> None:
    device = {spec.name for spec in entry.device_inputs}
    taken = {t.name for t in entry.program.arguments if not t.weight} if entry.program else set()
    problem = None
    if not entry.inputs or not entry.outputs:
        problem = "it has no inputs or no outputs"
    elif entry.program is None and not entry.prefix:
        problem = "it has neither a program nor a prefix"
    elif entry.program is None and (entry.suffix or device):
        problem = "it has a suffix or device inputs, and no program"
    elif not taken <= device:
        problem = "its program takes an input that is not among the device inputs"
    elif entry.program and any(not t.shape for t in entry.program.arguments if not t.weight):
        problem = "an input of its program has no batch axis"
    elif entry.program and not entry.prefix and {item.spec.name for item in entry.inputs} != device:
        problem = "without a prefix, the inputs are not the device inputs"
    try:
        Signature(entry.device_inputs, ())
        if problem is None and entry.signature:
            return
    except ArgumentError as error:
        problem = error.summary
    raise FormatError("a signature contradicts itself", where=where, received=problem)


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


def _program(signature: str, value: Any, where: str) -> ProgramEntry:
    keys = {"file", "stablehlo_version", "calling_convention", "arguments", "results"}
    entry = _Reader(value, where, keys)
    if entry.get("file", str) != f"{EXTRA}/{signature}{PROGRAM_SUFFIX}":
        entry.refuse("file", f"{EXTRA}/{signature}{PROGRAM_SUFFIX}")
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
    )


def _tensor(entry: _Reader, weight: bool) -> ProgramTensor:
    shape = entry.get("shape", list)
    if any(type(axis) not in (int, str) or (type(axis) is int and axis < 0) for axis in shape):
        entry.refuse("shape", "a list of lengths and symbols")
    if entry.get("dtype", str) not in _DEVICE_DTYPES:
        entry.refuse("dtype", "a dtype of numbers or booleans")
    return ProgramTensor(entry.get("name", str), entry.get("dtype", str), tuple(shape), weight)
