"""Tables in CSV and Parquet files, to and from columnar batches in bounded memory."""

from mainstay.io import train
from mainstay.io.arrow_files import ArrowFile, ArrowWriter
from mainstay.io.binary_columns import binary_from_parts, binary_parts, to_objects
from mainstay.io.byte_streams import ByteStream, Codec, codec_by_suffix, codec_of
from mainstay.io.csv_file import Block as CsvBlock
from mainstay.io.csv_file import CsvFile, line_at, open_csv
from mainstay.io.csv_file import read_blocks as read_csv_blocks
from mainstay.io.csv_records import count_lines
from mainstay.io.csv_records import records as csv_records
from mainstay.io.csv_records import unquote as unquote_csv
from mainstay.io.csv_table import CsvTable
from mainstay.io.csv_texts import convert_text, missing_texts
from mainstay.io.decode_raw import decode_raw
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
    ImageFolder,
    ImageForm,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_images,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    list_image_folder,
    resize_images,
)
from mainstay.io.locations import Location, find_files, missing_file
from mainstay.io.opening import open_table
from mainstay.io.ragged import Ragged
from mainstay.io.record_files import TFRecordOptions, TFRecordWriter, write_records
from mainstay.io.record_framing import frame_record
from mainstay.io.record_index import MappedFile, RecordIndex, gather
from mainstay.io.record_reading import RecordBlock, read_record_blocks
from mainstay.io.record_scan import check_records
from mainstay.io.row_hash import ROW_HASH_VERSION, hash_rows
from mainstay.io.sequence_examples import parse_sequence_example, parse_single_sequence_example
from mainstay.io.spans import Spans
from mainstay.io.staging import HostFunction, Stage, current_stage, host_function, staged_calls
from mainstay.io.table import Sink, Table, check_columns, first_failure
from mainstay.io.text_lines import LineBlock, line_number, read_line_blocks
from mainstay.io.whole_files import matching_files, read_file, write_file

__all__ = [
    "ROW_HASH_VERSION",
    "ArrowFile",
    "ArrowWriter",
    "ByteStream",
    "Codec",
    "CsvBlock",
    "CsvFile",
    "CsvTable",
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "HostFunction",
    "ImageFolder",
    "ImageForm",
    "LineBlock",
    "Location",
    "MappedFile",
    "Ragged",
    "RaggedFeature",
    "RecordBlock",
    "RecordIndex",
    "Sink",
    "Spans",
    "SparseFeature",
    "Stage",
    "TFRecordOptions",
    "TFRecordWriter",
    "Table",
    "VarLenFeature",
    "binary_from_parts",
    "binary_parts",
    "check_columns",
    "check_records",
    "codec_by_suffix",
    "codec_of",
    "convert_text",
    "count_lines",
    "csv_records",
    "current_stage",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_images",
    "decode_jpeg",
    "decode_png",
    "decode_raw",
    "encode_jpeg",
    "encode_png",
    "find_files",
    "first_failure",
    "frame_record",
    "gather",
    "hash_rows",
    "host_function",
    "line_at",
    "line_number",
    "list_image_folder",
    "matching_files",
    "missing_file",
    "missing_texts",
    "open_csv",
    "open_table",
    "parse_example",
    "parse_records",
    "parse_sequence_example",
    "parse_single_example",
    "parse_single_sequence_example",
    "plan_examples",
    "read_csv_blocks",
    "read_file",
    "read_line_blocks",
    "read_record_blocks",
    "resize_images",
    "serialize_examples",
    "staged_calls",
    "to_objects",
    "train",
    "unquote_csv",
    "write_file",
    "write_records",
]
