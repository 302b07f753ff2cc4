"""Chooses JAX before Keras is imported, and makes `import mainstay.keras.layers` work as `import keras.layers` does."""

import sys

from mainstay.framework import install_kernels, require_jax_backend

require_jax_backend()

import keras  # noqa: E402

SUBMODULES = (
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "distillation",
    "distribution",
    "dtype_policies",
    "export",
    "initializers",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "tree",
    "utils",
    "visualization",
    "wrappers",
)

for _name in SUBMODULES:
    sys.modules[f"mainstay.keras.{_name}"] = getattr(keras, _name)

from mainstay.keras import _tensorflow_style, dataset_functions  # noqa: E402
from mainstay.keras.backup import BackupAndRestore  # noqa: E402
from mainstay.keras.image_folders import image_dataset_from_directory  # noqa: E402
from mainstay.keras.tensorboard import TensorBoard  # noqa: E402
from mainstay.keras.terminate_on_nan import TerminateOnNaN  # noqa: E402
from mainstay.keras.training import loops  # noqa: E402

_tensorflow_style.install()
dataset_functions.install()
install_kernels()
if not keras.config.is_nnx_enabled():
    loops.install()
keras.callbacks.BackupAndRestore = BackupAndRestore  # goes on in the middle of an epoch
keras.callbacks.TensorBoard = TensorBoard  # Keras' own needs TensorFlow
keras.callbacks.TerminateOnNaN = TerminateOnNaN
keras.utils.image_dataset_from_directory = image_dataset_from_directory  # Keras' own needs TensorFlow or Grain
keras.preprocessing.image_dataset_from_directory = image_dataset_from_directory
