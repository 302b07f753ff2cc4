"""Finds the syntax tree of a function, with the lines of its file."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import tokenize
from types import CodeType, FunctionType
from typing import Any

Definition = ast.FunctionDef | ast.Lambda


class NotConvertibleError(Exception):
    """A function cannot be converted; the text says why. It never leaves this package."""


def definition(function: FunctionType) -> Definition:
    """Return the tree of a function, whose line and column numbers are those of its file.

    Args:
        function: A function as `def` or `lambda` made it.

    Raises:
        NotConvertibleError: Its source is not there, has changed since, or is of a kind that stays as it is.
    """
    code = function.__code__
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise NotConvertibleError("generators and coroutines run as they are")
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines or code.co_firstlineno > len(lines):
        raise NotConvertibleError("source not available")
    try:
        found = _lambda(code, "".join(lines)) if code.co_name == "<lambda>" else _def(code, lines)
    except (SyntaxError, tokenize.TokenError, IndentationError):
        found = None
    if found is None:
        raise NotConvertibleError("source not available: the file has changed since it was imported")
    return found


def _def(code: CodeType, lines: list[str]) -> ast.FunctionDef | None:
    """Parse the lines of one `def`; an indented one under an `if`, since strings must keep their indentation."""
    first = code.co_firstlineno - 1
    block = inspect.getblock(lines[first:])
    indented = block[0][:1].isspace()
    tree = ast.parse("".join(["if True:\n", *block] if indented else block))
    ast.increment_lineno(tree, first - indented)
    statement = tree.body[0]
    node = statement.body[0] if indented and isinstance(statement, ast.If) else statement
    return node if isinstance(node, ast.FunctionDef) and _fits(node, code) and node.name == code.co_name else None


def _lambda(code: CodeType, text: str) -> ast.Lambda | None:
    """Find the lambda on the code's line, by the position of its body when there are several."""
    candidates = [
        node
        for node in _parsed(text)
        if node.lineno <= code.co_firstlineno <= (node.end_lineno or node.lineno) and _fits(node, code)
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    # The innermost that holds everything that the code does.
    places = [place for place in code.co_positions() if None not in place and place[2] != place[3]]
    around = [node for node in candidates if places and all(_holds(node, *place) for place in places)]
    return max(around, key=lambda node: (node.lineno, node.col_offset), default=None)


def _holds(node: ast.Lambda, line: Any, end_line: Any, column: Any, end_column: Any) -> bool:
    starts = (node.lineno, node.col_offset) <= (line, column)
    return starts and (end_line, end_column) <= (node.end_lineno or line, node.end_col_offset or end_column)


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> list[ast.Lambda]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]


def _fits(node: Definition, code: CodeType) -> bool:
    """Return whether the parameters of a definition are those of the code: a changed file has other ones."""
    arguments = node.args
    names = [item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None]
    known = code.co_varnames[: len(names)]
    # Inside a class the compiler puts the name of the class before `__name`.
    return len(known) == len(names) and all(
        there == name or (name.startswith("__") and there.endswith(name))
        for there, name in zip(known, names, strict=True)
    )
