"""SavedModels of TensorFlow behind HTTP, without being imported first."""

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import FLOAT, INT, LONG, STRING, const, node

from mainstay.serving import BatchingOptions


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A version of a model that scores rows by a matrix and by the number of a word."""
    nodes = [
        node("x", "Placeholder", dtype=FLOAT),
        node("words", "Placeholder", dtype=STRING),
        node("w", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((2, 1)), shared_name=b"w"),
        node("weight", "ReadVariableOp", "w", dtype=FLOAT),
        node("product", "MatMul", "x", "weight", T=FLOAT),
        node("table", "HashTableV2", key_dtype=STRING, value_dtype=LONG),
        const("keys", np.array([b"a", "ü".encode()], object)),
        const("ids", np.int64([10, 20])),
        node("fill", "LookupTableImportV2", "table", "keys", "ids", Tin=STRING, Tout=LONG),
        node("init", "NoOp", "^fill"),
        const("missing", np.int64(0)),
        node("id", "LookupTableFindV2", "table", "words", "missing", Tin=STRING, Tout=LONG),
        node("number", "Cast", "id", SrcT=LONG, DstT=FLOAT),
        const("axis", 1),
        node("column", "ExpandDims", "number", "axis", T=FLOAT, Tdim=INT),
        node("score", "AddV2", "product", "column", T=FLOAT),
    ]
    signature = make.signature(
        {"x": ("x:0", FLOAT), "words": ("words:0", STRING)}, {"score": ("score:0", FLOAT), "word": ("words:0", STRING)}
    )
    shapes = {"x": (None, 2), "words": (None,), "score": (None, 1), "word": (None,)}
    for name, info in (*signature.inputs.items(), *signature.outputs.items()):
        info.tensor_shape.Clear()
        make.write_shape(info.tensor_shape, shapes[name])
    graph = make.meta_graph(nodes, {"serving_default": signature})
    graph.collection_def["saved_model_main_op"].node_list.value.append("init")
    folder = tmp_path_factory.mktemp("foreign")
    make.write(folder / "3", graph, tensors={"w": np.float32([[1], [2]])})
    return folder


def test_a_model_of_tensorflow_is_served_as_it_is(start, foreign) -> None:
    server = start({"m": foreign}, batching=BatchingOptions(max_batch_size=4))
    rows = [{"x": [1.0, 2.0], "words": "ü"}, {"x": [0.5, 0.0], "words": "?"}, {"x": [0.0, 0.0], "words": "a"}]
    expected = [[25.0], [0.5], [10.0]]
    status, answer = server.predict({"instances": rows})
    assert status == 200
    assert answer["predictions"] == [
        {"score": score, "word": row["words"]} for score, row in zip(expected, rows, strict=True)
    ]
    inputs = {name: [row[name] for row in rows] for name in ("x", "words")}
    assert server.predict({"inputs": inputs})[1]["outputs"]["score"] == expected
    status, answer = server.predict({"instances": [{"x": [1.0, 2.0]}]})
    assert status == 400
    assert server.request("GET", "/v1/models/m")[0] == 200
