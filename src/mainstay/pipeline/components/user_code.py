"""Functions of the user's own files, named as ``FILE.py:function``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any, cast

from mainstay.core import ArgumentError, InputError, MainstayError, digest_bytes
from mainstay.pipeline.code import split_reference


def load_function(reference: str, *, option: str) -> Callable[..., Any]:
    """Return the function that ``FILE.py:function`` names, running the file as a module.

    The file's folder is importable while it is run, as if Python had been started on it.

    Raises:
        PipelineError: The reference is malformed, or the file has no such function.
        ArgumentError: The file fails when it is run, or what it names is no function.
    """
    path, name = split_reference(reference, option)
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
        raise ArgumentError(
            f"{name!r} is no function",
            where=f"{option} {path}",
            expected="a function",
            received=type(function).__name__,
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
