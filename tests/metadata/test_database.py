"""The file under the lineage store: durable, versioned, and refused with a fix when it is not what it should be."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mainstay.core import MainstayError, MetadataError, StorageError
from mainstay.metadata import SCHEMA_VERSION, Execution, MetadataStore, migrate, migrations, tables

TIME = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "metadata.sqlite"
    with MetadataStore(file) as store:
        for number in range(200):
            store.record(
                Execution(type="t", name="train", state="complete", started=TIME, finished=TIME,
                          parameters={"text": "x" * 500}, cache_key=f"{number:064x}")
            )  # fmt: skip
    return file


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_the_log_is_written_ahead_and_fsynced_at_every_commit(path):
    with MetadataStore(path) as store, store._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_sound_file_passes_the_check(path):
    with MetadataStore(path) as store:
        store.check()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_with_a_fix(tmp_path, content):
    file = tmp_path / "metadata.sqlite"
    file.write_bytes(content)
    with pytest.raises(MetadataError, match="damaged") as caught:
        MetadataStore(file)
    assert str(file) in str(caught.value)
    assert "move metadata.sqlite" in caught.value.fix
    assert file.read_bytes() == content


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MetadataError, match="damaged"), MetadataStore(path) as store:
        store.check()


def test_a_file_with_overwritten_pages_fails_the_check(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\x5a" * 8192
    path.write_bytes(bytes(data))
    with pytest.raises(MetadataError), MetadataStore(path) as store:
        store.check()


def test_an_empty_file_becomes_a_new_store(tmp_path):
    file = tmp_path / "metadata.sqlite"
    file.touch()
    with MetadataStore(file) as store:
        assert store.executions() == []


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "other.sqlite"
    sql(file, "CREATE TABLE customers (id INTEGER)")
    with pytest.raises(MetadataError, match="another program") as caught:
        MetadataStore(file)
    assert "customers" in caught.value.received
    sql(file, "CREATE TABLE MLMDEnv (schema_version INTEGER)")
    with pytest.raises(MetadataError, match="ML Metadata"):
        MetadataStore(file)


def test_edited_values_are_refused_when_they_are_read(path):
    sql(path, "UPDATE execution SET parameters = '{broken'")
    with pytest.raises(MetadataError, match="damaged"), MetadataStore(path) as store:
        store.executions()
    sql(path, "UPDATE execution SET parameters = '{}', code_digest = 'short'")
    with pytest.raises(MetadataError, match="digest"), MetadataStore(path) as store:
        store.executions()
    sql(path, "UPDATE execution SET code_digest = NULL, started_us = 9000000000000000000")
    with pytest.raises(MetadataError, match="damaged"), MetadataStore(path) as store:
        store.executions()


def test_a_table_that_is_gone_is_damage(path):
    sql(path, "DROP TABLE event")
    with pytest.raises(MetadataError, match="damaged"), MetadataStore(path) as store:
        store.executions()


def test_a_reference_to_a_row_that_is_gone_fails_the_check(path):
    sql(path, "DELETE FROM type")
    with pytest.raises(MetadataError, match="damaged"), MetadataStore(path) as store:
        store.check()


def test_a_newer_store_is_refused_by_opening_and_by_migrating(path):
    sql(path, f"UPDATE schema_version SET version = {SCHEMA_VERSION + 1}")
    for attempt in (MetadataStore, migrate):
        with pytest.raises(MetadataError, match="newer Mainstay") as caught:
            attempt(path)
        assert caught.value.fix == "upgrade Mainstay"


@pytest.mark.parametrize("rows", ["DELETE FROM schema_version", "INSERT INTO schema_version VALUES (7)"])
def test_a_version_that_is_not_one_number_is_damage(path, rows):
    sql(path, rows)
    with pytest.raises(MetadataError, match="damaged"):
        MetadataStore(path)


def _add_column(connection):
    connection.execute(text("ALTER TABLE execution ADD COLUMN host TEXT"))


def _fail(connection):
    _add_column(connection)
    raise MetadataError("the migration met a surprise")


def test_an_older_store_is_never_migrated_silently(path, monkeypatch):
    monkeypatch.setattr(tables, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: _add_column})
    with pytest.raises(MetadataError, match="older Mainstay") as caught:
        MetadataStore(path)
    assert "migrate" in caught.value.fix


def test_migrating_keeps_a_backup_and_every_record(path, monkeypatch):
    monkeypatch.setattr(tables, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: _add_column})
    assert migrate(path) == SCHEMA_VERSION
    with MetadataStore(path) as store:
        store.check()
        assert len(store.executions()) == 200
    monkeypatch.undo()
    with MetadataStore(path.with_name(f"metadata.sqlite.v{SCHEMA_VERSION}.backup")) as backup:
        backup.check()
        assert len(backup.executions()) == 200


def test_a_failed_migration_leaves_the_store_as_it_was(path, monkeypatch):
    monkeypatch.setattr(tables, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: _fail})
    with pytest.raises(MetadataError, match="surprise"):
        migrate(path)
    monkeypatch.undo()
    with MetadataStore(path) as store, store._reading() as connection:
        columns = connection.exec_driver_sql("PRAGMA table_info(execution)").all()
        assert "host" not in {column.name for column in columns}
        assert len(store.executions()) == 200


def test_migrating_a_current_store_changes_nothing_and_a_missing_one_is_refused(path, tmp_path):
    assert migrate(path) == SCHEMA_VERSION
    assert not list(tmp_path.glob("*.backup"))
    with pytest.raises(MetadataError, match="no lineage store"):
        migrate(tmp_path / "nowhere.sqlite")


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path):
    with pytest.raises(StorageError):
        MetadataStore(tmp_path)
    (tmp_path / "plain").touch()
    with pytest.raises(MainstayError):
        MetadataStore(tmp_path / "plain" / "metadata.sqlite")


def test_a_full_disk_is_named(path):
    big = Execution(type="t", name="x", state="complete", started=TIME, finished=TIME, parameters={"x": "x" * 10**6})
    with MetadataStore(path) as store:
        with store._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match="full") as caught:
            store.record(big)
    assert "free some space" in caught.value.fix


def test_a_path_with_odd_characters_works(tmp_path):
    file = tmp_path / "a b?c#d%20é" / "metadata.sqlite"
    with MetadataStore(file):
        pass
    assert file.is_file()
