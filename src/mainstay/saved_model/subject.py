"""What is saved: signatures, restored functions, variables and assets, whatever kind of object they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.saved_model.manifest import VariableEntry
from mainstay.saved_model.serving_function import ServingFunction
from mainstay.saved_model.structures import Parameter, Structure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Restorable:
    """One traced form of a function that the loaded object will have.

    Args:
        function: What it does; its inputs and outputs have the names that `arguments` and `results` use.
        arguments: Its parameters.
        results: What it returns.
    """

    function: ServingFunction
    arguments: tuple[Parameter, ...]
    results: Structure


@dataclass(frozen=True, eq=False)
class Subject:
    """What is saved.

    Args:
        signatures: The signatures by name.
        functions: The forms of each function of a module by its dotted path.
        variables: The variables of the object, in order.
        tensors: The values of those variables by name.
        assets: Files that belong to the object, by name.
        left_out: Functions that cannot be restored, by their dotted path, with the reason.
    """

    signatures: Mapping[str, ServingFunction]
    functions: Mapping[str, tuple[Restorable, ...]] = field(default_factory=dict)
    variables: tuple[VariableEntry, ...] = ()
    tensors: Mapping[str, Array] = field(default_factory=dict)
    assets: Mapping[str, bytes] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
