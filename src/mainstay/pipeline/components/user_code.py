"""Functions of the user's own files, named as ``FILE.py:function``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from mainstay.core import ArgumentError, InputError, MainstayError, digest_bytes


def split_reference(reference: str, *, option: str) -> tuple[Path, str]:
    """Return the file and the function's name of ``FILE.py:function``.

    Raises:
        ArgumentError: The text has another form, or the file is not there.
    """
    file, separator, name = reference.rpartition(":")
    if not separator or not name.isidentifier() or not file.endswith(".py"):
        raise ArgumentError("not a function in a file", where=option, expected="FILE.py:function", received=reference)
    path = Path(file)
    if not path.is_file():
        raise ArgumentError("the file is not there", where=option, expected="a Python file", received=file)
    return path.resolve(), name


def load_function(reference: str, *, option: str) -> Callable[..., Any]:
    """Return the function that ``FILE.py:function`` names, running the file as a module.

    The file's folder is importable while it is run, as if Python had been started on it.

    Raises:
        ArgumentError: The reference is malformed, the file fails, or it has no such function.
    """
    path, name = split_reference(reference, option=option)
    module_name = f"mainstay_user_{path.stem}_{digest_bytes(os.fsencode(path))[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ArgumentError("the file cannot be imported", where=option, received=path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except MainstayError:
        raise
    except Exception as error:
        del sys.modules[module_name]
        raise ArgumentError(
            f"the file fails when it is run: {type(error).__name__}: {error}",
            where=f"{option} {path}",
            fix="run the file with python to see the whole traceback",
        ) from error
    finally:
        sys.path.remove(str(path.parent))
    function = getattr(module, name, None)
    if not callable(function):
        functions = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ArgumentError(
            f"the file has no function {name!r}",
            where=f"{option} {path}",
            expected=f"one of {', '.join(functions)}" if functions else "a function",
            received=name,
        )
    return cast("Callable[..., Any]", function)


def call_user_function(function: Callable[..., Any], *args: Any, reference: str, error: type[InputError]) -> Any:
    """Call a user's function; its failure names the function, the line in its file and the cause.

    Args:
        function: What `load_function` gave.
        *args: Its arguments.
        reference: The ``FILE.py:function`` text for the message.
        error: The class of the error to raise.
    """
    try:
        return function(*args)
    except MainstayError:
        raise
    except Exception as failure:
        line, trace = "", failure.__traceback__
        file = reference.rpartition(":")[0]
        while trace is not None:
            if os.path.basename(trace.tb_frame.f_code.co_filename) == os.path.basename(file):
                line = f", line {trace.tb_lineno}"
            trace = trace.tb_next
        raise error(
            f"the function failed: {type(failure).__name__}: {failure}", where=f"{reference}{line}"
        ) from failure
