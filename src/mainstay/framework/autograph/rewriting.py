"""Rewrites the tree of a function: conditions, loops and calls go through the operators that `ag__` names.

The blocks of an `if` or a loop become nested functions that set the names around them with `nonlocal`; the operator
finds those names in the closures of these functions. Whatever is generated carries the position of what it replaces,
so a traceback shows the file and line that the user wrote.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from mainstay.framework.autograph.jumps import lower_jumps, operator, thunk
from mainstay.framework.autograph.liveness import annotate
from mainstay.framework.autograph.names import (
    Names,
    add_effects,
    declared,
    effects_of,
    is_static_test,
    names_of,
    parameters,
)
from mainstay.framework.autograph.source import Definition

NAME = "ag__function"
# Functions that look at the scope that calls them, or that only answer questions about Python objects.
_NEVER_CONVERTED = frozenset(
    ("super", "locals", "globals", "vars", "dir", "eval", "exec", "isinstance", "issubclass", "hasattr", "callable")
)
_COMPARISONS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


def rewrite(node: Definition, class_name: str | None) -> ast.FunctionDef:
    """Return the rewritten function, named `ag__function`, without decorators, defaults and annotations.

    Args:
        node: The tree of the function; it is changed.
        class_name: The class that it was written in, for names such as `__private`.
    """
    if isinstance(node, ast.Lambda):
        body: list[ast.stmt] = [ast.copy_location(ast.Return(node.body), node.body)]
        node = ast.copy_location(ast.FunctionDef(NAME, node.args, body, []), node)
    _rewrite_scope(node, class_name)
    node.name, node.decorator_list, node.returns = NAME, [], None
    node.args.defaults, node.args.kw_defaults = [], [None] * len(node.args.kwonlyargs)
    for argument in _arguments(node.args):
        argument.annotation = None
    return ast.fix_missing_locations(node)


def _arguments(node: ast.arguments) -> Iterable[ast.arg]:
    listed = (*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg)
    return [item for item in listed if item is not None]


def _rewrite_scope(node: ast.FunctionDef, class_name: str | None) -> None:
    """Rewrite the body of one function in place; nested functions have scopes of their own."""
    shared, outer = declared(node.body, ast.Global), declared(node.body, ast.Nonlocal)
    # A docstring is one only as the first statement.
    described = node.body[: ast.get_docstring(node, clean=False) is not None]
    body = _Plain().statements(node.body)
    lowered = lower_jumps(body)
    annotate(lowered, shared | outer)
    effects = effects_of(lowered, outer | set(parameters(node.args)))
    rewriter = _Rewriter(node.args, shared, class_name, effects)
    rewritten = rewriter.block(lowered)
    head: list[ast.stmt] = []
    if shared:
        head.append(ast.Global(sorted(shared)))
    if outer:
        head.append(ast.Nonlocal(sorted(outer)))
    moved = rewriter.moved - shared - outer - set(parameters(node.args))
    if moved:
        # Never runs: it makes names that are only assigned in generated functions local to this one.
        bind = ast.Assign([ast.Name(name, ast.Store()) for name in sorted(moved)], ast.Constant(None))
        head.append(ast.If(ast.Constant(False), [bind], []))
    node.body = [*described, *(ast.copy_location(item, node.body[0]) for item in head), *rewritten]


class _Plain(ast.NodeTransformer):
    """Drops what generated functions may not hold: annotations of names, and declarations, which are put on top."""

    def statements(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        kept = [self.visit(item) for item in body]
        return [item for item in kept if item is not None] or [ast.copy_location(ast.Pass(), body[0])]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if name == "body" and block == [] and isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                node.body = [ast.copy_location(ast.Pass(), node)]  # type: ignore[union-attr]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Global(self, node: ast.Global) -> None:
        return None

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = visit_FunctionDef  # type: ignore[assignment] # noqa: N815


class _Rewriter(ast.NodeTransformer):
    """Rewrites the statements and expressions of one function scope."""

    def __init__(
        self, arguments: ast.arguments, shared: set[str], class_name: str | None, effects: dict[str, Names]
    ) -> None:
        names = parameters(arguments)
        self.moved: set[str] = set()
        self._first = names[0] if names else None
        self._shared = shared
        self._class = class_name
        self._effects = effects
        self._count = 0

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            found += new if isinstance(new, list) else [new]
        return found

    # Statements

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if is_static_test(node.test):
            return self.generic_visit(node)
        names = self._names((*node.body, *node.orelse))
        then = self._function("then", node.body, names)
        otherwise = self._function("else", node.orelse, names) if node.orelse else None
        call = self._operator(
            "if_stmt",
            self.visit(node.test),
            ast.Name(then.name, ast.Load()),
            ast.Name(otherwise.name, ast.Load()) if otherwise else ast.Constant(None),
            *self._places(node, names),
        )
        functions: list[ast.stmt] = [then, otherwise] if otherwise else [then]
        return [ast.copy_location(item, node) for item in (*functions, ast.Expr(call))]

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        names = self._names(node.body)
        flags: list[str] = node.flags  # type: ignore[attr-defined]
        test = self.visit(node.test)
        if flags:
            endless = isinstance(test, ast.Constant) and bool(test.value)
            going = _proceed(flags)
            test = going if endless else self._operator("and_", going, thunk(test), ast.Constant(node.lineno))
        body = self._function("body", node.body, names)
        call = self._operator(
            "while_stmt",
            ast.copy_location(thunk(test), node.test),
            ast.Name(body.name, ast.Load()),
            *self._places(node, names),
        )
        return [ast.copy_location(item, node) for item in (body, ast.Expr(call))]

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        names = self._names((node.target, *node.body))
        flags: list[str] = node.flags  # type: ignore[attr-defined]
        take = ast.copy_location(ast.Assign([node.target], ast.Name("ag__item", ast.Load())), node.target)
        body = self._function("body", [take, *node.body], names, "ag__item")
        call = self._operator(
            "for_stmt",
            self.visit(node.iter),
            thunk(_proceed(flags)) if flags else ast.Constant(None),
            ast.Name(body.name, ast.Load()),
            *self._places(node, names),
        )
        return [ast.copy_location(item, node) for item in (body, ast.Expr(call))]

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        node.test = ast.copy_location(self._operator("checked", node.test, ast.Constant(node.lineno)), node.test)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        self._defaults(node.args)
        decorators = {ast.unparse(item).split(".")[-1].split("(")[0] for item in node.decorator_list}
        if "do_not_convert" not in decorators and not _yields(node.body):
            _rewrite_scope(node, self._class)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def _names(self, body: Iterable[ast.stmt | ast.expr]) -> Names:
        names = names_of(body)
        add_effects(names, self._effects)
        return names

    def _function(self, kind: str, body: list[ast.stmt], names: Names, *arguments: str) -> ast.FunctionDef:
        """Make a block into a function that sets the names around it."""
        self._count += 1
        self.moved |= names.bound
        head: list[ast.stmt] = []
        if names.bound & self._shared:
            head.append(ast.Global(sorted(names.bound & self._shared)))
        if names.bound - self._shared:
            head.append(ast.Nonlocal(sorted(names.bound - self._shared)))
        parameters = ast.arguments([], [ast.arg(name) for name in arguments], None, [], [], None, [])
        name = f"ag__{kind}_{self._count}"
        inner = [ast.copy_location(item, body[0]) for item in head] + self.block(body)
        function: ast.FunctionDef = ast.FunctionDef(name, parameters, inner, [])
        return ast.copy_location(function, body[0])

    def _places(self, node: ast.If | ast.While | ast.For, names: Names) -> list[ast.expr]:
        """What the operator must carry: names, attributes and containers; those that live on; the line."""
        live: frozenset[str] = node.live  # type: ignore[union-attr]
        inside = {place for place in names.attributes | names.contents if place.split(".")[0] in names.bound}
        carried = [self._mangled(name) for name in sorted(names.bound)]
        carried += sorted(names.attributes - inside) + [f"{place}[]" for place in sorted(names.contents - inside)]
        alive = [self._mangled(name) for name in sorted(names.bound & live)]
        return [_strings(carried), _strings(alive), ast.Constant(node.lineno)]

    def _mangled(self, name: str) -> str:
        private = self._class is not None and name.startswith("__") and not name.endswith("__")
        return f"_{(self._class or '').lstrip('_')}{name}" if private else name

    # Expressions

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "super" and not node.args and self._first is not None:
            # Inside of a generated function Python would not find these two.
            node.args = [ast.Name("__class__", ast.Load()), ast.Name(self._first, ast.Load())]
        own = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "ag__"
        self.generic_visit(node)
        if name not in _NEVER_CONVERTED and not own:
            node.func = ast.copy_location(self._operator("call", node.func), node.func)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        if is_static_test(node) or _binds(node.values[1:]):
            return self.generic_visit(node)
        first, *others = [self.visit(item) for item in node.values]
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return self._operator(name, first, *map(thunk, others), ast.Constant(node.lineno), at=node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and not is_static_test(node):
            return self._operator("not_", node.operand, ast.Constant(node.lineno), at=node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) == 1 or is_static_test(node) or _binds(node.comparators):
            return self.generic_visit(node)
        self.generic_visit(node)
        signs = _strings([_COMPARISONS[type(op)] for op in node.ops])
        return self._operator(
            "compare", node.left, signs, *map(thunk, node.comparators), ast.Constant(node.lineno), at=node
        )

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if is_static_test(node.test) or _binds((node.body, node.orelse)):
            return self.generic_visit(node)
        self.generic_visit(node)
        return self._operator(
            "if_exp", node.test, thunk(node.body), thunk(node.orelse), ast.Constant(node.lineno), at=node
        )

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._defaults(node.args)
        if not _yields([node.body]):
            node.body = self.visit(node.body)
        return node

    def _defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(item) for item in arguments.defaults]
        arguments.kw_defaults = [None if item is None else self.visit(item) for item in arguments.kw_defaults]

    def _operator(self, name: str, *arguments: ast.expr, at: ast.AST | None = None) -> ast.Call:
        call = ast.Call(operator(name), list(arguments), [])
        return call if at is None else ast.copy_location(call, at)


def _proceed(flags: list[str]) -> ast.Call:
    return ast.Call(operator("proceed"), [ast.Name(flag, ast.Load()) for flag in flags], [])


def _strings(items: Sequence[str]) -> ast.Tuple:
    return ast.Tuple([ast.Constant(item) for item in items], ast.Load())


def _binds(nodes: Iterable[ast.expr]) -> bool:
    """Return whether `:=` binds a name, which it could not from inside of a lambda."""
    return any(isinstance(item, ast.NamedExpr) for node in nodes for item in ast.walk(node))


def _yields(body: Sequence[ast.AST]) -> bool:
    pending = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return False
