"""What users of `tf.keras` write and Keras 3 refuses or warns about, put onto Keras' own classes.

Every model and layer is one of these classes, those of `keras.applications` and of other packages too; a subclass
would reach only some. Nothing that Keras itself allows changes its meaning.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import keras

from mainstay.core import ArgumentError
from mainstay.keras import inputs
from mainstay.keras.artifacts import export_artifact
from mainstay.keras.saving import save_model

_layer_init = keras.Layer.__init__
_input_layer_init = keras.layers.InputLayer.__init__
_sequential_add = keras.Sequential.add
_model_export = keras.Model.export


@functools.wraps(_layer_init)
def _init_layer(self: Any, **kwargs: Any) -> None:
    """Take `input_shape`, `input_dim` and `batch_input_shape`, which a Sequential model makes its input from."""
    batch_shape = kwargs.pop("batch_input_shape", None)
    shape = kwargs.pop("input_shape", None)
    if batch_shape is None and shape is not None:
        batch_shape = (None, *((shape,) if isinstance(shape, int) else shape))
    width = kwargs.pop("input_dim", None)
    if batch_shape is None and width is not None:
        batch_shape = (None, width)
    _layer_init(self, **kwargs)
    if batch_shape is not None:
        self._input_shape_arg = tuple(batch_shape[1:])
        self._batch_input_shape_arg = tuple(batch_shape)


@functools.wraps(_input_layer_init)
def _init_input_layer(self: Any, shape: Any = None, batch_size: int | None = None, **kwargs: Any) -> None:
    """Take `input_shape` and `batch_input_shape` as other names of `shape` and `batch_shape`."""
    shape = kwargs.pop("input_shape", shape)
    if "batch_input_shape" in kwargs:
        kwargs["batch_shape"] = kwargs.pop("batch_input_shape")
    _input_layer_init(self, shape, batch_size, **kwargs)


@functools.wraps(_sequential_add)
def _add(self: Any, layer: Any, rebuild: bool = True) -> None:
    """Make the input, its batch too, from the shape that the first layer was given."""
    batch_shape = getattr(layer, "_batch_input_shape_arg", None)
    if not self._layers and batch_shape is not None:
        _sequential_add(self, keras.layers.InputLayer(batch_shape=batch_shape), rebuild=False)
    _sequential_add(self, layer, rebuild=rebuild)


def _save(
    self: Any,
    filepath: str | os.PathLike[str] | Any,
    overwrite: bool = True,
    zipped: bool | None = None,
    *,
    save_format: str | None = None,
    include_optimizer: bool = True,
) -> None:
    """Save the model; see `mainstay.keras.models.save_model`."""
    save_model(self, filepath, overwrite, zipped, save_format=save_format, include_optimizer=include_optimizer)


def _export(
    self: Any,
    filepath: str | os.PathLike[str],
    format: str = "tf_saved_model",  # noqa: A002  (the name that Keras gives it)
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    """Write what the model does at inference to a SavedModel folder.

    `mainstay serve` and `mainstay.saved_model.load` take the folder, without Keras. What was at `filepath` gives way.

    Args:
        filepath: The folder; it appears whole or not at all.
        format: ``"tf_saved_model"``; Keras' further formats need the packages that they need.
        verbose: Whether to print where it was written.
        input_signature: The inputs of a model that was built by calling it: a structure of `keras.InputSpec` or
            `TensorSpec`. The default is the shapes of the first call.
        **options: Options of Keras' further formats.

    Raises:
        ArgumentError: An option does not belong to the format.
        ModelError: The model is not built, or cannot be exported.
        StorageError: The file system refused. What was there is untouched.
    """
    if format != "tf_saved_model":
        _model_export(self, filepath, format, verbose, input_signature, **options)
        return
    if options:
        raise ArgumentError("the export to a SavedModel takes no further options", received=", ".join(options))
    export_artifact(self, filepath, input_signature=input_signature)
    if verbose:
        print(f"Saved the model at {os.fspath(filepath)!r}")


def install() -> None:
    """Put all of it onto Keras' classes."""
    keras.Layer.__init__ = _init_layer
    keras.layers.InputLayer.__init__ = _init_input_layer
    keras.Sequential.add = _add
    keras.Model.save = _save
    keras.Model.export = _export
    inputs.install()
