"""Mainstay: the production line for machine learning, in one package, on JAX and Keras 3.

``import mainstay as tf`` gives the rooms, and the names of TensorFlow's programming model, under the names that
TensorFlow users know. Each is imported when it is first used, so that a server never pays for Keras and a command
line never waits for JAX. The numeric functions are those of Keras, `ops`; a name of TensorFlow that is not here
raises an `AttributeError` that says what to write instead.
"""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

    import numpy as np

    from mainstay import (
        analysis as analysis,
        core as core,
        distribute as distribute,
        framework as framework,
        hostops as hostops,
        io as io,
        keras as keras,
        metadata as metadata,
        pipeline as pipeline,
        saved_model as saved_model,
        serving as serving,
        statistics as statistics,
        summary as summary,
        transform as transform,
        validation as validation,
    )
    from mainstay.core import TensorSpec as TensorSpec
    from mainstay.framework import (
        GradientTape as GradientTape,
        UnconnectedGradients as UnconnectedGradients,
        Variable as Variable,
        autograph as autograph,
        cast as cast,
        config as config,
        constant as constant,
        convert_to_tensor as convert_to_tensor,
        custom_gradient as custom_gradient,
        function as function,
        stop_gradient as stop_gradient,
    )

    ops: types.ModuleType
    bfloat16: np.dtype[np.generic]
    bool: np.dtype[np.bool_]
    float16: np.dtype[np.float16]
    float32: np.dtype[np.float32]
    float64: np.dtype[np.float64]
    int8: np.dtype[np.int8]
    int16: np.dtype[np.int16]
    int32: np.dtype[np.int32]
    int64: np.dtype[np.int64]
    string: np.dtype[np.object_]
    uint8: np.dtype[np.uint8]
    uint16: np.dtype[np.uint16]
    uint32: np.dtype[np.uint32]
    uint64: np.dtype[np.uint64]

__version__ = "0.1.0"

_ROOMS = (
    "analysis",
    "core",
    "distribute",
    "framework",
    "hostops",
    "io",
    "keras",
    "metadata",
    "pipeline",
    "saved_model",
    "serving",
    "statistics",
    "summary",
    "transform",
    "validation",
)

_NAMES = {
    "GradientTape": "mainstay.framework",
    "TensorSpec": "mainstay.core",
    "UnconnectedGradients": "mainstay.framework",
    "Variable": "mainstay.framework",
    "autograph": "mainstay.framework",
    "cast": "mainstay.framework",
    "config": "mainstay.framework",
    "constant": "mainstay.framework",
    "convert_to_tensor": "mainstay.framework",
    "custom_gradient": "mainstay.framework",
    "function": "mainstay.framework",
    "ops": "mainstay.keras",
    "stop_gradient": "mainstay.framework",
}

_DTYPES = (
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
)

__all__ = ["__version__", *_ROOMS, *_NAMES, *_DTYPES]

if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _ROOMS:
            return import_module(f"mainstay.{name}")
        if name in _NAMES:
            value = _named(name)
        elif name in _DTYPES:
            value = _dtype(name)
        else:
            raise AttributeError(_absence(name), name=name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _named(name: str) -> object:
    for place in (_NAMES[name], *(f"mainstay.framework.{part}" for part in ("functions", "tapes", "variables"))):
        try:
            return getattr(import_module(place), name)
        except (AttributeError, ModuleNotFoundError):
            continue
    return import_module(f"{_NAMES[name]}.{name}")


def _dtype(name: str) -> object:
    """Return a dtype as NumPy has it; text and bytes of any length are objects there."""
    import ml_dtypes
    import numpy as np

    return np.dtype({"bfloat16": ml_dtypes.bfloat16, "string": object}.get(name, name))


def _absence(name: str) -> str:
    """Return why there is no such name, and what to write instead where TensorFlow has it."""
    message = f"module 'mainstay' has no attribute {name!r}"
    if name.startswith("_"):
        return message
    import json
    from pathlib import Path

    table = json.loads(Path(__file__).with_name("tensorflow_names.json").read_text(encoding="utf-8"))
    if name in table:
        return f"{message}: write {table[name]}"
    inside = [f"\n  for tf.{old} write {new}" for old, new in table.items() if old.startswith(f"{name}.")]
    return f"{message}:{''.join(inside)}" if inside else message
