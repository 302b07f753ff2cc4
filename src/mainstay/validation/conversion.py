"""Statistics of a table as TensorFlow Metadata's proto, with the field semantics of TensorFlow Data Validation."""

from __future__ import annotations

from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from mainstay.statistics import ColumnStatistics, Histogram, NumericStatistics, StringStatistics, TableStatistics

KIND_STATISTIC = "kind"
"""Name of the custom statistic that holds the column's kind, which the proto's four types cannot tell."""

DISTINCT_STATISTIC = "num_distinct"
"""Name of the custom statistic that holds the number of distinct values of a numeric column."""

_TYPES = {"int": "INT", "bool": "INT", "timestamp": "INT", "float": "FLOAT", "null": "FLOAT", "string": "STRING"}
_NUM_TOP_VALUES = 20
_NUM_VALUES_BUCKETS = 10


def statistics_to_proto(statistics: TableStatistics, *, name: str = "") -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return statistics as a `DatasetFeatureStatisticsList` of one dataset.

    Features are named by `path.step`. Booleans and timestamps have the type INT and columns without any value the
    type FLOAT; the custom statistic ``kind`` tells them apart, ``num_distinct`` counts the distinct numbers.

    Args:
        statistics: What a `TableAccumulator` returned.
        name: The dataset's name, empty as TensorFlow Data Validation leaves it.
    """
    result = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = result.datasets.add(name=name, num_examples=statistics.num_rows)
    for step, column in statistics.columns.items():
        feature = dataset.features.add(type=_TYPES[column.kind])
        feature.path.step.append(step)
        if column.string is not None:
            _fill_common(feature.string_stats.common_stats, column)
            _fill_string(feature.string_stats, column.string)
        else:
            _fill_common(feature.num_stats.common_stats, column)
            if column.numeric is not None and column.num_present:
                _fill_numeric(feature.num_stats, column.numeric)
                feature.custom_stats.add(name=DISTINCT_STATISTIC, num=column.numeric.distinct)
        feature.custom_stats.add(name=KIND_STATISTIC, str=column.kind)
    return result


def _fill_common(common: Any, column: ColumnStatistics) -> None:
    common.num_non_missing = column.num_present
    common.num_missing = column.num_missing
    if column.num_present:
        common.min_num_values = common.max_num_values = 1
        common.avg_num_values = 1.0
        common.tot_num_values = column.num_present
        common.num_values_histogram.type = statistics_pb2.Histogram.QUANTILES
        for _ in range(_NUM_VALUES_BUCKETS):
            share = column.num_present / _NUM_VALUES_BUCKETS
            common.num_values_histogram.buckets.add(low_value=1, high_value=1, sample_count=share)


def _fill_numeric(target: Any, numeric: NumericStatistics) -> None:
    if numeric.min is not None and numeric.max is not None:
        target.mean, target.std_dev = numeric.mean, numeric.std
        target.num_zeros = numeric.zeros
        target.min, target.max = numeric.min, numeric.max
        target.median = numeric.median or 0.0
    _add_histogram(target, numeric.histogram, statistics_pb2.Histogram.STANDARD, numeric.nan)
    _add_histogram(target, numeric.quantile_histogram, statistics_pb2.Histogram.QUANTILES, numeric.nan)


def _add_histogram(target: Any, histogram: Histogram, kind: int, nan: int) -> None:
    added = target.histograms.add(type=kind, num_nan=nan)
    for low, high, count in zip(histogram.low, histogram.high, histogram.count, strict=True):
        added.buckets.add(low_value=low, high_value=high, sample_count=count)


def _fill_string(target: Any, string: StringStatistics) -> None:
    target.unique = string.distinct
    target.avg_length = string.average_length
    target.invalid_utf8_count = string.invalid_utf8
    for rank, (value, count) in enumerate(string.top_values):
        if rank < _NUM_TOP_VALUES:
            target.top_values.add(value=value, frequency=count)
        target.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=count)
