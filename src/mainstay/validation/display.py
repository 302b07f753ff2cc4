"""Statistics, schemas and anomalies as tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from mainstay.core import ArgumentError
from mainstay.validation.reasons import figure
from mainstay.validation.schemas import check_schema
from mainstay.validation.text import plain
from mainstay.validation.views import FeatureView, feature_views, only_dataset

_NUMERIC_COLUMNS = ("missing", "mean", "std dev", "zeros", "min", "median", "max", "distribution")
_STRING_COLUMNS = ("missing", "unique", "top", "freq top", "avg length")
_WIDE = 100
_BARS = " ▁▂▃▄▅▆▇█"


def display_schema(schema: schema_pb2.Schema) -> None:
    """Print the features of a schema and its string domains as tables.

    Raises:
        ArgumentError: `schema` is no schema.
    """
    check_schema(schema)
    features = _table("Schema", "Feature name", "Type", "Presence", "Valency", "Domain")
    domains = _table("Domains", "Domain", "Values")
    for feature in schema.feature:
        kind = "STRING" if feature.domain or feature.HasField("string_domain") else ""
        _add_row(
            features,
            feature.name,
            kind or schema_pb2.FeatureType.Name(feature.type),
            _presence(feature),
            _valency(feature),
            _domain(feature),
        )
        if feature.HasField("string_domain"):
            _add_row(domains, feature.string_domain.name or feature.name, ", ".join(feature.string_domain.value))
    for domain in schema.string_domain:
        _add_row(domains, domain.name, ", ".join(domain.value))
    console = Console()
    console.print(features)
    if domains.row_count:
        console.print(domains)


def display_anomalies(anomalies: anomalies_pb2.Anomalies) -> None:
    """Print anomalies as a table, or that there are none.

    Raises:
        ArgumentError: `anomalies` are no anomalies.
    """
    if not isinstance(anomalies, anomalies_pb2.Anomalies):
        raise ArgumentError("these are no anomalies", expected="Anomalies", received=type(anomalies).__name__)
    table = _table("Anomalies", "Feature name", "Anomaly short description", "Anomaly long description")
    if anomalies.HasField("dataset_anomaly_info"):
        info = anomalies.dataset_anomaly_info
        _add_row(table, "[dataset anomaly]", info.short_description, info.description, style="bold red")
    for name, info in sorted(anomalies.anomaly_info.items()):
        style = "yellow" if info.severity == anomalies_pb2.AnomalyInfo.WARNING else "bold red"
        _add_row(table, name, info.short_description, info.description, style=style)
    if table.row_count:
        Console().print(table)
    else:
        Console().print(Text("No anomalies found.", style="green"))


def visualize_statistics(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> None:
    """Print statistics as one table of the numeric and one of the string features.

    Raises:
        ArgumentError: `statistics` are no `DatasetFeatureStatisticsList`.
    """
    dataset = only_dataset(statistics)
    console = Console()
    names = (
        _NUMERIC_COLUMNS if console.width >= _WIDE else [n for n in _NUMERIC_COLUMNS if n not in ("std dev", "zeros")]
    )
    examples = f"{dataset.num_examples:,} examples"
    numbers = _table(f"Numeric features of {examples}", "Feature name", *names, compact=True)
    strings = _table(f"String features of {examples}", "Feature name", *_STRING_COLUMNS, compact=True)
    for view in feature_views(dataset):
        if view.is_string:
            _add_row(strings, view.name, *_string_cells(view).values())
        else:
            cells = _numeric_cells(view)
            _add_row(numbers, view.name, *(cells.get(name, "") for name in names))
    for table in (numbers, strings):
        if table.row_count:
            console.print(table)


def _numeric_cells(view: FeatureView) -> dict[str, str]:
    cells = {"missing": _share(view.num_missing, view.num_examples)}
    if view.has_numbers:
        stats = view.numeric
        cells["zeros"] = _share(stats.num_zeros, view.num_present)
        values = (stats.mean, stats.std_dev, stats.min, stats.median, stats.max)
        cells |= zip(("mean", "std dev", "min", "median", "max"), (f"{value:.4g}" for value in values), strict=True)
        cells["distribution"] = _bars(stats)
    return cells


def _string_cells(view: FeatureView) -> dict[str, str]:
    stats = view.statistics.string_stats
    cells = {"missing": _share(view.num_missing, view.num_examples), "unique": f"{stats.unique:,}"}
    if stats.top_values:
        top = stats.top_values[0]
        cells |= {"top": plain(top.value, 30), "freq top": _share(top.frequency, view.num_present)}
        cells["avg length"] = f"{stats.avg_length:.1f}"
    return cells


def _bars(stats: Any) -> str:
    standard = [histogram for histogram in stats.histograms if histogram.type == statistics_pb2.Histogram.STANDARD]
    counts = [bucket.sample_count for bucket in standard[0].buckets] if standard else []
    most = max(counts, default=0.0)
    steps = len(_BARS) - 1
    return "".join(_BARS[min(steps, -int(-count * steps // most))] if count > 0 else _BARS[0] for count in counts)


def _share(part: float, whole: float) -> str:
    percent = 100 * part / whole if whole else 0.0
    if 0.0 < percent < 0.1:
        return "<0.1%"
    return ">99.9%" if 99.9 < percent < 100.0 else f"{percent:.1f}%"


def _presence(feature: Any) -> str:
    if not feature.HasField("presence"):
        return ""
    return "required" if feature.presence.min_fraction == 1.0 else "optional"


def _valency(feature: Any) -> str:
    if feature.HasField("shape"):
        return "[" + ", ".join(str(dim.size) for dim in feature.shape.dim) + "]"
    if not feature.HasField("value_count"):
        return ""
    count = feature.value_count
    if count.min == count.max == 1:
        return "single"
    return f"[{count.min}, {count.max}]" if count.HasField("max") else f"[{count.min}, inf)"


def _domain(feature: Any) -> str:
    kind = feature.WhichOneof("domain_info")
    if kind is None:
        return "-"
    if kind == "domain":
        return str(feature.domain)
    domain = getattr(feature, kind)
    if kind in ("int_domain", "float_domain"):
        bounds = [f"{name}: {figure(getattr(domain, name))}" for name in ("min", "max") if domain.HasField(name)]
        words = ["categorical"] if domain.is_categorical else []
        return "; ".join(bounds + words) or kind.removesuffix("_domain")
    return str(kind.removesuffix("_domain"))


def _table(title: str, *columns: str, compact: bool = False) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None if compact else HEAVY_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=compact and index > 0)
    return table


def _add_row(table: Table, name: str, *cells: str, style: str = "bold") -> None:
    """Add a row of literal text: no markup, and nothing that a terminal would take for a command."""
    table.add_row(Text(plain(name), style=style), *(Text(plain(cell, 2000)) for cell in cells))
