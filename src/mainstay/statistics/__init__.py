"""The one statistics engine: mergeable accumulators behind validation, transform, analysis and monitoring."""

from mainstay.statistics.counts import Counts
from mainstay.statistics.distinct import DistinctCount
from mainstay.statistics.distribution import Distribution
from mainstay.statistics.moments import Moments, MomentsResult
from mainstay.statistics.quantiles import Quantiles
from mainstay.statistics.results import (
    ColumnStatistics,
    Histogram,
    NumericStatistics,
    StringStatistics,
    TableStatistics,
)
from mainstay.statistics.table import TableAccumulator

__all__ = [
    "ColumnStatistics",
    "Counts",
    "DistinctCount",
    "Distribution",
    "Histogram",
    "Moments",
    "MomentsResult",
    "NumericStatistics",
    "Quantiles",
    "StringStatistics",
    "TableAccumulator",
    "TableStatistics",
]
