"""Graphs: the operations of a model or a function, drawn by TensorBoard's Graphs page."""

from __future__ import annotations

import json
from typing import Any

from mainstay.core import ArgumentError
from mainstay.summary.messages import BLOB_SEQUENCE, graph_event, plugin_metadata, string_tensor
from mainstay.summary.recording import record
from mainstay.summary.state import condition_holds, current_state


def graph(source: Any, *arguments: Any) -> bool:
    """Record the graph of operations of a run; a run has one, and the last one counts.

    Args:
        source: A built Keras model, whose layers become scopes; a function, compiled or not, with arguments to trace it
            with; a traced program, such as a `ConcreteFunction`, `jax.make_jaxpr(…)(…)` or `jax.jit(…).trace(…)`; or a
            `GraphDef` message or its bytes.
        arguments: What the function is called with: arrays or specs, also in structures.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: It is none of these, or the model is not built.
        StorageError: The event file could not be written.
    """
    state = current_state()
    if state.writer is None or not condition_holds(state.condition):
        return False
    state.writer.add(graph_event(_graph_bytes(source, arguments), state.writer.now()))
    return True


def keras_model(name: str, model: Any, step: Any = None) -> bool:
    """Record a Keras model for the conceptual graph of TensorBoard's Graphs page: one node per layer.

    Args:
        name: The tag of the graph.
        model: A Functional or Sequential model; others have no layers that TensorBoard could connect.
        step: The step; without it, the default one.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        StorageError: The event file could not be written.
    """
    metadata = plugin_metadata("graph_keras_model", BLOB_SEQUENCE, None, b"1")
    return record(name, lambda: string_tensor([_drawable(model)], [1]), (), step, metadata)


def _drawable(model: Any) -> bytes:
    """Return a model's JSON with the dtypes of mixed policies, which TensorBoard does not know, as plain names."""
    return json.dumps(json.loads(model.to_json(), object_hook=_plain_dtype)).encode()


def _plain_dtype(config: dict[str, Any]) -> dict[str, Any]:
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict):
        config["dtype"] = str(policy["config"].get("name", "")).removeprefix("mixed_") or None
    return config


def _graph_bytes(source: Any, arguments: tuple[Any, ...]) -> bytes:
    if isinstance(source, bytes):
        return source
    if hasattr(source, "SerializeToString"):
        return bytes(source.SerializeToString())
    import jax
    from jax.extend.core import ClosedJaxpr

    from mainstay.summary.jaxpr_graph import graph_of_jaxpr

    if hasattr(source, "get_concrete_function"):
        source = source.get_concrete_function(*arguments)
    if isinstance(source, ClosedJaxpr) or isinstance(getattr(source, "jaxpr", None), ClosedJaxpr):
        program = source if isinstance(source, ClosedJaxpr) else source.jaxpr
        names = [f"inputs/input_{number}" for number in range(len(program.jaxpr.invars))]
        graph_def = graph_of_jaxpr(program, names)
    elif hasattr(source, "stateless_call") and not arguments:
        from mainstay.summary.model_graph import graph_of_model

        graph_def = graph_of_model(source)
    elif callable(source):
        program = jax.make_jaxpr(source)(*arguments)
        paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(arguments)[0]]
        names = ["inputs/argument_" + "_".join(_key(entry) for entry in path) for path in paths]
        graph_def = graph_of_jaxpr(program, names)
    else:
        raise ArgumentError(
            "no graph can be made of this",
            expected="a Keras model, a traced program, a function with its arguments, or a GraphDef",
            received=type(source).__name__,
        )
    return bytes(graph_def.SerializeToString())


def _key(entry: Any) -> str:
    """Return one step of a path into a structure as a word."""
    return str(next(getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name)))
