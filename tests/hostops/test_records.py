"""Records in a request: features of tf.Examples and strings of bytes, as the input pipeline reads them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import io
from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostGraph, HostInput, HostNode

RECORDS = io.serialize_examples(
    {"fare": np.float32([1.5, 2.5]), "ids": np.arange(6).reshape(2, 3), "name": ["é", b"\xff\x00"]}
).to_pylist()


def graph(*nodes: HostNode) -> HostGraph:
    return HostGraph(
        [HostInput(TensorSpec([None], "string", "record"))], nodes, {node.name: node.name for node in nodes}
    )


def feature(key: str, dtype: str, **attrs: Any) -> HostNode:
    return HostNode("ParseExample", key, ("record",), {"key": key, "dtype": dtype, **attrs})


@pytest.mark.parametrize("times", [1, 60])
def test_features_are_those_that_parse_example_gives(times: int) -> None:
    host = graph(
        feature("fare", "float32"), feature("ids", "int64", shape=[3]), feature("none", "int64", default_value=7)
    )
    records = RECORDS * times
    got = host({"record": np.array(records, object)})
    assert got["fare"].tolist() == [1.5, 2.5] * times
    assert got["ids"].tolist() == [[0, 1, 2], [3, 4, 5]] * times
    assert got["none"].tolist() == [7] * len(records)
    assert [(spec.shape, spec.dtype) for spec in host.output_specs] == [
        ((None,), "float32"),
        ((None, 3), "int64"),
        ((None,), "int64"),
    ]


def test_strings_of_any_bytes_go_through() -> None:
    got = graph(feature("name", "string"))({"record": np.array(RECORDS, object)})["name"]
    assert [item.encode("utf-8", "surrogateescape") for item in got] == ["é".encode(), b"\xff\x00"]


def test_a_graph_with_records_is_written_and_read() -> None:
    host = graph(feature("ids", "int64", shape=[3]))
    again = HostGraph.from_json(host.to_json(), {})
    assert again.to_json() == host.to_json()
    assert again({"record": np.array(RECORDS, object)})["ids"].tolist() == [[0, 1, 2], [3, 4, 5]]


@given(st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=80), st.booleans())
def test_bytes_are_numbers_in_either_order(strings: list[bytes], little_endian: bool) -> None:
    attrs = {"dtype": "int16", "shape": [2], "little_endian": little_endian}
    host = graph(HostNode("DecodeRaw", "numbers", ("record",), attrs))
    expected = [np.frombuffer(item, "<i2" if little_endian else ">i2").tolist() for item in strings]
    assert host({"record": np.array(strings, object)})["numbers"].tolist() == expected


@pytest.mark.parametrize("record", [b"\xff\xff", b"", "text"])
def test_a_record_that_is_none_or_lacks_a_feature_is_refused(record: Any) -> None:
    with pytest.raises(TransformError, match="record"):
        graph(feature("fare", "float32"))({"record": [RECORDS[0], record]})


def test_bytes_of_another_length_are_refused_with_their_row() -> None:
    host = graph(HostNode("DecodeRaw", "numbers", ("record",), {"dtype": "uint8", "shape": [2]}))
    with pytest.raises(TransformError, match=r"record\[1\]"):
        host({"record": np.array([b"ab", b"abc"], object)})


@pytest.mark.parametrize(
    "attrs",
    [
        {"key": "a", "dtype": "int32"},
        {"key": "a", "dtype": "string", "shape": [2]},
        {"key": "a", "dtype": "int64", "shape": [-1]},
        {"key": "a", "dtype": "int64", "shape": [2**20, 2**20]},
        {"key": "a", "dtype": "int64", "default_value": "x"},
        {"dtype": "int64"},
    ],
)
def test_attributes_that_do_not_fit_are_refused(attrs: dict[str, Any]) -> None:
    with pytest.raises(TransformError):
        graph(HostNode("ParseExample", "a", ("record",), attrs))
