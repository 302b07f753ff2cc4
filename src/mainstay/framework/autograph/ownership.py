"""Decides whose a function is: only those of the user's are converted."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from types import FunctionType

from mainstay.framework.autograph.conversion import is_settled

_LIBRARIES = ("jax", "jaxlib", "keras", "numpy", "optree", "ml_dtypes")
_MAINSTAY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)})


def is_users(function: FunctionType, caller: str) -> bool:
    """Return whether a function is the user's: of no library, or of the library that the caller belongs to.

    Args:
        function: A function that Python code made.
        caller: The file of the code that calls it.
    """
    return _is_users_file(function.__code__.co_filename, caller) and not is_settled(function)


@functools.lru_cache(maxsize=4096)
def _is_users_file(filename: str, caller: str) -> bool:
    if filename.startswith("<frozen") or _under(filename, _MAINSTAY) or _under(filename, *_library_folders()):
        return False
    package = _installed_package(filename)
    if package is not None:
        return package == _installed_package(caller)
    return not _under(filename, *_STANDARD)


@functools.cache
def _library_folders() -> tuple[str, ...]:
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _LIBRARIES)
    return tuple(os.path.dirname(file) for file in files if file)


def _under(filename: str, *folders: str) -> bool:
    return any(filename.startswith(folder + os.sep) for folder in folders)


def _installed_package(filename: str) -> str | None:
    """Return the top-level package of a file in a folder of installed packages, or None for another file."""
    parts = filename.replace(os.sep, "/").split("/")
    for number, part in enumerate(parts[:-1]):
        if part in ("site-packages", "dist-packages"):
            return parts[number + 1]
    return None


def is_of_libraries(function: FunctionType) -> bool:
    """Return whether a function is one of JAX, Keras or what they are made of."""
    return _under(function.__code__.co_filename, *_library_folders())
