"""The environment that a step runs in: what its result depends on, and what is only worth recording."""

from __future__ import annotations

import platform
from collections.abc import Mapping

KEYED = ("python", "numpy", "pyarrow", "jax", "jaxlib", "keras")
"""What enters cache keys; a result of other versions is not reused."""


def describe_environment() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute, and the platform, without importing any.

    A package that is not installed has the version ``absent``.
    """
    import importlib.metadata

    found = {"python": platform.python_version(), "platform": platform.platform(), "machine": platform.machine()}
    for package in (*KEYED[1:], "mainstay"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def keyed_part(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that enters cache keys."""
    return {name: environment[name] for name in KEYED}
