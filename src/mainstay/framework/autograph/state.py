"""The places that a staged block changes: names, attributes, containers, and the variables of the running trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CellType
from typing import Any

from mainstay.core import ModelError
from mainstay.framework.keras_internals import raw_value, stateless_scope


class Undefined:
    """What a place holds before it is assigned."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


class Place:
    """A name of the converted function; `read` gives `UNDEFINED` where Python would raise."""

    def __init__(self, name: str, cell: CellType | None, shared: dict[str, Any]) -> None:
        self.name = name
        self._cell = cell
        self._shared = shared

    def read(self) -> Any:
        """Return the value."""
        if self._cell is None:
            return self._shared.get(self.name, UNDEFINED)
        try:
            return self._cell.cell_contents
        except ValueError:
            return UNDEFINED

    def write(self, value: Any) -> None:
        """Set the value, or unset it."""
        if self._cell is None:
            if value is UNDEFINED:
                self._shared.pop(self.name, None)
            else:
                self._shared[self.name] = value
        elif value is not UNDEFINED:
            self._cell.cell_contents = value
        elif self.read() is not UNDEFINED:
            del self._cell.cell_contents


class Attribute(Place):
    """An attribute such as `self.x` of an object that a name holds."""

    def __init__(self, name: str, owner: object, attribute: str) -> None:
        super().__init__(name, None, {})
        self._owner = owner
        self._attribute = attribute

    def read(self) -> Any:
        """Return the value."""
        return getattr(self._owner, self._attribute, UNDEFINED)

    def write(self, value: Any) -> None:
        """Set the value, or unset it."""
        if value is not UNDEFINED:
            # Unchanged attributes stay untouched: some objects watch what is assigned to them, or are read-only.
            if self.read() is not value:
                setattr(self._owner, self._attribute, value)
        elif hasattr(self._owner, self._attribute):
            delattr(self._owner, self._attribute)


class Contents(Place):
    """The items of a list or a dictionary, which blocks change in place."""

    def __init__(self, name: str, container: list[Any] | dict[Any, Any]) -> None:
        super().__init__(name, None, {})
        self._container = container

    def read(self) -> Any:
        """Return the value."""
        return dict(self._container) if isinstance(self._container, dict) else list(self._container)

    def write(self, value: Any) -> None:
        """Set the value, or unset it."""
        if _same_items(self.read(), value):
            return
        if isinstance(self._container, dict):
            self._container.clear()
            self._container.update(value)
        else:
            self._container[:] = value


def _same_items(now: Any, value: Any) -> bool:
    if isinstance(now, dict):
        return list(now) == list(value) and all(now[key] is value[key] for key in now)
    return len(now) == len(value) and all(a is b for a, b in zip(now, value, strict=True))


def find_places(names: Sequence[str], *functions: Callable[..., Any] | None) -> list[Place]:
    """Return the places that names such as `x`, `self.x` and `d[]` stand for.

    Args:
        names: As the rewriter lists them.
        functions: The generated functions, in whose closures the names are.
    """
    cells: dict[str, CellType] = {}
    shared: dict[str, Any] = {}
    for function in functions:
        if function is not None:
            cells |= zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            shared = function.__globals__
    found = (_place(name, cells, shared) for name in names)
    return [place for place in found if place is not None]


def _place(name: str, cells: dict[str, CellType], shared: dict[str, Any]) -> Place | None:
    path, contents = name.removesuffix("[]"), name.endswith("[]")
    root, *attributes = path.split(".")
    place = Place(root, cells.get(root), shared)
    if not attributes and not contents:
        return place
    value = place.read()
    for attribute in attributes if contents else attributes[:-1]:
        value = getattr(value, attribute, UNDEFINED)
    if value is UNDEFINED:
        return None
    if contents:
        return Contents(path, value) if isinstance(value, list | dict) else None
    return Attribute(path, value, attributes[-1])


def is_function_scope(scope: object) -> bool:
    """Return whether a scope is that of a `function`, and not one that Keras opened."""
    # Imported late: what is in there imports this package.
    from mainstay.framework.functions.scope import FunctionScope

    return isinstance(scope, FunctionScope)


class Variables:
    """The Keras variables of the running trace, whose values are state of every block."""

    def __init__(self) -> None:
        self._scope: Any = stateless_scope()
        if self._scope is not None:
            _written_in(self._scope)  # which takes notes from now on

    def snapshot(self) -> tuple[Any, ...] | None:
        """Return what the variables hold now."""
        scope = self._scope
        if scope is None:
            return None
        writes = dict(scope.writes) if is_function_scope(scope) else {}
        return dict(scope.state_mapping), writes, len(scope.losses)

    def restore(self, snapshot: tuple[Any, ...] | None) -> None:
        """Go back to a snapshot."""
        if snapshot is not None:
            self._scope.state_mapping = dict(snapshot[0])
            if is_function_scope(self._scope):
                self._scope.writes = dict(snapshot[1])
            del self._scope.losses[snapshot[2] :]

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Run the body and forget what it did to variables."""
        snapshot = self.snapshot()
        try:
            yield
        finally:
            self.restore(snapshot)

    def written_since(self, snapshot: tuple[Any, ...] | None) -> dict[int, Any]:
        """Return the variables that were assigned since a snapshot, by key."""
        scope = self._scope
        if scope is None or snapshot is None:
            return {}
        before = snapshot[0]
        # A read may enter a value too, so only what was written counts.
        now = ((key, variable, scope.state_mapping.get(key)) for key, variable in _written_in(scope).items())
        return {key: variable for key, variable, value in now if value is not None and value is not before.get(key)}

    def added_losses(self, snapshot: tuple[Any, ...] | None) -> bool:
        """Return whether layers added losses since a snapshot."""
        return snapshot is not None and len(self._scope.losses) > snapshot[2]

    def get(self, key: int, variable: Any) -> Any:
        """Return the current value of a variable, before any cast."""
        value = self._scope.state_mapping.get(key)
        return raw_value(variable) if value is None else value

    def put(self, key: int, variable: Any, value: Any) -> None:
        """Give a variable a value."""
        self._scope.state_mapping[key] = value
        if is_function_scope(self._scope):
            self._scope.writes[key] = variable


def _written_in(scope: Any) -> dict[int, Any]:
    """Return the variables that were assigned in a scope, by key, a mapping that grows as more are.

    A `FunctionScope` knows them. The scopes of Keras, as in `fit`, know keys only, so their notes are taken here.
    """
    written: dict[int, Any]
    if is_function_scope(scope):
        written = scope.writes
        return written
    noted = vars(scope).get("_autograph_written")
    if noted is None:
        noted, add_update = {}, scope.add_update

        def add(update: tuple[Any, Any]) -> None:
            noted[id(update[0])] = update[0]
            add_update(update)

        scope.add_update, scope._autograph_written = add, noted
    written = noted
    return written


def refuse_losses(variables: Variables, snapshot: tuple[Any, ...] | None, where: str) -> None:
    """Raise if a block added a loss: its value would not outlive the block."""
    if variables.added_losses(snapshot):
        raise ModelError(
            "a layer adds a loss (add_loss or an activity regularizer) inside of a block that a tensor decides about",
            where=where,
            fix="call the layer outside of the `if` or loop, and use its result inside",
        )
