"""What `mainstay` offers, for type checkers and editors; `__init__.py` imports it when it is first used."""

from types import ModuleType
from typing import Any

import numpy as np

from mainstay import (
    analysis,
    core,
    data,
    distribute,
    framework,
    hostops,
    io,
    keras,
    metadata,
    pipeline,
    saved_model,
    serving,
    statistics,
    summary,
    transform,
    validation,
)
from mainstay.core import TensorSpec
from mainstay.framework import (
    GradientTape,
    Module,
    UnconnectedGradients,
    Variable,
    autograph,
    cast,
    clip_by_global_norm,
    clip_by_norm,
    config,
    constant,
    convert_to_tensor,
    custom_gradient,
    function,
    global_norm,
    print,  # noqa: A004
    stop_gradient,
)
from mainstay.io import train

__version__: str
_ROOMS: tuple[str, ...]
_NAMES: dict[str, str]
_DTYPES: tuple[str, ...]

def _absence(name: str, place: str = "") -> str: ...

ops: ModuleType
bfloat16: np.dtype[Any]
bool: np.dtype[np.bool_]  # noqa: A001
float16: np.dtype[np.float16]
float32: np.dtype[np.float32]
float64: np.dtype[np.float64]
int16: np.dtype[np.int16]
int32: np.dtype[np.int32]
int64: np.dtype[np.int64]
int8: np.dtype[np.int8]
string: np.dtype[np.object_]
uint16: np.dtype[np.uint16]
uint32: np.dtype[np.uint32]
uint64: np.dtype[np.uint64]
uint8: np.dtype[np.uint8]

__all__ = [
    "GradientTape",
    "Module",
    "TensorSpec",
    "UnconnectedGradients",
    "Variable",
    "__version__",
    "analysis",
    "autograph",
    "bfloat16",
    "bool",
    "cast",
    "clip_by_global_norm",
    "clip_by_norm",
    "config",
    "constant",
    "convert_to_tensor",
    "core",
    "custom_gradient",
    "data",
    "distribute",
    "float16",
    "float32",
    "float64",
    "framework",
    "function",
    "global_norm",
    "hostops",
    "int8",
    "int16",
    "int32",
    "int64",
    "io",
    "keras",
    "metadata",
    "ops",
    "pipeline",
    "print",
    "saved_model",
    "serving",
    "statistics",
    "stop_gradient",
    "string",
    "summary",
    "train",
    "transform",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "validation",
]
