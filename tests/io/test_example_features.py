"""Specifications beyond one dense column: sequences, divided values, placed values, and what is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from example_wires import example, record

from mainstay.core import ArgumentError, DataError, native_library, without_native
from mainstay.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    Ragged,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    parse_example,
    parse_single_example,
    plan_examples,
)


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "NumPy":
        with without_native():
            yield request.param
    else:
        if native_library() is None:
            pytest.skip("the C library is not built")
        yield request.param


def test_a_sequence_is_filled_up_to_the_longest() -> None:
    rows = [record(a=(3, [1, 2, 3, 4]), s=(1, [b"x"])), record(a=(3, [1, 2])), example()]
    spec = {
        "a": FixedLenSequenceFeature((2,), "int64", allow_missing=True, default_value=9),
        "s": FixedLenSequenceFeature((), "string", allow_missing=True, default_value="-"),
    }
    got = parse_example(rows, spec)
    assert got["a"].tolist() == [[[1, 2], [3, 4]], [[1, 2], [9, 9]], [[9, 9], [9, 9]]]
    assert got["s"].tolist() == [[b"x"], [b"-"], [b"-"]]
    assert parse_single_example(rows[0], spec)["a"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match=r"(?s)record 1, feature 'a': .*multiple of 2"):
        parse_example([example(), record(a=(3, [1, 2, 3]))], spec)


PARTITIONS: list[tuple[Any, list[int], Any]] = [
    (RaggedFeature.RowSplits("p"), [0, 1, 4], [[1], [2, 3, 4]]),
    (RaggedFeature.RowLengths("p"), [1, 0, 3], [[1], [], [2, 3, 4]]),
    (RaggedFeature.RowStarts("p"), [0, 0, 2], [[], [1, 2], [3, 4]]),
    (RaggedFeature.RowLimits("p"), [0, 2, 4], [[], [1, 2], [3, 4]]),
    (RaggedFeature.ValueRowIds("p"), [0, 0, 2, 2], [[1, 2], [], [3, 4]]),
    (RaggedFeature.UniformRowLength(2), [], [[1, 2], [3, 4]]),
]


@pytest.mark.parametrize(("partition", "marks", "expected"), PARTITIONS, ids=lambda given: type(given).__name__)
def test_a_partition_divides_the_values_as_tensorflow_does(partition: Any, marks: list[int], expected: Any) -> None:
    rows = [record(v=(3, [1, 2, 3, 4]), p=(3, marks)), example()]
    spec = {"r": RaggedFeature("int64", value_key="v", partitions=[partition], row_splits_dtype="int32")}
    got = parse_example(rows, spec)["r"]
    assert [np.asarray(row).tolist() if not isinstance(row, Ragged) else row.to_list() for row in got] == [expected, []]
    assert got.splits.dtype == np.int32
    single = parse_single_example(rows[0], spec)["r"]
    assert (single.to_list() if isinstance(single, Ragged) else single.tolist()) == expected


def test_partitions_nest_the_outermost_first() -> None:
    rows = [record(v=(1, [b"a", b"b", b"c", b"d"]), inner=(3, [1, 3]), outer=(3, [2])), example()]
    partitions = [RaggedFeature.RowLengths("outer"), RaggedFeature.RowLengths("inner")]
    got = parse_example(rows, {"r": RaggedFeature("string", "v", partitions)})["r"]
    assert got.to_list() == [[[[b"a"], [b"b", b"c", b"d"]]], []]
    uniform = [RaggedFeature.RowLengths("outer"), RaggedFeature.UniformRowLength(2)]
    assert parse_example(rows, {"r": RaggedFeature("string", "v", uniform)})["r"].to_list() == [
        [[[b"a", b"b"], [b"c", b"d"]]],
        [],
    ]


@pytest.mark.parametrize(
    ("partition", "marks"),
    [
        (RaggedFeature.RowSplits("p"), [0, 3]),
        (RaggedFeature.RowSplits("p"), [1, 4]),
        (RaggedFeature.RowSplits("p"), [0, 5, 4]),
        (RaggedFeature.RowSplits("p"), []),
        (RaggedFeature.RowLengths("p"), [5, -1]),
        (RaggedFeature.RowLengths("p"), [2**63 - 1, 2**63 - 1, 6]),
        (RaggedFeature.RowStarts("p"), [1]),
        (RaggedFeature.RowLimits("p"), [3]),
        (RaggedFeature.ValueRowIds("p"), [0, 1]),
        (RaggedFeature.ValueRowIds("p"), [0, 2, 1, 1]),
        (RaggedFeature.ValueRowIds("p"), [0, 0, 0, 2**62]),
        (RaggedFeature.UniformRowLength(3), []),
    ],
)
def test_a_partition_that_does_not_divide_the_values_is_refused(partition: Any, marks: list[int]) -> None:
    rows = [example(), record(v=(3, [1, 2, 3, 4]), p=(3, marks))]
    spec = {"r": RaggedFeature("int64", value_key="v", partitions=[partition])}
    with pytest.raises(DataError, match="record 1, feature 'r'"):
        parse_example(rows, spec)


def test_placed_values_become_a_dense_column() -> None:
    rows = [record(i=(3, [3, 1]), j=(3, [0, 2]), v=(2, [1.0, 2.0])), example()]
    got = parse_example(rows, {"s": SparseFeature("i", "v", "float32", 5)})["s"]
    assert got.tolist() == [[0, 2, 0, 1, 0], [0] * 5]
    two = parse_example(rows, {"s": SparseFeature(["i", "j"], "v", "float32", [4, 3])})["s"]
    assert two.shape == (2, 4, 3)
    assert (two[0, 3, 0], two[0, 1, 2], two.sum()) == (1.0, 2.0, 3.0)
    strings = [record(i=(3, [1]), v=(1, [b"x"]))]
    assert parse_example(strings, {"s": SparseFeature("i", "v", "string", 2)})["s"].tolist() == [[b"", b"x"]]


@pytest.mark.parametrize(
    ("places", "values", "message"),
    [
        ([5], [1.0], "outside the column"),
        ([-1], [1.0], "outside the column"),
        ([1, 2], [1.0], "not as many places"),
        ([1, 1], [1.0, 2.0], "given twice"),
    ],
)
def test_places_that_do_not_fit_are_refused(places: list[int], values: list[float], message: str) -> None:
    rows = [example(), record(i=(3, places), v=(2, values))]
    with pytest.raises(DataError, match=f"record 1.*{message}"):
        parse_example(rows, {"s": SparseFeature("i", "v", "float32", 5)})


def test_one_feature_may_serve_several_columns() -> None:
    rows = [record(v=(3, [1, 2]), p=(3, [2]))]
    got = parse_example(
        rows,
        {"v": VarLenFeature("int64"), "r": RaggedFeature("int64", "v", [RaggedFeature.RowLengths("p")])},
    )
    assert (got["v"].to_list(), got["r"].to_list()) == ([[1, 2]], [[[1, 2]]])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "nothing to parse"),
        (None, "nothing to parse"),
        ({"a": "int64"}, "not a feature specification"),
        ({"a": FixedLenFeature((), "int32")}, "float32, int64 and strings only"),
        ({"a": FixedLenFeature((), bool)}, "float32, int64 and strings only"),
        ({"a": VarLenFeature("nonsense")}, "float32, int64 and strings only"),
        ({"a": FixedLenFeature((None,), "int64")}, "known in all axes"),
        ({"a": FixedLenFeature((-1,), "int64")}, "known in all axes"),
        ({"a": FixedLenFeature((2,), "int64", [1, 2, 3])}, "default does not fit"),
        ({"a": FixedLenFeature((), "int64", 1.5)}, "default does not fit"),
        ({"a": FixedLenFeature((), "int64", "x")}, "default does not fit"),
        ({"a": FixedLenSequenceFeature((), "int64")}, "allow_missing"),
        ({"a": FixedLenSequenceFeature((0,), "int64", True)}, "holds no value"),
        ({"a": RaggedFeature("int64", partitions=["p"])}, "does not divide"),
        ({"a": RaggedFeature("int64", partitions=[RaggedFeature.UniformRowLength(0)])}, "does not divide"),
        ({"a": RaggedFeature("int64", row_splits_dtype="float32")}, "int32 or int64"),
        ({"a": SparseFeature(["i", "j"], "v", "int64", 5)}, "one index_key for each axis"),
        ({"a": VarLenFeature("int64"), "b": RaggedFeature("float32", value_key="a")}, "in different ways"),
        ({"a": FixedLenFeature((), "int64"), "b": RaggedFeature("int64", value_key="a")}, "in different ways"),
    ],
)
def test_a_wrong_specification_is_refused(features: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        plan_examples(features)


def test_a_default_is_broadcast_and_dtypes_have_several_names() -> None:
    class Named:
        name = "string"

    for dtype in ("string", str, bytes, object, np.dtype(object), "S5", Named()):
        got = parse_example([example()], {"a": FixedLenFeature((2,), dtype, "x")})["a"]
        assert got.tolist() == [[b"x", b"x"]]
    got = parse_example([example()], {"a": FixedLenFeature((2, 2), "float32", 1)})["a"]
    assert got.tolist() == [[[1, 1], [1, 1]]]
