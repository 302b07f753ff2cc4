"""What `tf.data.experimental` has: CSV files, and functions for `Dataset.apply`, most of them methods today."""

from typing import Any

from mainstay import _absence
from mainstay.data.csv_batches import make_csv_dataset
from mainstay.data.experimental_transformations import (
    assert_cardinality,
    bucket_by_sequence_length,
    cardinality,
    dense_to_ragged_batch,
    enumerate_dataset,
    get_single_element,
    group_by_window,
    ignore_errors,
    parallel_interleave,
    rejection_resample,
    scan,
    shuffle_and_repeat,
    take_while,
    unbatch,
    unique,
)
from mainstay.data.readers import CsvDataset
from mainstay.data.specs import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "CsvDataset",
    "assert_cardinality",
    "bucket_by_sequence_length",
    "cardinality",
    "dense_to_ragged_batch",
    "enumerate_dataset",
    "get_single_element",
    "group_by_window",
    "ignore_errors",
    "make_csv_dataset",
    "parallel_interleave",
    "rejection_resample",
    "scan",
    "shuffle_and_repeat",
    "take_while",
    "unbatch",
    "unique",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(_absence(name, "data.experimental."), name=name)
