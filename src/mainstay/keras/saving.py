"""`keras.saving` with SavedModel folders: `save_model` writes and `load_model` reads them, beside Keras' own files."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras.saving import *  # noqa: F403

from mainstay.core import ArgumentError, ArtifactError, IntegrityError, StorageError, install
from mainstay.keras.artifacts import is_artifact, load_artifact, save_artifact

_keras_save = keras.saving.save_model
_keras_load = keras.saving.load_model

_FORMATS = {"keras": "keras", "keras_v3": "keras", "h5": "h5", "hdf5": "h5", "tf": "tf", "tensorflow": "tf"}
_SUFFIXES = {".keras": "keras", ".h5": "h5", ".hdf5": "h5"}
_OTHERS = frozenset({".pb", ".tflite", ".onnx", ".json", ".npz", ".zip", ".pt", ".pth", ".ckpt", ".safetensors"})


def save_model(
    model: keras.Model,
    filepath: str | os.PathLike[str] | Any,
    overwrite: bool = True,
    zipped: bool | None = None,
    *,
    save_format: str | None = None,
    include_optimizer: bool = True,
) -> None:
    """Save a model whole: architecture, weights, and how it is compiled with the optimizer's state.

    `model.save` is the same. What is written appears whole or not at all; what was there survives a failure.

    Args:
        model: A built model.
        filepath: Where to. A name that ends in ``.keras`` or ``.h5`` is a file of Keras; any other is a SavedModel
            folder, which `mainstay serve` and `saved_model.load` take too.
        overwrite: Whether what is there gives way; without it, it is an error.
        zipped: False for a ``.keras`` archive as a plain folder; see `keras.saving.save_model`.
        save_format: ``"tf"`` for a SavedModel folder, ``"keras"`` or ``"h5"`` for a file. The default follows from
            `filepath`.
        include_optimizer: Whether the optimizer is saved; a ``.keras`` file always holds it.

    Raises:
        ArgumentError: The name and the format contradict each other.
        ModelError: The model is not built, or has no configuration.
        StorageError: Something is there already, or the file system refused.
    """
    if not isinstance(filepath, (str, os.PathLike)) or "://" in os.fspath(filepath) or zipped is False:
        _keras_save(model, filepath, overwrite=overwrite, zipped=zipped)
        return
    target = Path(filepath)
    _build_optimizer(model)
    if _format(target, save_format) == "tf":
        save_artifact(model, target, overwrite=overwrite, include_optimizer=include_optimizer)
        return
    if target.is_dir():
        raise ArgumentError("here is a folder, and the format is a file", where=target, fix="choose another name")
    if target.exists() and not overwrite:
        raise StorageError("it exists already", where=target, fix="choose another path, or pass overwrite=True")
    further = {} if target.suffix == ".keras" else {"include_optimizer": include_optimizer}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise StorageError("cannot write it", where=target, received=error, fix="choose another folder") from error
    with beside:
        partial = Path(beside.name) / target.name
        _keras_save(model, partial, overwrite=True, zipped=zipped, **further)
        install(partial, target, replace=overwrite)


def load_model(
    filepath: str | os.PathLike[str] | Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002  (the name that Keras gives it)
    safe_mode: bool = True,
) -> keras.Model:
    """Load a model that `save_model` wrote, from a SavedModel folder or from a file of Keras.

    Args:
        filepath: The folder or file.
        custom_objects: Classes and functions by the name under which the model knows them.
        compile: Whether the model is compiled as it was, the optimizer going on where it stopped.
        safe_mode: Whether `Lambda` layers, which hold code, are refused.

    Returns:
        The model, its weights bit for bit those that were saved.

    Raises:
        ArtifactError: There is no such thing, it is damaged, or it is a SavedModel without a Keras configuration.
        ModelError: What it holds does not fit the classes of this process.
    """
    options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    if not isinstance(filepath, (str, os.PathLike)) or "://" in os.fspath(filepath):
        return _keras_load(filepath, **options)
    path = Path(filepath)
    if is_artifact(path):
        return load_artifact(path, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)
    if not path.exists():
        raise ArtifactError("there is no saved model here", where=path, received="no such file or folder")
    if path.is_dir() and not any(path.iterdir()):
        raise ArtifactError("there is no saved model here", where=path, received="an empty folder")
    damaged = path.suffix == ".keras" and path.is_file() and not zipfile.is_zipfile(path)
    try:
        if not damaged:
            return _keras_load(filepath, **options)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _damage(path, error) from error
    raise _damage(path, "something that is no archive")


def _build_optimizer(model: keras.Model) -> None:
    """Give the optimizer of a model that was never trained its variables: a loaded model has them too."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built and model.built:
        optimizer.build(model.trainable_variables)


def _damage(path: Path, received: object) -> IntegrityError:
    return IntegrityError(
        "the file is damaged", where=path, expected=f"a {path.suffix} file that Keras wrote", received=received
    )


def _format(target: Path, wanted: str | None) -> str:
    by_name = _SUFFIXES.get(target.suffix.lower())
    if wanted is None:
        if by_name is None and target.suffix.lower() in _OTHERS:
            raise ArgumentError(
                "a model is not saved in a file of this kind",
                where=target,
                expected="a name that ends in .keras or .h5, or that of a folder",
                received=target.suffix,
            )
        return by_name or "tf"
    chosen = _FORMATS.get(wanted)
    if chosen is None:
        raise ArgumentError("unknown save_format", expected='"tf", "keras" or "h5"', received=repr(wanted))
    if by_name != (None if chosen == "tf" else chosen):
        suffix = {"keras": "a name that ends in .keras", "h5": "a name that ends in .h5", "tf": "that of a folder"}
        raise ArgumentError(
            f"the name does not fit save_format={wanted!r}",
            where=target,
            expected=suffix[chosen],
            fix="leave save_format out: the name says it",
        )
    return chosen
