"""What `tf.data.experimental` has: CSV files by the place of their columns, and in batches."""

from mainstay.data.csv_batches import make_csv_dataset
from mainstay.data.readers import CsvDataset
from mainstay.data.specs import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "CsvDataset", "make_csv_dataset"]
