"""tf.Examples of one layout, read all at once: what each gives by itself, and what the C library gives."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from example_wires import DTYPES, entry, example, feature, plain, record, records, sized, varint
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import DataError, native_library, without_native
from mainstay.io import FixedLenFeature, VarLenFeature, example_alike, example_numpy, parse_records, plan_examples
from mainstay.io.example_layout import Layout, read_record
from mainstay.io.example_wire import MalformedError, read_example

SIZES = {"none": [0], "one": [1], "three": [3], "many": [70], "any": [0, 1, 2, 5], "some": [1, 1, 1, 2]}
Field = tuple[bytes, int, str, str]
CHANCES = st.integers(0, 2**32).map(random.Random)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    example_alike._known.cache_clear()


FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"bb", b"a name of twenty-two b", b"key" * 40, b"k" * 130]),
        st.sampled_from([1, 2, 3]),
        st.sampled_from(sorted(SIZES)),
        st.sampled_from(["short", "long", "any"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda field: field[0],
)


def value_of(kind: int, extent: str, chance: random.Random) -> Any:
    extent = chance.choice(["short", "long"]) if extent == "any" else extent
    if kind == 1:
        return chance.randbytes(chance.choice([0, 1, 7, 30] if extent == "short" else [120, 130, 300]))
    if kind == 2:
        return chance.choice([0.0, 1.5, -2.25, 1e30])
    return chance.choice([0, 5, 127]) if extent == "short" else chance.choice([128, 2**35, -1, 2**63 - 1, -(2**63)])


def rows_of(fields: list[Field], count: int, chance: random.Random) -> list[bytes]:
    """Records of the same features; how many values and how large ones depends on the field."""
    return [
        example(
            *(
                entry(name, feature(kind, [value_of(kind, extent, chance) for _ in range(chance.choice(SIZES[size]))]))
                for name, kind, size, extent in fields
            )
        )
        for _ in range(count)
    ]


def one_by_one(rows: list[bytes], plan: Any) -> Any:
    """What each record gives by itself, or the number of the first that is malformed."""
    found: dict[bytes, list[Any]] = {wanted.name: [] for wanted in plan.fields}
    for number, row in enumerate(rows):
        try:
            answer = read_example(row, plan.number_of)
        except MalformedError:
            return number
        for wanted in plan.fields:
            values = answer[wanted.name].values if wanted.name in answer else []
            kind = answer[wanted.name].kind if wanted.name in answer else 0
            if kind not in (0, wanted.kind):
                return number
            if kind == 1:
                values = [row[start : start + size] for start, size in values]
            elif kind == 2:
                values = [np.frombuffer(value, "<u4")[0] for value in values]
            found[wanted.name].append(values)
    return found


def parsed(rows: list[bytes], plan: Any, behind: int) -> Any:
    """What a parse gives, or the text of its error; with so many bytes behind the last record."""
    buffer = np.frombuffer(b"before" + b"".join(rows) + bytes([255]) * behind, np.uint8)
    lengths = np.array([len(row) for row in rows])
    try:
        columns = parse_records(buffer, 6 + np.cumsum(lengths) - lengths, lengths, plan)
    except DataError as error:
        return str(error)
    return {name: plain(column) for name, column in columns.items()}


def agree(rows: list[bytes], plan: Any, behind: int) -> Any:
    """What NumPy gives, twice: with a layout just learned, and with one that is known; the C library gives the same."""
    with without_native():
        first, second = parsed(rows, plan, behind), parsed(rows, plan, behind)
    assert first == second
    if native_library() is not None:
        assert parsed(rows, plan, behind) == first
    return first


def ragged_plan(fields: list[Field], skipped: int) -> Any:
    return plan_examples(
        {
            name.decode(): VarLenFeature(DTYPES[kind])
            for number, (name, kind, *_) in enumerate(fields)
            if number != skipped
        }
        or {"elsewhere": VarLenFeature("int64")}
    )


@settings(max_examples=80, deadline=None)
@given(FIELDS, st.integers(16, 60), st.integers(-1, 4), st.sampled_from([0, 3, 16, 200]), CHANCES)
def test_records_of_the_same_features_are_read_whatever_their_sizes(
    fields: list[Field], count: int, skipped: int, behind: int, chance: random.Random
) -> None:
    rows, plan = rows_of(fields, count, chance), ragged_plan(fields, skipped)
    got = agree(rows, plan, behind)
    expected = one_by_one(rows, plan)
    for name, lists in expected.items():
        values, splits = got[name.decode()]
        assert splits == np.cumsum([0, *map(len, lists)]).tolist()
        flat = [value for values in lists for value in values]
        assert values == (plain(np.array(flat, np.uint32).view(np.float32)) if _is_float(plan, name) else flat)


def _is_float(plan: Any, name: bytes) -> bool:
    return bool(plan.fields[plan.number_of[name]].kind == 2)


@settings(max_examples=120, deadline=None)
@given(FIELDS, st.integers(16, 40), st.integers(-1, 4), st.sampled_from([0, 16, 200]), CHANCES)
def test_records_that_were_tampered_with_are_read_and_refused_as_each_by_itself(
    fields: list[Field], count: int, skipped: int, behind: int, chance: random.Random
) -> None:
    rows, plan = rows_of(fields, count, chance), ragged_plan(fields, skipped)
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(count)
        row = bytearray(rows[number] or b"\x0a")
        place, what = chance.randrange(len(row)), chance.choice(["change", "bit", "cut", "put in", "take out"])
        if what == "change":
            row[place] = chance.choice([0, 1, 10, 18, 26, 127, 128, 255])
        elif what == "bit":
            row[place] ^= 1 << chance.randrange(8)
        elif what == "cut":
            del row[place:]
        elif what == "put in":
            row.insert(place, chance.randrange(256))
        else:
            del row[place]
        rows[number] = bytes(row)
    got = agree(rows, plan, behind)
    expected = one_by_one(rows, plan)
    if isinstance(expected, int):
        assert f"record {expected}" in got
    else:
        for name, lists in expected.items():
            assert got[name.decode()][1] == np.cumsum([0, *map(len, lists)]).tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(records(), min_size=1, max_size=5), st.integers(30, 60), CHANCES)
def test_odd_records_between_those_of_one_layout_are_read_as_ever(
    odd: list[Any], count: int, chance: random.Random
) -> None:
    rows = [record(a=(3, [row * 1000]), bb=(2, [row / 2]), c=(1, [b"x" * row])) for row in range(count)]
    for data, _ in odd:
        rows.insert(chance.randrange(len(rows) + 1), data)
    specs = {"a": VarLenFeature("int64"), "bb": VarLenFeature("float32"), "c": VarLenFeature("string")}
    agree(rows, plan_examples(specs), 16)
    agree(rows, plan_examples({"a": FixedLenFeature((), "int64", 3), "bb": FixedLenFeature((1,), "float32", 0.5)}), 16)


def fails(*_: Any) -> None:
    raise AssertionError("a record was not read by its layout")


def test_every_size_of_number_and_text_is_of_one_layout_once_it_was_met(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(first: int) -> list[bytes]:
        return [
            record(a=(3, [row**5]), f=(2, [row, 1.0]), s=(1, [b"x" * (row % 40)]), v=(3, list(range(row % 5 + 1))))
            for row in range(first, first + 100)
        ]

    specs = {
        "a": FixedLenFeature((), "int64"),
        "f": FixedLenFeature((2,), "float32"),
        "s": FixedLenFeature((), "string"),
        "v": VarLenFeature("int64"),
    }
    plan = plan_examples(specs)
    agree(rows(0), plan, 16)
    monkeypatch.setattr(example_numpy, "_find_in_step", fails)
    with without_native():
        got = parsed(rows(50), plan, 16)
    assert got["a"] == [row**5 for row in range(50, 150)]
    assert got["s"] == [b"x" * (row % 40) for row in range(50, 150)]
    assert got["v"][0] == [number for row in range(50, 150) for number in range(row % 5 + 1)]


def test_records_of_several_layouts_come_back_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        record(a=(3, [row]), s=(1, [b"%d" % row])) if row % 3 else record(s=(1, [b"%d" % row] * 2), a=(3, [row]))
        for row in range(90)
    ]
    monkeypatch.setattr(example_numpy, "_find_in_step", fails)
    got = agree(rows, plan_examples({"a": FixedLenFeature((), "int64"), "s": VarLenFeature("string")}), 16)
    assert got["a"] == list(range(90))
    assert got["s"][0] == [b"%d" % row for row in range(90) for _ in range(1 if row % 3 else 2)]


def test_records_that_have_nothing_alike_are_left_alone_for_some_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    names = [b"f%d" % number for number in range(8)]
    rows = [example(*(entry(name, feature(3, [row])) for name in chance.sample(names, 8))) for row in range(40)]
    plan = plan_examples({name.decode(): FixedLenFeature((), "int64") for name in names})
    expected = agree(rows, plan, 200)
    monkeypatch.setattr(example_alike, "read_record", fails)
    with without_native():
        assert parsed(rows, plan, 200) == expected
    assert expected["f0"] == list(range(40))


def test_a_length_that_contradicts_another_is_not_of_the_layout() -> None:
    good = [record(s=(1, [b"x" * (row % 30)])) for row in range(40)]
    for place in (1, 3, 8, 10, 12):
        bad = bytearray(good[29])
        bad[place] += 1
        rows = [*good[:20], bytes(bad), *good[20:]]
        assert "record 20" in agree(rows, plan_examples({"s": FixedLenFeature((), "string")}), 200)


def test_needless_bytes_of_lengths_are_a_part_of_the_layout() -> None:
    value = sized(3, sized(1, varint(7)))
    content = sized(1, b"a") + varint(2 << 3 | 2, longer=0) + varint(len(value), longer=2) + value
    rows = [example(sized(1, content))] * 20
    plan = plan_examples({"a": FixedLenFeature((), "int64")})
    assert agree(rows, plan, 16) == {"a": [7] * 20}


def test_what_no_writer_writes_has_no_layout() -> None:
    plan = plan_examples({"a": FixedLenFeature((), "int64")})
    good = record(a=(3, [7]))
    known = read_record(good, plan)
    assert known is not None
    assert [run.width for run in Layout.of(known).runs] == [len(good)]
    again = entry(b"a", feature(3, [7]))
    for bad in (
        b"",
        b"\x0a",
        good[:-1],
        good + b"\0",
        example(again, again),
        record(a=(2, [7.0])),
        example(entry(b"a", b"")),
    ):
        assert read_record(bad, plan) is None
