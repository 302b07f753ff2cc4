"""Loading: an artifact becomes a model that answers, after every digest and every golden answer has been checked.

Nothing of the artifact is executed but its StableHLO, compiled by XLA, and host operations of the closed registry.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mainstay.core import ArgumentError, FormatError, MainstayError, digest_bytes
from mainstay.hostops import HostGraph
from mainstay.saved_model.bundle import DATA_FILE, INDEX_FILE, TensorEntry, read_index, read_tensor
from mainstay.saved_model.contents import Sidecars
from mainstay.saved_model.folder import (
    ASSETS,
    GOLDEN_FILE,
    HOST_GRAPH_FILE,
    MANIFEST_FILE,
    all_digests,
    read_sealed_manifest,
    verify_files,
)
from mainstay.saved_model.golden import Golden, read_golden
from mainstay.saved_model.host_graphs import check_graphs, read_host_graphs
from mainstay.saved_model.loaded_model import BUCKETS, LoadedModel, LoadedSignature
from mainstay.saved_model.manifest import Manifest, ProgramEntry, SignatureEntry
from mainstay.saved_model.manifest_reading import read_manifest
from mainstay.saved_model.program import Program
from mainstay.saved_model.signing.signatures import read_signature
from mainstay.saved_model.signing.trust import Trust


def load(
    path: str | os.PathLike[str],
    *,
    replay: bool = True,
    buckets: Iterable[int] | None = None,
    trust: Trust | None = None,
) -> LoadedModel:
    """Load a saved model.

    The weights are mapped, not copied: do not write into the artifact's files while a process has it loaded.

    Args:
        path: The artifact's folder.
        replay: Whether the golden requests are replayed before the model is handed out.
        buckets: The batch sizes to compile for, each at the first batch that needs it; the default is the powers
            of two from 8 to 1024. With smaller ones small batches are faster in large models, and a row's answer
            may differ in its last bits from batch to batch.
        trust: Whose signature the artifact must have, which is checked before anything else is read; None asks for
            none.

    Returns:
        The model, its `signatures` ready to be called.

    Raises:
        ArtifactError: There is no saved model.
        IntegrityError: A file is missing, was added, truncated or edited.
        FormatError: A file is of an unknown version or malformed.
        ParityError: A golden answer is not reproduced.
        SignatureError: No key of `trust` vouches for it.
        StorageError: A file cannot be read.
    """
    folder = Path(path)
    model, golden = open_artifact(folder, buckets=_checked_buckets(buckets), trust=trust)
    for name, signature in model.signatures.items():
        signature.remember(golden[name])
        if replay:
            golden[name].replay(signature, tolerance=model.tolerance(name))
    return model


def _checked_buckets(buckets: Iterable[int] | None) -> tuple[int, ...]:
    sizes = BUCKETS if buckets is None else tuple(sorted(set(buckets)))
    if not sizes or sizes[0] < 1:
        raise ArgumentError("buckets are batch sizes", expected="one integer or more, each at least 1", received=sizes)
    return sizes


def open_artifact(
    folder: Path, *, buckets: tuple[int, ...] = BUCKETS, trust: Trust | None = None
) -> tuple[LoadedModel, dict[str, Golden]]:
    """Return the model of an artifact and its golden requests, the digests verified and nothing replayed yet."""
    sealed = read_sealed_manifest(folder)
    vouched = None if trust is None else read_signature(folder, trust)
    if vouched is not None:
        vouched.compare_file(MANIFEST_FILE, digest_bytes(sealed))
    manifest = read_manifest(sealed)
    if vouched is not None:
        vouched.compare(all_digests(sealed, manifest.files))
    files = verify_files(folder, manifest.files)
    try:
        return read_model(folder, manifest, files=files, buckets=buckets), _read_golden(manifest, files)
    except MainstayError as error:
        if error.where is None or not error.where.startswith(str(folder)):
            raise type(error)(
                error.summary,
                where=f"{folder}: {error.where}" if error.where else folder,
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from error
        raise


def read_model(
    folder: Path, manifest: Manifest, *, files: Mapping[str, memoryview], buckets: tuple[int, ...] = BUCKETS
) -> LoadedModel:
    """Return the model of files that have been verified.

    Args:
        folder: The artifact.
        manifest: Its manifest.
        files: The content of its files by path.
        buckets: The batch sizes to compile for.
    """
    assets = {path.removeprefix(f"{ASSETS}/"): path for path in files if path.startswith(f"{ASSETS}/")}
    contents = {name: bytes(files[path]) for name, path in assets.items()}
    graphs = read_host_graphs(bytes(_file(files, HOST_GRAPH_FILE)), manifest.signatures, contents)
    programs = _programs(manifest, files)
    weights = _weights(manifest, files)
    signatures = {
        name: _signature(name, entry, program=programs.get(name), graphs=graphs[name], weights=weights, buckets=buckets)
        for name, entry in manifest.signatures.items()
    }
    return LoadedModel(
        folder,
        manifest,
        signatures=MappingProxyType(signatures),
        assets=MappingProxyType({name: folder / path for name, path in assets.items()}),
        sidecars=Sidecars(manifest, files),
    )


def _signature(
    name: str,
    entry: SignatureEntry,
    *,
    program: Program | None,
    graphs: tuple[HostGraph | None, HostGraph | None],
    weights: Mapping[str, Any],
    buckets: tuple[int, ...],
) -> LoadedSignature:
    prefix, suffix = graphs
    executables = None
    if program is not None and entry.program is not None:
        from mainstay.saved_model.executables import Executables

        executables = Executables(program, [weights[name] for name in entry.program.tensors if name is not None])
    check_graphs(name, entry, prefix, suffix)
    return LoadedSignature(name, entry, executables=executables, prefix=prefix, suffix=suffix, buckets=buckets)


def _file(files: Mapping[str, memoryview], path: str) -> memoryview:
    if path not in files:
        raise FormatError("the manifest does not list a file that is needed", expected=path)
    return files[path]


def _programs(manifest: Manifest, files: Mapping[str, memoryview]) -> dict[str, Program]:
    programs = {}
    for name, entry in manifest.signatures.items():
        if entry.program is not None:
            programs[name] = Program(
                bytes(_file(files, entry.program.file)),
                entry.program.arguments,
                entry.program.results,
                manifest.platforms,
                entry.program.calling_convention,
            )
    return programs


def _weights(manifest: Manifest, files: Mapping[str, memoryview]) -> dict[str, Any]:
    """Return every weight on the device, by the name of its tensor; on a CPU it stays where it is mapped."""
    if not any(entry.program for entry in manifest.signatures.values()):
        return {}
    import jax

    index = read_index(bytes(_file(files, INDEX_FILE)))
    data = _file(files, DATA_FILE)
    weights: dict[str, Any] = {}
    for entry in manifest.signatures.values():
        for name in _described_tensors(entry.program, index):
            if name not in weights:
                weights[name] = jax.device_put(read_tensor(name, index[name], data))
    return weights


def _described_tensors(program: ProgramEntry | None, index: Mapping[str, TensorEntry]) -> list[str]:
    names = []
    for argument, name in zip(program.arguments, program.tensors, strict=True) if program else ():
        if name is None:
            continue
        entry = index.get(name)
        if entry is None or entry.shape != argument.shape or str(entry.dtype) != argument.dtype:
            raise FormatError(
                "a weight is not stored as the manifest says",
                where=name,
                expected=f"{argument.dtype}{list(argument.shape)}",
                received="nothing" if entry is None else f"{entry.dtype}{list(entry.shape)}",
            )
        names.append(name)
    return names


def _read_golden(manifest: Manifest, files: Mapping[str, memoryview]) -> dict[str, Golden]:
    return read_golden(bytes(_file(files, GOLDEN_FILE)), manifest.signatures)
