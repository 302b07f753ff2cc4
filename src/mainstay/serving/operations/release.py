"""Which versions of what run here, without importing any of it."""

from __future__ import annotations

import functools
import importlib.metadata
import platform


@functools.cache
def release(package: str = "mainstay") -> str:
    """Return the version of an installed package; empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def python_release() -> str:
    """Return the version of Python, such as ``3.11.7``."""
    return platform.python_version()
