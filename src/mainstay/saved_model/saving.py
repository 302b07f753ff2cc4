"""Saving: serving functions become an artifact that has proven, before it appears, that it answers as they do."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError, atomic_folder
from mainstay.hostops import HostGraph
from mainstay.saved_model.folder import (
    GOLDEN_FILE,
    GRAPH_SUFFIX,
    MANIFEST_FILE,
    PROGRAM_SUFFIX,
    RESERVED,
    SEAL_FILE,
    digests,
    find_files,
    is_plain_name,
    is_signature_name,
    map_file,
    names_alike,
    seal_of,
)
from mainstay.saved_model.golden import golden_requests, write_golden
from mainstay.saved_model.keras_models import from_keras_model, is_keras_model
from mainstay.saved_model.loading import read_model
from mainstay.saved_model.module_lowering import DEFAULT_SIGNATURE, as_signatures, files, is_module, module_subject
from mainstay.saved_model.plan import Plan, make_plan
from mainstay.saved_model.program import PLATFORMS
from mainstay.saved_model.proof import prove
from mainstay.saved_model.reading import DEFAULT, Reading
from mainstay.saved_model.save_report import SaveReport
from mainstay.saved_model.serving_function import ServingFunction
from mainstay.saved_model.subject import Subject

if TYPE_CHECKING:
    from mainstay.data import Preprocessing

logger = logging.getLogger("mainstay")

TRANSFORM_SIGNATURE = "transform_features"
MODES = ("auto", "ops", "xla", None)


def save(
    obj: Any,
    path: str | os.PathLike[str],
    signatures: Any = None,
    *,
    preprocessing: HostGraph | Preprocessing | None = None,
    assets: Mapping[str, bytes | str | os.PathLike[str]] | Sequence[str | os.PathLike[str]] = (),
    golden: Mapping[str, Any] | None = None,
    platforms: Sequence[str] = PLATFORMS,
    tensorflow: str | None = "auto",
    sidecars: Mapping[str, bytes] | None = None,
    tensors: Mapping[str, np.ndarray[Any, Any]] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> SaveReport:
    """Write an artifact that anybody can load, verify and serve without the code that made it.

    Before it appears at `path` it is loaded, and must answer the golden requests as the functions themselves do, in
    several batch sizes. It appears whole or not at all.

    Args:
        obj: What to save: a built Keras 3 model; a `Module`; a `function` with an input signature, or what its
            `get_concrete_function` gives; a `ServingFunction`; or several functions by the name of their signature. A
            module's functions that were traced for known arguments, and its variables, are attributes of the loaded
            model again.
        path: Where the artifact goes; nothing may be there yet.
        signatures: For a Keras model or a module, the functions to serve, of any of these kinds: one for
            ``serving_default``, or a mapping by name. The default is what a Keras model does at inference, and the only
            function of a module that can be served; a module with several has none.
        preprocessing: What is in front of a Keras model, or of a single function: a host graph, or what
            `Dataset.preprocessing` gives. Its outputs are matched with the inputs by name. It also becomes a signature
            of its own, ``transform_features``.
        assets: Files to keep in ``assets/``: paths, or paths or contents by name.
        golden: Raw rows to seal with their answers, an array-like or `Column` by input name; for a function that does
            not work on rows, one request. Every signature takes the inputs that it has. Without it, the first rows of
            the dataset that the preprocessing is of are taken, or numbers are made up.
        platforms: What the programs run on, such as ``("cpu", "cuda", "tpu")``; this machine's must be among them.
        tensorflow: In which form TensorFlow gets the signatures: ``"ops"``, plain operations, or the save fails;
            ``"xla"``, one XlaCallModule; ``"auto"``, the first where it is possible; None for an artifact without a
            ``saved_model.pb``.
        sidecars: Further files by name, such as ``schema.pbtxt`` and ``statistics.pb``.
        tensors: Further arrays to store with the weights, by name, such as the state of an optimizer; `read_contents`
            gives them back. One that is a weight of the same name is stored once.
        provenance: What shall be known about the model's origin, as JSON values.

    Returns:
        In which form TensorFlow gets each signature, and why. It is logged and in the manifest too.

    Raises:
        ArgumentError: The parts do not fit together, or the golden requests lack an input.
        ModelError: A function cannot be exported; the message names it, and the layer or line where it goes wrong.
        ParityError: The artifact does not answer as the functions do.
        StorageError: The file system refused; nothing is left behind.

    Example:
        >>> save(double, "out/double")  # doctest: +SKIP
    """
    if tensorflow not in MODES:
        raise ArgumentError("unknown form for TensorFlow", expected='"auto", "ops", "xla" or None', received=tensorflow)
    subject = _subject(obj, signatures, preprocessing)
    subject = replace(subject, assets={**subject.assets, **files(assets)})
    if golden is None and preprocessing is not None and not isinstance(preprocessing, HostGraph):
        golden = preprocessing.sample
    check_names(subject.signatures, sidecars or {})
    plan = make_plan(
        subject, provenance=provenance or {}, tensors=tensors or {}, extra=sidecars or {}, platforms=platforms
    )
    if not (plan.manifest.signatures or plan.manifest.functions or plan.manifest.variables):
        raise ArgumentError(
            "there is nothing to save",
            expected="a signature, a function with an input_signature, or a variable",
            received=type(obj).__name__,
        )
    for name, reason in subject.left_out.items():
        logger.warning("the function %s is not saved: %s", name, reason)
    report = write_plan(plan, path, subject=subject, golden=golden, tensorflow=tensorflow)
    logger.info("saved %s: %s", os.fspath(path), report)
    return report


def write_plan(
    plan: Plan,
    path: str | os.PathLike[str],
    *,
    subject: Subject,
    golden: Mapping[str, Any] | None,
    tensorflow: str | None,
    own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> SaveReport:
    """Write a plan to a folder, prove it, seal its golden requests and make the folder appear.

    Args:
        plan: What the artifact will hold.
        path: Where it goes.
        subject: What it must answer as; a signature that is not in it is only held against itself.
        golden: The golden requests.
        tensorflow: In which form TensorFlow gets the signatures.
        own: The golden requests of a signature, by its name, where none are given for all.

    Raises:
        MainstayError: As for `save`.
    """
    entries = plan.manifest.signatures
    requests = {
        # Where rows are dear, loading replays them one by one.
        name: golden_requests(
            entry.inputs,
            own.get(name) if golden is None else golden,
            rows=entry.rows,
            made_up=2 if entry.buckets[:1] == (1,) else 4,
        )
        for name, entry in entries.items()
    }
    with atomic_folder(path) as folder:
        plan.write(folder)
        report = SaveReport({}) if tensorflow is None else _write_tensorflow(folder, plan, tensorflow)
        manifest = replace(plan.manifest, tensorflow=None if tensorflow is None else report)
        contents = {file: map_file(folder / file) for file in find_files(folder)}
        for one, other in names_alike(contents):
            raise ArgumentError(
                "two files have names that some file systems hold for one", expected=one, received=other
            )
        model = read_model(folder, manifest, reading=Reading(manifest, contents, DEFAULT))
        sealed = {name: requests[name].seal(signature) for name, signature in model.signatures.items()}
        for name, signature in model.signatures.items():
            prove(subject.signatures.get(name), signature, sealed[name])
        for function_path, forms in subject.functions.items():
            for form, (_, loaded) in zip(forms, model.functions[function_path].forms, strict=True):
                if form.function not in subject.signatures.values():
                    made_up = golden_requests(loaded.inputs, None, rows=loaded.rows)
                    prove(form.function, loaded, made_up.seal(loaded))
        (folder / GOLDEN_FILE).write_bytes(write_golden(sealed))
        contents[GOLDEN_FILE] = map_file(folder / GOLDEN_FILE)
        data = replace(manifest, files=digests(contents)).to_bytes()
        (folder / MANIFEST_FILE).write_bytes(data)
        (folder / SEAL_FILE).write_bytes(seal_of(data))
    return report


def _write_tensorflow(folder: Path, plan: Plan, mode: str) -> SaveReport:
    # A server imports this room, and writes no graphs.
    from mainstay.saved_model.graph_writing.saving import write_tensorflow

    return write_tensorflow(folder, plan, mode=mode)


def _subject(obj: Any, signatures: Any, preprocessing: HostGraph | Preprocessing | None) -> Subject:
    if is_keras_model(obj) and signatures is None:
        prefix = preprocessing if isinstance(preprocessing, HostGraph) else None
        return _preprocessed({DEFAULT_SIGNATURE: from_keras_model(obj, prefix=prefix)}, preprocessing)
    if is_module(obj) or is_keras_model(obj):
        subject = module_subject(obj, signatures)
    else:
        subject = as_signatures(obj, signatures)
    if preprocessing is None:
        return subject
    only = next(iter(subject.signatures.values())) if len(subject.signatures) == 1 else None
    if only is None or only.prefix is not None or isinstance(obj, (ServingFunction, Mapping)):
        raise ArgumentError(
            "preprocessing belongs to a Keras model, or to a single function",
            received=", ".join(subject.signatures) or type(obj).__name__,
            fix="give each ServingFunction its own prefix",
        )
    prefix = preprocessing if isinstance(preprocessing, HostGraph) else None
    functions = {name: replace(item, prefix=prefix, rows=True) for name, item in subject.signatures.items()}
    return replace(subject, signatures=_preprocessed(functions, preprocessing).signatures)


def _preprocessed(functions: dict[str, ServingFunction], preprocessing: HostGraph | Preprocessing | None) -> Subject:
    """Return one function with its preprocessing, which becomes a signature of its own too."""
    ((name, function),) = functions.items()
    if preprocessing is not None and not isinstance(preprocessing, HostGraph):
        # A server imports this room, and has no use for the input pipeline.
        from mainstay.saved_model.preprocessing import features_alone, with_preprocessing

        return Subject(
            {
                name: with_preprocessing(function, preprocessing),
                TRANSFORM_SIGNATURE: features_alone(function, preprocessing),
            }
        )
    if function.prefix is None:
        return Subject(functions)
    return Subject({name: function, TRANSFORM_SIGNATURE: ServingFunction(None, prefix=function.prefix)})


def check_names(signatures: Mapping[str, Any], sidecars: Mapping[str, bytes]) -> None:
    """Refuse names of signatures and sidecars that no file can have, or that the artifact has itself.

    Raises:
        ArgumentError: There is one.
    """
    for kind, names in (("signature", signatures), ("sidecar", sidecars)):
        is_fine, more = (is_signature_name, ", in parts joined by '/'") if kind == "signature" else (is_plain_name, "")
        for name in names:
            if not isinstance(name, str) or not is_fine(name):
                raise ArgumentError(
                    f"the name of a {kind} cannot be a file's",
                    expected=f"letters, digits, '_', '-' and '.', not starting with '-' or '.'{more}",
                    received=repr(name),
                )
    for name in sidecars:
        if name in RESERVED or name.endswith((PROGRAM_SUFFIX, GRAPH_SUFFIX)):
            raise ArgumentError("the name of a sidecar is taken by the artifact itself", received=name)
