"""The input pipeline: `Dataset`, with `tf.data`'s vocabulary on columns, in parallel, and resumed exactly."""

from mainstay.data import experimental
from mainstay.data.chunks import Chunk
from mainstay.data.dataset import Dataset
from mainstay.data.iteration import ChunkIterator, DatasetIterator, Place
from mainstay.data.options import AutotuneOptions, Options, ThreadingOptions
from mainstay.data.preprocessing import Preprocessing
from mainstay.data.profile import Profile, StageProfile
from mainstay.data.readers import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from mainstay.data.specs import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, RaggedTensorSpec

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "AutotuneOptions",
    "Chunk",
    "ChunkIterator",
    "Dataset",
    "DatasetIterator",
    "FixedLengthRecordDataset",
    "Options",
    "Place",
    "Preprocessing",
    "Profile",
    "RaggedTensorSpec",
    "StageProfile",
    "TFRecordDataset",
    "TextLineDataset",
    "ThreadingOptions",
    "experimental",
]
