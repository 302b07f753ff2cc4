"""`saved_model.pb`: the graph for some tags, with its functions, signatures, objects and assets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mainstay.core import ArgumentError, ArtifactError, FormatError, message_class, storage_errors
from mainstay.saved_model.folder import refuse_outside
from mainstay.saved_model.graph_reading.graph import NamedNodes, read_nodes, with_reads
from mainstay.saved_model.graph_reading.library import Library
from mainstay.saved_model.graph_reading.limits import refuse_repeats

MODEL_FILE = "saved_model.pb"
SERVE = "serve"

_ASSETS = "saved_model_assets"

_MOST_BYTES = (1 << 31) - 1


class MetaGraph:
    """One graph of a SavedModel.

    Args:
        folder: The SavedModel.
        message: Its `MetaGraphDef`.

    Attributes:
        folder: The SavedModel.
        message: Its `MetaGraphDef`.
        library: Its functions.
        nodes: The nodes of its main graph by name.

    Raises:
        FormatError: It is malformed.
    """

    def __init__(self, folder: Path, message: Any) -> None:
        self.folder = folder
        self.message = message
        self.library = Library(message.graph_def.library.function)
        refuse_repeats(message.graph_def.node)
        self.nodes: NamedNodes = with_reads(read_nodes(message.graph_def.node, self.library.definitions))

    @property
    def producer(self) -> str:
        """The version of TensorFlow that wrote it, such as ``2.21.0``, or an empty string."""
        version: str = self.message.meta_info_def.tensorflow_version
        return version

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The `SignatureDef` messages by name, those of TensorFlow's own apart."""
        found = self.message.signature_def
        return {name: found[name] for name in sorted(found) if not name.startswith("__saved_model")}

    def asset_files(self) -> list[Any]:
        """Return the `AssetFileDef` messages, which TensorFlow 1 kept in a collection.

        Raises:
            FormatError: One is malformed.
        """
        from google.protobuf.message import DecodeError

        found = list(self.message.asset_file_def)
        if not found and _ASSETS in self.message.collection_def:
            message = message_class("tensorflow.AssetFileDef")
            try:
                found = [message.FromString(each.value) for each in self.message.collection_def[_ASSETS].any_list.value]
            except DecodeError as error:
                raise FormatError("the assets of a graph are malformed", where=self.folder, received=error) from error
        return found

    def assets(self) -> dict[str, Path]:
        """Return the paths of the files that belong to the model by their names.

        Raises:
            FormatError: A name leads out of the folder, or there is no such file.
        """
        return {asset.filename: asset_path(self.folder, asset.filename) for asset in self.asset_files()}


def asset_path(folder: Path, name: str) -> Path:
    """Return where an asset lies.

    Raises:
        FormatError: The name leads out of the folder, or there is no such file.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or not relative.parts or ".." in relative.parts or "\\" in name or "\0" in name:
        raise FormatError(
            "an asset has an impossible name", where=folder, expected="a path inside of assets", received=name
        )
    root = (folder / "assets").resolve()
    path = (root / relative).resolve()
    refuse_outside(folder, root)
    if not path.is_relative_to(root) or not path.is_file():
        raise FormatError("an asset is missing", where=folder, expected=f"assets/{name}")
    return path


def read_meta_graph(folder: Path, tags: str | Iterable[str] | None = None) -> MetaGraph:
    """Return the graph of a SavedModel for some tags.

    Args:
        folder: The SavedModel.
        tags: The tags of the graph, all of them; None for the only graph, or the one for serving if there are more.

    Raises:
        ArtifactError: There is no SavedModel.
        ArgumentError: There is no graph with these tags.
        FormatError: The file is malformed.
        StorageError: It cannot be read.
    """
    from google.protobuf.message import DecodeError

    path = folder / MODEL_FILE
    if not path.is_file():
        raise ArtifactError("there is no SavedModel here", where=folder, expected=f"a folder with {MODEL_FILE}")
    refuse_outside(folder, path)
    with storage_errors(path, "read"):
        if os.path.getsize(path) > _MOST_BYTES:
            raise FormatError("the graph is too large", where=path, expected=f"up to {_MOST_BYTES:,} bytes")
        data = path.read_bytes()
    try:
        model = message_class("tensorflow.SavedModel").FromString(data)
    except DecodeError as error:
        raise FormatError("this is no SavedModel", where=path, received=error) from error
    if model.saved_model_schema_version > 1:
        raise FormatError(
            "a SavedModel of an unknown version", where=path, expected=1, received=model.saved_model_schema_version
        )
    return MetaGraph(folder, _chosen(path, model.meta_graphs, tags))


def _chosen(path: Path, graphs: Any, tags: str | Iterable[str] | None) -> Any:
    available = [frozenset(graph.meta_info_def.tags) for graph in graphs]
    if not available:
        raise FormatError("a SavedModel without a graph", where=path)
    if tags is None:
        wanted = available[0] if len(available) == 1 else frozenset({SERVE})
    else:
        wanted = frozenset({tags} if isinstance(tags, str) else tags)
    if wanted not in available:
        raise ArgumentError(
            "the SavedModel has no graph with these tags",
            where=path,
            expected="; ".join(sorted(", ".join(sorted(each)) or "no tags" for each in available)),
            received=", ".join(sorted(wanted)),
        )
    return graphs[available.index(wanted)]
