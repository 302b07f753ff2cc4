"""The parity law: a row's features have the same bits in training batches, offline and in a server."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import transform as tft
from mainstay.core import TensorSpec
from mainstay.hostops import Column, HostGraph, HostInput, columns_from_batch

SCHEMA = pa.schema(
    {
        "amount": pa.float64(),
        "ratio": pa.float32(),
        "count": pa.int64(),
        "flag": pa.bool_(),
        "city": pa.string(),
        "code": pa.string(),
        "time": pa.timestamp("us"),
    }
)
FLOATS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1e308, 5e-324, 2.0**53])
COUNTS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**31, 2**53 + 1, -(2**31) - 1, 0, 5])
WORDS = st.sampled_from(["rot", "grün", "日本", "", "neu", "e\u0301"]) | st.text(max_size=5)
TIMES = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
ROW = st.tuples(
    st.none() | FLOATS,
    st.none() | st.floats(width=32),
    st.none() | COUNTS,
    st.none() | st.booleans(),
    st.none() | WORDS,
    st.none() | st.text(max_size=70),
    st.none() | TIMES,
)


def preprocessing_fn(inputs):
    amount, ratio, count, flag = (inputs[name] for name in ("amount", "ratio", "count", "flag"))
    city, code, time = (inputs[name] for name in ("city", "code", "time"))
    filled = tft.fill_missing(city, "__missing__")
    return {
        "z": tft.scale_to_z_score(amount),
        "z_filled": tft.fill_missing(tft.scale_to_z_score(count), 0.0),
        "unit": tft.scale_to_0_1(ratio),
        "log": tft.log1p(tft.abs(amount)),
        "log32": tft.log(ratio),
        "exp": tft.exp(tft.clip(ratio, -5, 5.5)),
        "gone": tft.cast(tft.is_missing(amount) | tft.is_missing(city), "float32"),
        "bucket": tft.fill_missing(tft.bucketize(ratio, 4), -1),
        "mod": tft.fill_missing(count % 7 + count // 1000, 0),
        "float_mod": amount % 2.5,
        "truncated": tft.fill_missing(tft.cast(amount, "int64"), 0),
        "largest": tft.maximum(ratio, tft.cast(count, "float32")),
        "chosen": tft.where(tft.fill_missing(flag, False), amount, -amount),
        "city": tft.compute_and_apply_vocabulary(filled, num_oov_buckets=5),
        "count": tft.compute_and_apply_vocabulary(tft.fill_missing(tft.as_string(count), ""), num_oov_buckets=5),
        "code": tft.fill_missing(tft.hash_strings(tft.upper(tft.strip(code), "utf-8"), 1000), -1),
        "cross": tft.fill_missing(tft.hash_strings(tft.join([city, code, flag], "|"), 2**40), -1),
        "length": tft.fill_missing(tft.string_length(code), -1),
        "same": tft.fill_missing(city == "rot", False),
        "written": tft.as_string(amount),
        "text": tft.lower(code),
        "hour": tft.fill_missing(tft.hour_of_day(time), -1),
        "weekday": tft.fill_missing(tft.day_of_week(time), -1),
        "month": tft.fill_missing(tft.month_of_year(time), -1),
        "late": tft.scale_to_z_score(time),
    }


def table_of(rows: list[tuple]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


@pytest.fixture(scope="module")
def graph() -> HostGraph:
    rng = np.random.default_rng(5)
    rows = [
        (
            float(rng.normal() * 100),
            float(np.float32(rng.normal())),
            int(rng.integers(-(2**40), 2**40)),
            bool(rng.integers(2)),
            ["rot", "grün", "日本"][rng.integers(3)],
            str(rng.integers(50)),
            int(rng.integers(0, 2**50)),
        )
        for _ in range(300)
    ]
    rows += [(None,) * 7]
    made = tft.analyze(table_of(rows), preprocessing_fn)
    return HostGraph.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False)), made.assets)


def as_bytes(values: np.ndarray) -> list:
    return (
        [value.encode("utf-8", "surrogatepass") for value in values] if values.dtype == object else [values.tobytes()]
    )


def joined(parts: list[dict]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def moment(microseconds: int | None) -> str | None:
    """A time as a client writes it."""
    if microseconds is None:
        return None
    return str(np.datetime64(microseconds, "us")) + "Z"


def server_columns(graph: HostGraph, rows: list[tuple]) -> list[Column]:
    """Columns as the server makes them: arrays with fillers beside a mask."""
    columns = []
    for item, values in zip(graph.inputs, zip(*rows, strict=True), strict=True):
        items = [moment(value) for value in values] if item.spec.name == "time" else list(values)
        missing = np.array([value is None for value in items])
        filler = "" if item.spec.dtype == "string" else 0
        plain = [filler if value is None else value for value in items]
        if item.spec.dtype == "string":
            array = np.empty(len(plain), object)
            array[:] = plain
        else:
            array = np.array(plain, item.spec.dtype)
        columns.append(Column(array, missing if missing.any() else None))
    return columns


def lists(rows: list[tuple]) -> dict[str, list]:
    columns = {field.name: list(values) for field, values in zip(SCHEMA, zip(*rows, strict=True), strict=True)}
    columns["time"] = [moment(value) for value in columns["time"]]
    return columns


def assert_parity(graph: HostGraph, rows: list[tuple], cuts: list[int]) -> None:
    table = table_of(rows)
    want = graph({name: table[name] for name in SCHEMA.names})
    batches = [graph(columns_from_batch(batch)) for batch in table.to_batches(max_chunksize=cuts[0])]
    arrays = [graph({n: table.slice(i, 17)[n].combine_chunks() for n in SCHEMA.names}) for i in range(0, len(rows), 17)]
    served, direct, start = [], [], 0
    while start < len(rows):
        size = cuts[len(served) % len(cuts)]
        part = rows[start : start + size]
        served.append(graph(lists(part)))
        direct.append(graph.run(server_columns(graph, part)))
        start += size
    for parts in (batches, arrays, served, direct):
        got = joined(parts)
        for name, values in want.items():
            assert got[name].dtype == values.dtype
            assert as_bytes(got[name]) == as_bytes(values), name


@given(st.lists(ROW, min_size=1, max_size=90), st.lists(st.integers(1, 32), min_size=1, max_size=5))
def test_every_way_to_the_features_gives_the_same_bits(graph, rows, cuts):
    assert_parity(graph, rows, cuts)


def test_a_training_batch_of_64k_rows_agrees_with_requests_of_one(graph):
    rng = np.random.default_rng(11)
    special = [0.0, -0.0, math.nan, math.inf, -math.inf, 1e-310, 1e308, None]
    words = ["rot", "grün", "日本", "", None, "neu", "ÄÖ"]
    rows = [
        (
            special[i % 29] if i % 29 < 8 else float(rng.normal() * 10.0 ** rng.integers(-8, 9)),
            None if i % 7 == 0 else float(np.float32(rng.normal())),
            None if i % 13 == 0 else int(rng.integers(-(2**62), 2**62)) >> int(rng.integers(0, 62)),
            (True, False, None)[i % 3],
            words[i % 7],
            None if i % 5 == 0 else f" k{i % 4001} ",
            None if i % 17 == 0 else int(rng.integers(-(2**53), 2**53)),
        )
        for i in range(65_536)
    ]
    table = table_of(rows)
    whole = graph(columns_from_batch(table.to_batches(max_chunksize=65_536)[0]))
    picked = [*range(40), *range(0, 65_536, 997), *range(65_500, 65_536)]
    for row in picked:
        got = graph(lists(rows[row : row + 1]))
        for name, values in whole.items():
            assert as_bytes(got[name]) == as_bytes(values[row : row + 1]), (name, row)
    for start in range(0, 65_536, 500):
        got = graph(lists(rows[start : start + 32]))
        for name, values in whole.items():
            assert as_bytes(got[name]) == as_bytes(values[start : start + 32]), (name, start)


def test_bytes_that_are_no_utf8_keep_parity():
    graph = tft.analyze(
        {"c": np.array(["a", "b", "a"], object)},
        lambda inputs: {
            "v": tft.compute_and_apply_vocabulary(inputs["c"], num_oov_buckets=100),
            "h": tft.hash_strings(tft.join([inputs["c"], "x"]), 1000),
        },
    )
    raw = [b"\xff\xfe", b"a", b"\xe9t\xe9", b"\x00"]
    want = graph({"c": pa.array(raw * 50, pa.binary())})
    for form in (raw, [item.decode("utf-8", "surrogateescape") for item in raw], pa.array(raw, pa.binary())):
        got = graph({"c": form})
        assert all(want[name].tolist() == values.tolist() * 50 for name, values in got.items())


def test_an_optional_column_that_is_left_out_is_as_one_that_is_missing(graph):
    rows = [(1.0, None, 5, True, "rot", None, None)] * 3
    full, sparse = lists(rows), lists(rows)
    for name in ("ratio", "code", "time"):
        del sparse[name]
    want, got = graph(full), graph(sparse)
    assert all(as_bytes(got[name]) == as_bytes(values) for name, values in want.items())


def test_specs_and_data_agree_on_a_float32_column_fed_with_python_numbers():
    spec = HostInput(TensorSpec([None], "float32", "x"))
    graph = tft.analyze({"x": np.array([0.1, 0.2])}, lambda i: {"y": tft.scale_to_z_score(i["x"])}, specs=[spec])
    wholes = [2**53 + 1, 2**24 + 1, 16_777_217, -(2**62) - 1, 2**62 + 2**38 + 1]
    forms = [wholes, np.array(wholes), np.array(wholes, float), pa.array(wholes), [float(n) for n in wholes]]
    results = {graph({"x": form})["y"].tobytes() for form in forms}
    assert len(results) == 1
