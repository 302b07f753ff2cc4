"""The proto has the fields, and the meaning of the fields, that TensorFlow Data Validation gives them."""

import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from mainstay import validation
from mainstay.statistics import TableAccumulator


def features_of(columns):
    dataset = validation.generate_statistics_from_batches(columns).datasets[0]
    return {feature.path.step[0]: feature for feature in dataset.features}


def custom(feature):
    return {stat.name: stat.num or stat.str for stat in feature.custom_stats}


def test_numbers_have_moments_and_two_histograms():
    feature = features_of({"x": pa.array([0.0, 1.0, 2.0, 3.0, None, math.nan])})["x"]
    stats = feature.num_stats
    assert feature.type == statistics_pb2.FeatureNameStatistics.FLOAT
    assert (stats.mean, stats.min, stats.median, stats.max, stats.num_zeros) == (1.5, 0.0, 2.0, 3.0, 1)
    assert stats.std_dev == pytest.approx(math.sqrt(1.25))
    assert (stats.common_stats.num_non_missing, stats.common_stats.num_missing) == (5, 1)
    assert stats.common_stats.tot_num_values == 5
    standard, quantiles = stats.histograms
    assert (standard.type, quantiles.type) == (
        statistics_pb2.Histogram.STANDARD,
        statistics_pb2.Histogram.QUANTILES,
    )
    assert (standard.num_nan, quantiles.num_nan) == (1, 1)
    assert [len(histogram.buckets) for histogram in stats.histograms] == [10, 10]
    assert sum(bucket.sample_count for bucket in standard.buckets) == 4
    assert sum(bucket.sample_count for bucket in quantiles.buckets) == pytest.approx(4)
    assert custom(feature) == {"num_distinct": 4.0, "kind": "float"}


def test_only_nan_leaves_two_histograms_that_say_so():
    stats = features_of({"x": pa.array([math.nan, math.nan])})["x"].num_stats
    assert [(histogram.num_nan, len(histogram.buckets)) for histogram in stats.histograms] == [(2, 0), (2, 0)]
    assert (stats.mean, stats.min, stats.max) == (0.0, 0.0, 0.0)


def test_scalars_have_ten_buckets_of_one_value():
    histogram = features_of({"x": [1] * 25})["x"].num_stats.common_stats.num_values_histogram
    assert histogram.type == statistics_pb2.Histogram.QUANTILES
    assert [(b.low_value, b.high_value, b.sample_count) for b in histogram.buckets] == [(1.0, 1.0, 2.5)] * 10


def test_strings_have_twenty_top_values_and_a_thousand_ranks():
    words = [f"w{n:04d}" for n in range(1500)] + ["w0007"] * 3 + ["ä"]
    stats = features_of({"s": words})["s"].string_stats
    assert stats.unique == 1501
    assert len(stats.top_values) == 20
    assert [(top.value, top.frequency) for top in stats.top_values[:3]] == [("w0007", 4), ("ä", 1), ("w1499", 1)]
    assert len(stats.rank_histogram.buckets) == 1000
    third = stats.rank_histogram.buckets[2]
    assert (third.low_rank, third.high_rank, third.label, third.sample_count) == (2, 2, "w1499", 1)
    assert stats.avg_length == pytest.approx((5 * 1503 + 2) / 1504)


def test_kinds_that_the_types_cannot_tell_are_custom_statistics():
    found = features_of(
        {
            "flag": [True, False],
            "when": pa.array([0, 10], pa.timestamp("us")),
            "none": pa.nulls(2),
        }
    )
    types = {name: (feature.type, custom(feature)["kind"]) for name, feature in found.items()}
    assert types == {
        "flag": (statistics_pb2.FeatureNameStatistics.INT, "bool"),
        "when": (statistics_pb2.FeatureNameStatistics.INT, "timestamp"),
        "none": (statistics_pb2.FeatureNameStatistics.FLOAT, "null"),
    }
    assert found["none"].num_stats.common_stats.num_missing == 2


def test_the_dataset_can_be_named():
    table = TableAccumulator(pa.schema([("x", pa.int64())]))
    proto = validation.statistics_to_proto(table.result(), name="train")
    assert (proto.datasets[0].name, proto.datasets[0].num_examples) == ("train", 0)


def test_taxi_trips_have_the_figures_that_arrow_computes(shared_data):
    path = shared_data / "taxi.csv"
    table = pa.csv.read_csv(path)
    dataset = validation.generate_statistics_from_csv(path).datasets[0]
    assert dataset.num_examples == table.num_rows
    for feature in dataset.features:
        column = table[feature.path.step[0]]
        if pa.types.is_string(column.type):
            known = column.filter(pc.not_equal(column, ""))
            assert feature.string_stats.unique == pc.count_distinct(known).as_py()
            mode = max(pc.value_counts(known).to_pylist(), key=lambda item: item["counts"])
            top = feature.string_stats.top_values[0]
            assert (top.value, top.frequency) == (mode["values"], mode["counts"])
            assert feature.string_stats.avg_length == pytest.approx(pc.mean(pc.binary_length(known)).as_py())
            continue
        stats = feature.num_stats
        assert stats.common_stats.num_missing == column.null_count
        extremes = pc.min_max(column).as_py()
        assert (stats.min, stats.max) == (extremes["min"], extremes["max"])
        assert stats.mean == pytest.approx(pc.mean(column).as_py(), rel=1e-12)
        assert stats.std_dev == pytest.approx(pc.stddev(column).as_py(), rel=1e-9)
        assert stats.num_zeros == pc.sum(pc.equal(column, 0)).as_py()
        ordered = sorted(column.drop_null().to_pylist())
        assert stats.median == ordered[len(ordered) // 2]
        assert custom(feature)["num_distinct"] == pc.count_distinct(column).as_py()
        assert sum(b.sample_count for b in stats.histograms[0].buckets) == len(ordered)
