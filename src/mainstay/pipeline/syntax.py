"""What a Python source says about itself without being run: the modules that it imports, the names that it defines."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import PipelineError, digest_bytes

PRODUCT = "mainstay"


@dataclass(frozen=True)
class Import:
    """An import.

    Args:
        module: The dotted name of a module, absolute.
        name: The name that is taken from it, which may be a module itself; None for the module as such.
    """

    module: str
    name: str | None = None


@dataclass(frozen=True)
class ParsedModule:
    """What counts of a module.

    Args:
        digest: The digest of its source.
        imports: Everything that it imports anywhere, without repetition.
        bindings: What the names that it takes from other modules stand for.
    """

    digest: str
    imports: tuple[Import, ...]
    bindings: dict[str, Import]


def parse_module(source: bytes, file: Path, name: str) -> ParsedModule:
    """Return the digest and the imports of a module's source.

    Args:
        source: The file's content.
        file: The file, for errors and to know a package by its ``__init__``.
        name: The module's dotted name, which relative imports start from.
    """
    tree = parse_source(source, file)
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    imports: list[Import] = []
    bindings: dict[str, Import] = {}
    aliases: dict[str, str] = {}
    for node in _import_nodes(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.append(Import(alias.name))
                top = alias.name if alias.asname else alias.name.split(".")[0]
                aliases[alias.asname or top] = top
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                item = Import(module, alias.name) if module else Import(alias.name)
                imports.append(item)
                bindings[alias.asname or alias.name] = item
    if PRODUCT in aliases.values():
        imports += _attributes(tree, {alias for alias, module in aliases.items() if module == PRODUCT})
    return ParsedModule(digest_bytes(source), tuple(dict.fromkeys(imports)), bindings)


def _import_nodes(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements under some statements; expressions cannot hold any and are not visited."""
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        for field in ("finalbody", "orelse", "cases", "handlers", "body"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                stack.extend(reversed(inner))


def _attributes(tree: ast.Module, names: set[str]) -> list[Import]:
    """Return what is reached as ``tf.keras`` after ``import mainstay as tf``."""
    return [
        Import(PRODUCT, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    ]


def own_part(source: bytes, name: str, file: Path) -> bytes:
    """Return the source without the other steps of the file, unless this step names them, itself or on the way."""
    definitions = {
        node.name: node for node in parse_source(source, file).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    if name not in definitions:
        return source
    reached, rest = {name}, [name]
    while rest:
        inner = ast.walk(definitions[rest.pop()])
        named = {node.id for node in inner if isinstance(node, ast.Name)} & definitions.keys()
        rest += sorted(named - reached)
        reached |= named
    lines = source.splitlines(keepends=True)
    for other, node in definitions.items():
        if other not in reached and isinstance(node, ast.FunctionDef) and any(map(_is_step, node.decorator_list)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            last = node.end_lineno or first
            lines[first - 1 : last] = [b"\n"] * (last - first + 1)
    return b"".join(lines)


def _is_step(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).split(".")[-1] == "step"


def top_level_names(source: bytes, file: Path) -> set[str]:
    """Return the names that a module defines, assigns or imports; ``*`` stands for all of another module."""
    tree = parse_source(source, file)
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


@functools.lru_cache(maxsize=8)
def parse_source(source: bytes, file: Path) -> ast.Module:
    """Return the syntax tree of a source.

    Raises:
        PipelineError: It is not valid Python.
    """
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PipelineError(
            "a file is not valid Python", where=f"{file}:{getattr(error, 'lineno', None) or 1}", received=error
        ) from error
