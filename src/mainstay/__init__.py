"""Mainstay: the production line for machine learning, in one package, on JAX and Keras 3.

``import mainstay as tf`` gives the rooms, and the names of TensorFlow's programming model, under the names that
TensorFlow users know. Each is imported when it is first used, so that a server never pays for Keras and a command
line never waits for JAX. The numeric functions are those of Keras, `ops`; a name of TensorFlow that is not here
raises an `AttributeError` that says what to write instead, or why there is nothing to write.
"""

from importlib import import_module

__version__ = "0.1.0"

_ROOMS = (
    "analysis",
    "core",
    "data",
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
    "Module": "mainstay.framework",
    "TensorSpec": "mainstay.core",
    "UnconnectedGradients": "mainstay.framework",
    "Variable": "mainstay.framework",
    "autograph": "mainstay.framework.autograph",
    "cast": "mainstay.framework",
    "clip_by_global_norm": "mainstay.framework",
    "clip_by_norm": "mainstay.framework",
    "config": "mainstay.framework.config",
    "constant": "mainstay.framework",
    "convert_to_tensor": "mainstay.framework",
    "custom_gradient": "mainstay.framework",
    "function": "mainstay.framework",
    "global_norm": "mainstay.framework",
    "ops": "mainstay.keras.ops",
    "print": "mainstay.framework",
    "stop_gradient": "mainstay.framework",
    "train": "mainstay.io.train",
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


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"mainstay.{name}")
    if name in _NAMES:
        place = import_module(_NAMES[name])
        value = place if _NAMES[name].endswith(f".{name}") else getattr(place, name)
    elif name in _DTYPES:
        value = _dtype(name)
    else:
        raise AttributeError(_absence(name), name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _dtype(name: str) -> object:
    """Return a dtype as NumPy has it; text and bytes of any length are objects there."""
    import ml_dtypes
    import numpy as np

    return np.dtype({"bfloat16": ml_dtypes.bfloat16, "string": object}.get(name, name))


def _absence(name: str, place: str = "") -> str:
    """Return why a place, such as ``config.``, has no such name, and what to write instead where TensorFlow has it."""
    message = f"module 'mainstay{place and '.'}{place.rstrip('.')}' has no attribute {name!r}"
    if name.startswith("_"):
        return message
    import json
    from pathlib import Path

    table = json.loads(Path(__file__).with_name("tensorflow_names.json").read_text(encoding="utf-8"))
    names, notes, wanted = table["names"], table["notes"], f"{place}{name}"
    if wanted in names:
        return f"{message}: write {names[wanted]}"
    inside = [f"\n  for tf.{old} write {new}" for old, new in names.items() if old.startswith(f"{wanted}.")]
    inside += [f"\n  for tf.{old}: {note}" for old, note in notes.items() if old.startswith(f"{wanted}.")]
    if wanted in notes:
        return f"{message}: {notes[wanted]}{''.join(inside)}"
    return f"{message}:{''.join(inside)}" if inside else message
