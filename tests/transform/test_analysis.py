"""analyze: what it finds is exact, in whatever form and cut the data comes."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import transform as tft
from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostInput, fingerprint64, op_names


class Reiterable:
    """Data as a file gives it, counting how often it is read."""

    def __init__(self, table: pa.Table, rows: int = 100, *, choose: bool = False) -> None:
        self.schema = table.schema
        self.reads: list[tuple[str, ...]] = []
        self._batches = table.to_batches(max_chunksize=rows)
        if choose:
            self.batches = self._chosen

    def batches(self):
        self.reads.append(tuple(self.schema.names))
        return iter(self._batches)

    def _chosen(self, columns=None):
        self.reads.append(tuple(columns))
        return (batch.select(columns) for batch in self._batches)


def table(rows: int = 1000) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=rows) * 3 + 1e6, mask=rng.random(rows) < 0.1),
            "n": pa.array(rng.integers(-50, 50, rows)),
            "c": pa.array(np.array(["rot", "grün", "blau", ""])[rng.integers(0, 4, rows)]),
            "unused": pa.array([[1]] * rows),
        }
    )


def preprocessing_fn(inputs):
    x, n = inputs["x"], inputs["n"]
    return {
        "z": tft.scale_to_z_score(x),
        "gone": tft.cast(tft.is_missing(x), "float32"),
        "unit": tft.scale_to_0_1(n),
        "bucket": tft.bucketize(n, 5),
        "c": tft.compute_and_apply_vocabulary(inputs["c"], num_oov_buckets=3),
    }


def test_every_form_of_the_data_gives_the_same_graph():
    rows = table()
    arrays = {
        "x": rows["x"],
        "n": rows["n"].to_numpy(),
        "c": np.array(rows["c"].to_pylist(), object),
    }
    forms = [rows, rows.to_batches(), arrays, Reiterable(rows, 1000), rows.combine_chunks().to_batches()[0]]
    graphs = [tft.analyze(form, preprocessing_fn) for form in forms]
    assert all(graph.to_json() == graphs[0].to_json() for graph in graphs)
    assert all(graph.assets == graphs[0].assets for graph in graphs)


def test_what_is_found_is_what_numpy_finds():
    rows = table()
    graph = tft.analyze(rows, preprocessing_fn)
    x = rows["x"].to_numpy()
    n = rows["n"].to_numpy()
    got = graph({name: rows[name] for name in ("x", "n", "c")})
    present = x[~np.isnan(x)]
    np.testing.assert_allclose(got["z"], (x - present.mean()) / present.std(), rtol=1e-6, atol=1e-6)
    assert got["z"].dtype == np.float32
    np.testing.assert_array_equal(got["gone"], np.isnan(x))
    np.testing.assert_array_equal(got["unit"], ((n - n.min()) / (n.max() - n.min())).astype(np.float32))
    counts = np.bincount(got["bucket"], minlength=5)
    assert counts.min() > 150
    assert counts.sum() == 1000
    counted = Counter(rows["c"].to_pylist())
    del counted[""]
    order = sorted(counted, key=lambda token: (counted[token], token.encode()), reverse=True)
    assert graph.assets == {"vocabulary_c.txt": "".join(f"{token}\n" for token in order).encode()}
    want = [order.index(token) if token else 3 + fingerprint64(b"") % 3 for token in rows["c"].to_pylist()]
    assert got["c"].tolist() == want


def test_the_graph_holds_registered_operations_and_used_inputs_only():
    graph = tft.analyze(table(), preprocessing_fn)
    assert {node.op for node in graph.nodes} <= set(op_names())
    assert [(item.spec.name, item.spec.dtype, item.optional) for item in graph.inputs] == [
        ("x", "float64", True),
        ("n", "int64", False),
        ("c", "string", False),
    ]
    assert [(spec.name, spec.dtype) for spec in graph.output_specs] == [
        ("z", "float32"),
        ("gone", "float32"),
        ("unit", "float32"),
        ("bucket", "int64"),
        ("c", "int64"),
    ]


def test_equal_operations_are_done_once():
    def twice(inputs):
        x = inputs["x"]
        return {
            "a": tft.scale_to_z_score(x),
            "b": tft.scale_to_z_score(x),
            "m": x - tft.mean(x),
            "v": tft.cast(x, "float64") - tft.mean(x),
        }

    graph = tft.analyze({"x": [1.0, 2.0]}, twice)
    assert graph.outputs["a"] == graph.outputs["b"]
    assert graph.outputs["m"] == graph.outputs["v"]
    assert [node.op for node in graph.nodes].count("Sub") == 1


def test_the_data_is_read_once_per_depth_and_only_where_needed():
    def shallow(inputs):
        return {"z": tft.scale_to_z_score(inputs["n"]), "c": tft.compute_and_apply_vocabulary(inputs["c"])}

    def deep(inputs):
        z = tft.scale_to_z_score(inputs["n"])
        return {"z": tft.scale_to_0_1(z), "b": tft.bucketize(tft.scale_to_0_1(z), 3)}

    for function, depth, columns in ((shallow, 1, ("n", "c")), (deep, 3, ("n",))):
        data = Reiterable(table(), choose=True)
        tft.analyze(data, function)
        assert data.reads == [("x", "n", "c"), *[columns] * depth]
        declared = [HostInput(TensorSpec([None], dtype, name)) for name, dtype in (("n", "int64"), ("c", "string"))]
        data = Reiterable(table().select(["n", "c"]), choose=True)
        tft.analyze(data, function, specs=declared)
        assert data.reads == [columns] * depth


def test_analysis_of_what_another_analysis_made():
    x = np.arange(10.0)
    graph = tft.analyze({"x": x}, lambda inputs: {"y": tft.scale_to_0_1(tft.scale_to_z_score(inputs["x"]) * 2.0)})
    np.testing.assert_allclose(graph({"x": x})["y"], x / 9, atol=1e-7)


def test_the_function_is_called_once():
    calls = []

    def counted(inputs):
        calls.append(1)
        return {"y": tft.scale_to_0_1(tft.scale_to_z_score(inputs["x"]))}

    tft.analyze({"x": [1.0, 2.0]}, counted)
    assert calls == [1]


def test_analyzers_are_numbers_to_compute_with():
    x, n = np.array([3.0, 1.0, 2.0, np.nan, np.inf]), np.array([5, -3, 2**53 + 1, 7, 7])

    def function(inputs):
        x, n = inputs["x"], inputs["n"]
        return {
            "mean": x * 0.0 + tft.mean(x),
            "var": x * 0.0 + tft.var(x),
            "range": x * 0.0 + (tft.max(x) - tft.min(x)),
            "sum": n * 0 + tft.sum(n),
            "max": n * 0 + tft.max(n),
            "min": n * 0 + tft.min(n),
            "size": n * 0 + tft.size(x),
            "median": tft.quantiles(n, 2)[0] + x * 0.0,
            "float_sum": x * 0.0 + tft.sum(x),
        }

    got = tft.analyze({"x": x, "n": n}, function)({"x": x, "n": n})
    assert {name: values[0] for name, values in got.items()} == {
        "mean": 2.0,
        "var": 2.0 / 3.0,
        "range": 2.0,
        "sum": 16 + 2**53 + 1,
        "max": 2**53 + 1,
        "min": -3,
        "size": 5,
        "median": 7.0,
        "float_sum": 6.0,
    }
    assert got["sum"].dtype == got["max"].dtype == got["size"].dtype == np.int64


def test_float32_columns_keep_their_dtype_beside_their_analyzers():
    x = np.array([1.0, 2.0], np.float32)
    graph = tft.analyze({"x": x}, lambda inputs: {"y": (inputs["x"] - tft.mean(inputs["x"])) / 2})
    assert graph.output_specs[0].dtype == "float32"


def test_sums_of_large_integers_are_exact_or_refused():
    n = np.full(10, 2**59 + 1)
    got = tft.analyze({"n": n}, lambda inputs: {"y": inputs["n"] * 0 + tft.sum(inputs["n"])})({"n": n[:1]})
    assert got["y"].tolist() == [10 * (2**59 + 1)]
    with pytest.raises(TransformError, match="beyond 64 bits"):
        tft.analyze({"n": np.full(100, 2**59)}, lambda inputs: {"y": inputs["n"] - tft.sum(inputs["n"])})


def test_missing_values_do_not_count():
    def function(inputs):
        return {
            "z": tft.scale_to_z_score(inputs["x"]),
            "c": tft.compute_and_apply_vocabulary(tft.fill_missing(tft.upper(inputs["c"]), "?")),
            "size": tft.fill_missing(inputs["x"], 0.0) * 0.0 + tft.size(inputs["x"]),
        }

    data = {"x": pa.array([1.0, None, 3.0]), "c": pa.array(["a", None, None])}
    graph = tft.analyze(data, function)
    assert graph(data)["size"].tolist() == [2.0] * 3
    np.testing.assert_array_equal(graph(data)["z"], [-1.0, math.nan, 1.0])
    assert graph.assets["vocabulary_c.txt"] == b"?\nA\n"


def test_a_vocabulary_of_a_column_with_missing_values_leaves_them_out():
    data = {"c": pa.array(["a", None, None, "b", "b"])}
    for prepare in (lambda c: c, tft.upper):
        graph = tft.analyze(
            data,
            lambda inputs, prepare=prepare: {
                "c": tft.fill_missing(tft.compute_and_apply_vocabulary(prepare(inputs["c"])), 7)
            },
        )
        assert next(iter(graph.assets.values())).lower() == b"b\na\n"
        assert graph(data)["c"].tolist() == [1, 7, 7, 0, 0]


@pytest.mark.parametrize("values", [[], [None, None], [math.nan], [5.0, 5.0]])
def test_columns_without_spread_are_left_where_they_are(values):
    def function(inputs):
        x = inputs["x"]
        return {"z": tft.scale_to_z_score(x), "u": tft.scale_to_0_1(x), "b": tft.bucketize(tft.fill_missing(x, 0.0), 3)}

    optional = [HostInput(TensorSpec([None], "float64", "x"), True)]
    graph = tft.analyze({"x": np.array(values, float) if None not in values else values}, function, specs=optional)
    got = graph({"x": [5.0, 6.0]})
    center = 5.0 if values == [5.0, 5.0] else 0.0
    assert got["z"].tolist() == [5.0 - center, 6.0 - center]
    np.testing.assert_allclose(got["u"], 1 / (1 + np.exp(-np.array([5.0, 6.0]))), rtol=1e-6)
    assert got["b"].tolist() == [2, 2]


def test_scaling_to_a_range():
    x = np.array([2.0, 4.0, 3.0])
    graph = tft.analyze({"x": x}, lambda inputs: {"y": tft.scale_by_min_max(inputs["x"], -1.0, output_max=3.0)})
    assert graph({"x": x})["y"].tolist() == [-1.0, 3.0, 1.0]
    assert "Exp" not in {node.op for node in graph.nodes}


def test_specs_override_what_the_data_shows():
    data = {"x": np.array([1.0, 2.0]), "c": np.array(["a", "b"])}
    specs = [HostInput(TensorSpec([None], "float32", "x"), True), HostInput(TensorSpec([None], "string", "c"), True)]
    graph = tft.analyze(data, lambda inputs: {"x": inputs["x"], "c": tft.lower(inputs["c"])}, specs=specs)
    assert graph.inputs == tuple(specs)
    with pytest.raises(TransformError, match=r"\$\.x\[1\]: a required input has a missing value"):
        tft.analyze(
            {"x": [1.0, None]},
            lambda inputs: {"x": tft.scale_to_z_score(inputs["x"])},
            specs=[HostInput(TensorSpec([None], "float64", "x"))],
        )
    with pytest.raises(TransformError, match="does not have"):
        tft.analyze(data, lambda inputs: {}, specs=[HostInput(TensorSpec([None], "string", "y"))])
    with pytest.raises(TransformError, match="wrong type"):
        tft.analyze(
            data,
            lambda inputs: {"x": tft.scale_to_z_score(inputs["x"])},
            specs=[HostInput(TensorSpec([None], "int64", "x"))],
        )


def test_a_column_knows_whether_it_can_be_missing_while_it_is_traced():
    seen = {}

    def function(inputs):
        x, y = inputs["x"], inputs["y"]
        seen.update(
            x=x.optional,
            y=y.optional,
            sum=(x + y).optional,
            filled=tft.fill_missing(x, 0.0).optional,
            other=tft.fill_missing(x, x).optional,
            flag=tft.is_missing(x).optional,
            chosen=tft.where(y > 0, x, y).optional,
        )
        return {"y": y}

    tft.analyze({"x": [1.0, None], "y": [1.0, 2.0]}, function)
    assert seen == {
        "x": True,
        "y": False,
        "sum": True,
        "filled": False,
        "other": True,
        "flag": False,
        "chosen": True,
    }


def test_times_are_microseconds_and_null_columns_floats():
    moments = pa.array([0, 86_400_000_000 + 3_600_000_000, None], pa.timestamp("us"))
    data = pa.table({"t": moments, "nothing": pa.nulls(3)})

    def function(inputs):
        assert (inputs["t"].dtype, inputs["nothing"].dtype) == ("int64", "float64")
        return {
            "hour": tft.fill_missing(tft.hour_of_day(inputs["t"]), -1),
            "day": tft.fill_missing(tft.day_of_week(inputs["t"]), -1),
            "z": tft.scale_to_z_score(inputs["nothing"]),
        }

    graph = tft.analyze(data, function)
    assert [(item.spec.dtype, item.optional) for item in graph.inputs] == [("string", True), ("float64", True)]
    got = graph({"t": moments, "nothing": pa.nulls(3)})
    assert got["hour"].tolist() == [0, 1, -1]
    assert got["day"].tolist() == [3, 4, -1]
    as_text = graph({"t": ["1970-01-01", "1970-01-02T01:00", None], "nothing": [None] * 3})
    assert as_text["day"].tolist() == got["day"].tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "cannot be analysed"),
        ([], "no record batches"),
        ([1], "no record batches"),
        (iter([]), "cannot be analysed"),
        ({"x": [1.0], "y": [1.0, 2.0]}, "differ in length"),
        ({"x": [1.0, "a"]}, r"\$\.x"),
        ({"x": "abc"}, r"\$\.x"),
        ({1: [1.0]}, "no proper name"),
        ([pa.record_batch({"x": [1]}), pa.record_batch({"x": ["a"]})], "differ in schema"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), "come twice"),
    ],
)
def test_data_that_cannot_be_analysed_is_refused(data, message):
    with pytest.raises(TransformError, match=message):
        tft.analyze(data, lambda inputs: {"x": inputs["x"]})


def test_a_value_that_breaks_the_analysis_is_named_with_its_rows():
    times = ["2024-01-01"] * 70_000
    times[69_000] = "gestern"

    def function(inputs):
        return {"t": tft.scale_to_z_score(tft.decode_timestamp(inputs["t"]))}

    with pytest.raises(TransformError, match=r"after row 65,536: \$\.t\[3464\]") as caught:
        tft.analyze({"t": np.array(times, object)}, function)
    assert "gestern" in str(caught.value)


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.lists(st.integers(1, 20), min_size=1, max_size=8),
)
def test_the_cut_into_batches_changes_nothing_but_the_last_bits(values, sizes):
    def function(inputs):
        x = inputs["x"]
        return {"z": tft.scale_to_z_score(x), "b": tft.fill_missing(tft.bucketize(x, 4), 9), "u": tft.scale_to_0_1(x)}

    whole = pa.table({"x": pa.array(values, pa.float64())})
    batches, start = [], 0
    while start < len(values):
        size = sizes[len(batches) % len(sizes)]
        batches += whole.slice(start, size).combine_chunks().to_batches()
        start += size
    first = tft.analyze(whole, function)({"x": values})
    second = tft.analyze(batches, function)({"x": values})
    np.testing.assert_allclose(first["z"], second["z"], rtol=1e-4, atol=1e-4)
    assert first["b"].tolist() == second["b"].tolist()
    assert first["u"].tobytes() == second["u"].tobytes()


def test_a_real_table_is_transformed(shared_data):
    from pyarrow import csv

    taxi = csv.read_csv(shared_data / "taxi.csv")

    def function(inputs):
        features = {}
        for field in taxi.schema:
            column = inputs[field.name]
            if field.type == pa.string():
                filled = tft.fill_missing(column, "")
                features[field.name] = tft.compute_and_apply_vocabulary(filled, top_k=1000, num_oov_buckets=10)
            else:
                features[field.name] = tft.fill_missing(tft.scale_to_z_score(column), 0.0)
        return features

    graph = tft.analyze(taxi, function)
    assert graph.assets["vocabulary_company.txt"].count(b"\n") == 61
    assert graph.assets["vocabulary_payment_type.txt"].count(b"\n") == 7
    for values in graph({name: taxi[name] for name in taxi.column_names}).values():
        assert np.isfinite(values).all()


def test_columns_may_be_named_like_operations():
    data = {name: [1.0, 3.0] for name in ("Cast_0", "Const_1", "Sub_2", "RealDiv_4", "Cast_5", "größe 日")}
    graph = tft.analyze(data, lambda inputs: {name: tft.scale_to_z_score(column) for name, column in inputs.items()})
    assert [item.spec.name for item in graph.inputs] == list(data)
    assert all(values.tolist() == [-1.0, 1.0] for values in graph(data).values())
