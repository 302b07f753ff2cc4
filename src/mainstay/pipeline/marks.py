"""The marks that a step's annotations carry: which parameter is an input, an output or a name of a user's function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class InputMark:
    """Marks a parameter as an input.

    Args:
        type: The kind of artifact that it takes, a subclass of `ArtifactType`.
        many: Whether it takes any number of them, as a tuple of paths.
    """

    type: Any
    many: bool = False


@dataclass(frozen=True)
class OutputMark:
    """Marks a parameter as an output.

    Args:
        type: The kind of artifact that the step leaves at the path, a subclass of `ArtifactType`.
    """

    type: Any


@dataclass(frozen=True)
class CodeMark:
    """Marks a parameter as the name of a function in a user's file."""


Code = Annotated[str, CodeMark()]
"""A parameter ``FILE.py:function``: the step depends on that file's code and on what it imports, not on its place."""
