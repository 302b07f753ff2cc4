"""The object that was saved: its functions, variables, tables and modules under the attributes that they had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mainstay.core import ArgumentError, FormatError, ModelError, RequestError
from mainstay.saved_model.graph_reading.binding import asset_value
from mainstay.saved_model.graph_reading.coverage import missing_ops
from mainstay.saved_model.graph_reading.feeds import answer, feed
from mainstay.saved_model.graph_reading.graph_ops.values import Table, Value, Variable
from mainstay.saved_model.graph_reading.meta_graphs import MetaGraph, asset_path
from mainstay.saved_model.graph_reading.objects import ObjectGraph
from mainstay.saved_model.graph_reading.programs import Programs
from mainstay.saved_model.graph_reading.structured import CompositeLeaf, Leaf, fill, leaves, match, read_structure

_CREATE = "_create_resource"
_INITIALIZE = "_initialize"


@dataclass(frozen=True, slots=True)
class Form:
    """One form in which a function was traced.

    Args:
        name: The name of its graph.
        arguments: The positional arguments and the keyword arguments, nested as they were.
        results: What it returns, nested as it was.
        bound: What it captured.
    """

    name: str
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    results: Any
    bound: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Parameters:
    """The parameters of a Python function."""

    names: tuple[str, ...]
    defaults: Mapping[str, Any]
    keyword_only: tuple[str, ...]
    takes_more: bool
    takes_keywords: bool


class Restoring:
    """Gives the objects of a model their form in Python when they are asked for.

    Args:
        meta: The graph.
        objects: The object graph.
        programs: Run the functions.
        handles: The node of the main graph that stands for an object that is no variable.
    """

    def __init__(self, meta: MetaGraph, objects: ObjectGraph, programs: Programs, handles: Mapping[int, str]) -> None:
        self._meta = meta
        self._objects = objects
        self._programs = programs
        self._handles = handles
        self._made: dict[int, Any] = {}

    def root(self) -> RestoredObject | None:
        """Return the object that was saved, or None for a model of TensorFlow 1."""
        return RestoredObject(self, 0) if self._objects.nodes else None

    def children(self, number: int) -> dict[str, int]:
        """Return the children of an object by name."""
        return self._objects.children(number)

    def path(self, number: int) -> str:
        """Return the path of an object."""
        return self._objects.paths.get(number, "")

    def get(self, number: int) -> Any:
        """Return an object."""
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> Any:
        node = self._objects.nodes[number]
        kind = node.WhichOneof("kind")
        if kind == "variable":
            return self._objects.variables[number]
        if kind == "function":
            forms = [self._form(name) for name in node.function.concrete_functions]
            return RestoredFunction(self, self.path(number), forms, _parameters(node.function.function_spec))
        if kind == "bare_concrete_function":
            return self._bare(number, node.bare_concrete_function)
        if kind == "asset":
            return self._asset(node.asset.asset_file_def_index)
        return RestoredObject(self, number)

    def _asset(self, index: int) -> Path:
        files = self._meta.asset_files()
        if not 0 <= index < len(files):
            raise FormatError("an asset is not there", where=self._meta.folder, received=index)
        return asset_path(self._meta.folder, files[index].filename)

    def _bare(self, number: int, message: Any) -> RestoredFunction:
        form = self._form(message.concrete_function_name)
        # Its keywords name the tensors of the form in order.
        names = tuple(message.argument_keywords)
        flat = list(leaves(form.arguments))
        if len(flat) == len(names):
            form = Form(form.name, (tuple(flat), {}), form.results, form.bound)
        return RestoredFunction(self, self.path(number), [form], _Parameters(names, {}, (), False, False))

    def _form(self, name: str) -> Form:
        message = self._objects.functions.get(name) if name in self._objects.functions else None
        if message is None:
            raise FormatError("a function of the object graph is not there", received=name)
        arguments = read_structure(message.canonicalized_input_signature)
        if not isinstance(arguments, tuple) or len(arguments) != 2 or not isinstance(arguments[1], dict):
            raise FormatError("a function has no arguments", where=name, received=type(arguments).__name__)
        for number in message.bound_inputs:
            if not 0 <= number < len(self._objects.nodes):
                raise FormatError("a function captures an object that is not there", where=name, received=number)
        return Form(name, arguments, read_structure(message.output_signature), tuple(message.bound_inputs))

    def captured(self, number: int) -> Value:
        """Return what a function gets for an object that it captured."""
        if number in self._objects.variables:
            return self._objects.variables[number]
        node = self._objects.nodes[number]
        kind = node.WhichOneof("kind")
        if kind == "asset":
            return asset_value(self._asset(node.asset.asset_file_def_index))
        if kind == "constant" and node.constant.operation in self._meta.nodes:
            return self._meta.nodes[node.constant.operation].op.attrs.get("value")
        if number in self._handles:
            op = self._meta.nodes[self._handles[number]].op
            return op.attrs["value"] if op.op == "Const" else self._programs.resources.handle(op)
        if kind == "resource":
            return self._table(number)
        raise ModelError("a function captures what is not read here", where=self.path(number), received=kind)

    def _table(self, number: int) -> Value:
        """Return a table that only restored functions read, made and filled as its own functions say."""
        made = self._made.get(number)
        if isinstance(made, Table):
            return made
        children = self.children(number)
        if _CREATE not in children:
            raise ModelError("a resource cannot be made", where=self.path(number), expected=f"a function {_CREATE}")
        table = self._call(self._objects.nodes[children[_CREATE]].function.concrete_functions)[0]
        self._made[number] = table
        if _INITIALIZE in children and isinstance(table, Table) and table.content is None:
            self._call(self._objects.nodes[children[_INITIALIZE]].function.concrete_functions)
        return table

    def _call(self, names: Sequence[str]) -> list[Value]:
        form = self._form(names[0])
        return self._programs.call(form.name, [self.captured(number) for number in form.bound])

    def run(self, form: Form, given: Sequence[Any]) -> Any:
        """Return what a form of a function returns for its tensors."""
        missing = missing_ops([self._programs.library.graph(form.name)], self._programs.library)
        if missing:
            raise ModelError(
                "a function needs ops that are not read here",
                where=form.name,
                received="; ".join(f"{each.op} ({each.count} times, such as {each.node})" for each in missing),
            )
        with jax.enable_x64(True):
            values = self._programs.call(form.name, [*given, *(self.captured(number) for number in form.bound)])
        remaining = iter(values)

        def take(leaf: Leaf | CompositeLeaf) -> Any:
            if isinstance(leaf, CompositeLeaf):
                return tuple(answer(next(remaining)) for _ in range(leaf.components))
            return answer(next(remaining))

        return fill(form.results, take)


class RestoredObject:
    """A module of the object that was saved: its children are attributes, and items where they were a list or dict.

    Args:
        restoring: Gives the children.
        number: Which object it is.
    """

    def __init__(self, restoring: Restoring, number: int) -> None:
        self._restoring = restoring
        self._number = number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        children = self._restoring.children(self._number)
        if name not in children:
            path = self._restoring.path(self._number) or "the saved object"
            raise AttributeError(f"{path} has no {name}; it has {', '.join(sorted(children)) or 'nothing'}")
        return self._restoring.get(children[name])

    def __getitem__(self, key: int | str) -> Any:
        children = self._restoring.children(self._number)
        if str(key) not in children:
            raise IndexError(key) if isinstance(key, int) else KeyError(key)
        return self._restoring.get(children[str(key)])

    def __len__(self) -> int:
        return sum(name.isdecimal() for name in self._restoring.children(self._number))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._restoring.children(self._number)})

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the function ``__call__`` of the object."""
        children = self._restoring.children(self._number)
        if "__call__" not in children:
            raise TypeError(f"{self._restoring.path(self._number) or 'the saved object'} cannot be called")
        return self._restoring.get(children["__call__"])(*values, **named)

    def __repr__(self) -> str:
        return f"RestoredObject({self._restoring.path(self._number)!r})"


class RestoredFunction:
    """A `tf.function` of the object that was saved, in the forms in which it was traced.

    Args:
        restoring: Runs it.
        name: Its path.
        forms: The forms.
        parameters: The parameters that it had in Python.
    """

    def __init__(self, restoring: Restoring, name: str, forms: Sequence[Form], parameters: _Parameters) -> None:
        self._restoring = restoring
        self.name = name
        self.forms = tuple(forms)
        self._parameters = parameters

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the form that fits: tensors by dtype and shape, all else by equality.

        Returns:
            What the function returned, nested as it was: arrays, with strings as object arrays of `bytes`. A ragged or
            sparse result is the tuple of its arrays.

        Raises:
            ArgumentError: No form fits.
            RequestError: The graph refuses a value.
        """
        positional, keywords = _canonical(self._parameters, self.name, values, named)
        for strict in (True, False):
            for form in self.forms:
                given = _fitting(form, positional, keywords, strict=strict)
                if given is not None:
                    return self._restoring.run(form, given)
        raise ArgumentError(
            "no form of the function fits",
            where=self.name,
            expected=" or ".join(_shown(form.arguments) for form in self.forms),
            received=_shown((positional, keywords)),
        )

    def __repr__(self) -> str:
        return f"RestoredFunction({self.name!r}, {len(self.forms)} forms)"


def _parameters(message: Any) -> _Parameters:
    spec = read_structure(message.fullargspec)
    if spec is None or not hasattr(spec, "args"):
        return _Parameters((), {}, (), True, True)
    names = tuple(spec.args or ())
    if message.is_method and names and names[0] == "self":
        names = names[1:]
    defaults = tuple(spec.defaults or ())
    by_name = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)) if defaults else {}
    by_name.update(spec.kwonlydefaults or {})
    return _Parameters(names, by_name, tuple(spec.kwonlyargs or ()), spec.varargs is not None, spec.varkw is not None)


def _canonical(
    parameters: _Parameters, where: str, values: Sequence[Any], named: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments in the form in which functions are traced: all that can be are positional."""
    if len(values) > len(parameters.names) and not parameters.takes_more:
        raise ArgumentError(
            "too many arguments", where=where, expected=", ".join(parameters.names), received=len(values)
        )
    positional = list(values)
    rest = dict(named)
    for name in parameters.names[len(values) :]:
        if name in rest:
            positional.append(rest.pop(name))
        elif name in parameters.defaults:
            positional.append(parameters.defaults[name])
        else:
            break
    for name in parameters.keyword_only:
        if name not in rest and name in parameters.defaults:
            rest[name] = parameters.defaults[name]
    return tuple(positional), rest


def _fitting(form: Form, positional: tuple[Any, ...], keywords: dict[str, Any], *, strict: bool) -> list[Any] | None:
    """Return the tensors for a form, or None if it does not fit."""
    found = match(form.arguments, (positional, keywords))
    if found is None:
        return None
    given: list[Any] = []
    for leaf, value in zip(leaves(form.arguments), found, strict=True):
        if isinstance(leaf, CompositeLeaf):
            if not isinstance(value, tuple | list) or len(value) != leaf.components:
                return None
            given += [np.asarray(part) for part in value]
            continue
        if strict and not _is_of_kind(value, leaf):
            return None
        try:
            array = feed(value, leaf.kind, leaf.name)
        except RequestError:
            return None
        if not _fits(np.shape(array), leaf.shape):
            return None
        given.append(array)
    return given


def _is_of_kind(value: Any, leaf: Leaf) -> bool:
    dtype = getattr(value, "dtype", None)
    if isinstance(value, Variable):
        return False
    if dtype is None:
        kinds: dict[type, str] = {bool: "bool", int: "int32", float: "float32", str: "string", bytes: "string"}
        return kinds.get(type(value)) == str(leaf.kind)
    return dtype == leaf.kind if leaf.kind != "string" else np.dtype(dtype).kind in "OSU"


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(w in (None, have) for w, have in zip(wanted, shape, strict=True))


def _shown(structure: Any) -> str:
    def show(value: Any) -> str:
        if isinstance(value, Leaf):
            shape = "[...]" if value.shape is None else str(list(value.shape))
            return f"{value.kind}{shape}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {show(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "(" + ", ".join(show(each) for each in value) + ")"
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return f"{value.dtype}{list(value.shape)}"
        return repr(value)

    return show(structure)
