"""TFRecord files: written whole or not at all, compressed or not. `docs/formats/tfrecord.md` has the format."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mainstay.core import ArgumentError, atomic_file, storage_errors
from mainstay.io.abandoning import abandon
from mainstay.io.binary_columns import binary_parts, is_binary
from mainstay.io.byte_streams import ByteSink, codec_of
from mainstay.io.record_framing import frame_record
from mainstay.io.record_scan import frame_records

_BUFFER_BYTES = 1 << 20
_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class TFRecordOptions:
    """How a TFRecord file is written, as in `tf.io.TFRecordOptions`.

    Args:
        compression_type: ``"GZIP"``, ``"ZLIB"``, None; or ``"ZSTD"``, which TensorFlow does not read.
        compression_level: How hard to try, as the codec counts it; None for its default.

    Raises:
        ArgumentError: The compression is unknown.
    """

    compression_type: str | None = None
    compression_level: int | None = None

    def __post_init__(self) -> None:
        codec = codec_of(self.compression_type)
        levels = {"gzip": range(-1, 10), "zlib": range(-1, 10), "zstd": range(-7, 23)}
        if self.compression_level is not None and (codec is None or self.compression_level not in levels[codec]):
            raise ArgumentError(
                "this is no level of the compression",
                where="compression_level",
                expected=f"{levels[codec].start} to {levels[codec].stop - 1}" if codec else "None without compression",
                received=self.compression_level,
            )


class TFRecordWriter:
    """A TFRecord file that appears, whole, when it is closed, as `tf.io.TFRecordWriter` but for that.

    A reader never sees half of it: what is written goes into a hidden file beside, which takes the name in the end.
    As a context manager it closes at the end of the block, and leaves nothing where the block raises.

    Args:
        path: Where the file shall be; missing folders are made, a file that is there is replaced.
        options: `TFRecordOptions`, or the name of a compression.

    Raises:
        ArgumentError: The options are none.
        StorageError: The file system refused.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/a.tfrecord"
        >>> with TFRecordWriter(path) as writer:
        ...     writer.write(b"first")
        >>> os.path.getsize(path)
        21
    """

    def __init__(self, path: str | os.PathLike[str], options: TFRecordOptions | str | None = None) -> None:
        self._file: Any = None
        if not isinstance(options, TFRecordOptions):
            options = TFRecordOptions(options)
        self.path = Path(path)
        self.num_records = 0
        self._pending = bytearray()
        self._context = atomic_file(self.path)
        self._file = self._context.__enter__()
        self._sink = ByteSink(self._file, codec_of(options.compression_type), options.compression_level)

    def write(self, record: bytes) -> None:
        """Append a record.

        Args:
            record: Its bytes, which may be none.

        Raises:
            ArgumentError: It is no bytes, or the file is closed.
            StorageError: The file system refused.
        """
        self._check_open()
        if not isinstance(record, (bytes, bytearray, memoryview)):
            raise ArgumentError(
                "a record is bytes",
                where=self.path,
                expected="bytes",
                received=type(record).__name__,
                fix="serialize it: message.SerializeToString(), text.encode()",
            )
        self._pending += frame_record(bytes(record))
        self.num_records += 1
        if len(self._pending) >= _BUFFER_BYTES:
            self._drain()

    def write_all(self, records: Any) -> None:
        """Append many records at once.

        Args:
            records: An Arrow array of bytes, or a list of ``bytes``.

        Raises:
            DataError: One is no bytes.
            StorageError: The file system refused.
        """
        self._check_open()
        frames = frame_records(records)
        self._drain()
        with storage_errors(self.path):
            self._sink.write(frames.data)
        self.num_records += len(records)

    def _check_open(self) -> None:
        if self._file is None:
            raise ArgumentError("the file is closed", where=self.path)

    def _drain(self) -> None:
        with storage_errors(self.path):
            self._sink.write(self._pending)
        self._pending = bytearray()

    def flush(self) -> None:
        """Hand what was written to the operating system; it is seen under the file's name when that is closed."""
        self._check_open()
        self._drain()
        with storage_errors(self.path):
            self._sink.flush()

    def close(self) -> None:
        """Finish the file; a second call changes nothing.

        Raises:
            StorageError: The file system refused; nothing is left behind.
        """
        if self._file is None:
            return
        try:
            self._drain()
            with storage_errors(self.path):
                self._sink.finish()
        except BaseException:
            self.abort()
            raise
        self._file = None
        self._context.__exit__(None, None, None)

    def abort(self) -> None:
        """Throw the file away; what was at its path before is untouched. On a closed file, nothing happens."""
        if self._file is not None:
            self._file = None
            abandon(self._context)

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        if self._file is not None:
            warnings.warn(f"{self.path} was not closed: it is now", ResourceWarning, stacklevel=2, source=self)
            self.close()


def write_records(path: str | os.PathLike[str], records: Any, options: TFRecordOptions | str | None = None) -> int:
    """Write a TFRecord file of many records at once.

    Args:
        path: Where the file shall be; missing folders are made, a file that is there is replaced.
        records: An Arrow array of bytes, or anything that gives ``bytes`` one after the other.
        options: `TFRecordOptions`, or the name of a compression.

    Returns:
        How many records were written.

    Raises:
        DataError: A record is no bytes; nothing is left behind.
        StorageError: The file system refused; nothing is left behind.

    Example:
        >>> import tempfile
        >>> write_records(tempfile.mkdtemp() + "/a.tfrecord", [b"first", b"second"])
        2
    """
    with TFRecordWriter(path, options) as writer:
        for piece in _pieces(records):
            writer.write_all(piece)
    return writer.num_records


def _pieces(records: Any) -> Iterable[Any]:
    if is_binary(records):
        _, bounds = binary_parts(records)
        size = int(bounds[-1] - bounds[0])
        rows = max(1, len(records) * (16 * _BUFFER_BYTES) // max(size, 1))
        yield from (records.slice(start, rows) for start in range(0, len(records), rows))
        return
    rest = iter(records)
    while piece := list(itertools.islice(rest, _ROWS_AT_A_TIME)):
        yield piece
