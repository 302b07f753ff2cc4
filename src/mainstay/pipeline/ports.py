"""`In`, `InList` and `Out`: how a step's annotations say what it reads and writes.

To a type checker they are paths (see ``ports.pyi``), so that a step can be called as the plain function that it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from mainstay.pipeline.marks import InputMark, OutputMark


class In:
    """``In[Kind]``: a parameter that receives the path of an artifact of that kind.

    Example:
        >>> from mainstay.pipeline import ArtifactType, In
        >>> class Table(ArtifactType):
        ...     '''A user's table.'''
        >>> def count(*, table: In[Table] | None = None) -> None: ...
    """

    def __class_getitem__(cls, kind: Any) -> Any:
        """Return the annotation for one kind of artifact."""
        return Annotated[Path, InputMark(kind)]


class InList:
    """``InList[Kind]``: a parameter that receives the paths of any number of artifacts of that kind, in order."""

    def __class_getitem__(cls, kind: Any) -> Any:
        """Return the annotation for one kind of artifact."""
        return Annotated[tuple[Path, ...], InputMark(kind, many=True)]


class Out:
    """``Out[Kind]``: a parameter that receives the path at which the step leaves a file or a folder.

    Nothing is at that path when the step begins.
    """

    def __class_getitem__(cls, kind: Any) -> Any:
        """Return the annotation for one kind of artifact."""
        return Annotated[Path, OutputMark(kind)]
