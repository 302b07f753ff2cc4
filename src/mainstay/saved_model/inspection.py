"""Inspection: what a saved model is, and what can load which of its signatures, without running anything of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mainstay.core import ArtifactError, TensorSpec
from mainstay.saved_model.folder import MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE, find_files, read_sealed_manifest
from mainstay.saved_model.foreign import UnsupportedOp, unsupported_ops
from mainstay.saved_model.manifest import Manifest, SignatureEntry
from mainstay.saved_model.manifest_reading import read_manifest, read_version

GRAPH_FILE = "saved_model.pb"

_FORMS = {
    "ops": "plain operations: every TensorFlow and TF Serving",
    "xla": "an XlaCallModule: TensorFlow; TF Serving with --xla_cpu_compilation_enabled",
}


@dataclass(frozen=True)
class InspectedSignature:
    """One signature, or one form of a function.

    Args:
        name: Its name; the dotted path of a function.
        kind: ``"signature"`` or ``"function"``.
        method: What TensorFlow Serving uses it for.
        inputs: What it takes.
        outputs: What it gives.
        rows: Whether the first axis of everything is the batch; None where that is not known.
        mainstay: How Mainstay runs it.
        tensorflow: How TensorFlow gets it.
    """

    name: str
    kind: str
    method: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    rows: bool | None
    mainstay: str
    tensorflow: str


@dataclass(frozen=True)
class Inspection:
    """What `inspect` returns.

    Args:
        path: The folder.
        kind: ``"mainstay"`` for an artifact of Mainstay, ``"tensorflow"`` for a SavedModel of TensorFlow alone.
        format_version: The version of the artifact's format, or None.
        files: How many files it has.
        bytes: How large they are together.
        platforms: What its programs run on.
        producers: The versions of what wrote it, by name.
        provenance: What its writer wanted to be known about its origin.
        signed: Whether there is a signature of the manifest; it is not verified here.
        signatures: Its signatures, and then its functions.
        variables: How many variables it has.
        assets: The names of its asset files.
        unsupported: For a SavedModel of TensorFlow, the ops that are not read here.
    """

    path: str
    kind: str
    format_version: int | None
    files: int
    bytes: int
    platforms: tuple[str, ...]
    producers: Mapping[str, str]
    provenance: Mapping[str, Any]
    signed: bool
    signatures: tuple[InspectedSignature, ...]
    variables: int
    assets: tuple[str, ...]
    unsupported: tuple[UnsupportedOp, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        value = asdict(self)
        for item, signature in zip(value["signatures"], self.signatures, strict=True):
            item["inputs"] = [spec.to_json() for spec in signature.inputs]
            item["outputs"] = [spec.to_json() for spec in signature.outputs]
        return value


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Say what a saved model is, of Mainstay or of TensorFlow.

    Only the manifest is read, or `saved_model.pb`; the digests of other files are a matter of `verify`.

    Args:
        path: The folder.

    Returns:
        What it is.

    Raises:
        ArtifactError: There is no saved model, or it is malformed.
        StorageError: A file cannot be read.
    """
    folder = Path(path)
    if (folder / MANIFEST_FILE).is_file():
        return _artifact(folder)
    if (folder / GRAPH_FILE).is_file():
        return _foreign(folder)
    raise ArtifactError(
        "there is no saved model here",
        where=folder,
        expected=f"a folder with {MANIFEST_FILE} or {GRAPH_FILE}",
        received="other files" if folder.is_dir() else "no such folder",
    )


def _artifact(folder: Path) -> Inspection:
    data = read_sealed_manifest(folder)
    manifest = read_manifest(data)
    found = find_files(folder)
    signatures = [_signature(name, "signature", entry, manifest) for name, entry in manifest.signatures.items()]
    functions = [
        _signature(path, "function", form.entry, manifest)
        for path, forms in manifest.functions.items()
        for form in forms
    ]
    return Inspection(
        path=os.fspath(folder),
        kind="mainstay",
        format_version=read_version(data),
        files=len(manifest.files) + len({MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE} & set(found)),
        bytes=sum(found.values()),
        platforms=manifest.platforms,
        producers=manifest.producers,
        provenance=manifest.provenance,
        signed=SIGNATURE_FILE in found,
        signatures=(*signatures, *functions),
        variables=len(manifest.variables),
        assets=manifest.assets,
        unsupported=(),
    )


def _signature(name: str, kind: str, entry: SignatureEntry, manifest: Manifest) -> InspectedSignature:
    steps = [
        *(["host graph"] if entry.prefix else []),
        *(["program"] if entry.program else []),
        *("program" if stage.program else "TensorFlow graph" for stage in entry.stages),
        *(["host graph"] if entry.suffix else []),
    ]
    return InspectedSignature(
        name,
        kind,
        entry.method,
        tuple(item.spec for item in entry.inputs),
        entry.outputs,
        entry.rows,
        " → ".join(steps),
        _tensorflow(name, kind, manifest),
    )


def _tensorflow(name: str, kind: str, manifest: Manifest) -> str:
    if manifest.tensorflow is None:
        return "nothing: the artifact has no saved_model.pb"
    if kind == "function":
        return "as an attribute, where its program can be written"
    found = manifest.tensorflow.signatures.get(name)
    if found is None or found.form is None:
        return "nothing" + (f": {found.reason}" if found is not None and found.reason else "")
    return _FORMS[found.form] + (f" ({found.reason})" if found.reason else "")


def _foreign(folder: Path) -> Inspection:
    from mainstay.saved_model.graph_reading.meta_graphs import read_meta_graph
    from mainstay.saved_model.graph_reading.signatures import read_ports

    meta = read_meta_graph(folder)
    missing = tuple(unsupported_ops(folder))
    runs = f"not yet: {len(missing)} ops are not read" if missing else "host graph and XLA, for the shapes of a request"
    signatures = []
    for name in meta.signatures:
        inputs, outputs = read_ports(meta, name)
        method = meta.message.signature_def[name].method_name.rpartition("/")[2] or "predict"
        signatures.append(
            InspectedSignature(
                name,
                "signature",
                method,
                tuple(port.spec for port in inputs),
                tuple(port.spec for port in outputs),
                None,
                runs,
                "what TensorFlow wrote",
            )
        )
    found = find_files(folder)
    return Inspection(
        path=os.fspath(folder),
        kind="tensorflow",
        format_version=None,
        files=len(found),
        bytes=sum(found.values()),
        platforms=(),
        producers={"tensorflow": meta.producer},
        provenance={},
        signed=False,
        signatures=tuple(signatures),
        variables=sum(node.op.op in ("VarHandleOp", "VariableV2", "Variable") for node in meta.nodes.values()),
        assets=tuple(sorted(meta.assets())),
        unsupported=missing,
    )
