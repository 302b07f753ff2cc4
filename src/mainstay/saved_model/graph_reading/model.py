"""A SavedModel that TensorFlow wrote, in memory and ready to answer, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from mainstay.core import ModelError
from mainstay.saved_model.folder import map_file
from mainstay.saved_model.graph_reading.binding import (
    bind_captures,
    bind_named,
    bind_restored,
    open_checkpoint,
    put_assets,
)
from mainstay.saved_model.graph_reading.coverage import missing_ops
from mainstay.saved_model.graph_reading.evaluation import Evaluation
from mainstay.saved_model.graph_reading.graph_ops.values import Variable
from mainstay.saved_model.graph_reading.library import FunctionBody
from mainstay.saved_model.graph_reading.limits import Budget, refuse_endless, refusing_deep_nesting
from mainstay.saved_model.graph_reading.meta_graphs import MetaGraph, read_meta_graph
from mainstay.saved_model.graph_reading.objects import ObjectGraph
from mainstay.saved_model.graph_reading.programs import Programs
from mainstay.saved_model.graph_reading.resources import Resources
from mainstay.saved_model.graph_reading.restored import RestoredObject, Restoring
from mainstay.saved_model.graph_reading.signatures import ForeignSignature

_INITIALISERS = ("saved_model_main_op", "legacy_init_op")
_INITIALISER_SIGNATURE = "__saved_model_init_op"


class ForeignModel:
    """A SavedModel of TensorFlow in memory.

    It is made by `load`. The functions, variables and modules that the object had that was saved are its attributes.

    Attributes:
        path: The SavedModel.
        signatures: Its signatures by name.
        assets: The paths of its asset files, by name.
        producer: The version of TensorFlow that wrote it.

    Example:
        >>> model = load("exported/model")  # doctest: +SKIP
        >>> model.signatures["serving_default"](x=[[1.0, 2.0]])  # doctest: +SKIP
        {'output_0': array([[0.5]], dtype=float32)}
    """

    def __init__(
        self,
        path: Path,
        signatures: Mapping[str, ForeignSignature],
        *,
        assets: Mapping[str, Path],
        producer: str,
        root: RestoredObject | None,
        variables: tuple[Variable, ...],
    ) -> None:
        self.path = path
        self.signatures = signatures
        self.assets = assets
        self.producer = producer
        self._root = root
        self._variables = variables

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its variables, in the order of the object graph or of the checkpoint."""
        return self._variables

    def __getattr__(self, name: str) -> Any:
        root = self.__dict__.get("_root")
        if root is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(root, name)

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the function ``__call__`` that the object had that was saved."""
        if self._root is None:
            raise ModelError("the model has signatures only", where=self.path, fix="call one of `signatures`")
        return self._root(*values, **named)

    def __repr__(self) -> str:
        return f"ForeignModel({str(self.path)!r}, signatures={sorted(self.signatures)})"


def load_foreign(folder: Path, *, tags: str | Iterable[str] | None = None) -> ForeignModel:
    """Load a SavedModel that TensorFlow wrote.

    Args:
        folder: The SavedModel.
        tags: The tags of the graph; None for the only graph, or the one for serving if there are more.

    Returns:
        The model, its tables filled and its `signatures` ready to be called.

    Raises:
        ArtifactError: There is no SavedModel.
        ArgumentError: There is no graph with these tags.
        FormatError: A file is malformed.
        ModelError: A signature needs ops that are not read here; all are named.
        StorageError: A file cannot be read.
    """
    with refusing_deep_nesting(folder):
        return _load(folder, read_meta_graph(folder, tags))


def _load(folder: Path, meta: MetaGraph) -> ForeignModel:
    put_assets(meta)
    checkpoint = open_checkpoint(folder, map_file)
    objects = ObjectGraph(meta.message.object_graph_def, checkpoint)
    resources = Resources()
    programs = Programs(meta.library, resources)
    handles = bind_captures(meta, objects, resources)
    bind_restored(meta, checkpoint, resources)
    bind_named(meta, checkpoint, objects, resources)
    signatures = {name: ForeignSignature(meta, name, programs) for name in meta.signatures}
    first = initialiser(meta)
    graphs = [signature.graph for signature in signatures.values()]
    graphs += [first] if first else []
    _refuse_missing(meta, graphs)
    refuse_endless(graphs, meta.library)
    if first is not None:
        with jax.enable_x64(True):
            Evaluation(meta.library, resources, budget=Budget()).run_graph(first, [])
    restoring = Restoring(meta, objects, programs, handles)
    variables = tuple(objects.variables.values()) or tuple(sorted(resources.variables(), key=lambda each: each.name))
    return ForeignModel(
        folder,
        MappingProxyType(signatures),
        assets=MappingProxyType(meta.assets()),
        producer=meta.producer,
        root=restoring.root(),
        variables=variables,
    )


def initialiser(meta: MetaGraph) -> Any:
    """Return the graph that fills the tables, and gives a value to the variables that are not stored; or None."""
    targets: list[str] = []
    message = meta.message
    if _INITIALISER_SIGNATURE in message.signature_def:
        outputs = message.signature_def[_INITIALISER_SIGNATURE].outputs
        targets += [outputs[key].name for key in sorted(outputs)]
    for name in _INITIALISERS:
        if not targets and name in message.collection_def:
            targets += message.collection_def[name].node_list.value
    names = tuple(dict.fromkeys(target.partition(":")[0] for target in targets))
    names = tuple(name for name in names if name in meta.nodes)
    if not names:
        return None
    body = FunctionBody("initialiser", meta.nodes, (), (), names)
    return meta.library.ordered(meta.library.prepared(body, everything=False))


def _refuse_missing(meta: MetaGraph, graphs: Iterable[Any]) -> None:
    missing = missing_ops(graphs, meta.library)
    if missing:
        shown = [f"{each.op} ({each.count} times, such as {each.node})" for each in missing]
        raise ModelError(
            "the model needs ops that are not read here",
            where=meta.folder,
            expected="ops that are in the list of the documentation",
            received="; ".join(shown),
            fix="see them all with `mainstay inspect`, and export the model without them",
        )
