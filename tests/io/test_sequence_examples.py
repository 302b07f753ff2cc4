"""tf.SequenceExamples: context and steps, and errors that name the step."""

from collections.abc import Iterator
from typing import Any

import pytest
from example_wires import entry, example, feature, record, sized

from mainstay.core import ArgumentError, DataError, native_library, without_native
from mainstay.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    VarLenFeature,
    parse_sequence_example,
    parse_single_sequence_example,
    train,
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


def sequence(context: bytes = b"", **lists: list[bytes]) -> bytes:
    entries = [
        sized(1, sized(1, key.encode()) + sized(2, b"".join(sized(1, f) for f in steps)))
        for key, steps in lists.items()
    ]
    return context + sized(2, b"".join(entries))


def test_context_and_lists_are_read_and_filled_up() -> None:
    rows = [
        sequence(
            record(label=(3, [1])), x=[feature(2, [1.0, 2.0]), feature(2, [3.0, 4.0])], w=[feature(1, [b"a", b"b"])]
        ),
        sequence(record(label=(3, [0])), x=[feature(2, [5.0, 6.0])], w=[feature(1, []), b""]),
    ]
    for row in rows:
        train.SequenceExample.FromString(row)
    lists = {"x": FixedLenSequenceFeature((2,), "float32", default_value=-1), "w": VarLenFeature("string")}
    context, columns, steps = parse_sequence_example(rows, {"label": FixedLenFeature((), "int64")}, lists)
    assert context["label"].tolist() == [1, 0]
    assert columns["x"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [-1, -1]]]
    assert columns["w"].to_list() == [[[b"a", b"b"]], [[], []]]
    assert {key: count.tolist() for key, count in steps.items()} == {"x": [2, 1], "w": [1, 2]}
    context, columns = parse_single_sequence_example(rows[0], {"label": FixedLenFeature((), "int64")}, lists)
    assert context["label"] == 1
    assert columns["x"].tolist() == [[1, 2], [3, 4]]
    assert columns["w"].to_list() == [[b"a", b"b"]]


def test_many_steps_of_single_values() -> None:
    rows = [
        sequence(n=[feature(3, [step]) for step in range(length)], s=[feature(1, [b"t"])] * length)
        for length in range(30)
    ]
    lists = {"n": FixedLenSequenceFeature((), "int64"), "s": FixedLenSequenceFeature((), "string", default_value="-")}
    _, columns, steps = parse_sequence_example(rows, None, lists)
    assert steps["n"].tolist() == list(range(30))
    assert columns["n"][7].tolist() == [*range(7), *[0] * 22]
    assert columns["s"][2].tolist() == [b"t", b"t", *[b"-"] * 27]


def test_a_list_that_is_missing_has_no_steps_where_it_may() -> None:
    rows = [sequence(x=[feature(3, [1])]), sequence()]
    allowed = {"x": FixedLenSequenceFeature((), "int64", allow_missing=True)}
    assert parse_sequence_example(rows, None, allowed)[2]["x"].tolist() == [1, 0]
    with pytest.raises(DataError, match="record 1, feature 'x': the list of features is missing"):
        parse_sequence_example(rows, None, {"x": FixedLenSequenceFeature((), "int64")})


def test_an_error_names_the_record_and_the_step() -> None:
    rows = [sequence(x=[feature(3, [1])]), sequence(x=[feature(3, [1]), feature(3, [1, 2])])]
    lists = {"x": FixedLenSequenceFeature((), "int64")}
    with pytest.raises(DataError, match="record 1, step 1, feature 'x': the feature has another number"):
        parse_sequence_example(rows, None, lists)
    with pytest.raises(DataError, match="record 0, step 0, feature 'x': the feature has values of another kind"):
        parse_sequence_example(rows, None, {"x": VarLenFeature("string")})
    with pytest.raises(DataError, match=r"record 1: these bytes are not a tf\.SequenceExample"):
        parse_sequence_example([rows[0], rows[1][:-1]], None, lists)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (None, "nothing to parse"),
        ({"x": FixedLenFeature((), "int64")}, "does not specify a list"),
        ({"x": RaggedFeature("int64", partitions=[RaggedFeature.RowSplits("p")])}, "does not specify a list"),
        ({"x": RaggedFeature("int64", value_key="y")}, "its own key"),
    ],
)
def test_a_wrong_specification_is_refused(lists: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_sequence_example([example(entry(b"a", b""))], None, lists)
