"""A traced JAX program as the graph that TensorBoard draws: one node per operation, in its name scopes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from mainstay.core import message_class

_DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8, "int64": 9, "bool": 10,
    "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
_PRODUCER = 1
_LONGEST_ATTRIBUTE = 200
_INLINED = frozenset(
    [
        "jit",
        "pjit",
        "closed_call",
        "core_call",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "checkpoint",
    ]
)
"""Primitives that only call a function: its operations stand in the place of the call."""
_WITHOUT_NODE = frozenset(["dim_as_value"])


def graph_of_jaxpr(program: ClosedJaxpr, input_names: Sequence[str], input_ops: Mapping[int, str] | None = None) -> Any:
    """Return the `tensorflow.GraphDef` of a traced program.

    Args:
        program: The program.
        input_names: The name of each of its inputs; slashes are scopes.
        input_ops: The kind of an input by its number, where it is no Placeholder.

    Returns:
        The message. Operations bear the names of JAX's primitives and stand in the name scopes they were traced in.
    """
    builder = _Builder()
    jaxpr = program.jaxpr
    sources: dict[Any, str] = {}
    for number, (variable, name) in enumerate(zip(jaxpr.invars, input_names, strict=True)):
        sources[variable] = builder.add(name, (input_ops or {}).get(number, "Placeholder"), (), [variable.aval])
    for number, variable in enumerate(jaxpr.constvars):
        sources[variable] = builder.add(f"constants/constant_{number}", "Const", (), [variable.aval])
    outputs = builder.walk(jaxpr, sources, "")
    for number, (variable, source) in enumerate(zip(jaxpr.outvars, outputs, strict=True)):
        if source:
            builder.add(f"outputs/output_{number}", "Identity", [source], [variable.aval])
    return builder.graph


class _Builder:
    """Adds nodes under names that are free."""

    def __init__(self) -> None:
        self.graph = message_class("tensorflow.GraphDef")()
        self.graph.versions.producer = _PRODUCER
        self._taken: dict[str, int] = {}

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[str],
        avals: Sequence[Any],
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a node; return its name, made different from all others."""
        node = self.graph.node.add(name=self._free(name), op=op, input=[source for source in inputs if source])
        shapes = node.attr["_output_shapes"].list
        for aval in avals:
            shape = shapes.shape.add()
            for size in getattr(aval, "shape", ()):
                shape.dim.add(size=size if isinstance(size, int) else -1)  # -1: known only when the program runs
        if number := _DTYPES.get(str(getattr(avals[0], "dtype", "")) if avals else ""):
            node.attr["dtype"].type = number
        for key, value in (attributes or {}).items():
            _set_attribute(node.attr[key], value)
        return str(node.name)

    def walk(self, jaxpr: Jaxpr, sources: dict[Any, str], scope: str) -> list[str]:
        """Add the operations of a function; return the sources of its results."""
        for equation in jaxpr.eqns:
            inputs = [_source(sources, variable) for variable in equation.invars]
            outputs = self._operation(equation, inputs, _join(scope, str(equation.source_info.name_stack)))
            sources.update(zip(equation.outvars, outputs, strict=True))
        return [_source(sources, variable) for variable in jaxpr.outvars]

    def _operation(self, equation: Any, inputs: list[str], scope: str) -> list[str]:
        op = equation.primitive.name
        if op in _WITHOUT_NODE:
            return [""] * len(equation.outvars)
        functions = list(_functions(equation.params))
        if op in _INLINED and functions:
            _, function = functions[0]
            name = equation.params.get("name")
            inner = _join(scope, str(name)) if name and not str(name).startswith("<") else scope
            return self._call(function, inputs, inner)
        name = _join(scope, op)
        results = []
        for key, function in functions:
            results += self._call(function, _operands(op, key, inputs, equation.params), _join(name, key))
        avals = [variable.aval for variable in equation.outvars]
        plain = {key: value for key, value in equation.params.items() if key not in dict(functions)}
        node = self.add(_join(name, op) if functions else name, op, inputs + results, avals, plain)
        return [node if number == 0 else f"{node}:{number}" for number in range(len(avals))]

    def _call(self, function: ClosedJaxpr | Jaxpr, inputs: Sequence[str], scope: str) -> list[str]:
        jaxpr = function.jaxpr if isinstance(function, ClosedJaxpr) else function
        sources = dict.fromkeys(jaxpr.constvars, "")
        sources |= dict(zip(jaxpr.invars, inputs, strict=False))
        return self.walk(jaxpr, sources, scope)

    def _free(self, name: str) -> str:
        clean = re.sub(r"[^A-Za-z0-9_.\\\-/]", "_", name).strip("/") or "node"
        clean = clean if re.match(r"[A-Za-z0-9.]", clean) else f"n{clean}"
        count = self._taken.get(clean, 0)
        self._taken[clean] = count + 1
        if not count:
            return clean
        return self._free(f"{clean}_{count}")


def _source(sources: Mapping[Any, str], variable: Any) -> str:
    return "" if isinstance(variable, Literal) else sources.get(variable, "")


def _join(scope: str, name: str) -> str:
    return "/".join(filter(None, [scope, name]))


def _functions(params: Mapping[str, Any]) -> Iterator[tuple[str, ClosedJaxpr | Jaxpr]]:
    """Every function among the parameters of an operation: the bodies of loops, the branches of conditions."""
    for key, value in params.items():
        if isinstance(value, ClosedJaxpr | Jaxpr):
            yield key, value
        elif isinstance(value, tuple | list):
            yield from ((f"{key}_{n}", item) for n, item in enumerate(value) if isinstance(item, ClosedJaxpr | Jaxpr))


def _operands(op: str, key: str, inputs: list[str], params: Mapping[str, Any]) -> list[str]:
    """Which inputs of a control flow operation a function of it sees."""
    if op == "cond":
        return inputs[1:]
    if op == "while":
        condition, body = params["cond_nconsts"], params["body_nconsts"]
        own = inputs[:condition] if key == "cond_jaxpr" else inputs[condition : condition + body]
        return own + inputs[condition + body :]
    return inputs


def _set_attribute(attribute: Any, value: Any) -> None:
    match value:
        case bool():
            attribute.b = value
        case int() if -(2**63) <= value < 2**63:
            attribute.i = value
        case float():
            attribute.f = value
        case _:
            attribute.s = str(value)[:_LONGEST_ATTRIBUTE].encode()
