"""What a loaded module has besides signatures: its functions and variables, under the attributes that they had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, MainstayError
from mainstay.saved_model.loaded_signature import LoadedSignature
from mainstay.saved_model.manifest import FunctionEntry
from mainstay.saved_model.structures import Structure, fill, match

Array = np.ndarray[Any, Any]


class LoadedVariable:
    """A variable of a loaded model: its value, which stays what it is.

    Attributes:
        name: The path of attributes that leads to it, with ``/``.
        trainable: Whether training would change it.
    """

    def __init__(self, name: str, value: Array, *, trainable: bool) -> None:
        self.name = name
        self.trainable = trainable
        self._value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self._value.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return np.dtype(self._value.dtype)

    def numpy(self) -> Array:
        """Return the value, mapped and read-only."""
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy:
            return np.array(self._value, dtype)
        return self._value if dtype is None else self._value.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<LoadedVariable {self.name} {self.dtype}{list(self.shape)}>"


class LoadedFunction:
    """A function that the saved module had, in the forms for which it was traced.

    Args:
        name: Its dotted path.
        forms: What is known of each form, and the form itself.
    """

    def __init__(self, name: str, forms: Sequence[tuple[FunctionEntry, LoadedSignature]]) -> None:
        self.name = name
        self.forms = tuple(forms)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as the function that was saved.

        Args:
            *args: The arguments as the function takes them; Python values that it was traced for may be left out.
            **kwargs: Those by name.

        Returns:
            What the function returns: NumPy arrays in its structure.

        Raises:
            ArgumentError: The arguments fit no form.
            RequestError: An array has another dtype or shape than the only form that fits takes.
        """
        failures: list[MainstayError] = []
        for entry, signature in self.forms:
            try:
                given = _bound(entry, args, kwargs)
                answers = signature(given)
            except MainstayError as error:
                failures.append(error)
                continue
            return fill(entry.results, answers.__getitem__)
        if len(failures) == 1:
            raise failures[0]
        raise ArgumentError(
            "the arguments fit no form in which the function was saved",
            where=self.name,
            expected=" or ".join(_shown(entry) for entry, _ in self.forms),
            received="; ".join(error.summary for error in failures),
        )

    def __repr__(self) -> str:
        return f"<LoadedFunction {self.name}: {' or '.join(_shown(entry) for entry, _ in self.forms)}>"


def _bound(entry: FunctionEntry, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays of a call by the names of the inputs.

    Raises:
        ArgumentError: The arguments do not fit.
    """
    positional = [item for item in entry.arguments if not item.keyword_only]
    if len(args) > len(positional):
        raise ArgumentError(
            "too many positional arguments", expected=f"{len(positional)} at most", received=f"{len(args)}"
        )
    given = {item.name: value for item, value in zip(positional, args, strict=False)}
    for name, value in kwargs.items():
        if name in given or name not in {item.name for item in entry.arguments}:
            raise ArgumentError("an argument is unknown or comes twice", where=name, expected=_shown(entry))
        given[name] = value
    arrays: dict[str, Any] = {}
    for item in entry.arguments:
        if item.name in given:
            arrays |= match(item.value, given[item.name], item.name)
        elif "value" not in item.value:
            raise ArgumentError("an argument is missing", where=item.name, expected=_shown(entry))
    return arrays


def _shown(entry: FunctionEntry) -> str:
    specs = {item.spec.name: item.spec for item in entry.entry.inputs}

    def text(structure: Structure) -> str:
        return str(fill(structure, lambda name: f"{specs[name].dtype}{list(specs[name].shape)}"))

    return f"({', '.join(f'{item.name}={text(item.value)}' for item in entry.arguments)})"


class LoadedObject:
    """A part of a loaded module: what hangs below one of its attributes.

    Args:
        path: The dotted path that leads to it.
        leaves: Functions and variables by the path below it.
    """

    def __init__(self, path: str, leaves: Mapping[tuple[str, ...], Any]) -> None:
        self._path = path
        self._children = children(path, leaves)

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__.get("_children", {}).get(name)
        if found is None:
            raise AttributeError(f"the saved model has no {self.__dict__.get('_path', '')}.{name}")
        return found

    def __getitem__(self, key: int | str) -> Any:
        """Return an item of a list or dict."""
        try:
            return self._children[str(key)]
        except KeyError:
            raise (IndexError if isinstance(key, int) else KeyError)(key) from None

    def __len__(self) -> int:
        return len(self._children)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the part, which must have a saved ``__call__``."""
        return called(self._path, self._children)(*args, **kwargs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._children]

    def __repr__(self) -> str:
        return f"<LoadedObject {self._path}: {', '.join(self._children)}>"


def called(path: str, parts: Mapping[str, Any]) -> LoadedFunction:
    """Return the saved ``__call__`` of a part.

    Raises:
        TypeError: It has none.
    """
    if "__call__" not in parts:
        raise TypeError(f"{path} was saved without a __call__ that has an input_signature")
    found: LoadedFunction = parts["__call__"]
    return found


def children(path: str, leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return what has one name below a part of a module, deeper paths gathered in parts of their own."""
    groups: dict[str, dict[tuple[str, ...], Any]] = {}
    for (name, *rest), leaf in leaves.items():
        groups.setdefault(name, {})[tuple(rest)] = leaf
    return {
        name: group[()] if () in group else LoadedObject(f"{path}.{name}" if path else name, group)
        for name, group in groups.items()
    }
