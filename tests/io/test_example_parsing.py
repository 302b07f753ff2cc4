"""tf.Examples to columns: protobuf's answer in every wire form, TensorFlow's rules, and two paths that agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from example_wires import (
    DTYPES,
    NAMED,
    entry,
    example,
    feature,
    plain,
    protobuf_answer,
    record,
    records,
    sized,
    varint,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, native_library, without_native
from mainstay.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    Ragged,
    Spans,
    VarLenFeature,
    frame_record,
    parse_example,
    parse_records,
    parse_single_example,
    plan_examples,
    train,
)
from mainstay.io.record_scan import scan_records

RAGGED = plan_examples({name.decode() or "": VarLenFeature(DTYPES[kind]) for name, kind in NAMED.items()})


@pytest.fixture(params=["C", "NumPy"])
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "NumPy":
        with without_native():
            yield request.param
    else:
        if native_library() is None:
            pytest.skip("the C library is not built")
        yield request.param


def outcome(serialized: Any, features: Any) -> Any:
    """The columns, or the error's text."""
    try:
        return {name: plain(column) for name, column in parse_example(serialized, features).items()}
    except DataError as error:
        return str(error)


def both(serialized: Any, features: Any) -> Any:
    """The outcome, which the C library and NumPy share."""
    with without_native():
        by_numpy = outcome(serialized, features)
    by_c = outcome(serialized, features)
    assert by_c == by_numpy
    return by_c


@settings(max_examples=60, deadline=None)
@given(st.lists(records(), max_size=3))
def test_every_wire_form_gives_what_protobuf_reads(
    given_records: list[tuple[bytes, list[tuple[bytes, bytes]]]],
) -> None:
    serialized = [data for data, _ in given_records]
    for data in serialized:
        train.Example.FromString(data)
    got = both(serialized, RAGGED)
    answers = {
        name: [protobuf_answer(found, name, ragged=True) for _, found in given_records] for name in sorted(NAMED)
    }
    wrong = [
        (row, name)
        for name, rows in answers.items()
        for row, answer in enumerate(rows)
        if answer is not None and answer[0] != NAMED[name]
    ]
    if wrong:
        row, name = min(wrong)
        assert f"record {row}, feature {name.decode()!r}: the feature has values of another kind" in got
        return
    for name, rows in answers.items():
        values = [value for answer in rows for value in (answer[1] if answer else [])]
        dtype = {1: object, 2: np.float32, 3: np.int64}[NAMED[name]]
        splits = np.cumsum([0, *(len(answer[1]) if answer else 0 for answer in rows)])
        assert got[name.decode()] == plain(Ragged(np.array(values, dtype), splits))


@settings(max_examples=40, deadline=None)
@given(st.lists(records(), max_size=3), st.booleans())
def test_features_of_fixed_length_follow_the_rules(
    given_records: list[tuple[bytes, list[tuple[bytes, bytes]]]], with_default: bool
) -> None:
    default = 7 if with_default else None
    got = both([data for data, _ in given_records], {"a": FixedLenFeature((), "int64", default)})
    expected = []
    for row, (_, found) in enumerate(given_records):
        answer = protobuf_answer(found, b"a", ragged=False)
        if answer is None and not with_default:
            assert f"record {row}, feature 'a': the feature is missing" in got
            return
        if answer is not None and answer[0] != 3:
            assert f"record {row}, feature 'a': the feature has values of another kind" in got
            return
        if answer is not None and len(answer[1]) != 1:
            assert f"record {row}, feature 'a': the feature has another number of values" in got
            assert f"received: {len(answer[1])}" in got
            return
        expected.append(7 if answer is None else answer[1][0])
    assert got["a"] == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(records(), min_size=1, max_size=4), st.integers(16, 40), st.randoms(use_true_random=False))
def test_records_that_fall_out_of_step_are_read_all_the_same(
    odd: list[tuple[bytes, list[tuple[bytes, bytes]]]], count: int, random: Any
) -> None:
    regular = [record(a=(3, [row * 1000]), bb=(2, [row / 2, 1.5]), c=(1, [b"x" * row])) for row in range(count)]
    for data, _ in odd:
        regular.insert(random.randrange(len(regular) + 1), data)
    both(regular, {"a": VarLenFeature("int64"), "bb": VarLenFeature("float32"), "c": VarLenFeature("string")})
    both(regular, {"a": FixedLenFeature((), "int64", 3), "bb": FixedLenFeature((2,), "float32", 0.5)})


@settings(max_examples=60, deadline=None)
@given(records(), st.data())
def test_what_protobuf_reads_is_read_and_what_is_refused_protobuf_refuses(
    given_record: tuple[bytes, list[tuple[bytes, bytes]]], data: st.DataObject
) -> None:
    mutated = bytearray(given_record[0])
    for _ in range(data.draw(st.integers(0, 3))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    got = both([bytes(mutated)], RAGGED)
    try:
        message = train.Example.FromString(bytes(mutated))
    except Exception:
        return  # The content of a feature that nobody asked for, and text that is not UTF-8, are not looked into.
    assert "not a tf.Example" not in got
    del message


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=3))
def test_random_bytes_do_not_crash_and_both_paths_agree(serialized: list[bytes]) -> None:
    both(serialized, RAGGED)


def test_every_cut_of_a_record_is_refused(path: str) -> None:
    whole = record(a=(3, [300, 1]), b=(2, [1.5]), c=(1, [b"text", b""]))
    spec = {"a": VarLenFeature("int64"), "b": VarLenFeature("float32"), "c": VarLenFeature("string")}
    for size in range(1, len(whole)):
        with pytest.raises(DataError, match=r"not a tf\.Example"):
            parse_example([whole[:size]] * 20, spec)
    assert parse_example([whole[:0]], spec)["a"].to_list() == [[]]
    assert parse_example([whole], spec)["c"].to_list() == [[b"text", b""]]


def test_columns_have_the_types_and_shapes_that_were_asked_for(path: str) -> None:
    rows = [record(a=(3, [row]), b=(2, [1, 2, 3, 4]), c=(1, [b"x" * row]), d=(1, [b"p", b"q"])) for row in range(20)]
    got = parse_example(
        rows,
        {
            "a": FixedLenFeature([], np.int64),
            "b": FixedLenFeature([2, 2], np.float32),
            "c": FixedLenFeature((), bytes),
            "d": FixedLenFeature(2, str),
        },
    )
    assert list(got) == ["a", "b", "c", "d"]
    assert got["a"].dtype == np.int64
    assert got["a"].tolist() == list(range(20))
    assert got["b"].shape == (20, 2, 2)
    assert got["b"].dtype == np.float32
    assert isinstance(got["c"], pa.BinaryArray)
    assert got["c"].to_pylist() == [b"x" * row for row in range(20)]
    assert got["d"].shape == (20, 2)
    assert got["d"][3].tolist() == [b"p", b"q"]


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_missing_features_have_their_default(path: str, count: int) -> None:
    rows = [record(a=(3, [5]), s=(1, [b"here"])) if row % 2 else example() for row in range(count)]
    got = parse_example(
        rows,
        {
            "a": FixedLenFeature((), "int64", -1),
            "s": FixedLenFeature((), "string", "none"),
            "m": FixedLenFeature((2, 2), "float32", [[1, 2], [3, 4]]),
            "w": FixedLenFeature((3,), "string", ["x", b"y", ""]),
        },
    )
    assert got["a"].tolist() == [5 if row % 2 else -1 for row in range(count)]
    assert got["s"].to_pylist() == [b"here" if row % 2 else b"none" for row in range(count)]
    assert got["m"].tolist() == [[[1, 2], [3, 4]]] * count
    assert got["w"].tolist() == [[b"x", b"y", b""]] * count


def test_rules_of_tensorflow_that_protobuf_does_not_have(path: str) -> None:
    set_then_blank = example(entry(b"a", feature(3, [1])), entry(b"a", b""))
    assert parse_example([set_then_blank], {"a": FixedLenFeature((), "int64")})["a"].tolist() == [1]
    assert parse_example([set_then_blank], {"a": VarLenFeature("int64")})["a"].to_list() == [[]]
    sequence = FixedLenSequenceFeature((), "int64", allow_missing=True)
    assert parse_example([set_then_blank], {"a": sequence})["a"].tolist() == [[1]]
    blank_then_set = example(entry(b"a", b""), entry(b"a", feature(3, [1])))
    assert parse_example([blank_then_set], {"a": VarLenFeature("int64")})["a"].to_list() == [[1]]
    # A list without values is there: it has a wrong number of values, and is not missing.
    with pytest.raises(DataError, match="another number of values"):
        parse_example([record(a=(3, []))], {"a": FixedLenFeature((), "int64", 7)})
    assert parse_example([example(entry(b"a", b""))], {"a": FixedLenFeature((), "int64", 7)})["a"].tolist() == [7]
    assert parse_example([record(a=(3, []))], {"a": FixedLenFeature((0,), "int64")})["a"].shape == (1, 0)


def test_the_first_record_that_is_wrong_is_named_with_the_first_feature(path: str) -> None:
    good, wrong = record(a=(3, [1]), b=(3, [1])), record(a=(2, [1.0]), b=(3, [1, 2]))
    spec = {"b": FixedLenFeature((), "int64"), "a": FixedLenFeature((), "int64")}
    with pytest.raises(DataError) as caught:
        parse_example([good] * 30 + [wrong, example(), b"\xff"], spec)
    assert str(caught.value) == (
        "record 30, feature 'a': the feature has values of another kind\n"
        "  expected: int64_list\n  received: float_list\n  fix: ask for the dtype that was written, float32"
    )
    with pytest.raises(DataError, match=r"^record 2: these bytes are not a tf.Example"):
        parse_example([good, good, b"\xff", wrong], spec)
    with pytest.raises(DataError, match=r"(?s)^record 1, feature 'a': the feature is missing.*default_value"):
        parse_example([good, example()], spec)


def test_a_mapped_file_is_parsed_in_place_and_errors_name_it(path: str) -> None:
    rows = [record(a=(3, [row])) for row in range(50)]
    buffer = np.frombuffer(b"".join(map(frame_record, rows)), np.uint8)
    offsets, lengths, _ = scan_records(buffer)
    plan = plan_examples({"a": FixedLenFeature((), "int64")})
    assert parse_records(buffer, offsets, lengths, plan)["a"].tolist() == list(range(50))
    picked = np.array([40, 3, 3, 49])
    assert parse_records(buffer, offsets[picked], lengths[picked], plan)["a"].tolist() == [40, 3, 3, 49]
    lengths[7] -= 1
    with pytest.raises(DataError, match=r"^data\.tfrecord, record 107: these bytes"):
        parse_records(buffer, offsets, lengths, plan, source="data.tfrecord", first_record=100)
    for offset, length in [(-1, 1), (0, len(buffer) + 1), (len(buffer), 1), (5, -1), (1 << 62, 1), (1, (1 << 63) - 1)]:
        with pytest.raises(ArgumentError, match="not inside the buffer"):
            parse_records(buffer, np.array([offset]), np.array([length]), plan)


def test_records_come_as_a_list_an_array_or_an_arrow_array(path: str) -> None:
    rows = [record(a=(3, [row])) for row in range(5)]
    spec = {"a": FixedLenFeature((), "int64")}
    objects = np.empty(5, object)
    objects[:] = rows
    chunked = pa.chunked_array([rows[:2], rows[2:]], pa.binary())
    for given_rows in (rows, objects, pa.array(rows, pa.binary()), pa.array(rows, pa.large_binary()), chunked):
        assert parse_example(given_rows, spec)["a"].tolist() == [0, 1, 2, 3, 4]
    assert parse_example(pa.array(rows, pa.binary()).slice(2, 2), spec)["a"].tolist() == [2, 3]
    with pytest.raises(ArgumentError, match="call parse_single_example"):
        parse_example(rows[0], spec)
    with pytest.raises(ArgumentError, match="one dimension"):
        parse_example(objects.reshape(1, 5), spec)
    with pytest.raises(DataError, match=r"serialized\[0\]: this is not a string"):
        parse_example([3], spec)


def test_a_single_example_has_no_first_axis(path: str) -> None:
    one = record(a=(3, [5]), b=(2, [1.5, 2.5]), c=(1, [b"x"]), d=(1, [b"p", b"q"]), e=(3, [1, 2, 3]), f=(1, [b"z"]))
    spec = {
        "f": VarLenFeature("string"),
        "a": FixedLenFeature((), "int64"),
        "b": FixedLenFeature((2, 1), "float32"),
        "c": FixedLenFeature((), "string"),
        "missing": FixedLenFeature((), "string", "default"),
        "d": FixedLenFeature((2,), "string"),
        "e": VarLenFeature("int64"),
        "s": FixedLenSequenceFeature((), "int64", allow_missing=True),
    }
    got = parse_single_example(one, spec)
    assert list(got) == list(spec)
    assert isinstance(got["a"], np.int64)
    assert {name: plain(value) if name != "b" else value.tolist() for name, value in got.items()} == {
        "f": [b"z"],
        "a": 5,
        "b": [[1.5], [2.5]],
        "c": b"x",
        "missing": b"default",
        "d": [b"p", b"q"],
        "e": [1, 2, 3],
        "s": [],
    }
    assert got["c"] == b"x"
    with pytest.raises(DataError, match="missing and has no default"):
        parse_single_example(b"", {"a": FixedLenFeature((), "int64")})


def test_keys_may_stand_in_another_order_in_every_record(path: str) -> None:
    rng = np.random.default_rng(3)
    names = [f"feature {number}" for number in range(12)]
    rows = [
        example(*(entry(names[n].encode(), feature(3, [row * 100 + n])) for n in rng.permutation(12).tolist()))
        for row in range(60)
    ]
    got = parse_example(rows, {name: FixedLenFeature((), "int64") for name in names})
    for number, name in enumerate(names):
        assert got[name].tolist() == [row * 100 + number for row in range(60)]


def test_features_that_some_records_lack_do_not_break_the_step(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"f{number}" for number in range(6)]
    rows = [
        example(*(entry(name.encode(), feature(3, [row])) for n, name in enumerate(names) if (row >> n) % 2 == 0))
        for row in range(200)
    ]
    if path == "NumPy":

        def unexpected(*_: Any) -> None:
            raise AssertionError("a record was read alone")

        # The last record is: a word is read where its last bytes are.
        monkeypatch.setattr("mainstay.io.example_numpy.read_example", unexpected)
    buffer = np.frombuffer(b"".join(rows) + bytes(16), np.uint8)
    lengths = np.array([len(row) for row in rows])
    plan = plan_examples({name: FixedLenFeature((), "int64", -1) for name in names})
    got = parse_records(buffer, np.cumsum(lengths) - lengths, lengths, plan)
    for n, name in enumerate(names):
        assert got[name].tolist() == [row if (row >> n) % 2 == 0 else -1 for row in range(200)]


def test_long_lists_grow_their_room(path: str) -> None:
    rows = [record(a=(3, list(range(n))), s=(1, [b"s"] * (n % 50))) for n in range(0, 400, 7)]
    got = parse_example(rows, {"a": VarLenFeature("int64"), "s": VarLenFeature("string")})
    assert got["a"].to_list() == [list(range(n)) for n in range(0, 400, 7)]
    assert got["s"].to_list() == [[b"s"] * (n % 50) for n in range(0, 400, 7)]


def test_numbers_at_the_ends_of_their_range_come_back(path: str) -> None:
    numbers = [0, 1, 127, 128, 2**31, 2**55 - 1, 2**56, 2**63 - 1, -1, -(2**63)]
    for width in (1, len(numbers)):
        rows = [record(a=(3, (numbers * 30)[start : start + width])) for start in range(0, 200, width)]
        got = parse_example(rows, {"a": FixedLenFeature((width,), "int64")})["a"]
        assert got.ravel().tolist() == (numbers * 20)[:200]


def test_names_of_every_length_are_told_apart(path: str) -> None:
    """Those of eight bytes and more are compared in words, the last of which overlaps the one before it."""
    names = ["x" * size for size in range(1, 28)] + ["x" * place + "y" + "x" * (24 - place) for place in range(25)]
    rows = [record(**{name: (3, [row + n]) for n, name in enumerate(names)}) for row in range(40)]
    asked = {name: FixedLenFeature((), "int64") for name in names[::2]}
    got = parse_example(rows, asked)
    for n, name in list(enumerate(names))[::2]:
        assert got[name].tolist() == [row + n for row in range(40)]


def test_the_usual_form_may_end_anywhere_and_come_with_others(path: str) -> None:
    """One value, packed, in the room of few bytes, beside longer, unpacked, repeated and empty ones."""
    usual = {"a": (3, [5]), "name_of_nine": (3, [-1]), "f": (2, [0.5]), "s": (1, [b"text"])}
    varints = [varint(7, longer=n) for n in range(9)] + [varint(1 << 63), b"\x80", b"\x80\x01\x01", b""]
    forms = [sized(3, sized(1, raw)) for raw in varints] + [
        sized(3, varint(8) + varint(9)),
        sized(3, sized(1, b"\1") + sized(1, b"\2")),
        sized(2, sized(1, b"\0" * 7)),
        sized(1, sized(1, b"one") + sized(1, b"two")),
        b"",
    ]
    asked = [
        {"a": FixedLenFeature((), "int64", -3), "f": FixedLenFeature((), "float32"), "s": VarLenFeature("string")},
        {
            "a": VarLenFeature("int64"),
            "name_of_nine": FixedLenFeature((), "int64", 0),
            "s": FixedLenFeature((), "string", ""),
        },
    ]
    for form in forms:
        odd = example(entry(b"f", feature(2, [2.5])), entry(b"a", form))
        twice = example(entry(b"a", feature(3, [1]))) + odd
        for features in asked:
            both([record(**usual), odd], features)
            both([twice, record(**usual), odd + record(s=(1, [b"again"]))], features)
    for size in range(130):
        assert both([record(s=(1, [b"x" * size]))], {"s": FixedLenFeature((), "string")})["s"] == [b"x" * size]
        floats = {"f": FixedLenFeature((size,), "float32")}
        halves = np.full(size, 0.5, np.float32).view(np.int32).tolist()
        assert both([record(f=(2, [0.5] * size))] * 2, floats)["f"] == [halves] * 2


def test_specifications_that_change_are_worked_out_again() -> None:
    rows, features = [record(a=(3, [1]), b=(3, [2]))], {"a": FixedLenFeature((), "int64")}
    assert list(parse_example(rows, features)) == ["a"]
    features["b"] = FixedLenFeature((), "int64")
    assert list(parse_example(rows, features)) == ["a", "b"]
    features["a"] = VarLenFeature("int64")
    assert isinstance(parse_example(rows, features)["a"], Ragged)
    for number in range(200):
        got = parse_example([b""], {"a": FixedLenFeature((), "int64", default_value=number)})
        assert got["a"].tolist() == [number]


def test_records_are_parsed_where_they_lie(path: str) -> None:
    rows = [record(a=(3, [n])) for n in range(50)]
    data = np.frombuffer(b"".join(map(frame_record, rows)), np.uint8)
    offsets, lengths, _ = scan_records(data)
    spans, features = Spans(data, offsets, lengths), {"a": FixedLenFeature((), "int64")}
    assert parse_example(spans, features)["a"].tolist() == list(range(50))
    assert parse_example(spans[10:20], features)["a"].tolist() == list(range(10, 20))


def test_a_length_near_two_to_the_64_is_refused(path: str) -> None:
    for length in (2**64 - 1, 2**63, 2**32, 2**31, 2**31 - 1):
        for wire in (b"\x0a" + varint(length), example(b"\x0a" + varint(length) + b"abc")):
            with pytest.raises(DataError, match=r"not a tf\.Example"):
                parse_example([wire + b"xyz"] * 20, {"a": VarLenFeature("int64")})


def test_deep_groups_are_refused_as_protobuf_does(path: str) -> None:
    tag = varint(9 << 3 | 3)
    for depth, fine in [(50, True), (5000, False)]:
        data = record(a=(3, [1])) + tag * depth + varint(9 << 3 | 4) * depth
        if fine:
            assert parse_example([data], {"a": FixedLenFeature((), "int64")})["a"].tolist() == [1]
        else:
            with pytest.raises(DataError, match=r"not a tf\.Example"):
                parse_example([data], {"a": FixedLenFeature((), "int64")})


def test_what_nobody_asks_for_is_not_looked_into(path: str) -> None:
    data = example(entry(b"garbage", b"\xff\xff"), entry(b"a", feature(3, [1])))
    assert parse_example([data] * 20, {"a": FixedLenFeature((), "int64")})["a"].tolist() == [1] * 20
    assert parse_example([sized(7, b"unknown")], {"a": VarLenFeature("int64")})["a"].to_list() == [[]]
