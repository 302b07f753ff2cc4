"""Analyzers: what a full pass over the training data finds out about a column, as a number to compute with.

Missing values, NaN and infinities do not count. The names are those of TensorFlow Transform.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.statistics import Counts, MomentsResult
from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Measure, Node, Pending, cast_to, check_node, constant, numeric, textual

EMPTY_VOCABULARY = "49d0cd50-04bb-48c0-bc6f-5b575dce351a"
"""The one token of a vocabulary without tokens, as in TensorFlow Transform."""

_PLACEHOLDERS = ("__LARGE_BYTES__", "__BYTES_VALUE__")
_CAPACITY = 1_000_000
_MAX_BUCKETS = 10_000


def mean(x: Node) -> Node:
    """Return the mean of a column: float32 for a float32 column, else float64; 0 where there are no values.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return _float_of_moments(x, "mean", lambda moments: moments.mean)


def var(x: Node) -> Node:
    """Return the population variance of a column, computed in float64; see `mean` for the dtype.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return _float_of_moments(x, "var", lambda moments: moments.variance)


def min(x: Node) -> Node:  # noqa: A001
    """Return the smallest value of a column, of its dtype; 0 where there are no values.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    column = numeric(x, "min")
    return _scalar("moments", column, lambda moments: moments.min or 0, column.dtype)


def max(x: Node) -> Node:  # noqa: A001
    """Return the largest value of a column, of its dtype; 0 where there are no values.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    column = numeric(x, "max")
    return _scalar("moments", column, lambda moments: moments.max or 0, column.dtype)


def sum(x: Node) -> Node:  # noqa: A001
    """Return the sum of a column: int64 of integers and booleans, else of the column's dtype.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column, or, once analysed, the sum of integers is beyond 64 bits.
    """
    column = numeric(x, "sum")
    dtype = "int64" if column.dtype.startswith("int") else column.dtype
    return _scalar("sum", column, _in_int64 if dtype == "int64" else builtins.float, dtype)


def size(x: Node) -> Node:
    """Return the number of rows in which a column is not missing, int64.

    Args:
        x: A column.

    Raises:
        TransformError: `x` is no column.
    """
    return _scalar("size", check_node(x, "size"), builtins.int, "int64")


@dataclass(frozen=True, eq=False)
class Quantiles:
    """The boundaries that cut a column into parts of equal weight: indexable, and what `apply_buckets` takes.

    Args:
        measure: The pass that finds them.
        num_buckets: The number of parts; there is one boundary less.
    """

    measure: Measure
    num_buckets: int

    def __len__(self) -> int:
        return self.num_buckets - 1

    def __getitem__(self, index: int) -> Node:
        if not isinstance(index, builtins.int) or not -len(self) <= index < len(self):
            raise misuse("there is no such quantile", expected=f"0 to {len(self) - 1}", received=repr(index))
        return constant(Pending(self.measure, lambda found: boundaries_of(found, self.num_buckets)[index]), "float32")

    def __iter__(self) -> Iterator[Node]:
        return (self[index] for index in range(len(self)))


def quantiles(x: Node, num_buckets: int) -> Quantiles:
    """Return the boundaries between buckets of equal weight, float32.

    Exact up to 16,384 distinct values; ranks are within 0.002 beyond.

    Args:
        x: A column of numbers or booleans; it is rounded to float32 first.
        num_buckets: The number of buckets, 2 to 10,000.

    Raises:
        TransformError: `x` is no such column, or `num_buckets` is out of range.
    """
    column = cast_to(numeric(x, "quantiles"), "float32")
    check_count(num_buckets, "num_buckets", 2, _MAX_BUCKETS)
    return Quantiles(Measure("quantiles", column), num_buckets)


def boundaries_of(found: Any, num_buckets: int) -> list[float]:
    """Return the inner boundaries of a `statistics.Distribution`; zeros where it is empty."""
    values = found.quantiles(num_buckets)[0][1:-1].astype(np.float32)
    return values.tolist() if len(values) else [0.0] * (num_buckets - 1)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The distinct tokens of a column in TensorFlow Transform's order, for `apply_vocabulary`.

    Args:
        measure: The pass that counts them.
        top_k: How many are kept at most; None for all.
        frequency_threshold: How often a token must occur; None for once.
        filename: The asset's file name; None for one made of the columns' names.
        where: The user's line.
    """

    measure: Measure
    top_k: int | None
    frequency_threshold: int | None
    filename: str | None
    where: str | None

    def content(self, counts: Counts) -> bytes:
        """Return the asset's content: one token per line, most frequent first, ties the larger bytes first.

        Raises:
            TransformError: There are more distinct tokens than can be counted exactly, and all are wanted.
        """
        if not counts.is_exact and self.top_k is None and self.frequency_threshold is None:
            raise TransformError(
                "a vocabulary of all tokens would be too large",
                where=self.where,
                expected=f"at most {_CAPACITY:,} distinct tokens",
                received=f"about {counts.distinct:,}",
                fix="keep the most frequent ones with top_k, or use hash_strings",
            )
        kept = self._kept(counts) or [EMPTY_VOCABULARY]
        return "".join(f"{token}\n" for token in kept).encode()

    def _kept(self, counts: Counts) -> list[str]:
        """Return the tokens to keep, looking no further than needed where `top_k` is small."""
        threshold, looked_at = self.frequency_threshold or 0, None if self.top_k is None else self.top_k + 100
        while True:
            found = counts.top(looked_at)
            tokens = [token for token, count in found if count >= threshold and _fits_a_line(token)]
            if looked_at is None or self.top_k is None or len(tokens) >= self.top_k or len(found) < looked_at:
                return tokens[: self.top_k]
            looked_at *= 4


def vocabulary(
    x: Node,
    top_k: int | None = None,
    *,
    frequency_threshold: int | None = None,
    vocab_filename: str | None = None,
) -> Vocabulary:
    """Return the distinct tokens of a column, for `apply_vocabulary`.

    The order is that of TensorFlow Transform: by count, then by bytes, both falling. Left out are empty tokens, those
    with a line feed or carriage return, those of more than 1,024 bytes and those that are not UTF-8. Counts are exact
    up to 1,000,000 distinct tokens; beyond, `top_k` or `frequency_threshold` must be given.

    Args:
        x: A column of strings, or of integers or booleans, which compare as strings.
        top_k: Keep at most this many tokens.
        frequency_threshold: Keep tokens that occur at least this often.
        vocab_filename: The name of the asset file; made of the column's name unless given.

    Raises:
        TransformError: `x` is no such column, or an argument is out of range.
    """
    column = textual(x, "vocabulary")
    for name, value in (("top_k", top_k), ("frequency_threshold", frequency_threshold)):
        if value is not None:
            check_count(value, name, 1 if name == "top_k" else 0, 2**62)
    if vocab_filename is not None and not is_file_name(vocab_filename):
        raise misuse(
            "vocab_filename is no plain file name",
            expected="up to 128 letters, digits, '_', '-' and '.', not starting with '.'",
            received=repr(vocab_filename),
        )
    capacity = builtins.max(_CAPACITY, 10 * (top_k or 0)) if (top_k or 0) <= 10 * _CAPACITY else _CAPACITY
    measure = Measure("counts", column, capacity)
    return Vocabulary(measure, top_k, frequency_threshold, vocab_filename, column.where)


def is_file_name(name: object) -> bool:
    """Return whether a string can name an asset file."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}", name) is not None


def check_count(value: object, name: str, low: int, high: int) -> None:
    """Refuse an argument that is no whole number in a range.

    Raises:
        TransformError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise misuse(f"{name} is out of range", expected=f"a whole number from {low} to {high}", received=repr(value))


def finite_moments(found: MomentsResult) -> tuple[float, float]:
    """Return the mean and variance, both 0 where there are no values, so that a column then stays as it is."""
    return (found.mean, found.variance) if found.count else (0.0, 0.0)


def _float_of_moments(x: Node, name: str, value: Callable[[MomentsResult], float]) -> Node:
    column = numeric(x, name)
    dtype = "float32" if column.dtype == "float32" else "float64"
    return _scalar("moments", column, lambda found: value(found) if found.count else 0.0, dtype)


def _scalar(kind: str, column: Node, value: Callable[[Any], Any], dtype: str) -> Node:
    return constant(Pending(Measure(kind, column), value), dtype)


def _in_int64(total: int) -> int:
    if not -(2**63) <= total < 2**63:
        raise TransformError(
            "a sum of whole numbers is beyond 64 bits", received=total, fix="cast the column to float64"
        )
    return total


def _fits_a_line(token: str) -> bool:
    return bool(token) and "\n" not in token and "\r" not in token and token not in _PLACEHOLDERS
