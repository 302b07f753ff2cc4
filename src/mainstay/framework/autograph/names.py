"""Which names a piece of a function reads, binds or changes; nothing here looks at values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# Methods that change a list or a dictionary.
_MUTATORS = frozenset(
    ("append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "setdefault", "sort", "reverse")
)


@dataclass
class Names:
    """What a piece of one function does with names.

    Attributes:
        read: Names whose value is used, by nested functions too.
        bound: Names that are assigned or deleted in the scope of the function.
        captured: Names that a nested function or class uses, at a time that nobody knows.
        attributes: Places such as `self.x` that are assigned.
        contents: Places, such as `d` or `self.d`, of lists and dictionaries whose items may change.
    """

    read: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    captured: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)


def names_of(nodes: ast.AST | Iterable[ast.AST] | None) -> Names:
    """Return what a node, or several, does with names."""
    collector = _Collector()
    for node in [nodes] if isinstance(nodes, ast.AST) else nodes or ():
        collector.visit(node)
    return collector.names


def parameters(arguments: ast.arguments) -> list[str]:
    """Return the names of all parameters, in order."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [item.arg for item in listed if item is not None]


def declared(body: Sequence[ast.stmt], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    """Return the names that `global` or `nonlocal` statements of one function scope declare."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, kind):
            found |= set(node.names)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return found


def free_names(node: Scope) -> Names:
    """Return what a nested function takes from, or sets in, the functions around it."""
    statements: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
    inner = names_of(statements)
    outward = set() if isinstance(node, ast.Lambda) else declared(node.body, ast.Nonlocal)
    local = (inner.bound | set(parameters(node.args))) - outward
    if not isinstance(node, ast.Lambda):
        local |= declared(node.body, ast.Global)
    used = (inner.read | inner.captured) - local
    return Names(read=used, bound=inner.bound & outward, captured=used | (inner.bound & outward))


def effects_of(body: Sequence[ast.stmt], own: set[str]) -> dict[str, Names]:
    """Return which names calls of the functions defined in one function scope may bind there, by their names.

    Args:
        body: The statements of the scope.
        own: Names that are certainly of this scope, and not of one around it.
    """
    nested: dict[str, Names] = {}
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            nested[node.name] = free_names(node)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            own = own | {node.id}
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    for names in nested.values():
        names.bound &= own
    return nested


def add_effects(names: Names, effects: dict[str, Names]) -> None:
    """Add to the names of a block those that functions may bind that it, or a function among them, calls."""
    pending, known = set(names.read), set()
    while pending:
        name = pending.pop()
        if name in effects and name not in known:
            known.add(name)
            names.bound |= effects[name].bound
            pending |= effects[name].read


def place_of(node: ast.expr) -> str | None:
    """Return `a.b.c` for a chain of attributes that starts at a name, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        root = place_of(node.value)
        return None if root is None else f"{root}.{node.attr}"
    return None


def is_static_test(node: ast.expr) -> bool:
    """Return whether a condition is a Python value whatever its operands are: `x is None`, `isinstance(x, T)`, …"""
    if isinstance(node, ast.BoolOp):
        return all(is_static_test(item) for item in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return is_static_test(node.operand)
    if isinstance(node, ast.Compare):
        return all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"isinstance", "issubclass", "hasattr", "callable"}
    return isinstance(node, ast.Constant)


class _Collector(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names = Names()

    def visit_Name(self, node: ast.Name) -> None:
        (self.names.read if isinstance(node.ctx, ast.Load) else self.names.bound).add(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.names.read.add(node.target.id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        place = place_of(node)
        if place is not None and not isinstance(node.ctx, ast.Load):
            self.names.attributes.add(place)
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        place = place_of(node.value)
        if place is not None and not isinstance(node.ctx, ast.Load):
            self.names.contents.add(place)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _MUTATORS:
            place = place_of(function.value)
            if place is not None:
                self.names.contents.add(place)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.names.bound.add(node.name)
        self._nested(node)
        for outside in (*node.decorator_list, node.returns):
            if outside is not None:
                self.visit(outside)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._nested(node)

    def _nested(self, node: Scope) -> None:
        inner = free_names(node)
        self.names.read |= inner.read
        self.names.bound |= inner.bound
        self.names.captured |= inner.captured
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = names_of(node.body)
        self.names.bound.add(node.name)
        self.names.read |= inner.read
        self.names.captured |= inner.read | inner.captured
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        inner = _Collector()
        inner.generic_visit(node)
        targets = names_of(item.target for item in node.generators).bound
        self.names.read |= inner.names.read - targets
        # What is bound beside the targets is bound by `:=`, in the function around.
        self.names.bound |= inner.names.bound - targets
        self.names.captured |= inner.names.captured - targets
        self.names.attributes |= inner.names.attributes
        self.names.contents |= {place for place in inner.names.contents if place.split(".")[0] not in targets}

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def visit_alias(self, node: ast.alias) -> None:
        self.names.bound.add((node.asname or node.name).split(".")[0])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None:
            self.names.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self.names.bound.add(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest is not None:
            self.names.bound.add(node.rest)
        self.generic_visit(node)
