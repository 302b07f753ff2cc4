"""Tables in CSV and Parquet files, to and from columnar batches in bounded memory."""

from mainstay.io.arrow_files import ArrowFile, ArrowWriter
from mainstay.io.example_features import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
)
from mainstay.io.example_parsing import parse_example, parse_records, parse_single_example
from mainstay.io.example_plan import plan_examples
from mainstay.io.example_writing import serialize_examples
from mainstay.io.images import (
    ImageForm,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_images,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    resize_images,
)
from mainstay.io.locations import Location, find_files
from mainstay.io.opening import open_table
from mainstay.io.ragged import Ragged
from mainstay.io.record_framing import frame_record
from mainstay.io.row_hash import ROW_HASH_VERSION, hash_rows
from mainstay.io.staging import HostFunction, Stage, current_stage, host_function, staged_calls
from mainstay.io.table import Sink, Table

__all__ = [
    "ROW_HASH_VERSION",
    "ArrowFile",
    "ArrowWriter",
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "HostFunction",
    "ImageForm",
    "Location",
    "Ragged",
    "RaggedFeature",
    "Sink",
    "SparseFeature",
    "Stage",
    "Table",
    "VarLenFeature",
    "current_stage",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_images",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "find_files",
    "frame_record",
    "hash_rows",
    "host_function",
    "open_table",
    "parse_example",
    "parse_records",
    "parse_single_example",
    "plan_examples",
    "resize_images",
    "serialize_examples",
    "staged_calls",
]
