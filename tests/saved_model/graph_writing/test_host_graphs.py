"""Host graphs as nodes: every host operation has a form, tables come from files, odd files from constants."""

import pytest

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode, op_names
from mainstay.saved_model import ServingFunction
from mainstay.saved_model.graph_writing import host_graphs
from mainstay.saved_model.graph_writing.host_graphs import unwritable
from mainstay.saved_model.graph_writing.host_ops.registry import LOWERINGS
from mainstay.saved_model.graph_writing.lookup_tables import lines_of, misread


def nodes_of(model, op: str) -> list:
    """The nodes of an operation in all functions."""
    library = model.meta_graphs[0].graph_def.library.function
    return [node for function in library for node in function.node_def if node.op == op]


def test_every_host_operation_has_a_form_in_tensorflow(with_strings) -> None:
    assert set(LOWERINGS) == set(op_names())
    assert unwritable(with_strings().prefix) == ()


def test_an_operation_without_a_form_is_named(monkeypatch: pytest.MonkeyPatch, with_strings) -> None:
    monkeypatch.setattr(host_graphs, "LOWERINGS", {"Const": LOWERINGS["Const"]})
    assert unwritable(with_strings().prefix) == ("FillMissing", "LookupTableFindV2")


def test_tables_are_filled_from_files_by_functions_that_the_objects_name(write, with_strings) -> None:
    _, model, _ = write({"f": with_strings()})
    (meta,) = model.meta_graphs
    columns = [
        (node.attr["key_index"].i, node.attr["value_index"].i)
        for node in nodes_of(model, "InitializeTableFromTextFileV2")
    ]
    assert columns == [(-2, -1), (-1, -2)]
    assert [asset.filename for asset in meta.asset_file_def] == ["words.txt", "labels.txt"]
    resources = [node for node in meta.object_graph_def.nodes if node.HasField("resource")]
    assert [sorted(child.local_name for child in node.children) for node in resources] == [
        ["_create_resource", "_destroy_resource", "_initialize"]
    ] * 2


@pytest.mark.parametrize(
    ("content", "lines", "odd"),
    [
        (b"a\nb", [b"a", b"b"], False),
        (b"a\nb\n", [b"a", b"b"], False),
        (b"a\r\nb", [b"a\r", b"b"], True),
        (b"a\n\nb", [b"a", b"", b"b"], True),
    ],
)
def test_a_file_that_tensorflow_reads_otherwise_is_told_from_others(content: bytes, lines: list, odd: bool) -> None:
    assert lines_of(content) == lines
    assert misread(content) is odd


def test_a_table_of_an_odd_file_is_filled_from_constants(write, problems) -> None:
    prefix = HostGraph(
        [HostInput(TensorSpec([None], "string", "word"))],
        [HostNode("LookupTableFindV2", "id", ("word",), {"asset": "words.txt"})],
        {"id": "id"},
        {"words.txt": b"a\r\nb\n"},
    )
    _, model, _ = write({"f": ServingFunction(None, prefix=prefix)})
    assert problems(model) == []
    assert len(nodes_of(model, "InitializeTableV2")) == 1
    assert nodes_of(model, "InitializeTableFromTextFileV2") == []


def test_features_of_the_same_examples_are_parsed_at_once_and_a_key_of_two_kinds_twice(write, problems) -> None:
    keys = [("a", "a", "float32"), ("b", "b", "string"), ("again", "a", "int64")]
    prefix = HostGraph(
        [HostInput(TensorSpec([None], "string", "examples"))],
        [HostNode("ParseExample", name, ("examples",), {"key": key, "dtype": dtype}) for name, key, dtype in keys],
        {name: name for name, _, _ in keys},
    )
    _, model, _ = write({"f": ServingFunction(None, prefix=prefix)})
    assert problems(model) == []
    assert [len(node.attr["Tdense"].list.type) for node in nodes_of(model, "ParseExampleV2")] == [2, 1]
