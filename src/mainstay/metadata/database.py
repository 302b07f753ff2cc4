"""The SQLite file under the store: opened durably, shared by processes, its refusals turned into clear errors."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from mainstay.core import MainstayError, MetadataError, StorageError
from mainstay.metadata import tables
from mainstay.metadata.records import canonical_json

BUSY_SECONDS = 60.0
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_STORAGE = {
    sqlite3.SQLITE_FULL: "free some space on the device, or write to another one",
    sqlite3.SQLITE_READONLY: "choose a folder that you may write to, or change its permissions",
    sqlite3.SQLITE_CANTOPEN: "check that the path is a file in a folder that you may write to",
    sqlite3.SQLITE_PERM: "choose a folder that you may write to, or change its permissions",
    sqlite3.SQLITE_IOERR: "check the device that the folder lies on",
}


@contextlib.contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a `MetadataError` or a `StorageError` that names the file and says what to do."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        raise _translate(error, path) from error
    except (SQLAlchemyError, ValueError, OverflowError) as error:
        raise _corrupt(f"{type(error).__name__}: {error}", path) from error


def _translate(error: sqlite3.Error | DBAPIError, path: Path) -> MainstayError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _CORRUPT or code == sqlite3.SQLITE_ERROR:
        return _corrupt(str(cause), path)
    if code in _STORAGE:
        return StorageError(f"the lineage store cannot be used: {cause}", where=path, fix=_STORAGE[code])
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MetadataError(
            "the lineage store is locked by another process",
            where=path,
            expected=f"its lock within {BUSY_SECONDS:.0f} seconds",
            fix="wait for the other process, or end it",
        )
    return MetadataError(f"the lineage store refused: {cause}", where=path)


def _corrupt(received: str, path: Path) -> MetadataError:
    return MetadataError(
        "the lineage store is damaged, or is no lineage store",
        where=path,
        expected="a SQLite database made by Mainstay",
        received=received,
        fix=f"restore a backup, or move {path.name}, {path.name}-wal and {path.name}-shm away: "
        "a new store is then made and every step runs again",
    )


def open_engine(path: Path) -> Engine:
    """Return an engine for the file, made if it is not there.

    Every transaction that `write` begins takes the write lock at once, so that two writers queue instead of failing.
    The log is fsynced at every commit (``synchronous=FULL``): what was recorded survives a power failure.
    """
    engine = create_engine(
        "sqlite://", creator=lambda: _connect(path), poolclass=QueuePool, json_serializer=canonical_json
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        mode = _switch_to_wal(connection)
        if mode != "wal":
            raise MetadataError(
                "the file system cannot hold a lineage store",
                where=path,
                expected="SQLite's write-ahead log to work",
                received=f"journal mode {mode}",
                fix="choose a folder on a local disk",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> str:
    """Switch on the write-ahead log; SQLite does not queue for the lock that the first switch needs, so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextlib.contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that holds the write lock; committed at the end, undone on any error."""
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


def read_version(connection: Connection, path: Path) -> int | None:
    """Return the schema version of the store, or None for a database without any table.

    Raises:
        MetadataError: The database has tables, and they are not ours.
    """
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    if "schema_version" not in names:
        maker = "ML Metadata" if "MLMDEnv" in names else "another program"
        raise MetadataError(
            f"the file is a database of {maker}",
            where=path,
            expected="a SQLite database made by Mainstay",
            received=f"the tables {', '.join(sorted(names))}",
            fix="choose another path for the lineage store",
        )
    versions = connection.execute(select(tables.schema_version.c.version)).scalars().all()
    if len(versions) != 1 or not isinstance(versions[0], int):
        raise ValueError(f"the table schema_version holds {versions!r}")
    return versions[0]
