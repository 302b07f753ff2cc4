"""Mappers: a column turned into another one with the help of what the analyzers find, as in TensorFlow Transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.statistics import MomentsResult
from mainstay.transform.analyzers import (
    Quantiles,
    Vocabulary,
    boundaries_of,
    check_count,
    finite_moments,
    quantiles,
    vocabulary,
)
from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Measure, Node, Pending, apply, cast_to, constant, numeric, textual

_INT64 = 2**63 - 1


def scale_to_z_score(x: Node) -> Node:
    """Return (x - mean) / standard deviation as float32, computed in float64 and rounded once.

    Where the variance is 0 it is x - mean, and where there are no values to analyse, x.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    column = cast_to(numeric(x, "scale_to_z_score"), "float64")
    measure = Measure("moments", column)
    mean = constant(Pending(measure, lambda found: finite_moments(found)[0]), "float64")
    deviation = constant(Pending(measure, _deviation), "float64")
    return cast_to((column - mean) / deviation, "float32")


def _deviation(found: MomentsResult) -> float:
    return float(finite_moments(found)[1] ** 0.5) or 1.0


def scale_by_min_max(x: Node, output_min: float = 0.0, *, output_max: float = 1.0) -> Node:
    """Return x scaled linearly so that the analysed values span [output_min, output_max], as float32.

    Where they are all equal or there are none, a sigmoid of x is scaled to that range, as in TensorFlow Transform.

    Args:
        x: A column of numbers or booleans.
        output_min: What the smallest value becomes.
        output_max: What the largest value becomes.

    Raises:
        TransformError: `x` is no such column, or the range is empty.
    """
    column = cast_to(numeric(x, "scale_by_min_max"), "float64")
    for bound in (output_min, output_max):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise misuse("the range to scale to is not of plain numbers", received=repr(bound))
    if not output_min < output_max:
        raise misuse("output_min must be less than output_max", received=f"{output_min} and {output_max}")
    measure = Measure("moments", column)
    low = constant(Pending(measure, lambda found: float(found.min or 0.0)), "float64")
    span = constant(Pending(measure, _span), "float64")
    linear = (column - low) / span
    sigmoid = 1.0 / (1.0 + apply("Exp", -column))
    scaled = _choose(Pending(measure, lambda found: bool(found.count and found.min < found.max)), linear, sigmoid)
    if (output_min, output_max) != (0.0, 1.0):
        scaled = scaled * float(output_max - output_min) + float(output_min)
    return cast_to(scaled, "float32")


def _span(found: MomentsResult) -> float:
    return 1.0 if found.min is None or found.max is None else float(found.max - found.min) or 1.0


def _choose(condition: Pending, chosen: Node, other: Node) -> Node:
    """Return a node that becomes one of two once a measure is taken; the other one is not computed."""
    return Node("Choose", (chosen, other), {"condition": condition}, chosen.dtype, chosen.optional or other.optional)


def scale_to_0_1(x: Node) -> Node:
    """Return x scaled so that the analysed values span [0, 1], as float32; see `scale_by_min_max`.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return scale_by_min_max(x)


def compute_and_apply_vocabulary(
    x: Node,
    default_value: int = -1,
    *,
    top_k: int | None = None,
    frequency_threshold: int | None = None,
    num_oov_buckets: int = 0,
    vocab_filename: str | None = None,
) -> Node:
    """Return the position of each token in the vocabulary of its column, int64; see `vocabulary` for its order.

    Args:
        x: A column of strings, or of integers or booleans, which compare as strings.
        default_value: What an unknown token becomes where there are no out-of-vocabulary buckets.
        top_k: Keep at most this many tokens.
        frequency_threshold: Keep tokens that occur at least this often.
        num_oov_buckets: An unknown token becomes ``vocabulary size + Fingerprint64(token) % num_oov_buckets``.
        vocab_filename: The name of the asset file; made of the column's name unless given.

    Raises:
        TransformError: `x` is no such column, or an argument is out of range.
    """
    found = vocabulary(x, top_k, frequency_threshold=frequency_threshold, vocab_filename=vocab_filename)
    return apply_vocabulary(x, found, default_value=default_value, num_oov_buckets=num_oov_buckets)


def apply_vocabulary(
    x: Node, tokens: Vocabulary | Sequence[str], *, default_value: int = -1, num_oov_buckets: int = 0
) -> Node:
    """Return the position of each token in a vocabulary, int64.

    Args:
        x: A column of strings, or of integers or booleans, which compare as strings.
        tokens: What `vocabulary` gave, also of another column, or a list of unique strings.
        default_value: See `compute_and_apply_vocabulary`.
        num_oov_buckets: See `compute_and_apply_vocabulary`.

    Raises:
        TransformError: `x` is no such column, or an argument is out of range.
    """
    column = textual(x, "apply_vocabulary")
    check_count(default_value, "default_value", -_INT64 - 1, _INT64)
    check_count(num_oov_buckets, "num_oov_buckets", 0, 2**62)
    if not isinstance(tokens, Vocabulary):
        tokens = _checked_tokens(tokens)
    return apply(
        "LookupTableFindV2",
        column,
        asset=tokens,
        default_value=int(default_value),
        num_oov_buckets=int(num_oov_buckets),
    )


def _checked_tokens(tokens: Any) -> tuple[str, ...]:
    good = isinstance(tokens, (list, tuple)) and all(isinstance(token, str) for token in tokens)
    if not good or not tokens or len(set(tokens)) != len(tokens) or any("\n" in token for token in tokens):
        raise misuse(
            "a vocabulary is not as it should be",
            expected="what tft.vocabulary gives, or a list of unique strings without line feeds",
            received=repr(tokens),
        )
    return tuple(tokens)


def bucketize(x: Node, num_buckets: int) -> Node:
    """Return the bucket of each value, int64, the buckets holding about as many of the analysed values each.

    NaN goes to the last bucket.

    Args:
        x: A column of numbers or booleans.
        num_buckets: The number of buckets, 2 to 10,000.

    Raises:
        TransformError: `x` is no such column, or `num_buckets` is out of range.
    """
    return apply_buckets(x, quantiles(x, num_buckets))


def apply_buckets(x: Node, bucket_boundaries: Quantiles | Sequence[float]) -> Node:
    """Return the number of boundaries at or below each value, int64, comparing as float32; NaN is above all.

    Args:
        x: A column of numbers or booleans.
        bucket_boundaries: What `quantiles` gave, or a list of numbers that never fall.

    Raises:
        TransformError: `x` is no such column, or the boundaries are none.
    """
    column = cast_to(numeric(x, "apply_buckets"), "float32")
    if isinstance(bucket_boundaries, Quantiles):
        count = bucket_boundaries.num_buckets
        found: Any = Pending(bucket_boundaries.measure, lambda distribution: boundaries_of(distribution, count))
    else:
        found = list(bucket_boundaries)
        if any(isinstance(item, Node) for item in found):
            raise misuse("bucket boundaries are plain numbers", fix="pass what tft.quantiles gave as it is")
    return apply("Bucketize", column, boundaries=found)


def hash_strings(x: Node, hash_buckets: int) -> Node:
    """Return ``Fingerprint64(token) % hash_buckets`` of each token, int64.

    Args:
        x: A column of strings, or of integers or booleans, which are hashed as strings.
        hash_buckets: The number of buckets.

    Raises:
        TransformError: `x` is no such column, or `hash_buckets` is out of range.
    """
    column = textual(x, "hash_strings")
    check_count(hash_buckets, "hash_buckets", 1, _INT64)
    return apply("StringToHashBucketFast", column, num_buckets=int(hash_buckets))
