"""The report: one self-contained HTML page that says what was learnt from which data, how well, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from mainstay.analysis import METRICS, Evaluation, SliceMetrics, compare
from mainstay.core import format_number, format_percent
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.report import charts
from mainstay.pipeline.components.requests import curl_line

MAX_VALUES = 6
SERVING_PORT = 8501
MAX_ANOMALIES = 50


@dataclass(frozen=True)
class Report:
    """What the page is made from.

    Args:
        name: The model's name.
        label: What it predicts.
        evaluation: What it is worth.
        history: Loss, val_loss and learning_rate per epoch.
        statistics: The `DatasetFeatureStatistics` of the training split.
        schema: The `schema_pb2.Schema`.
        anomalies: The `anomalies_pb2.Anomalies` of the evaluation split.
        plan: What became of each column: objects with ``column``, ``treatment`` and ``reason``.
        summary: The summary of the ingestion.
        facts: Further facts for the page's end, by their names.
        request: An example request's body, a JSON value.
    """

    name: str
    label: Label
    evaluation: Evaluation
    history: Mapping[str, Sequence[float]]
    statistics: Any
    schema: Any
    anomalies: Any
    plan: Sequence[Mapping[str, str]]
    summary: Mapping[str, Any]
    facts: Mapping[str, str]
    request: Any


def verdict(evaluation: Evaluation) -> dict[str, Any]:
    """Return the first metric in words: its values, their relation, and whether the model is worth anything."""
    key = evaluation.headline
    value, base = evaluation.metrics[key], evaluation.baseline[key]
    good = value < base if METRICS[key].lower_is_better else value > base
    if key == "mean_absolute_error":
        text = (
            f"{format_number(value / base, digits=3)} × the error of the baseline" if base else "the baseline is exact"
        )
    elif key == "auc":
        rows = format_percent(value)
        text = f"puts a row of the rare class above one of the other in {rows} of all pairs; chance gives half"
    else:
        text = f"{format_percent(value)} right, the baseline {format_percent(base)}"
    return {"name": METRICS[key].title, "value": value, "baseline": base, "good": good, "text": text}


def _slices(evaluation: Evaluation) -> dict[str, list[SliceMetrics]]:
    groups: dict[str, list[SliceMetrics]] = {}
    for part in evaluation.slices:
        groups.setdefault(part.column, []).append(part)
    return groups


def _column_card(feature: Any, rows: int, treatment: Mapping[str, str] | None) -> dict[str, Any]:
    textual = feature.HasField("string_stats")
    stats = feature.string_stats if textual else feature.num_stats
    card: dict[str, Any] = {
        "name": feature.path.step[0],
        "missing": stats.common_stats.num_missing / rows if rows else 0.0,
        "treatment": treatment,
        "textual": textual,
    }
    if textual:
        present = max(stats.common_stats.num_non_missing, 1)
        top = max((item.frequency for item in stats.top_values), default=1.0)
        card["unique"] = stats.unique
        card["values"] = [
            {"text": item.value, "share": item.frequency / present, "bar": item.frequency / top}
            for item in list(stats.top_values)[:MAX_VALUES]
        ]
    elif stats.common_stats.num_non_missing and stats.histograms and stats.histograms[0].buckets:
        buckets = stats.histograms[0].buckets
        kind = next((item.str for item in feature.custom_stats if item.name == "kind"), "")
        show = _moment if kind == "timestamp" else format_number
        ends = {"low": stats.min, "high": stats.max, "mean": stats.mean, "median": stats.median}
        card |= {name: show(value) for name, value in ends.items()}
        card["chart"] = charts.histogram(
            [bucket.sample_count for bucket in buckets], low=buckets[0].low_value, high=buckets[-1].high_value
        )
    return card


def _moment(microseconds: float) -> str:
    """Return a point in time, in microseconds since 1970 in UTC, as people write it."""
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[s]")).replace("T", " ")


def _schema_rows(schema: Any) -> list[dict[str, str]]:
    domains = {domain.name: len(domain.value) for domain in schema.string_domain}
    kinds = {1: "text", 2: "whole number", 3: "number"}
    rows = []
    for feature in schema.feature:
        domain = ""
        if feature.domain:
            domain = f"{domains.get(feature.domain, 0)} values"
        elif feature.HasField("string_domain"):
            domain = f"{len(feature.string_domain.value)} values"
        elif feature.HasField("int_domain"):
            domain = f"{feature.int_domain.min} to {feature.int_domain.max}"
        elif feature.HasField("bool_domain"):
            domain = "true or false"
        elif feature.HasField("time_domain"):
            domain = "a point in time"
        rows.append(
            {
                "name": feature.name,
                "type": kinds.get(feature.type, "any"),
                "presence": "in every row" if feature.presence.min_fraction == 1.0 else "may be missing",
                "domain": domain,
            }
        )
    return rows


def _anomaly_rows(anomalies: Any) -> list[dict[str, str]]:
    found = sorted(anomalies.anomaly_info.items())[:MAX_ANOMALIES]
    return [{"name": name, "short": info.short_description, "text": info.description} for name, info in found]


def render_report(report: Report) -> str:
    """Return the page as HTML text.

    Everything that comes from the data is escaped: a value such as ``<script>`` is shown, never run.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"number": format_number, "percent": format_percent}
    treatments = {row["column"]: row for row in report.plan}
    rows = report.statistics.num_examples
    curve = {"training": report.history["loss"], "validation": report.history["val_loss"]}
    return environment.get_template("page.html.jinja").render(
        report=report,
        verdict=verdict(report.evaluation),
        metrics=compare(report.evaluation),
        slices=_slices(report.evaluation),
        headline=report.evaluation.headline,
        headline_name=METRICS[report.evaluation.headline].title,
        lower_is_better=METRICS[report.evaluation.headline].lower_is_better,
        curl=curl_line(report.facts["Model name"], report.request, port=SERVING_PORT),
        curve=charts.lines(curve, x_label="epoch", y_label="loss"),
        best_epoch=min(range(len(curve["validation"])), key=lambda i: curve["validation"][i]) + 1,
        epochs=len(curve["validation"]),
        cards=[
            _column_card(feature, rows, treatments.get(feature.path.step[0])) for feature in report.statistics.features
        ],
        schema=_schema_rows(report.schema),
        anomalies=_anomaly_rows(report.anomalies),
        left_out=[row for row in report.plan if row["treatment"] == "left out"],
        bar=charts.bar,
    )
