"""Statistics held against a schema: every feature that disagrees becomes an anomaly that says why."""

from __future__ import annotations

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from mainstay.core import ArgumentError
from mainstay.validation.checks import check_feature, is_deprecated, is_required
from mainstay.validation.reasons import Reason, fill_anomaly
from mainstay.validation.schemas import check_schema
from mainstay.validation.views import feature_views, only_dataset, serialize_path


def validate_statistics(
    statistics: Any, schema: schema_pb2.Schema, environment: str | None = None
) -> anomalies_pb2.Anomalies:
    """Return what in the statistics of a dataset contradicts a schema.

    Args:
        statistics: A `DatasetFeatureStatisticsList`.
        schema: What is expected.
        environment: One of the schema's default environments, such as ``SERVING``: features that are not in it,
            such as the label, are not missed.

    Returns:
        Anomalies: `anomaly_info` by the feature's name, `dataset_anomaly_info`, and `data_missing` where there is
        no example at all.

    Raises:
        ArgumentError: The arguments are of another type, or the schema does not know the environment.
    """
    check_schema(schema)
    dataset = only_dataset(statistics)
    if environment is not None and environment not in schema.default_environment:
        raise ArgumentError(
            "the schema does not know the environment",
            expected=f"one of {', '.join(schema.default_environment) or '(none)'}",
            received=environment,
            fix=f"schema.default_environment.append({environment!r})",
        )
    anomalies = anomalies_pb2.Anomalies(anomaly_name_format=anomalies_pb2.Anomalies.SERIALIZED_PATH)
    anomalies.baseline.CopyFrom(schema)
    in_dataset = _check_dataset(dataset, schema)
    if in_dataset:
        fill_anomaly(anomalies.dataset_anomaly_info, in_dataset)
    if dataset.num_examples == 0:
        anomalies.data_missing = True
        return anomalies
    for steps, reasons in _check_features(dataset, schema, environment).items():
        if reasons:
            info = anomalies.anomaly_info[serialize_path(steps)]
            info.path.step.extend(steps)
            fill_anomaly(info, reasons)
    return anomalies


def _check_features(
    dataset: Any, schema: schema_pb2.Schema, environment: str | None
) -> dict[tuple[str, ...], list[Reason]]:
    described: dict[tuple[str, ...], Any] = {(feature.name,): feature for feature in schema.feature}
    found: dict[tuple[str, ...], list[Reason]] = {}
    for view in feature_views(dataset):
        feature = described.get(view.steps)
        if feature is None:
            text = "New column (column in data but not in schema)"
            found[view.steps] = [Reason("SCHEMA_NEW_COLUMN", "New column", text)]
        else:
            found[view.steps] = [] if is_deprecated(feature) else check_feature(schema, feature, view, environment)
    for steps, feature in described.items():
        if steps not in found and is_required(schema, feature, environment):
            text = "Column is completely missing"
            found[steps] = [Reason("SCHEMA_MISSING_COLUMN", "Column dropped", text)]
    return found


def _check_dataset(dataset: Any, schema: schema_pb2.Schema) -> list[Reason]:
    constraints, examples = schema.dataset_constraints, dataset.num_examples
    least = max(constraints.min_examples_count, 1)
    if examples < least:
        text = f"The dataset has {examples:,} examples, which is fewer than expected: {least:,}."
        return [Reason("DATASET_LOW_NUM_EXAMPLES", "Low num examples in dataset.", text)]
    if constraints.HasField("max_examples_count") and examples > constraints.max_examples_count:
        text = (
            f"The dataset has {examples:,} examples, which is more than expected: {constraints.max_examples_count:,}."
        )
        return [Reason("DATASET_HIGH_NUM_EXAMPLES", "High num examples in dataset.", text)]
    return []
