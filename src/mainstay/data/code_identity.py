"""Code identity: what a function computes, as a value that changes whenever its code or what the code refers to does.

A function's identity is its bytecode, constants, defaults and closure, and that of every global that it names: followed
into the user's own modules, taken by version for what is installed. Nothing is called. What has no identity, such as an
open file, is an error: a result that is kept under an identity must never be served for another one.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import importlib.metadata
import os
import pathlib
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import ArgumentError, digest_bytes, digest_json
from mainstay.data.snapshots.fingerprints import digest_column
from mainstay.io import Ragged

_PLAIN = (bool, int, str, type(None), type(Ellipsis), type(NotImplemented))
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    np.ufunc,
)
_METHODS = (types.FunctionType, staticmethod, classmethod, property)
_NAMED_FIELD = type(vars(collections.namedtuple("_Pair", "one two"))["one"])


def identity_of(value: Any, where: str = "the value") -> str:
    """Return what tells a value, or what a function computes, from others: 64 hexadecimal digits.

    Args:
        value: A function, or anything that one may refer to.
        where: What the message calls it if it has no identity.

    Raises:
        ArgumentError: Something in it has none, and the message says what.
    """
    return digest_json([sys.implementation.cache_tag, _Walk().of(value, where)])


class _Walk:
    """One walk through everything that a value refers to, once through each part of it."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._done: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any, where: str) -> Any:
        """Return the identity of a value as JSON; a part that contains itself is named by how deep it lies."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return [type(value).__name__, repr(value)]
        if type(value) in (float, complex):
            return [type(value).__name__, repr(value)]
        if isinstance(value, (bytes, bytearray)):
            return ["bytes", digest_bytes(bytes(value))]
        place = id(value)
        if place in self._open:
            return ["around", self._open[place]]
        if place not in self._done:
            self._open[place] = len(self._open)
            found = digest_json(self._of_object(value, where))
            del self._open[place]
            self._done[place] = (value, found)
        return self._done[place][1]

    def _of_object(self, value: Any, where: str) -> Any:
        for kinds, describe in _DESCRIPTIONS:
            if isinstance(value, kinds):
                return [type(value).__name__, describe(self, value, where)]
        if isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            return ["wrapped", type(value).__qualname__, self.of(value.__wrapped__, where)]
        if callable(getattr(value, "get_config", None)) and callable(getattr(value, "get_weights", None)):
            parts = [type(value).__qualname__, value.get_config(), list(value.get_weights())]
            return ["layer", self.of(parts, where)]
        if hasattr(value, "__array__") and hasattr(value, "dtype"):
            return ["array", digest_column(np.asarray(value))]
        return ["object", self._instance(value, where)]

    def items(self, values: Any, where: str) -> list[Any]:
        return [self.of(item, f"{where}[{index}]") for index, item in enumerate(values)]

    def mapping(self, values: Mapping[Any, Any], where: str) -> list[Any]:
        return [[self.of(key, where), self.of(item, f"{where}[{key!r}]")] for key, item in values.items()]

    def function(self, function: types.FunctionType, where: str) -> Any:
        if _is_installed(function.__code__.co_filename, function.__module__):
            return ["installed", _package(function.__module__), function.__module__, function.__qualname__]
        where = f"{where}, in {function.__qualname__}"
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        closure = [[name, self.of(_content(cell), f"{where}: {name}")] for name, cell in cells]
        defaults = [function.__defaults__, function.__kwdefaults__]
        return [
            self.code(function.__code__, where),
            self.of(defaults, f"{where}: defaults"),
            closure,
            self._globals(function, where),
        ]

    def code(self, code: types.CodeType, where: str) -> Any:
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        table = digest_bytes(code.co_exceptiontable)
        return [digest_bytes(code.co_code), table, names, counts, self.items(code.co_consts, f"{where}: constant")]

    def _globals(self, function: types.FunctionType, where: str) -> Any:
        names = sorted(_names_in(function.__code__))
        found = []
        for name in names:
            if name in function.__globals__:
                value = function.__globals__[name]
                text = f"{where}: {name}"
                is_own = isinstance(value, types.ModuleType) and not _is_installed(
                    getattr(value, "__file__", None), value.__name__
                )
                used = {inner: getattr(value, inner) for inner in names if hasattr(value, inner)} if is_own else value
                found.append([name, self.of(used, text)])
        return found

    def klass(self, value: type, where: str) -> Any:
        file = getattr(sys.modules.get(value.__module__), "__file__", None)
        if _is_installed(file, value.__module__):
            return ["installed", _package(value.__module__), value.__module__, value.__qualname__]
        members = {name: item for name, item in vars(value).items() if _counts(name, item)}
        factories = [field.default_factory for field in getattr(value, "__dataclass_fields__", {}).values()]
        content = self.mapping(members, f"{where}: {value.__name__}")
        return [value.__qualname__, self.items(value.__bases__, where), content, self.items(factories, where)]

    def _instance(self, value: Any, where: str) -> Any:
        kind = type(value)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        is_known = dataclasses.is_dataclass(value) or kind.__module__.split(".")[0] == "mainstay"
        if not is_known and _is_installed(file, kind.__module__) and kind is not object:
            raise ArgumentError(
                "it cannot be known whether something that a function refers to has changed",
                where=where,
                expected="numbers, text, arrays, functions, objects of your own classes, layers",
                received=f"{kind.__module__}.{kind.__qualname__}",
                fix="name the result yourself: cache(path, key=…), with another key whenever it would differ",
            )
        slots = {name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)}
        content = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in sorted(slots)}}
        return [self.of(kind, where), self.mapping(content, where)]


def _counts(name: str, member: Any) -> bool:
    """Return whether a member of a class is one that its author wrote, not one that Python keeps beside."""
    if name.startswith("__") and name.endswith("__"):
        return isinstance(member, _METHODS)
    return not name.startswith("_abc_")


def _names_in(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (
        (slots,) if isinstance(slots, str) else tuple(name for name in slots if name not in ("__dict__", "__weakref__"))
    )


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _array(walk: _Walk, value: Any, where: str) -> Any:
    return digest_column(value) if value.dtype != object else walk.items(value.reshape(-1), where)


@functools.lru_cache(maxsize=256)
def _package(module: str) -> list[str]:
    """Return the name of the package that a module belongs to, and its version."""
    top = module.split(".")[0]
    version = getattr(sys.modules.get(top), "__version__", None)
    if version is None and top not in sys.stdlib_module_names:
        try:
            version = importlib.metadata.version(top)
        except importlib.metadata.PackageNotFoundError:
            version = ""
    return [top, str(version or "")]


_Description = tuple[Any, Callable[[_Walk, Any, str], Any]]
_DESCRIPTIONS: tuple[_Description, ...] = (
    (types.FunctionType, _Walk.function),
    (types.CodeType, _Walk.code),
    (types.MethodType, lambda walk, value, where: walk.items([value.__func__, value.__self__], where)),
    (
        functools.partial,
        lambda walk, value, where: walk.items([value.func, value.args, value.keywords], where),
    ),
    (_BUILT_IN, lambda walk, value, where: [getattr(value, "__module__", None), value.__name__]),
    (types.ModuleType, lambda walk, value, where: [value.__name__, _package(value.__name__)]),
    (enum.Enum, lambda walk, value, where: walk.items([type(value).__qualname__, value.name, value.value], where)),
    (type, _Walk.klass),
    ((types.GenericAlias, types.UnionType, np.dtype), lambda walk, value, where: str(value)),
    (
        np.ndarray,
        lambda walk, value, where: digest_column(value) if value.dtype != object else walk.items(value, where),
    ),
    (np.generic, lambda walk, value, where: digest_column(np.asarray(value))),
    ((pa.Array, Ragged), lambda walk, value, where: digest_column(value)),
    ((tuple, list), _Walk.items),
    ((dict, types.MappingProxyType), _Walk.mapping),
    ((set, frozenset), lambda walk, value, where: sorted(map(digest_json, walk.items(value, where)))),
    ((types.MemberDescriptorType, _NAMED_FIELD, type(dataclasses.MISSING)), lambda walk, value, where: ""),
    (functools.cached_property, lambda walk, value, where: walk.of(value.func, where)),
    (range, lambda walk, value, where: repr(value)),
    (slice, lambda walk, value, where: walk.items([value.start, value.stop, value.step], where)),
    (pathlib.PurePath, lambda walk, value, where: str(value)),
    (re.Pattern, lambda walk, value, where: [repr(value.pattern), value.flags]),
    ((staticmethod, classmethod), lambda walk, value, where: walk.of(value.__func__, where)),
    (property, lambda walk, value, where: walk.items([value.fget, value.fset, value.fdel], where)),
)


@functools.lru_cache(maxsize=1)
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(os.path.realpath(paths[name]) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _is_installed(file: str | None, module: str | None) -> bool:
    """Whether code belongs to Python, to Mainstay or to an installed package, which have versions."""
    top = (module or "").split(".")[0]
    if top == "mainstay" or (top in sys.stdlib_module_names and top != "__main__"):
        return True
    if file is None:
        return module is not None and module != "__main__"
    path = os.path.realpath(file)
    return path.startswith(_installed_folders()) or f"{os.sep}site-packages{os.sep}" in path
