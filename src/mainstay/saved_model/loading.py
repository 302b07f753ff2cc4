"""Loading: an artifact becomes a model that answers, after every digest and every golden answer has been checked.

Nothing of the artifact is executed but its StableHLO, compiled by XLA, and host operations of the closed registry.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mainstay.core import MainstayError, digest_bytes, start_compilation_cache
from mainstay.saved_model.contents import Sidecars
from mainstay.saved_model.engines import XLA, Choices, circumstances, engines, fastest
from mainstay.saved_model.folder import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    all_digests,
    is_foreign,
    needed,
    read_sealed_manifest,
    verify_files,
)
from mainstay.saved_model.golden import Golden, read_golden
from mainstay.saved_model.loaded_functions import LoadedFunction
from mainstay.saved_model.loaded_model import LoadedModel
from mainstay.saved_model.loaded_signature import LoadedSignature, checked_buckets
from mainstay.saved_model.manifest import Manifest, ProgramEntry
from mainstay.saved_model.manifest_reading import read_manifest
from mainstay.saved_model.reading import DEFAULT, Options, Reading
from mainstay.saved_model.runtime import engine_choices
from mainstay.saved_model.signing.signatures import read_signature, verify_signature
from mainstay.saved_model.signing.trust import Trust

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.model import ForeignModel


def load(
    path: str | os.PathLike[str],
    *,
    replay: bool = True,
    buckets: Iterable[int] | Mapping[str, Iterable[int]] | None = None,
    engine: str | None = None,
    trust: Trust | None = None,
    tags: str | Iterable[str] | None = None,
) -> LoadedModel | ForeignModel:
    """Load a saved model, of Mainstay or of TensorFlow.

    A SavedModel that TensorFlow wrote has no digests and no golden requests: it is read, checked for ops that are not
    read here, and compiled for each set of shapes when a request brings it.

    The weights are mapped, not copied: do not write into the files of a model while a process has it loaded.

    Args:
        path: The artifact's folder.
        replay: Whether the golden requests are replayed before the model is handed out.
        buckets: The batch sizes to compile for, each at the first batch that needs it; the default is the powers
            of two from 8 to 1024, and from 1 for a large model. With smaller ones small batches are faster, and a row's
            answer may differ in its last bits from batch to batch. A mapping gives some signatures their own.
        engine: What runs the programs, such as ``xla``; None takes the fastest of those that are registered and
            reproduce the golden answers.
        trust: Whose signature the artifact must have, which is checked before anything else is read; None asks for
            none.
        tags: Which graph of a SavedModel of TensorFlow; None for the only one, or that for serving.

    Returns:
        The model, its `signatures` ready to be called.

    Raises:
        ArtifactError: There is no saved model.
        ArgumentError: A SavedModel of TensorFlow has no graph with these tags.
        ModelError: A SavedModel of TensorFlow has ops that are not read here.
        IntegrityError: A file is missing, was added, truncated or edited.
        FormatError: A file is of an unknown version or malformed.
        ParityError: A golden answer is not reproduced.
        SignatureError: No key of `trust` vouches for it.
        StorageError: A file cannot be read.
    """
    folder = Path(path)
    start_compilation_cache()
    if is_foreign(folder):
        return _load_foreign(folder, trust, tags)
    reading, model, golden = open_artifact(folder, options=_options(buckets, engine), trust=trust)
    for name, signature in model.signatures.items():
        signature.remember(golden[name])
        if not replay:
            continue
        program = model.manifest.signatures[name].program
        if engine is None and program is not None and len(engines()) > 1:
            _choose(reading, signature, program, golden[name], model.tolerance(name))
        golden[name].replay(signature, tolerance=model.tolerance(name))
    return model


def _load_foreign(folder: Path, trust: Trust | None, tags: str | Iterable[str] | None) -> ForeignModel:
    from mainstay.saved_model.graph_reading.model import load_foreign

    if trust is not None:
        verify_signature(folder, trust)
    return load_foreign(folder, tags=tags)


def _options(buckets: Iterable[int] | Mapping[str, Iterable[int]] | None, engine: str | None) -> Options:
    engines(engine)
    if isinstance(buckets, Mapping):
        return Options((), {name: checked_buckets(sizes) for name, sizes in buckets.items()}, engine)
    return Options(() if buckets is None else checked_buckets(buckets), None, engine)


def _choose(
    reading: Reading, signature: LoadedSignature, entry: ProgramEntry, golden: Golden, tolerance: float
) -> None:
    """Give a signature the fastest engine that reproduces its golden answers; remember it for the next time."""
    program = reading.program(entry)
    candidates = [engine for engine in engines() if engine.can_run(program)]
    by_name = {engine.name: engine for engine in candidates}
    choices, key = Choices(engine_choices()), circumstances(candidates, program, reading.digest(entry.file))

    def ask(name: str) -> None:
        signature.use(reading.executables(entry, by_name[name]))
        golden.replay(signature, tolerance=tolerance)

    chosen = choices.get(key)
    if chosen not in by_name:
        chosen, seconds = fastest(list(by_name), ask)
        choices.put(key, chosen, seconds)
    try:
        ask(chosen)
    except MainstayError:
        # The choice was kept by an earlier process; what was right then need not be now.
        if chosen == XLA:
            raise
        ask(XLA)


def open_artifact(
    folder: Path, *, options: Options = DEFAULT, trust: Trust | None = None
) -> tuple[Reading, LoadedModel, dict[str, Golden]]:
    """Return an artifact, its model and its golden requests, the digests verified and nothing replayed yet."""
    sealed = read_sealed_manifest(folder)
    vouched = None if trust is None else read_signature(folder, trust)
    if vouched is not None:
        vouched.compare_file(MANIFEST_FILE, digest_bytes(sealed))
    manifest = read_manifest(sealed)
    if vouched is not None:
        vouched.compare(all_digests(sealed, manifest.files))
    files = verify_files(folder, manifest.files)
    try:
        reading = Reading(manifest, files, options)
        return reading, read_model(folder, manifest, reading=reading), _read_golden(manifest, files)
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


def read_model(folder: Path, manifest: Manifest, *, reading: Reading) -> LoadedModel:
    """Return the model of files that have been verified.

    Args:
        folder: The artifact.
        manifest: Its manifest.
        reading: Its parts.
    """
    signatures = {name: reading.signature(name, entry) for name, entry in manifest.signatures.items()}
    functions = {
        path: LoadedFunction(path, [(form, reading.function(path, form)) for form in forms])
        for path, forms in manifest.functions.items()
    }
    return LoadedModel(
        folder,
        manifest,
        signatures=MappingProxyType(signatures),
        functions=MappingProxyType(functions),
        variables=reading.variables(),
        sidecars=Sidecars(manifest, reading.files),
    )


def _read_golden(manifest: Manifest, files: Mapping[str, memoryview]) -> dict[str, Golden]:
    return read_golden(bytes(needed(files, GOLDEN_FILE)), manifest.signatures)
