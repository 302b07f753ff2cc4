"""SavedModels that TensorFlow wrote, seen from outside: what of them cannot be read, before anything is tried."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UnsupportedOp:
    """An op that is not read here.

    Args:
        op: Its name.
        node: The path of the first node that has it.
        count: How many nodes have it.
    """

    op: str
    node: str
    count: int


def unsupported_ops(path: str | os.PathLike[str], *, tags: str | Iterable[str] | None = None) -> list[UnsupportedOp]:
    """Return the ops of a SavedModel of TensorFlow that its signatures need and that are not read here.

    Args:
        path: The SavedModel.
        tags: The tags of the graph; None for the only graph, or the one for serving if there are more.

    Returns:
        Each op with its first node and how many nodes have it, in order of the names; none if `load` can read it.

    Raises:
        ArtifactError: There is no SavedModel.
        ArgumentError: It has no graph with these tags.
        FormatError: It is malformed.
    """
    from mainstay.saved_model.graph_reading.coverage import missing_ops
    from mainstay.saved_model.graph_reading.limits import refusing_deep_nesting
    from mainstay.saved_model.graph_reading.meta_graphs import read_meta_graph
    from mainstay.saved_model.graph_reading.model import initialiser
    from mainstay.saved_model.graph_reading.signatures import read_ports, signature_graph

    meta = read_meta_graph(Path(path), tags)
    with refusing_deep_nesting(path):
        graphs = [signature_graph(meta, name, *read_ports(meta, name)) for name in meta.signatures]
        first = initialiser(meta)
        return missing_ops([*graphs, *([first] if first else [])], meta.library)
