"""The object graph: paths of attributes, and names that are taken."""

import numpy as np

from mainstay.saved_model.graph_writing.object_graph import ROOT, ObjectGraph

FLOAT = np.dtype(np.float32)


def variable(graph: ObjectGraph, name: str) -> int:
    return graph.variable(name, f"key of {name}", kind=FLOAT, shape=(1,), trainable=True)


def children(graph: ObjectGraph, number: int) -> dict[str, int]:
    return {child.local_name: child.node_id for child in graph.proto.nodes[number].children}


def test_a_variable_lies_where_its_name_says() -> None:
    graph = ObjectGraph()
    kernel, bias = variable(graph, "encoder/dense/kernel"), variable(graph, "encoder/dense/bias")
    encoder = children(graph, ROOT)["encoder"]
    assert children(graph, children(graph, encoder)["dense"]) == {"kernel": kernel, "bias": bias}


def test_a_name_that_is_taken_gets_another_and_the_rest_stays_together() -> None:
    graph = ObjectGraph()
    plain = variable(graph, "a")
    below = [variable(graph, "a/b"), variable(graph, "a/c")]
    variable(graph, "signatures/x")
    found = children(graph, ROOT)
    assert set(found) == {"signatures", "a", "a_", "signatures_"}
    assert found["a"] == plain
    assert list(children(graph, found["a_"]).values()) == below


def test_a_list_of_objects_counts_them() -> None:
    graph = ObjectGraph()
    numbers = [variable(graph, name) for name in ("b", "a")]
    graph.list_of("variables", numbers)
    holder = children(graph, ROOT)["variables"]
    assert graph.proto.nodes[holder].user_object.identifier == "trackable_list_wrapper"
    assert children(graph, holder) == {"0": numbers[0], "1": numbers[1]}
