"""The manifest: what an artifact holds and what its signatures take and give, as strict JSON.

Every key is required and none is unknown: a reader that does not understand a key cannot know what it would miss.
A change of meaning raises `FORMAT_VERSION`; `docs/formats/saved-model.md` has the rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstay.core import ArgumentError, Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.program import ProgramTensor

FORMAT = "mainstay.saved_model"
FORMAT_VERSION = 1
"""The version of the artifact's format that is written, and the only one so far that is read."""


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
    """

    file: str
    stablehlo_version: str
    calling_convention: int
    arguments: tuple[ProgramTensor, ...]
    tensors: tuple[str | None, ...]
    results: tuple[ProgramTensor, ...]


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """One signature.

    Args:
        inputs: What a request carries.
        outputs: What an answer carries.
        device_inputs: What the program's function takes, in order; empty without a program.
        program: Its program, or None for a host prefix alone.
        prefix: Whether `host_graph.json` holds a prefix for it.
        suffix: Whether `host_graph.json` holds a suffix for it.
        tolerance: How far an answer may be from its sealed one.
    """

    inputs: tuple[HostInput, ...]
    outputs: tuple[TensorSpec, ...]
    device_inputs: tuple[TensorSpec, ...]
    program: ProgramEntry | None
    prefix: bool
    suffix: bool
    tolerance: float

    @property
    def signature(self) -> Signature:
        """What the signature takes and gives, without saying which inputs are optional."""
        return Signature(tuple(item.spec for item in self.inputs), self.outputs)


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
    """

    platforms: tuple[str, ...]
    sealed_on: str
    producers: Mapping[str, str]
    provenance: Mapping[str, Any]
    signatures: Mapping[str, SignatureEntry]
    files: Mapping[str, tuple[int, str]]

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
    program = entry.program
    return {
        "inputs": [{**item.spec.to_json(), "optional": item.optional} for item in entry.inputs],
        "outputs": [spec.to_json() for spec in entry.outputs],
        "device_inputs": [spec.to_json() for spec in entry.device_inputs],
        "prefix": entry.prefix,
        "suffix": entry.suffix,
        "tolerance": entry.tolerance,
        "program": program
        and {
            "file": program.file,
            "stablehlo_version": program.stablehlo_version,
            "calling_convention": program.calling_convention,
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
        },
    }
