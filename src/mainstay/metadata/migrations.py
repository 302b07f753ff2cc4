"""Schema versions of the lineage store: made once, checked at every opening, raised only when somebody asks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Connection, Engine

from mainstay.core import MetadataError, install
from mainstay.metadata import tables
from mainstay.metadata.database import database_errors, open_engine, read_version, write

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}
"""What brings a store from a version to the next one, by the version to start from."""


def prepare(engine: Engine, path: Path) -> None:
    """Make the tables of a new store, or refuse one of another version.

    Raises:
        MetadataError: The store is of a newer version, or of an older one that nobody has migrated yet.
    """
    with engine.connect() as connection, connection.begin():
        version = read_version(connection, path)
    if version is None:
        with write(engine) as connection:
            version = read_version(connection, path)
            if version is None:
                tables.schema.create_all(connection)
                connection.execute(tables.schema_version.insert().values(version=tables.SCHEMA_VERSION))
                version = tables.SCHEMA_VERSION
    _refuse_newer(version, path)
    if version < tables.SCHEMA_VERSION:
        raise MetadataError(
            "the lineage store was made by an older Mainstay",
            where=path,
            expected=f"schema version {tables.SCHEMA_VERSION}",
            received=version,
            fix="call mainstay.metadata.migrate(path); it keeps a backup beside the store",
        )


def _refuse_newer(version: int, path: Path) -> None:
    if version > tables.SCHEMA_VERSION:
        raise MetadataError(
            "the lineage store was made by a newer Mainstay",
            where=path,
            expected=f"schema version {tables.SCHEMA_VERSION} or older",
            received=version,
            fix="upgrade Mainstay",
        )


def migrate(path: str | os.PathLike[str]) -> int:
    """Bring a lineage store to the schema version of this Mainstay; a store of that version is left alone.

    A copy of the store as it was is kept beside it as ``NAME.v<version>.backup``. All steps happen in one
    transaction: after an error the store is as before.

    Args:
        path: The store's file.

    Returns:
        The schema version that the store had.

    Raises:
        MetadataError: There is no such store, it is damaged, or it is of a newer version.
    """
    file = Path(path)
    if not file.is_file():
        raise MetadataError("there is no lineage store", where=file, fix="check the path")
    with database_errors(file):
        engine = open_engine(file)
        try:
            with write(engine) as connection:
                before = read_version(connection, file)
                if before is None:
                    raise MetadataError("there is no lineage store", where=file, received="an empty database")
                _refuse_newer(before, file)
                if before < tables.SCHEMA_VERSION:
                    _back_up(file, before)
                for version in range(before, tables.SCHEMA_VERSION):
                    MIGRATIONS[version](connection)
                connection.execute(tables.schema_version.update().values(version=tables.SCHEMA_VERSION))
                return before
        finally:
            engine.dispose()


def _back_up(file: Path, version: int) -> None:
    """Copy the store as it was last committed; the migration's write lock does not keep readers out."""
    partial = file.with_name(f".{file.name}.v{version}.partial")
    partial.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
    install(partial, file.with_name(f"{file.name}.v{version}.backup"), replace=True)
