"""Mainstay: the production line for machine learning, in one package, on JAX and Keras 3.

``import mainstay as tf`` gives the rooms under the names that TensorFlow users know. Each room is imported when it
is first used, so that a server never pays for Keras and a command line never waits for JAX.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "analysis",
    "core",
    "framework",
    "hostops",
    "io",
    "keras",
    "metadata",
    "pipeline",
    "saved_model",
    "serving",
    "statistics",
    "transform",
    "validation",
)

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"mainstay.{name}")
    raise AttributeError(f"module 'mainstay' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
