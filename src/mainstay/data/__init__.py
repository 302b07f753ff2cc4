"""The input pipeline: `Dataset`, with `tf.data`'s vocabulary on columns, in parallel, and resumed exactly."""

from mainstay.data.dataset import Dataset
from mainstay.data.iteration import DatasetIterator
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, RaggedTensorSpec

AUTOTUNE = -1

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "DatasetIterator", "RaggedTensorSpec"]
