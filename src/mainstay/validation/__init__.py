"""Data validation: statistics, the schema they suggest, and anomalies, with the names of TensorFlow Data Validation."""

from mainstay.validation.comparison import validate_statistics
from mainstay.validation.conversion import statistics_to_proto
from mainstay.validation.display import display_anomalies, display_schema, visualize_statistics
from mainstay.validation.files import (
    load_anomalies_text,
    load_schema_text,
    load_statistics,
    write_anomalies_text,
    write_schema_text,
    write_statistics,
)
from mainstay.validation.generation import (
    generate_statistics_from_batches,
    generate_statistics_from_csv,
    generate_statistics_from_parquet,
)
from mainstay.validation.inference import infer_schema
from mainstay.validation.schemas import get_domain, get_feature, set_domain

__all__ = [
    "display_anomalies",
    "display_schema",
    "generate_statistics_from_batches",
    "generate_statistics_from_csv",
    "generate_statistics_from_parquet",
    "get_domain",
    "get_feature",
    "infer_schema",
    "load_anomalies_text",
    "load_schema_text",
    "load_statistics",
    "set_domain",
    "statistics_to_proto",
    "validate_statistics",
    "visualize_statistics",
    "write_anomalies_text",
    "write_schema_text",
    "write_statistics",
]
