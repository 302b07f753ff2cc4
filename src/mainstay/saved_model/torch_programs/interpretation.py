"""Interpretation: the graph of an exported program, run operator by operator on JAX arrays.

The graph is PyTorch's own object, of which only plain attributes are read: `op`, `target`, `args`, `kwargs`, `meta`.
"""

from __future__ import annotations

import operator as python_operators
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import MainstayError, ModelError
from mainstay.saved_model.serving_function import device_dtype
from mainstay.saved_model.torch_programs.registry import find_operator, operator_names

_DTYPES = {
    "bool": "bool",
    "uint8": "uint8",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float64": "float64",
}

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    name: getattr(python_operators, name)
    for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "getitem", "pow")
}
"""Python's own operators, which a graph applies to lengths of axes."""

_CHECKS = ("aten._assert_scalar", "aten._assert_async", "aten.sym_constrain_range", "aten._assert_tensor_metadata")


def dtype_name(value: Any) -> str:
    """Return the name of one of PyTorch's dtypes.

    Raises:
        ModelError: It is one that has no equal here.
    """
    name = str(value).removeprefix("torch.")
    if name not in _DTYPES:
        raise ModelError("a tensor has a dtype that is not supported", expected=", ".join(_DTYPES), received=value)
    return _DTYPES[name]


def unknown_operators(graph: Any) -> dict[str, list[Any]]:
    """Return the nodes of a graph whose operators are not known, by operator."""
    unknown: dict[str, list[Any]] = {}
    for node in graph.nodes:
        if node.op not in ("placeholder", "output", "call_function"):
            unknown.setdefault(f"{node.op} {node.target}", []).append(node)
        elif node.op == "call_function" and _function(node) is None:
            unknown.setdefault(str(node.target), []).append(node)
    return unknown


def check_operators(graph: Any) -> None:
    """Refuse a graph with an operator that is not known, naming each with a line of the model's code.

    Raises:
        ModelError: There is one.
    """
    unknown = unknown_operators(graph)
    if unknown:
        name, nodes = next(iter(unknown.items()))
        raise ModelError(
            "the program uses operators of PyTorch that are not supported",
            where=place_of(nodes[0]),
            expected=f"operators among the {len(operator_names())} that are known",
            received=", ".join(f"{key} ({len(found)} ×)" for key, found in unknown.items()),
            fix=f"write the model without {name}, or convert it to Keras",
        )


def run_graph(graph: Any, inputs: Mapping[str, Any]) -> list[Any]:
    """Return what a graph gives.

    Args:
        graph: The graph.
        inputs: A JAX array for each placeholder by its name.

    Raises:
        ModelError: An operator cannot be done; the message names the line of the model's code.
    """
    values: dict[str, Any] = {}
    results: Any = ()
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node.name] = inputs.get(node.name)
        elif node.op == "output":
            results = _resolved(node.args[0], values)
        else:
            values[node.name] = _run_node(node, values)
    return list(results)


def _run_node(node: Any, values: Mapping[str, Any]) -> Any:
    function = _function(node)
    arguments = _resolved(list(node.args), values)
    options = {key: _resolved(value, values) for key, value in node.kwargs.items() if key not in _PLACES}
    try:
        result = None if function is None else function(*arguments, **options)
    except MainstayError:
        raise
    except Exception as error:
        raise ModelError(
            "an operator of the program cannot be done",
            where=place_of(node),
            received=f"{node.target}: {type(error).__name__}: {error}",
        ) from error
    return _as_described(result, node.meta.get("val"))


_PLACES = frozenset({"device", "layout", "pin_memory", "memory_format", "non_blocking"})
"""Keywords that say where an array lies, not what it holds."""


def _function(node: Any) -> Callable[..., Any] | None:
    name = str(node.target)
    if getattr(node.target, "__module__", None) in ("_operator", "operator"):
        return _ARITHMETIC.get(node.target.__name__)
    if name.startswith("aten.sym_size"):
        return lambda x, axis=None: x.shape if axis is None else x.shape[axis]
    if name.startswith("aten.sym_numel"):
        return lambda x: x.size
    if name.startswith(_CHECKS):
        return lambda *_, **__: None
    return find_operator(name)


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """Return an argument with nodes replaced by their values, and PyTorch's dtypes by NumPy's."""
    if isinstance(value, (list, tuple)):
        return [_resolved(item, values) for item in value]
    if hasattr(value, "meta") and hasattr(value, "name"):
        return values[value.name]
    if str(value).startswith("torch."):
        name = str(value).removeprefix("torch.")
        return np.dtype(_numpy_dtype(name)) if name in _DTYPES else value
    return value


def _numpy_dtype(name: str) -> Any:
    import ml_dtypes

    narrow = device_dtype(name)
    return ml_dtypes.bfloat16 if narrow == "bfloat16" else narrow


def _as_described(result: Any, described: Any) -> Any:
    """Return a result with the dtypes that PyTorch gives it: its rules of promotion differ from JAX's."""
    if isinstance(result, (list, tuple)) and isinstance(described, (list, tuple)):
        return [_as_described(item, other) for item, other in zip(result, described, strict=False)]
    wanted = getattr(described, "dtype", None)
    if wanted is None or not hasattr(result, "astype"):
        return result
    return result.astype(_numpy_dtype(dtype_name(wanted)))


def place_of(node: Any) -> str:
    """Return the line of the model's code that a node comes from, or the node's name."""
    trace = (node.meta or {}).get("stack_trace")
    lines: Sequence[str] = [line.strip() for line in trace.splitlines()] if isinstance(trace, str) else []
    files = [line for line in lines if line.startswith("File ")]
    return f"{files[-1]}, node {node.name}" if files else f"node {node.name}"
