"""Turns `return`, `break` and `continue` inside of conditions and loops into flags that later statements look at.

A statement after `if c: return a` moves into the `else` of that `if`, so most code needs no flag at run time. Where
that is not possible, what follows is put under `if ag__.proceed(flags):`. Loops take their flags into their tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mainstay.framework.autograph.names import is_static_test
from mainstay.framework.autograph.source import NotConvertibleError

DONE = "ag__done"
VALUE = "ag__value"
BROKEN = "ag__broken_"
SKIPPED = "ag__skipped_"
_Nested = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_Loop = (ast.For, ast.While)


@dataclass(frozen=True)
class _Flags:
    """The flags of the innermost loop, and whether `return` is lowered too."""

    broken: str | None
    skipped: str | None
    returns: bool


def lower_jumps(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the body of a function in which no jump leaves a condition or a loop.

    Each loop gets an attribute `flags`: names that end it when they are true.
    """
    if any(isinstance(node, ast.AsyncFor | ast.AsyncWith) for node in _inside(body)):
        raise NotConvertibleError("generators and coroutines run as they are")
    returns = _returns_in_control_flow(body)
    falls_through = not _always_exits(body)
    lowered = _Lowering().block(body, _Flags(None, None, returns))
    if not returns:
        return lowered
    first, last = body[0], body[-1]
    end = ast.Call(
        operator("finish"),
        [_load(DONE), thunk(_load(VALUE)), ast.Constant(falls_through), ast.Constant(last.lineno)],
        [],
    )
    return [_at(first, assign(DONE, False)), *lowered, _at(last, ast.Return(end))]


def ends_loop(name: str) -> bool:
    """Return whether a name is a flag that ends a loop when it is set."""
    return name == DONE or name.startswith(BROKEN)


def is_flag(name: str) -> bool:
    """Return whether a name is a flag of a jump."""
    return ends_loop(name) or name.startswith(SKIPPED)


def operator(name: str) -> ast.Attribute:
    """Return the tree of `ag__.name`."""
    return ast.Attribute(ast.Name("ag__", ast.Load()), name, ast.Load())


def assign(name: str, value: ast.expr | bool | None) -> ast.Assign:
    """Return the tree of `name = value`."""
    node = value if isinstance(value, ast.expr) else ast.Constant(value)
    return ast.Assign([ast.Name(name, ast.Store())], node)


def thunk(value: ast.expr) -> ast.Lambda:
    """Return the tree of `lambda: value`."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), value)


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _at(place: ast.AST, node: ast.stmt) -> ast.stmt:
    return ast.fix_missing_locations(ast.copy_location(node, place))


def _inside(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Walk statements and expressions of one function scope."""
    pending = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _Nested):
            pending.extend(ast.iter_child_nodes(node))


def _returns_in_control_flow(body: Sequence[ast.AST]) -> bool:
    staged = (node for node in _inside(body) if is_staged(node))
    return any(isinstance(inner, ast.Return) for node in staged for inner in _inside([node]))


def is_staged(node: ast.AST) -> bool:
    """Return whether a statement is one that a traced value may decide about."""
    return isinstance(node, _Loop) or (isinstance(node, ast.If) and not is_static_test(node.test))


def _jumps(node: ast.AST, *, loops: bool = True) -> Iterator[ast.stmt]:
    """Walk the jumps that leave a statement: `return`s, and `break`s and `continue`s of a loop around it."""
    if isinstance(node, ast.Return) or (loops and isinstance(node, ast.Break | ast.Continue)):
        yield node
    elif not isinstance(node, _Nested):
        own = isinstance(node, _Loop)
        for name, value in ast.iter_fields(node):
            children = value if isinstance(value, list) else [value]
            for child in children:
                if isinstance(child, ast.AST):
                    yield from _jumps(child, loops=loops and not (own and name == "body"))


def _own_jump(body: Sequence[ast.stmt], kind: type[ast.stmt]) -> bool:
    return any(isinstance(jump, kind) for statement in body for jump in _jumps(statement))


def _always_exits(body: Sequence[ast.stmt]) -> bool:
    """Return whether control never reaches the end of a block."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Return | ast.Break | ast.Continue | ast.Raise):
        return True
    if isinstance(last, ast.If):
        return _always_exits(last.body) and _always_exits(last.orelse)
    if isinstance(last, ast.While):
        endless = isinstance(last.test, ast.Constant) and bool(last.test.value)
        return endless and not _own_jump(last.body, ast.Break)
    if isinstance(last, ast.Try | ast.TryStar):
        return _always_exits(last.body or last.orelse) and all(_always_exits(item.body) for item in last.handlers)
    return False


class _Lowering:
    def __init__(self) -> None:
        self._count = 0

    def block(self, body: Sequence[ast.stmt], flags: _Flags) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for index, statement in enumerate(body):
            rest = body[index + 1 :]
            jump = self._jump(statement, flags)
            if jump:
                return done + jump
            leaving = self._set_by(statement, flags)
            if isinstance(statement, ast.If) and leaving and rest and self._take_rest(statement, rest):
                rest = []
            done += self._statement(statement, flags)
            if leaving:
                # Nothing of the rest is left if the `if` took it.
                return done + self._guarded(rest, leaving, flags)
        return done

    def _jump(self, statement: ast.stmt, flags: _Flags) -> list[ast.stmt]:
        if isinstance(statement, ast.Return) and flags.returns:
            value = statement.value or ast.Constant(None)
            return [_at(statement, assign(VALUE, value)), _at(statement, assign(DONE, True))]
        if isinstance(statement, ast.Break) and flags.broken:
            return [_at(statement, assign(flags.broken, True))]
        if isinstance(statement, ast.Continue) and flags.skipped:
            return [_at(statement, assign(flags.skipped, True))]
        return []

    def _set_by(self, statement: ast.stmt, flags: _Flags) -> list[str]:
        """Return the flags that a statement may set."""
        kinds = {type(jump) for jump in _jumps(statement)}
        named = {ast.Return: DONE if flags.returns else None, ast.Break: flags.broken, ast.Continue: flags.skipped}
        return [flag for kind, flag in named.items() if kind in kinds and flag is not None]

    def _take_rest(self, statement: ast.If, rest: Sequence[ast.stmt]) -> bool:
        """Move what follows an `if` into the branch that reaches it, if only one does."""
        through, otherwise = not _always_exits(statement.body), not _always_exits(statement.orelse)
        if through and otherwise:
            return False
        if through:
            statement.body = [*statement.body, *rest]
        elif otherwise:
            statement.orelse = [*statement.orelse, *rest]
        return True

    def _guarded(self, rest: Sequence[ast.stmt], leaving: list[str], flags: _Flags) -> list[ast.stmt]:
        if not rest:
            return []
        test = ast.Call(operator("proceed"), [_load(flag) for flag in leaving], [])
        # In there the flags are known, and what looks at them again is decided by Python.
        known = [_at(rest[0], assign(flag, False)) for flag in leaving]
        return [_at(rest[0], ast.If(test, [*known, *self.block(rest, flags)], []))]

    def _statement(self, node: ast.stmt, flags: _Flags) -> list[ast.stmt]:
        if isinstance(node, _Loop):
            return self._loop(node, flags)
        if isinstance(node, ast.If):
            node.body, node.orelse = self.block(node.body, flags), self.block(node.orelse, flags)
            node.body = node.body or [_at(node, ast.Pass())]
        elif isinstance(node, ast.With):
            node.body = self.block(node.body, flags)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                case.body = self.block(case.body, flags)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._try(node, flags)
        return [node]

    def _try(self, node: ast.Try | ast.TryStar, flags: _Flags) -> None:
        if any(True for statement in node.finalbody for _ in _jumps(statement)):
            raise NotConvertibleError("a jump out of `finally` swallows exceptions")
        leaving = [flag for statement in node.body for flag in self._set_by(statement, flags)]
        node.body = self.block(node.body, flags)
        for handler in node.handlers:
            handler.body = self.block(handler.body, flags)
        if leaving:
            node.orelse = self._guarded(node.orelse, list(dict.fromkeys(leaving)), flags)
        else:
            node.orelse = self.block(node.orelse, flags)
        node.finalbody = self.block(node.finalbody, flags)

    def _loop(self, node: ast.For | ast.While, flags: _Flags) -> list[ast.stmt]:
        if isinstance(node, ast.While):
            self._move_test(node)
        self._count += 1
        broken = f"{BROKEN}{self._count}" if _own_jump(node.body, ast.Break) else None
        skipped = f"{SKIPPED}{self._count}" if _own_jump(node.body, ast.Continue) else None
        returns = flags.returns and _own_jump(node.body, ast.Return)
        inner = _Flags(broken, skipped, flags.returns)
        body = self.block(node.body, inner)
        if skipped:
            body.insert(0, _at(node.body[0], assign(skipped, False)))
        node.body = body or [_at(node, ast.Pass())]
        ending = [flag for flag in (broken, DONE if returns else None) if flag is not None]
        node.flags = ending  # type: ignore[union-attr]
        otherwise, node.orelse = node.orelse, []
        before = [_at(node, assign(broken, False))] if broken else []
        after = self._guarded(otherwise, ending, flags) if ending else self.block(otherwise, flags)
        return [*before, node, *after]

    def _move_test(self, node: ast.While) -> None:
        """Put a test that binds names into the body: there it may."""
        if any(isinstance(item, ast.NamedExpr) for item in ast.walk(node.test)):
            if node.orelse:
                raise NotConvertibleError("`while` with both `:=` and `else`")
            stop = ast.If(ast.UnaryOp(ast.Not(), node.test), [ast.Break()], [])
            node.body = [_at(node.test, stop), *node.body]
            node.test = ast.copy_location(ast.Constant(True), node.test)
