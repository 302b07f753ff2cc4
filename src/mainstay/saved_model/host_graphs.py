"""Host graphs of an artifact: the prefix and the suffix of each signature, in one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from mainstay.core import FormatError, TransformError
from mainstay.hostops import HostGraph
from mainstay.saved_model.folder import HOST_GRAPH_FILE
from mainstay.saved_model.manifest import SignatureEntry
from mainstay.saved_model.manifest_reading import parse_json

GraphPair: TypeAlias = tuple[HostGraph | None, HostGraph | None]

_VERSION = 1


def read_host_graphs(
    data: bytes, signatures: Mapping[str, SignatureEntry], assets: Mapping[str, bytes]
) -> dict[str, GraphPair]:
    """Return the prefix and the suffix of every signature.

    Args:
        data: The content of the file.
        signatures: The signatures that the manifest names.
        assets: The content of the assets by name.

    Raises:
        FormatError: The file is malformed, or holds other graphs than the manifest says.
    """
    value = parse_json(data, HOST_GRAPH_FILE)
    expected = {
        name: {part for part, there in (("prefix", entry.prefix), ("suffix", entry.suffix)) if there}
        for name, entry in signatures.items()
    }
    if not isinstance(value, dict) or value.get("format_version") != _VERSION:
        raise FormatError("unknown version", where=HOST_GRAPH_FILE, expected=_VERSION)
    graphs = value.get("signatures")
    graphs = graphs if isinstance(graphs, dict) else {}
    found = {name: set(parts) if isinstance(parts, dict) else None for name, parts in graphs.items()}
    if found != expected or set(value) != {"format_version", "signatures"}:
        raise FormatError(
            "the host graphs are not those that the manifest names",
            where=HOST_GRAPH_FILE,
            expected=expected,
            received=found,
        )
    return {
        name: (_graph(name, parts.get("prefix"), assets), _graph(name, parts.get("suffix"), assets))
        for name, parts in graphs.items()
    }


def _graph(signature: str, value: Any, assets: Mapping[str, bytes]) -> HostGraph | None:
    try:
        return None if value is None else HostGraph.from_json(value, assets)
    except TransformError as error:
        raise FormatError(
            error.summary,
            where=f"{HOST_GRAPH_FILE}, signature {signature}: {error.where}",
            expected=error.expected,
            received=error.received,
        ) from error


def host_graphs_json(graphs: Mapping[str, GraphPair]) -> dict[str, Any]:
    """Return the content of the file of host graphs.

    Args:
        graphs: The prefix and the suffix of each signature.
    """
    return {
        "format_version": _VERSION,
        "signatures": {
            name: {
                part: graph.to_json()
                for part, graph in zip(("prefix", "suffix"), pair, strict=True)
                if graph is not None
            }
            for name, pair in graphs.items()
        },
    }


def check_graphs(name: str, entry: SignatureEntry, prefix: HostGraph | None, suffix: HostGraph | None) -> None:
    """Refuse host graphs that do not take and make what the manifest says."""
    made = {spec.name for spec in (entry.device_inputs if entry.program else entry.outputs)}
    results = {tensor.name for tensor in entry.program.results} if entry.program else set()
    answers = {spec.name for spec in entry.outputs}
    problem = None
    if prefix is not None and (prefix.inputs != entry.inputs or set(prefix.outputs) != made):
        problem = "the prefix does not turn its inputs into the device inputs"
    elif suffix is not None and ({i.spec.name for i in suffix.inputs} - results or set(suffix.outputs) != answers):
        problem = "the suffix does not turn results of its program into the outputs"
    elif suffix is None and entry.program and results != answers:
        problem = "the outputs are not the results of its program"
    if problem is not None:
        raise FormatError("a signature contradicts its host graphs", where=f"signature {name}", received=problem)
