"""The tables of the lineage store; `docs/formats/metadata.md` describes them column by column.

A change of any table raises `SCHEMA_VERSION` and comes with a migration from the version before.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
"""The version of the tables that this Mainstay reads and writes; `docs/formats/metadata.md` lists all of them."""

schema = MetaData()

schema_version = Table("schema_version", schema, Column("version", Integer, primary_key=True))

types = Table(
    "type",
    schema,
    Column("id", Integer, primary_key=True),
    Column("kind", String, CheckConstraint("kind IN ('artifact', 'execution', 'context')"), nullable=False),
    Column("name", String, nullable=False),
    UniqueConstraint("kind", "name"),
)

artifacts = Table(
    "artifact",
    schema,
    Column("id", Integer, primary_key=True),
    Column("type_id", ForeignKey("type.id"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("properties", JSON, nullable=False),
    UniqueConstraint("uri", "digest", "type_id"),
)

executions = Table(
    "execution",
    schema,
    Column("id", Integer, primary_key=True),
    Column("type_id", ForeignKey("type.id"), nullable=False),
    Column("name", String, nullable=False, index=True),
    Column("state", String, CheckConstraint("state IN ('complete', 'failed', 'canceled')"), nullable=False),
    Column("cache_key", String(64), index=True),
    Column("code_digest", String(64)),
    Column("parameters", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("properties", JSON, nullable=False),
    Column("error", Text),
    Column("started_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger, nullable=False),
)

events = Table(
    "event",
    schema,
    Column("id", Integer, primary_key=True),
    Column("execution_id", ForeignKey("execution.id"), nullable=False),
    Column("artifact_id", ForeignKey("artifact.id"), nullable=False),
    Column("kind", String, CheckConstraint("kind IN ('input', 'output')"), nullable=False),
    Column("name", String, nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("execution_id", "kind", "name", "position"),
    Index("ix_event_artifact", "artifact_id", "kind"),
)

contexts = Table(
    "context",
    schema,
    Column("id", Integer, primary_key=True),
    Column("type_id", ForeignKey("type.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("properties", JSON, nullable=False),
    UniqueConstraint("type_id", "name"),
)

associations = Table(
    "association",
    schema,
    Column("context_id", ForeignKey("context.id"), primary_key=True),
    Column("execution_id", ForeignKey("execution.id"), primary_key=True, index=True),
    Column("reused", Boolean, nullable=False),
)

attributions = Table(
    "attribution",
    schema,
    Column("context_id", ForeignKey("context.id"), primary_key=True),
    Column("artifact_id", ForeignKey("artifact.id"), primary_key=True, index=True),
)

file_digests = Table(
    "file_digest",
    schema,
    Column("path", Text, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("digest", String(64), nullable=False),
)
