"""Columns to tf.Examples: protobuf's own bytes, whatever writes them, and back again."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from example_wires import plain
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, native_library, without_native
from mainstay.io import Ragged, VarLenFeature, decode_raw, parse_example, serialize_examples, train


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "NumPy":
        with without_native():
            yield request.param
    else:
        if native_library() is None:
            pytest.skip("the C library is not built")
        yield request.param


def by_protobuf(columns: dict[str, list[list[Any]]], kinds: dict[str, str], count: int) -> list[bytes]:
    rows = []
    for row in range(count):
        message = train.Example()
        for key, values in columns.items():
            getattr(message.features.feature[key], kinds[key]).SetInParent()
            getattr(message.features.feature[key], kinds[key]).value.extend(values[row])
        rows.append(message.SerializeToString(deterministic=True))
    return rows


VALUES = {
    "int64_list": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 200),
    "float_list": st.floats(width=32, allow_nan=False),
    "bytes_list": st.binary(max_size=140),
}
DTYPES: dict[str, Any] = {"int64_list": np.int64, "float_list": np.float32, "bytes_list": object}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_bytes_are_those_of_protobuf(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    # None begins with another: protobuf's implementations sort those differently.
    names = data.draw(st.lists(st.text(min_size=2, max_size=2), min_size=1, max_size=4, unique=True))
    kinds = {name: data.draw(st.sampled_from(sorted(VALUES))) for name in names}
    columns = {
        name: data.draw(st.lists(st.lists(VALUES[kinds[name]], max_size=4), min_size=count, max_size=count))
        for name in names
    }
    ragged = {name: Ragged.from_rows(rows, DTYPES[kinds[name]]) for name, rows in columns.items()}
    records = serialize_examples(ragged)
    assert records.to_pylist() == by_protobuf(columns, kinds, count)
    dtypes = {"int64_list": "int64", "float_list": "float32", "bytes_list": "string"}
    got = parse_example(records, {name: VarLenFeature(dtypes[kinds[name]]) for name in names})
    assert {name: plain(column) for name, column in got.items()} == {n: plain(c) for n, c in ragged.items()}


def test_columns_of_every_kind_are_taken() -> None:
    columns = {
        "flag": np.array([True, False]),
        "small": np.array([-1, 2], np.int8),
        "half": np.array([0.5, 1.5], np.float16),
        "double": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "text": ["é", "b"],
        "zeros": [b"a\0", b""],
        "fixed": np.array([[b"x", b"y"], [b"z", b"w"]]),
        "arrow": pa.array([1, 2]),
        "strings": pa.array(["p", "q", "r"]).slice(1),
        "unsigned": np.array([0, 2**63 - 1], np.uint64),
    }
    spec = {name: VarLenFeature("int64") for name in ("flag", "small", "arrow", "unsigned")}
    spec |= {name: VarLenFeature("float32") for name in ("half", "double")}
    spec |= {name: VarLenFeature("string") for name in ("text", "zeros", "fixed", "strings")}
    got = {name: column.to_list() for name, column in parse_example(serialize_examples(columns), spec).items()}
    assert got == {
        "flag": [[1], [0]],
        "small": [[-1], [2]],
        "half": [[0.5], [1.5]],
        "double": [[1.0, 2.0], [3.0, 4.0]],
        "text": [["é".encode()], [b"b"]],
        "zeros": [[b"a\0"], [b""]],
        "fixed": [[b"x", b"y"], [b"z", b"w"]],
        "arrow": [[1], [2]],
        "strings": [[b"q"], [b"r"]],
        "unsigned": [[0], [2**63 - 1]],
    }


def test_the_order_of_the_columns_does_not_matter() -> None:
    one = serialize_examples({"b": np.array([1]), "a": np.array([2.0]), "é": ["x"]})
    assert one.equals(serialize_examples({"é": ["x"], "a": np.array([2.0]), "b": np.array([1])}))


def test_no_rows_give_no_records() -> None:
    assert serialize_examples({"a": np.empty(0, np.int64), "b": pa.array([], pa.binary())}).to_pylist() == []


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({}, ArgumentError, "one length"),
        ({"a": np.arange(2), "b": np.arange(3)}, ArgumentError, "one length"),
        ({"a": np.array([2**63], np.uint64)}, DataError, "9223372036854775808"),
        ({"a": np.array([1j])}, DataError, "complex128"),
        ({"a": np.array(3)}, DataError, "a row for each"),
        ({"a": pa.array([1, None])}, DataError, "null"),
        ({"a": pa.array(["x", None])}, DataError, "null"),
        ({"a": Ragged(Ragged(np.arange(1), [0, 1]), [0, 1])}, DataError, "rows of rows"),
        ({"a": [b"x", 3]}, DataError, r"columns\['a'\]\[1\]"),
        ({"a": np.array(["2020-01-01"], "M8[D]")}, DataError, "datetime64"),
    ],
)
def test_what_an_example_cannot_hold_is_refused(columns: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        serialize_examples(columns)


def test_the_messages_are_used_as_those_of_tensorflow() -> None:
    features = train.Features(
        feature={
            "name": train.Feature(bytes_list=train.BytesList(value=[b"Ada"])),
            "age": train.Feature(int64_list=train.Int64List(value=[36])),
        }
    )
    serialized = train.Example(features=features).SerializeToString()
    assert train.Example.FromString(serialized).features.feature["age"].int64_list.value[:] == [36]
    assert parse_example([serialized], {"age": VarLenFeature("int64")})["age"].to_list() == [[36]]
    sequence = train.SequenceExample(
        feature_lists=train.FeatureLists(feature_list={"x": train.FeatureList(feature=[train.Feature()])})
    )
    assert train.SequenceExample.FromString(sequence.SerializeToString()) == sequence
    assert sorted(dir(train)) == sorted(train.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        train.Nothing  # noqa: B018


def test_raw_bytes_are_read_as_numbers() -> None:
    numbers = np.array([[1, -2, 300], [4, 5, 6]], np.int16)
    rows = [row.tobytes() for row in numbers]
    for column in (rows, pa.array(rows), pa.array([b"??", *rows]).slice(1)):
        assert decode_raw(column, np.int16).tolist() == numbers.tolist()
    assert decode_raw([row.astype(">i2").tobytes() for row in numbers], "int16", False).tolist() == numbers.tolist()
    assert decode_raw(b"\x00\x02", bool).tolist() == [False, True]
    objects = np.empty((2, 1), object)
    objects[:, 0] = rows
    assert decode_raw(objects, np.int16).shape == (2, 1, 3)
    assert decode_raw([], "float32").shape == (0, 0)
    assert decode_raw([np.float64(1.5).tobytes()], "float64").tolist() == [[1.5]]


def test_raw_bytes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"input_bytes\[1\]: the strings differ"):
        decode_raw([b"ab", b"abcd"], "int16")
    with pytest.raises(DataError, match="no multiple"):
        decode_raw([b"abc"], "int16")
    for dtype in (object, "string", "datetime64[s]", "nonsense"):
        with pytest.raises(ArgumentError, match="out_type"):
            decode_raw([b"ab"], dtype)
