"""The statistics of one dataset and of one feature as schema inference and validation ask for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from mainstay.core import ArgumentError
from mainstay.validation.conversion import DISTINCT_STATISTIC, KIND_STATISTIC

_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: schema_pb2.INT,
    statistics_pb2.FeatureNameStatistics.FLOAT: schema_pb2.FLOAT,
    statistics_pb2.FeatureNameStatistics.STRING: schema_pb2.BYTES,
    statistics_pb2.FeatureNameStatistics.BYTES: schema_pb2.BYTES,
    statistics_pb2.FeatureNameStatistics.STRUCT: schema_pb2.STRUCT,
}
_PLAIN_STEP = re.compile(r"\([^()]*\)|[^().']+")
_PLACEHOLDERS = ("__BYTES_VALUE__", "__LARGE_BYTES__")


def serialize_path(steps: Sequence[str]) -> str:
    """Return the name of a path: its steps with dots between, quoted where a step has dots, brackets or quotes."""
    quoted = (step if _PLAIN_STEP.fullmatch(step) else "'" + step.replace("'", "''") + "'" for step in steps)
    return ".".join(quoted)


def only_dataset(statistics: Any) -> Any:
    """Return the `DatasetFeatureStatistics` of all examples.

    Raises:
        ArgumentError: `statistics` is no `DatasetFeatureStatisticsList`, or no dataset of it is of all examples.
    """
    if not isinstance(statistics, statistics_pb2.DatasetFeatureStatisticsList):
        raise ArgumentError(
            "these are no statistics",
            expected="a DatasetFeatureStatisticsList",
            received=type(statistics).__name__,
            fix="pass what generate_statistics_from_csv or load_statistics returned",
        )
    if len(statistics.datasets) == 1:
        return statistics.datasets[0]
    for dataset in statistics.datasets:
        if dataset.name == "All Examples":
            return dataset
    raise ArgumentError(
        "it is not clear which dataset is meant",
        expected="one dataset, or one that is called 'All Examples'",
        received=[dataset.name for dataset in statistics.datasets],
    )


@dataclass(frozen=True, slots=True)
class FeatureView:
    """The statistics of one feature.

    Args:
        statistics: Its `FeatureNameStatistics`.
        num_examples: The rows of the dataset.
    """

    statistics: Any
    num_examples: int

    @property
    def name(self) -> str:
        """The serialized path of the feature."""
        return serialize_path(self.steps)

    @property
    def steps(self) -> tuple[str, ...]:
        """The path of the feature."""
        return tuple(self.statistics.path.step) or (self.statistics.name,)

    @property
    def type(self) -> int:
        """The `schema_pb2.FeatureType` of the values."""
        return int(_TYPES[self.statistics.type])

    @property
    def type_name(self) -> str:
        """The name of the values' type as the statistics have it."""
        return str(statistics_pb2.FeatureNameStatistics.Type.Name(self.statistics.type))

    @property
    def kind(self) -> str | None:
        """The kind of the column, where the statistics are Mainstay's own."""
        found = [stat.str for stat in self.statistics.custom_stats if stat.name == KIND_STATISTIC]
        return found[0] if found else None

    @property
    def common(self) -> Any:
        """Its `CommonStatistics`."""
        part = self.statistics.WhichOneof("stats") or "num_stats"
        return getattr(self.statistics, part).common_stats

    @property
    def num_present(self) -> int:
        """Rows with a value."""
        return int(self.common.num_non_missing)

    @property
    def num_missing(self) -> int:
        """Rows without a value."""
        return max(int(self.common.num_missing), self.num_examples - self.num_present)

    @property
    def numeric(self) -> Any:
        """Its `NumericStatistics`."""
        return self.statistics.num_stats

    @property
    def num_nan(self) -> int:
        """Values that are not a number."""
        return max((int(histogram.num_nan) for histogram in self.numeric.histograms), default=0)

    @property
    def has_numbers(self) -> bool:
        """Whether there is a value that has a place among numbers."""
        return bool(self.statistics.WhichOneof("stats") == "num_stats" and self.num_present > self.num_nan)

    @property
    def is_string(self) -> bool:
        """Whether the values are strings."""
        return bool(self.statistics.WhichOneof("stats") == "string_stats")

    @property
    def invalid_utf8(self) -> int:
        """Values that are not valid UTF-8."""
        return int(self.statistics.string_stats.invalid_utf8_count)

    @property
    def distinct(self) -> int | None:
        """Distinct values, where the statistics tell."""
        if self.is_string:
            return int(self.statistics.string_stats.unique)
        found = [int(stat.num) for stat in self.statistics.custom_stats if stat.name == DISTINCT_STATISTIC]
        return found[0] if found else None

    @property
    def value_counts(self) -> dict[str, float]:
        """The counts of the most frequent strings, up to 1,000 of them, by value."""
        buckets = self.statistics.string_stats.rank_histogram.buckets
        return {bucket.label: bucket.sample_count for bucket in buckets}

    @property
    def lists_every_value(self) -> bool:
        """Whether `value_counts` holds every value that occurs, as it is."""
        counts = self.value_counts
        return len(counts) >= (self.distinct or 0) and not any(name in counts for name in _PLACEHOLDERS)


def feature_views(dataset: Any) -> list[FeatureView]:
    """Return the features of a `DatasetFeatureStatistics` in its order."""
    return [FeatureView(feature, int(dataset.num_examples)) for feature in dataset.features]
