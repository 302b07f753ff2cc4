"""Statistics, schemas and anomalies in files: text protos to read and to edit, binary protos for statistics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from mainstay.core import (
    ArgumentError,
    FormatError,
    MainstayError,
    SchemaError,
    storage_errors,
    write_bytes,
    write_text,
)

PathLike = str | os.PathLike[str]
Proto = TypeVar("Proto", bound=Message)


def write_schema_text(schema: schema_pb2.Schema, path: PathLike) -> None:
    """Write a schema as a text proto, atomically.

    Raises:
        ArgumentError: `schema` is no schema.
        StorageError: The file system refuses.
    """
    _write_text(schema, schema_pb2.Schema, path)


def load_schema_text(path: PathLike) -> schema_pb2.Schema:
    """Return the schema that a text proto holds.

    Raises:
        SchemaError: The text is no schema; the message names the line and the column.
        StorageError: The file cannot be read.
    """
    return _read_text(path, schema_pb2.Schema(), SchemaError)


def write_anomalies_text(anomalies: anomalies_pb2.Anomalies, path: PathLike) -> None:
    """Write anomalies as a text proto, atomically.

    Raises:
        ArgumentError: `anomalies` are no anomalies.
        StorageError: The file system refuses.
    """
    _write_text(anomalies, anomalies_pb2.Anomalies, path)


def load_anomalies_text(path: PathLike) -> anomalies_pb2.Anomalies:
    """Return the anomalies that a text proto holds.

    Raises:
        FormatError: The text is no `Anomalies`; the message names the line and the column.
        StorageError: The file cannot be read.
    """
    return _read_text(path, anomalies_pb2.Anomalies(), FormatError)


def write_statistics(statistics: statistics_pb2.DatasetFeatureStatisticsList, path: PathLike) -> None:
    """Write statistics as a binary proto, atomically and the same bytes for the same statistics.

    Raises:
        ArgumentError: `statistics` are no `DatasetFeatureStatisticsList`.
        StorageError: The file system refuses.
    """
    _check(statistics, statistics_pb2.DatasetFeatureStatisticsList)
    write_bytes(path, statistics.SerializeToString(deterministic=True))


def load_statistics(path: PathLike) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return the statistics that a binary proto holds.

    Raises:
        FormatError: The bytes are no `DatasetFeatureStatisticsList`.
        StorageError: The file cannot be read.
    """
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    with storage_errors(path, "read"):
        data = Path(path).read_bytes()
    try:
        statistics.ParseFromString(data)
    except DecodeError as error:
        raise FormatError(
            "the file holds no statistics",
            where=os.fspath(path),
            expected="a binary DatasetFeatureStatisticsList",
            received=error,
            fix="compute the statistics again",
        ) from error
    return statistics


def _write_text(message: Any, kind: type[Any], path: PathLike) -> None:
    _check(message, kind)
    write_text(path, text_format.MessageToString(message, as_utf8=True))


def _read_text(path: PathLike, message: Proto, failure: type[MainstayError]) -> Proto:
    name = message.DESCRIPTOR.name
    with storage_errors(path, "read"):
        data = Path(path).read_bytes()
    try:
        text_format.Parse(data.decode(), message)
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        raise failure(
            f"the file holds no {name} as text",
            where=":".join(str(part) for part in (os.fspath(path), line, column) if part is not None),
            received=error,
            fix="mend this line, or write the file anew",
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise failure(
            f"the file holds no {name} as text", where=f"{os.fspath(path)}:{line}", expected="UTF-8", received=error
        ) from error
    return message


def _check(message: Any, kind: type[Any]) -> None:
    if not isinstance(message, kind):
        raise ArgumentError(
            "only its own kind of proto can be written", expected=kind.__name__, received=type(message).__name__
        )
