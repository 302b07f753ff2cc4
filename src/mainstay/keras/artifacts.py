"""A Keras model as a SavedModel folder: `model.save(folder)` and back, and `model.export(folder)` for inference alone.

The folder is an artifact of `mainstay.saved_model`: it is served without Keras. What makes it a Keras model again
is one more file, `keras.json`: the configuration, and which tensor of `variables/` belongs where. Weights are stored
once; the optimizer's state lies beside them. Nothing of the folder is parsed before its digests are verified, and
custom objects are those that the caller or his registry knows: the folder holds no code.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mainstay.core import ArgumentError, ArtifactError, FormatError, ModelError, StorageError, install
from mainstay.framework import plain_kernels
from mainstay.keras._internals import load_state, save_state, sharing_scope
from mainstay.keras.inputs import functional_form

Array = np.ndarray[Any, Any]

SIDECAR = "keras.json"
FORMAT_VERSION = 1
_KEYS = {"format_version", "keras_version", "config", "state", "variables", "assets"}
_PARTS = frozenset({"saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "variables", "assets", "assets.extra"})


def is_artifact(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder that looks like a SavedModel, ours or TensorFlow's."""
    folder = Path(path)
    return (folder / "assets.extra" / "mainstay").is_dir() or (folder / "saved_model.pb").is_file()


def save_artifact(
    model: keras.Model, path: str | os.PathLike[str], *, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write a model to a SavedModel folder from which `load_artifact` makes the same model again.

    Args:
        model: A built model.
        path: The folder; it appears whole or not at all.
        overwrite: Whether a saved model that is there gives way.
        include_optimizer: Whether the loss, the metrics, the optimizer and its state are saved too.

    Raises:
        ModelError: The model is not built, or has no configuration, or cannot be exported.
        StorageError: Something is at `path` already, or the file system refused. What was there is untouched.
    """
    from mainstay.saved_model import from_keras_model, save

    function = from_keras_model(functional_form(model))
    config = _config(model)
    optimizer = getattr(model, "optimizer", None)
    if not include_optimizer:
        config["compile_config"] = None
    state, assets = save_state(model, leave_out=() if include_optimizer or optimizer is None else (optimizer,))
    tensors, places, rest = _tensors(model, state, function.weights)
    names = {file: f"keras_asset_{number}" for number, file in enumerate(sorted(assets))}
    description = {
        "format_version": FORMAT_VERSION,
        "keras_version": keras.__version__,
        "config": config,
        "state": places,
        "variables": rest,
        "assets": names,
    }
    sidecars = {SIDECAR: json.dumps(description, indent=1, sort_keys=True).encode()}
    sidecars |= {names[file]: content for file, content in assets.items()}
    _write(path, overwrite, lambda folder: save(function, folder, sidecars=sidecars, tensors=tensors))


def export_artifact(
    model: keras.Model, path: str | os.PathLike[str], *, input_signature: Any = None, overwrite: bool = True
) -> None:
    """Write what a model does at inference to a SavedModel folder; `saved_model.load` reads it, without Keras.

    Args:
        model: A built model.
        path: The folder; it appears whole or not at all.
        input_signature: The inputs of a model that was built by calling it: a structure of `keras.InputSpec` or
            `TensorSpec`, one per argument. The default is the shapes of the first call.
        overwrite: Whether a saved model that is there gives way.

    Raises:
        ModelError: The model is not built, or cannot be exported.
        StorageError: Something is at `path` already, or the file system refused. What was there is untouched.
    """
    from mainstay.saved_model import from_keras_model, save

    function = from_keras_model(functional_form(model, input_signature))
    _write(path, overwrite, lambda folder: save(function, folder))


def load_artifact(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002  (the name that Keras gives it)
    safe_mode: bool = True,
) -> keras.Model:
    """Return the model that `save_artifact` wrote: architecture, weights bit for bit, and how it was compiled.

    Args:
        path: The folder.
        custom_objects: Classes and functions by the name under which the model knows them.
        compile: Whether the model is compiled as it was, the optimizer going on where it stopped.
        safe_mode: Whether `Lambda` layers, which hold code, are refused.

    Raises:
        ArtifactError: There is no saved model, it is damaged, or it was not written from a Keras model.
        ModelError: What it holds does not fit the classes of this process.
    """
    from mainstay.saved_model import read_contents

    if not (Path(path) / "assets.extra" / "mainstay").is_dir():
        raise _for_inference(path, "what TensorFlow wrote")
    contents = read_contents(path)
    if SIDECAR not in contents.sidecars:
        raise _for_inference(path, "what model.export or saved_model.save wrote, which is for inference")
    description = _description(path, contents.sidecars[SIDECAR])
    config = description["config"]
    if not compile:
        config["compile_config"] = None
    try:
        with sharing_scope():
            model = keras.saving.deserialize_keras_object(config, dict(custom_objects or {}), safe_mode=safe_mode)
    except TypeError as error:
        raise ModelError(
            "the model cannot be made again from its configuration",
            where=path,
            # Around the reason Keras writes the whole configuration.
            received=str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0],
            fix="pass its own classes and functions as custom_objects={name: class}, or register them with "
            "keras.saving.register_keras_serializable",
        ) from error
    try:
        state = {
            place: {key: contents.tensors[name] for key, name in keys.items()}
            for place, keys in description["state"].items()
        }
        assets = {file: contents.sidecars[name] for file, name in description["assets"].items()}
    except KeyError as error:
        raise FormatError("the Keras configuration names something that is not there", received=error) from error
    with tempfile.TemporaryDirectory() as folder:
        _unpack(assets, Path(folder))
        wrong = load_state(model, state, folder)
    if not wrong:
        wrong = _restore(_variables(model), description["variables"], contents.tensors)
    if wrong:
        raise ModelError(
            "the saved state does not fit the model",
            where=path,
            received="; ".join(wrong),
            fix="load it with the classes and the version of Keras that saved it, "
            f"{description['keras_version']}; this is {keras.__version__}",
        )
    return model


def _for_inference(path: str | os.PathLike[str], received: str) -> ArtifactError:
    return ArtifactError(
        "this saved model has no Keras configuration",
        where=path,
        expected="what model.save wrote",
        received=received,
        fix="load it with mainstay.saved_model.load and call its signatures",
    )


def _restore(variables: list[Any], names: list[str | None], tensors: Mapping[str, Array]) -> list[str]:
    """Set the variables that no object counts as its state, such as the seeds of dropout, in order."""
    if len(variables) != len(names):
        return [f"the model has {len(variables)} variables, and had {len(names)}"]
    for variable, name in zip(variables, names, strict=True):
        if name is not None:
            if name not in tensors or tensors[name].shape != tuple(variable.shape):
                return [f"variable {variable.path} is not there in its shape"]
            variable.assign(tensors[name])
    return []


def _config(model: keras.Model) -> dict[str, Any]:
    try:
        with sharing_scope():
            config: dict[str, Any] = keras.saving.serialize_keras_object(model)
            return dict(json.loads(json.dumps(config)))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            "this model has no configuration from which it could be made again",
            where=model.name,
            received=f"{type(error).__name__}: {error}",
            fix="give its classes get_config and from_config, or use model.export, which saves inference alone",
        ) from error


def _tensors(
    model: keras.Model, state: Mapping[str, Mapping[str, Any]], weights: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, dict[str, str]], list[str | None]]:
    """Return what is to be stored by name, the name of each piece of state, and of each variable that is in none."""
    variables = _variables(model)
    names = {id(variable): name for variable, name in zip(variables, weights, strict=True)}
    tensors: dict[str, Array] = {}

    def store(value: Any, own: str) -> str:
        array = np.asarray(value.value if isinstance(value, keras.Variable) else value)
        name = names.get(id(value), own)
        # A weight of 64 bits is stored in 32 for serving; to come back bit for bit it is stored once more.
        if name != own and array.dtype.itemsize < 8:
            tensors[name] = weights[name]
            return name
        tensors[own] = array
        return own

    places = {
        place: {
            key: store(value, "/".join(part for part in ("keras", place, key) if part)) for key, value in own.items()
        }
        for place, own in state.items()
    }
    kept = {id(value) for own in state.values() for value in own.values()}
    rest = [
        None if id(variable) in kept else store(variable, f"keras/variables/{index}")
        for index, variable in enumerate(variables)
    ]
    return tensors, places, rest


def _variables(model: keras.Model) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]


def _description(path: str | os.PathLike[str], text: bytes) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except ValueError as error:
        raise FormatError("the Keras configuration is not JSON", where=path, received=error) from error
    version = description.get("format_version") if isinstance(description, dict) else None
    if version != FORMAT_VERSION or set(description) != _KEYS:
        raise FormatError(
            "the Keras configuration is of another version",
            where=path,
            expected=f"format version {FORMAT_VERSION}",
            received=version,
            fix="load it with the version of Mainstay that saved it",
        )
    return dict(description)


def _unpack(assets: Mapping[str, bytes], folder: Path) -> None:
    for file, content in assets.items():
        if ".." in Path(file).parts or Path(file).is_absolute() or not re.fullmatch(r"[\w./ -]+", file):
            raise FormatError("an asset of the model has an impossible path", received=file)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)


def _write(path: str | os.PathLike[str], overwrite: bool, write: Callable[[Path], object]) -> None:
    """Write a folder beside `path` and move it there."""
    target = Path(path)
    if os.path.lexists(target):
        _check_replaceable(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise StorageError("cannot write it", where=path, received=error, fix="choose another folder") from error
    # What is saved runs on other devices too, and is read by other compilers.
    with beside, plain_kernels():
        write(Path(beside.name) / "model")
        install(Path(beside.name) / "model", target, replace=overwrite)


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if not overwrite:
        raise StorageError("it exists already", where=target, fix="choose another path, or pass overwrite=True")
    if target.is_symlink():
        raise ArgumentError("a SavedModel is a folder, and here is a link", where=target, fix="choose another path")
    if not target.is_dir():
        raise ArgumentError("a SavedModel is a folder, and here is a file", where=target, fix="choose another path")
    found = {entry.name for entry in target.iterdir()}
    if not found <= _PARTS or (found and not is_artifact(target)):
        raise ArgumentError(
            "the folder holds something else than a saved model, and all of it would be replaced",
            where=target,
            fix="choose a folder of its own for the model",
        )
