"""Finds the syntax tree of a function, with the lines of its file."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import tokenize
from types import CodeType, FunctionType

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
    # (line, end line, column, end column) of what the code returns.
    positions = set(code.co_positions())
    bodies = [(b.lineno, b.end_lineno, b.col_offset, b.end_col_offset) for b in (node.body for node in candidates)]
    exact = [node for node, body in zip(candidates, bodies, strict=True) if body in positions]
    chosen = exact if len(candidates) > 1 else candidates
    return chosen[0] if len(chosen) == 1 else None


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
