"""Which primitives of JAX become which ops of TensorFlow, as a table, read off the code that writes them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.plain_ops import graph
from mainstay.saved_model.plain_ops.programs import THEMES
from mainstay.saved_model.plain_ops.registry import find, registered


@dataclass(frozen=True, slots=True)
class Theme:
    """What one group of primitives becomes.

    Args:
        title: What the group is.
        primitives: The primitives.
        ops: The ops that they become, beside those for shapes that every group uses.
        limits: What of it is refused.
    """

    title: str
    primitives: tuple[str, ...]
    ops: tuple[str, ...]
    limits: tuple[str, ...]


def themes() -> tuple[Theme, ...]:
    """Return the groups of primitives that become plain ops.

    Example:
        >>> next(theme.ops for theme in themes() if theme.primitives == ("dot_general",))
        ('BatchMatMulV2', 'MatMul')
    """
    return tuple(_theme(module) for module in THEMES)


def shape_ops() -> tuple[str, ...]:
    """Return the ops that any group may use to bring values into shape."""
    return _ops(graph)


def table() -> str:
    """Return the groups as a table in Markdown."""
    lines = ["| what | primitives of JAX | ops of TensorFlow | refused |", "|---|---|---|---|"]
    for theme in themes():
        names = ", ".join(f"`{name}`" for name in theme.primitives)
        ops = ", ".join(f"`{op}`" for op in theme.ops)
        lines.append(f"| {theme.title} | {names} | {ops} | {'; '.join(theme.limits)} |")
    return "\n".join(lines) + "\n"


def _theme(module: ModuleType) -> Theme:
    primitives = [name for name in registered() if getattr(find(name), "__module__", "") == module.__name__]
    title = (module.__doc__ or "").split("\n")[0].rstrip(".")
    return Theme(title, tuple(primitives), _ops(module), tuple(_limits(module)))


def _ops(module: ModuleType) -> tuple[str, ...]:
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    found = {word for word in words if word.isidentifier() and definition(word) is not None}
    return tuple(sorted(found))


def _limits(module: ModuleType) -> Iterator[str]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NotPlainError":
            yield _text(node.args[0])


def _text(node: ast.expr) -> str:
    """Return a message, with an ellipsis for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "…"
