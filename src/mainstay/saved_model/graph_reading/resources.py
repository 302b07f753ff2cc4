"""The variables and tables of a model, by the handles that its graphs have for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Table, Value, Variable

VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
TABLES = (
    "HashTable",
    "HashTableV2",
    "MutableHashTable",
    "MutableHashTableV2",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
    "AnonymousHashTable",
    "AnonymousMutableHashTable",
    "AnonymousMutableHashTableOfTensors",
    "AnonymousMutableDenseHashTable",
)
HANDLES = frozenset((*VARIABLES, *TABLES))


class Resources:
    """Everything that a graph refers to by a handle: two handles of one shared name are one resource."""

    def __init__(self) -> None:
        self._bound: dict[str, Variable] = {}
        self._variables: dict[str, Variable] = {}
        self._tables: dict[str, Table] = {}
        self._checked: set[str] = set()

    def variables(self) -> Iterator[Variable]:
        """Yield every variable."""
        yield from dict.fromkeys([*self._bound.values(), *self._variables.values()])

    def bind(self, node: OpNode, variable: Variable) -> None:
        """Make a handle of the main graph stand for a variable, and others of its shared name unless they are bound."""
        self._bound[node.name] = variable
        self._variables.setdefault(_key(node), variable)

    def is_bound(self, node: OpNode) -> bool:
        """Return whether a handle stands for a variable that has been bound."""
        return node.name in self._bound or _key(node) in self._variables

    def snapshot(self) -> list[tuple[Variable, Value]]:
        """Return the values of all variables that have one, for `restore`."""
        return [(variable, variable.value) for variable in self.variables() if variable.is_initialized]

    def restore(self, snapshot: Iterable[tuple[Variable, Value]]) -> None:
        """Give variables back the values that they had."""
        for variable, value in snapshot:
            if variable.value is not value:
                variable.value = value

    def handle(self, node: OpNode) -> Value:
        """Return the variable or table that a handle stands for; a new one, without a value, for a new name.

        Raises:
            FormatError: The handle lacks an attribute, or what is stored has another dtype or shape.
        """
        key = _key(node)
        if node.op in VARIABLES:
            found = self._bound.get(node.name) or self._variables.get(key)
            if found is None:
                found = self._variables[key] = Variable(_shared_name(node), None)
            elif node.name not in self._checked:
                _refuse_other_form(node, found)
                self._checked.add(node.name)
            return found
        if key not in self._tables:
            kinds = node.attrs.get("key_dtype"), node.attrs.get("value_dtype")
            if None in kinds:
                raise FormatError("a table has no dtypes", where=node.name, received=kinds)
            self._tables[key] = Table(_shared_name(node), *kinds)
            if "Mutable" in node.op:
                self._tables[key].content = {}
        return self._tables[key]


def _shared_name(node: OpNode) -> str:
    shared = node.attrs.get("shared_name") or b""
    return shared.decode("utf-8", "replace") if shared and not node.op.startswith("Anonymous") else node.name


def _refuse_other_form(node: OpNode, variable: Variable) -> None:
    """Refuse a variable whose stored value is not what the graph says of it."""
    if not variable.is_initialized:
        return
    # A variable of TensorFlow 1 may be assigned a value of another shape than it states.
    kind, shape = node.attrs.get("dtype"), node.attrs.get("shape") if node.op == "VarHandleOp" else None
    dtype = np.dtype(object) if kind == "string" else kind
    fits = shape is None or (
        len(shape) == len(variable.shape)
        and all(size in (None, stored) for size, stored in zip(shape, variable.shape, strict=True))
    )
    if not fits or (isinstance(dtype, np.dtype) and dtype != variable.dtype):
        raise FormatError(
            "a variable is stored in another form",
            where=f"{node.name} ({variable.name})",
            expected=f"{kind}{list(shape or ())}",
            received=f"{variable.dtype}{list(variable.shape)}",
        )


def _key(node: OpNode) -> str:
    container = (node.attrs.get("container") or b"").decode("utf-8", "replace")
    return f"{container}/{_shared_name(node)}"
