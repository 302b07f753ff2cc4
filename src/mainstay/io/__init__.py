"""Tables in CSV and Parquet files, to and from columnar batches in bounded memory."""

from mainstay.io.arrow_files import ArrowFile, ArrowWriter
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
    "HostFunction",
    "Location",
    "Ragged",
    "Sink",
    "Stage",
    "Table",
    "current_stage",
    "find_files",
    "frame_record",
    "hash_rows",
    "host_function",
    "open_table",
    "staged_calls",
]
