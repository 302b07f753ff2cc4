"""Saving: serving functions become an artifact that has proven, before it appears, that it answers as they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError, atomic_folder
from mainstay.hostops import Column, HostGraph
from mainstay.saved_model.column_archive import decode_values, encode_values
from mainstay.saved_model.folder import (
    EXTRA,
    GOLDEN_FILE,
    MANIFEST_FILE,
    PROGRAM_SUFFIX,
    RESERVED,
    SEAL_FILE,
    file_digest,
    find_files,
    is_plain_name,
    map_file,
    seal_of,
)
from mainstay.saved_model.golden import Golden, compare, golden_requests, write_golden
from mainstay.saved_model.keras_models import from_keras_model, is_keras_model
from mainstay.saved_model.loaded_model import LoadedSignature
from mainstay.saved_model.loading import read_model
from mainstay.saved_model.plan import make_plan
from mainstay.saved_model.serving_function import ServingFunction, device_dtype

if TYPE_CHECKING:
    from mainstay.data import Preprocessing

DEFAULT_SIGNATURE = "serving_default"
TRANSFORM_SIGNATURE = "transform_features"


def save(
    obj: ServingFunction | Mapping[str, ServingFunction] | Any,
    path: str | os.PathLike[str],
    *,
    preprocessing: HostGraph | Preprocessing | None = None,
    golden: Mapping[str, Any] | None = None,
    sidecars: Mapping[str, bytes] | None = None,
    tensors: Mapping[str, np.ndarray[Any, Any]] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write an artifact that anybody can load, verify and serve without the code that made it.

    Before it appears at `path` it is loaded, and must answer the golden requests as the functions themselves do, in
    several batch sizes. It appears whole or not at all.

    Args:
        obj: What to save: a `ServingFunction`, several by the name of their signature, or a built Keras 3 model.
            A single function becomes the signature ``serving_default``.
        path: Where the artifact goes; nothing may be there yet.
        preprocessing: What is in front of a Keras model: a host graph, or what `Dataset.preprocessing` gives. Its
            outputs are matched with the model's inputs by name. It also becomes a signature of its own,
            ``transform_features``.
        golden: Raw rows to seal with their answers, an array-like or `Column` by input name. Every signature takes
            the inputs that it has. Without it, the first rows of the dataset that the preprocessing is of are taken,
            or rows of numbers are made up.
        sidecars: Further files by name, such as ``schema.pbtxt`` and ``statistics.pb``.
        tensors: Further arrays to store with the weights, by name, such as the state of an optimizer; `read_contents`
            gives them back. One that is a weight of the same name is stored once.
        provenance: What shall be known about the model's origin, as JSON values.

    Raises:
        ArgumentError: The parts do not fit together, or the golden requests lack an input.
        ModelError: A function cannot be exported; the message says why.
        ParityError: The artifact does not answer as the functions do.
        StorageError: The file system refused; nothing is left behind.

    Example:
        >>> save(double, "out/double")  # doctest: +SKIP
    """
    functions = _functions(obj, preprocessing)
    if golden is None and preprocessing is not None and not isinstance(preprocessing, HostGraph):
        golden = preprocessing.sample
    _check_names(functions, sidecars or {})
    plan = make_plan(functions, provenance or {}, tensors or {})
    requests = {name: golden_requests(entry.inputs, golden) for name, entry in plan.manifest.signatures.items()}
    with atomic_folder(path) as folder:
        plan.write(folder)
        for name, content in (sidecars or {}).items():
            (folder / EXTRA / name).write_bytes(content)
        files = {file: map_file(folder / file) for file in find_files(folder)}
        signatures = read_model(folder, plan.manifest, files=files).signatures
        sealed = {name: requests[name].seal(signature) for name, signature in signatures.items()}
        for name, signature in signatures.items():
            _prove(functions[name], signature, sealed[name])
        (folder / GOLDEN_FILE).write_bytes(write_golden(sealed))
        files[GOLDEN_FILE] = map_file(folder / GOLDEN_FILE)
        digests = {file: (len(data), file_digest(data)) for file, data in files.items()}
        manifest = replace(plan.manifest, files=digests).to_bytes()
        (folder / MANIFEST_FILE).write_bytes(manifest)
        (folder / SEAL_FILE).write_bytes(seal_of(manifest))


def _functions(obj: Any, preprocessing: HostGraph | Preprocessing | None) -> dict[str, ServingFunction]:
    if is_keras_model(obj) and preprocessing is not None and not isinstance(preprocessing, HostGraph):
        # A server imports this room, and has no use for the input pipeline.
        from mainstay.saved_model.preprocessing import features_alone, with_preprocessing

        function = from_keras_model(obj)
        return {
            DEFAULT_SIGNATURE: with_preprocessing(function, preprocessing),
            TRANSFORM_SIGNATURE: features_alone(function, preprocessing),
        }
    if is_keras_model(obj):
        preprocessing = preprocessing if isinstance(preprocessing, HostGraph) else None
        function = from_keras_model(obj, prefix=preprocessing)
        functions = {DEFAULT_SIGNATURE: function}
        if function.prefix is not None:
            functions[TRANSFORM_SIGNATURE] = ServingFunction(None, prefix=function.prefix)
        return functions
    functions = {DEFAULT_SIGNATURE: obj} if isinstance(obj, ServingFunction) else obj
    known = isinstance(functions, Mapping) and functions
    if not known or not all(isinstance(function, ServingFunction) for function in functions.values()):
        raise ArgumentError(
            "this cannot be saved",
            expected="a ServingFunction, a mapping of them by signature name, or a Keras 3 model",
            received=type(obj).__name__,
        )
    if preprocessing is not None:
        raise ArgumentError(
            "preprocessing belongs to a Keras model",
            received="serving functions",
            fix="give each ServingFunction its own prefix",
        )
    return dict(functions)


def _check_names(functions: Mapping[str, ServingFunction], sidecars: Mapping[str, bytes]) -> None:
    for kind, names in (("signature", functions), ("sidecar", sidecars)):
        for name in names:
            if not isinstance(name, str) or not is_plain_name(name):
                raise ArgumentError(
                    f"the name of a {kind} cannot be a file's",
                    expected="letters, digits, '_', '-' and '.', not starting with '-' or '.'",
                    received=repr(name),
                )
    for name in sidecars:
        if name in RESERVED or name.endswith(PROGRAM_SUFFIX):
            raise ArgumentError("the name of a sidecar is taken by the artifact itself", received=name)


def _prove(function: ServingFunction, signature: LoadedSignature, golden: Golden) -> None:
    """Refuse a signature that answers otherwise than its function, or otherwise in another batch size."""
    golden.replay_sizes(signature, tolerance=function.tolerance)
    if function.function is None:
        return
    for name, values in _reference(function, signature.columns(golden.columns)).items():
        compare(
            f"signature {signature.name}, output {name}, saved program against its function",
            golden.answers[name].values,
            expected=decode_values("", encode_values("", values)),
            tolerance=function.tolerance,
            fix="save it with a larger tolerance if the difference is harmless",
        )


def _reference(function: ServingFunction, columns: list[Column]) -> dict[str, Any]:
    """Return the answers of a serving function that was never saved."""
    import jax

    if function.prefix is not None:
        values = function.prefix.run(columns)
    else:
        values = {spec.name: column.values for spec, column in zip(function.inputs, columns, strict=True)}
    with np.errstate(over="ignore"):
        inputs = {spec.name: values[spec.name].astype(device_dtype(spec.dtype)) for spec in function.inputs}
    weights = {name: np.asarray(value) for name, value in function.weights.items()}
    traced: Any = function.function
    with jax.enable_x64(False):
        outputs = {name: np.asarray(value) for name, value in jax.jit(traced)(weights, inputs).items()}
    if function.suffix is None:
        return outputs
    taken = [(item.spec.name, np.dtype(item.spec.dtype)) for item in function.suffix.inputs]
    return function.suffix.run([Column(outputs[name].astype(dtype, copy=False)) for name, dtype in taken])
