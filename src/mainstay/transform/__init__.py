"""Transform: a `preprocessing_fn` traced once, analysed in full passes, and baked into the model (TFT's job)."""

from mainstay.transform.analysis import analyze
from mainstay.transform.analyzers import (
    Quantiles,
    Vocabulary,
    max,  # noqa: A004
    mean,
    min,  # noqa: A004
    quantiles,
    size,
    sum,  # noqa: A004
    var,
    vocabulary,
)
from mainstay.transform.elementwise import (
    abs,  # noqa: A004
    cast,
    clip,
    exp,
    fill_missing,
    floor,
    is_missing,
    is_nan,
    log,
    log1p,
    maximum,
    minimum,
    sqrt,
    square,
    where,
)
from mainstay.transform.mappers import (
    apply_buckets,
    apply_vocabulary,
    bucketize,
    compute_and_apply_vocabulary,
    hash_strings,
    scale_by_min_max,
    scale_to_0_1,
    scale_to_z_score,
)
from mainstay.transform.nodes import Node
from mainstay.transform.text import as_string, join, lower, string_length, strip, upper
from mainstay.transform.times import (
    day_of_month,
    day_of_week,
    decode_timestamp,
    hour_of_day,
    minute_of_hour,
    month_of_year,
    second_of_minute,
)

__all__ = [
    "Node",
    "Quantiles",
    "Vocabulary",
    "abs",
    "analyze",
    "apply_buckets",
    "apply_vocabulary",
    "as_string",
    "bucketize",
    "cast",
    "clip",
    "compute_and_apply_vocabulary",
    "day_of_month",
    "day_of_week",
    "decode_timestamp",
    "exp",
    "fill_missing",
    "floor",
    "hash_strings",
    "hour_of_day",
    "is_missing",
    "is_nan",
    "join",
    "log",
    "log1p",
    "lower",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "minute_of_hour",
    "month_of_year",
    "quantiles",
    "scale_by_min_max",
    "scale_to_0_1",
    "scale_to_z_score",
    "second_of_minute",
    "size",
    "sqrt",
    "square",
    "string_length",
    "strip",
    "sum",
    "upper",
    "var",
    "vocabulary",
    "where",
]
