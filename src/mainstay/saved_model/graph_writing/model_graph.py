"""The model as TensorFlow has it: main graph, functions and objects, which grow together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import message_class
from mainstay.saved_model.graph_writing.captures import Resource
from mainstay.saved_model.graph_writing.checkpointing import Variable, restore_function, save_function
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library, Ref
from mainstay.saved_model.graph_writing.lookup_tables import TableForm, fill_table, misread
from mainstay.saved_model.graph_writing.main_graph import MainGraph
from mainstay.saved_model.graph_writing.object_graph import ObjectGraph
from mainstay.saved_model.graphs.dtypes import Kind

_STATUS = np.dtype(np.int32)


class ModelGraph:
    """A SavedModel in the making.

    Args:
        assets: The content of the files that tables are filled from, by name.

    Attributes:
        assets: The same.
        graph: The main graph.
        library: The functions.
        objects: The objects.
        variables: The variables by name.
    """

    def __init__(self, assets: Mapping[str, bytes]) -> None:
        self.graph = MainGraph()
        self.library = Library()
        self.objects = ObjectGraph()
        self.variables: dict[str, Variable] = {}
        self.assets = assets
        self._assets: dict[str, Resource] = {}
        self._tables: dict[TableForm, Resource] = {}

    def variable(self, name: str, key: str, *, kind: Kind, shape: Sequence[int], trainable: bool) -> Variable:
        """Return the variable of a name, which is added when it is first asked for; see `ObjectGraph.variable`."""
        if name not in self.variables:
            number = self.objects.variable(name, key, kind=kind, shape=shape, trainable=trainable)
            handle = self.graph.variable(name, kind, shape)
            self.variables[name] = Variable(Resource(number, handle), key, kind, tuple(shape))
        return self.variables[name]

    def asset(self, name: str) -> Resource:
        """Return the path of an asset file."""
        if name not in self._assets:
            index, path = self.graph.asset(name)
            self._assets[name] = Resource(self.objects.asset(name, index), path)
        return self._assets[name]

    def table(self, asset: str, *, by_token: bool) -> Resource:
        """Return a lookup table, which is filled before the first request.

        Args:
            asset: The file whose lines are its tokens.
            by_token: Whether it gives the position of a token; else it gives the token at a position.
        """
        form = TableForm(asset, by_token, inline=misread(self.assets[asset]))
        if form not in self._tables:
            name = f"table_{len(self._tables)}"
            attrs = {"shared_name": name, "use_node_name_sharing": True}
            kinds: dict[str, Any] = {"key_dtype": form.key, "value_dtype": form.value}
            (handle,) = self.graph.node("HashTableV2", [], [("resource", ())], name=name, attrs=attrs | kinds)
            create = FunctionBuilder(self.library.unique("create_table"))
            made = create.op("HashTableV2", [], [("resource", ())], attrs=attrs | kinds, stateful=True)
            destroy = FunctionBuilder(self.library.unique("destroy_table"))
            self._tables[form] = self._resource(name, handle, form, (create, made[0], destroy))
        return self._tables[form]

    def _resource(
        self, name: str, handle: Ref, form: TableForm, made: tuple[FunctionBuilder, Ref, FunctionBuilder]
    ) -> Resource:
        create, created, destroy = made
        fill = FunctionBuilder(self.library.unique("fill_table"))
        file = None if form.inline else self.asset(form.asset)
        paths = [] if file is None else [fill.argument("path", "string", ())]
        fill_table(fill, fill.argument("table", "resource", ()), form, self.assets[form.asset], *paths)
        done = self.library.add(fill.finish({"done": fill.constant(np.int32(1))}))
        number = self.objects.resource(name)
        held = [file] if file is not None else []
        self.objects.attach(
            number,
            {
                "_create_resource": (self.library.add(create.finish({"table": created})), [], "resource"),
                "_initialize": (done, [*(each.number for each in held), number], _STATUS),
                "_destroy_resource": (
                    self.library.add(destroy.finish({"done": destroy.constant(np.int32(1))})),
                    [],
                    _STATUS,
                ),
            },
        )
        self.graph.initialize(done, [*(each.handle for each in held), handle])
        return Resource(number, handle)

    def finish(self, *, producer: str) -> Any:
        """Return the SavedModel message.

        Args:
            producer: What wrote it, such as ``mainstay 1.0``.
        """
        variables = list(self.variables.values())
        handles = [variable.resource.handle for variable in variables]
        self.graph.saver(save_function(self.library, variables), restore_function(self.library, variables), handles)
        self.graph.finish()
        model = message_class("tensorflow.SavedModel")(saved_model_schema_version=1)
        meta = model.meta_graphs.add()
        meta.CopyFrom(self.graph.proto)
        meta.graph_def.library.function.extend(self.library.functions)
        meta.graph_def.versions.producer = _GRAPH_PRODUCER
        meta.graph_def.versions.min_consumer = _GRAPH_MIN_CONSUMER
        meta.meta_info_def.tags.append("serve")
        meta.meta_info_def.stripped_default_attrs = True
        meta.meta_info_def.tensorflow_version = _TENSORFLOW
        meta.meta_info_def.tensorflow_git_version = producer
        meta.object_graph_def.CopyFrom(self.objects.proto)
        return model


_TENSORFLOW = "2.21.0"
"""The release of TensorFlow whose rules the graph keeps to."""

_GRAPH_PRODUCER, _GRAPH_MIN_CONSUMER = 2474, 12
"""The versions of GraphDef that this release writes, and the oldest that reads it."""
