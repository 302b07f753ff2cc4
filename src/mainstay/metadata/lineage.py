"""Lineage: which data, altered by which code with which parameters, made this artifact."""

from __future__ import annotations

import re

from sqlalchemy import Connection, String, cast, func, select

from mainstay.core import MetadataError
from mainstay.metadata import tables
from mainstay.metadata.records import Artifact, Execution, Lineage
from mainstay.metadata.rows import artifact_query, chunks, load_executions, to_artifact

_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}")


def find_lineage(connection: Connection, artifact: str) -> Lineage:
    """Return the lineage of the artifacts that a digest, the beginning of one or a uri names; see `MetadataStore`."""
    asked = _find(connection, artifact)
    executions: dict[int, Execution] = {}
    seen: set[int] = set()
    frontier = {item.id for item in asked if item.id is not None}
    while frontier:
        seen |= frontier
        makers = _makers(connection, frontier) - executions.keys()
        for ids in chunks(sorted(makers)):
            table = tables.executions
            for execution in load_executions(connection, select(table).where(table.c.id.in_(ids))):
                executions[execution.id or 0] = execution
        read = {
            item.id
            for number in makers
            for artifacts in executions[number].inputs.values()
            for item in artifacts
            if item.id is not None
        }
        frontier = read - seen
    return Lineage(tuple(asked), tuple(executions[number] for number in sorted(executions)))


def _makers(connection: Connection, artifacts: set[int]) -> set[int]:
    """Return the complete executions that wrote any of the artifacts; of repetitions, only the last one."""
    event, execution = tables.events, tables.executions
    found: set[int] = set()
    for ids in chunks(sorted(artifacts)):
        query = (
            select(func.max(execution.c.id))
            .join(event, event.c.execution_id == execution.c.id)
            .where(event.c.artifact_id.in_(ids), event.c.kind == "output", execution.c.state == "complete")
            .group_by(event.c.artifact_id, func.coalesce(execution.c.cache_key, cast(execution.c.id, String)))
        )
        found |= set(connection.execute(query).scalars())
    return found


def _find(connection: Connection, artifact: str) -> list[Artifact]:
    table = tables.artifacts
    by_uri = connection.execute(artifact_query().where(table.c.uri == artifact).order_by(table.c.id)).all()
    found = [to_artifact(row) for row in by_uri]
    if not found and _DIGEST_PREFIX.fullmatch(artifact):
        by_digest = artifact_query().where(table.c.digest.startswith(artifact)).order_by(table.c.id)
        found = [to_artifact(row) for row in connection.execute(by_digest)]
    digests = {item.digest for item in found}
    if not found:
        raise MetadataError(
            "no such artifact is recorded",
            expected="a digest, its first 8 or more digits, or a uri",
            received=artifact,
            fix="list what there is with MetadataStore.artifacts()",
        )
    if len(digests) > 1 and not by_uri:
        raise MetadataError(
            "several artifacts begin with these digits", received=artifact, fix="give more digits of the digest"
        )
    return found
