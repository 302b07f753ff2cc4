"""`function`: calls of a Python function become calls of programs that are traced once per kind of arguments."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mainstay.framework.functions.program import Program
from mainstay.framework.functions.structures import Structure, is_array, tree
from mainstay.framework.functions.tracing import trace
from mainstay.framework.jax_internals import jax_settings
from mainstay.framework.keras_internals import keras_settings, thread_settings


class Function:
    """A Python function whose calls run as compiled programs; made by `function`."""

    def __init__(self, func: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, func)
        self.python_function = func
        self._options = options
        self._programs: dict[Any, Program] = {}
        self._lock = threading.RLock()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        functions = instance.__dict__.setdefault("_mainstay_functions", {})
        bound = functions.get(id(self))
        if bound is None:
            bound = functions[id(self)] = Function(self.python_function.__get__(instance, owner), **self._options)
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if thread_settings().get("stateless_scope") is not None:
            return self.python_function(*args, **kwargs)
        leaves, treedef = tree.tree_flatten((args, kwargs))
        key: list[Any] = [treedef, jax_settings(), keras_settings()]
        operands = []
        for leaf in leaves:
            if isinstance(leaf, jax.Array):
                key.append(jax.typeof(leaf))
                operands.append(leaf)
            elif isinstance(leaf, (np.ndarray, np.generic)):
                key.append((leaf.shape, leaf.dtype))
                operands.append(leaf)
            else:
                key.append((type(leaf), leaf))
        program = self._programs.get(tuple(key))
        if program is None:
            program = self._trace(tuple(key), args, kwargs)
        return program(operands)

    def _trace(self, key: Any, args: Any, kwargs: Any) -> Program:
        with self._lock:
            structure, operands = Structure.of((args, kwargs), is_array)
            name = getattr(self.python_function, "__name__", "function")
            traced = trace(self.python_function, structure, operands, name=name, may_create=not self._programs)
            program = self._programs[key] = Program(traced, name)
            return program

    def experimental_get_tracing_count(self) -> int:
        """Return how often the function was traced."""
        return len(self._programs)


def function(func: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function."""
    if func is None:
        return functools.partial(function, **options)
    return Function(func, **options)
