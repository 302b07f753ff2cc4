"""Streams of bytes in files that may be compressed: read piece by piece in bounded memory, and written."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, TypeAlias

import pyarrow as pa

from mainstay.core import ArgumentError, DataError, storage_errors

Codec: TypeAlias = Literal["gzip", "zlib", "zstd"]
"""How the bytes of a file are compressed."""

_STEP = 1 << 18
_FRAME = 1 << 20
_MAGIC: dict[Codec, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b",),
    "zlib": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    "zstd": (b"\x28\xb5\x2f\xfd",),
}


def codec_of(compression: str | None, where: str = "compression_type") -> Codec | None:
    """Return how a file is compressed, from TensorFlow's word for it.

    Args:
        compression: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` in any case; None or ``""`` where it is not.
        where: The argument, for the message.

    Raises:
        ArgumentError: It is something else.
    """
    name = str(compression or "").lower()
    codec = next((codec for codec in _MAGIC if codec == name), None)
    if codec is None and name:
        raise ArgumentError(
            "this is no compression", where=where, expected="'GZIP', 'ZLIB', 'ZSTD' or None", received=repr(compression)
        )
    return codec


def codec_by_suffix(path: Path) -> Codec | None:
    """Return how a text file is compressed, by its suffix."""
    name = path.name.lower()
    return "gzip" if name.endswith(".gz") else "zstd" if name.endswith((".zst", ".zstd")) else None


def codec_by_content(head: bytes) -> Codec | None:
    """Return how the first bytes of a file look compressed, or None."""
    for codec, magics in _MAGIC.items():
        if head.startswith(magics):
            return codec
    return None


class ByteStream:
    """The bytes of a file, decompressed, from a position on.

    Args:
        path: The file.
        codec: How it is compressed.
        start: How many decompressed bytes to leave out; in a compressed file they are read nonetheless.

    Attributes:
        size: The length of the file on disk.
        failure: Why nothing more comes, where the file is damaged: `fill` first gives what can still be had.

    Raises:
        DataError: The file is not compressed so.
        StorageError: It cannot be read.
    """

    def __init__(self, path: Path, codec: Codec | None, start: int = 0) -> None:
        self.path, self.codec = path, codec
        self.failure: DataError | None = None
        with storage_errors(path, "read"):
            self._raw = open(path, "rb", buffering=0)  # noqa: SIM115
            self.size = os.fstat(self._raw.fileno()).st_size
            self._stream: Any = None
            try:
                if codec is None:
                    self._raw.seek(start)
                else:
                    self._begin(codec)
                    self._skip(start)
            except BaseException:
                self.close()
                raise

    def _begin(self, codec: Codec) -> None:
        head = self._raw.read(4)
        if not head.startswith(_MAGIC[codec]):
            found = codec_by_content(head)
            raise DataError(
                f"the file is not compressed with {codec}",
                where=self.path,
                expected=f"a file that starts with {_MAGIC[codec][0]!r}",
                received=f"a file compressed with {found}" if found else f"one that starts with {head!r}",
                fix=f"say compression_type={found.upper()!r}" if found else "leave the compression out",
            )
        self._raw.seek(0)
        self._stream = pa.CompressedInputStream(self._raw, "zstd" if codec == "zstd" else "gzip")

    def _skip(self, count: int) -> None:
        scratch = memoryview(bytearray(min(count, _STEP)))
        while count > 0 and (got := self.fill(scratch[: min(count, _STEP)])):
            count -= got
        if count > 0:
            raise self.failure or DataError(
                "the file is shorter than it was", where=self.path, fix="read the files that the state was made with"
            )

    def fill(self, target: memoryview) -> int:
        """Read into a buffer until it is full or the file ends; return how many bytes were read."""
        done = 0
        while done < len(target) and self.failure is None:
            piece = target[done : done + _STEP] if self._stream is not None else target[done:]
            try:
                got = self._read(piece)
            except DataError as error:
                self.failure = error
                break
            if not got:
                break
            done += got
        return done

    def _read(self, target: memoryview) -> int:
        if self._stream is None:
            with storage_errors(self.path, "read"):
                return self._raw.readinto(target) or 0
        try:
            return int(self._stream.readinto(target))
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                "the compressed file is damaged or truncated",
                where=self.path,
                received=str(error),
                fix="copy or compress it again",
            ) from error

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer at the end only."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.fill(memoryview(buffer))])

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
        self._raw.close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ByteSink:
    """Writes bytes into an open file, compressed.

    Args:
        file: The file, open for writing in binary mode.
        codec: How to compress.
        level: How hard to try, as the codec counts it; None for its default.
    """

    def __init__(self, file: IO[bytes], codec: Codec | None, level: int | None = None) -> None:
        self._file = file
        self._zlib: Any = None
        self._zstd: Any = None
        self._waiting = bytearray()
        if codec == "zstd":
            self._zstd = pa.Codec("zstd", level)
        elif codec is not None:
            bits = 31 if codec == "gzip" else 15
            self._zlib = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION if level is None else level, zlib.DEFLATED, bits)

    def write(self, data: Any) -> None:
        """Take bytes."""
        if self._zlib is not None:
            self._file.write(self._zlib.compress(data))
        elif self._zstd is None:
            self._file.write(data)
        else:
            self._waiting += data
            if len(self._waiting) >= _FRAME:
                self._write_frame()

    def _write_frame(self) -> None:
        """Write what waits as a frame of its own; frames in a row are one Zstandard stream."""
        self._file.write(self._zstd.compress(bytes(self._waiting), asbytes=True))
        self._waiting.clear()

    def flush(self) -> None:
        """Hand what was taken so far to the operating system, readable up to here."""
        if self._zlib is not None:
            self._file.write(self._zlib.flush(zlib.Z_SYNC_FLUSH))
        elif self._waiting:
            self._write_frame()
        self._file.flush()

    def finish(self) -> None:
        """Write what ends the stream; the file stays open."""
        if self._zlib is not None:
            self._file.write(self._zlib.flush())
        elif self._zstd is not None and (self._waiting or not self._file.tell()):
            self._write_frame()
