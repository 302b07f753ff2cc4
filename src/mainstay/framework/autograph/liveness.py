"""Finds which names may still be read after each condition and in each loop: only those need a value there."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from mainstay.framework.autograph.names import names_of

Live = frozenset[str]


def annotate(body: Sequence[ast.stmt], escaping: set[str]) -> None:
    """Give each `if`, `while` and `for` of a lowered function body an attribute `live`.

    For an `if` it holds the names that may be read after it, for a loop also those that a further round may read.

    Args:
        body: Statements as `lower_jumps` leaves them.
        escaping: Names that something outside of this body may read at any time.
    """
    _Liveness(frozenset(escaping) | names_of(body).captured).before(body, frozenset())


class _Liveness:
    def __init__(self, always: Live) -> None:
        self._always = always

    def before(self, body: Sequence[ast.stmt], after: Live) -> Live:
        """Return the names that may be read from the start of a block on."""
        live = after | self._always
        for statement in reversed(body):
            live = self._statement(statement, live) | self._always
        return live

    def _statement(self, node: ast.stmt, after: Live) -> Live:
        if isinstance(node, ast.If):
            node.live = after  # type: ignore[attr-defined]
            return _reads(node.test) | self.before(node.body, after) | self.before(node.orelse, after)
        if isinstance(node, ast.While | ast.For):
            return self._loop(node, after)
        if isinstance(node, ast.With):
            bound = names_of(item.optional_vars for item in node.items if item.optional_vars is not None).bound
            return _reads(*node.items) | (self.before(node.body, after) - bound) | after
        if isinstance(node, ast.Try | ast.TryStar):
            return self._try(node, after)
        if isinstance(node, ast.Match):
            cases = [self._case(case, after) for case in node.cases]
            return _reads(node.subject).union(after, *cases)
        if isinstance(node, ast.Return | ast.Raise):
            return _reads(node)
        return (after - _certainly_bound(node)) | _reads(node)

    def _loop(self, node: ast.While | ast.For, after: Live) -> Live:
        ending = frozenset(node.flags)  # type: ignore[union-attr]
        head = after | ending | (_reads(node.test) if isinstance(node, ast.While) else frozenset())
        target = names_of(node.target).bound if isinstance(node, ast.For) else set()
        while True:
            round_trip = head | (self.before(node.body, head) - target)
            if round_trip == head:
                break
            head = round_trip
        node.live = head  # type: ignore[union-attr]
        return head | (_reads(node.iter) if isinstance(node, ast.For) else frozenset())

    def _case(self, case: ast.match_case, after: Live) -> Live:
        guard = _reads(case.guard) if case.guard is not None else frozenset()
        return ((self.before(case.body, after) | guard) - names_of(case.pattern).bound) | _reads(case.pattern)

    def _try(self, node: ast.Try | ast.TryStar, after: Live) -> Live:
        after = after | self.before(node.finalbody, after)
        otherwise = self.before(node.orelse, after)
        handlers = [self.before(handler.body, after) for handler in node.handlers]
        # Any statement of the body may be the last that runs.
        reachable = otherwise.union(after, *handlers, *(_reads(item.type) for item in node.handlers if item.type))
        return self.before(node.body, reachable) | reachable


def _reads(*nodes: ast.AST) -> Live:
    found: Live = frozenset()
    for node in nodes:
        names = names_of(node)
        found |= names.read
    return found


def _certainly_bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign):
        return names_of(node.targets).bound
    if isinstance(node, ast.Delete):
        return names_of(node.targets).bound
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return set()
