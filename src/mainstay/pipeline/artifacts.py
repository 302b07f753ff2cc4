"""What flows between steps: named kinds of artifacts, beside the ports that take and give them."""

from __future__ import annotations

from typing import ClassVar

from mainstay.pipeline.ports import In, InList, Out

__all__ = ["ArtifactType", "In", "InList", "Out"]


class ArtifactType:
    """A kind of artifact; subclass it to name one. It is never instantiated.

    An output of this kind is what a step leaves at its path: a file or a folder, without symbolic links. A port that
    takes a kind also takes its subclasses.

    Attributes:
        suffix: What the names of its files end with, such as ``.html``; empty for folders.

    Example:
        >>> class Report(ArtifactType):
        ...     '''One page for people.'''
        ...
        ...     suffix = ".html"
    """

    suffix: ClassVar[str] = ""
