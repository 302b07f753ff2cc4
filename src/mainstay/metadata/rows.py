"""Rows of the lineage store to values and back; every function works inside a transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select

from mainstay.core import MetadataError
from mainstay.metadata import tables
from mainstay.metadata.records import Artifact, Context, Execution

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 500
T = TypeVar("T")


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield `items` in lists that are short enough for one SQL statement."""
    rest = list(items)
    for start in range(0, len(rest), _CHUNK):
        yield rest[start : start + _CHUNK]


def to_microseconds(time: datetime) -> int:
    """Return a time as whole microseconds since 1970 in UTC."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    """Return the time that `to_microseconds` made a number of."""
    return _EPOCH + timedelta(microseconds=value)


def type_id(connection: Connection, kind: str, name: str) -> int:
    """Return the number of a type, adding it where it is new."""
    table = tables.types
    known = connection.execute(select(table.c.id).where(table.c.kind == kind, table.c.name == name)).scalar()
    return int(known) if known is not None else _insert(connection, table, {"kind": kind, "name": name})


def _insert(connection: Connection, table: Any, values: Mapping[str, Any]) -> int:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    if key is None:
        raise MetadataError("the lineage store gave a new row no number")
    return int(key[0])


def add_context(connection: Connection, context: Context) -> Context:
    """Return the context of that type and name, adding it where it is new; its stored properties win."""
    number = type_id(connection, "context", context.type)
    table = tables.contexts
    row = connection.execute(select(table).where(table.c.type_id == number, table.c.name == context.name)).first()
    if row is not None:
        return replace(context, properties=row.properties, id=row.id)
    values = {"type_id": number, "name": context.name, "properties": dict(context.properties)}
    return replace(context, id=_insert(connection, table, values))


def add_artifacts(connection: Connection, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Return the artifacts with their numbers, adding those that are new; the properties stored first win."""
    wanted = {(item.type, item.uri, item.digest): item for item in reversed(artifacts)}
    known = _find_artifacts(connection, wanted)
    new = {key: item for key, item in wanted.items() if key not in known}
    numbers = {name: type_id(connection, "artifact", name) for name in sorted({key[0] for key in new})}
    if new:
        rows = [
            {
                "type_id": numbers[item.type],
                "uri": item.uri,
                "digest": item.digest,
                "properties": dict(item.properties),
            }
            for item in new.values()
        ]
        connection.execute(insert(tables.artifacts), rows)
        known |= _find_artifacts(connection, new)
    return [known[item.type, item.uri, item.digest] for item in artifacts]


def _find_artifacts(
    connection: Connection, keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Artifact]:
    found: dict[tuple[str, str, str], Artifact] = {}
    for uris in chunks(sorted({uri for _, uri, _ in keys})):
        for row in connection.execute(artifact_query().where(tables.artifacts.c.uri.in_(uris))):
            artifact = to_artifact(row)
            found[artifact.type, artifact.uri, artifact.digest] = artifact
    return found


def artifact_query() -> Any:
    """Return the query of all artifacts with the name of their type."""
    return select(tables.artifacts, tables.types.c.name.label("type")).join_from(tables.artifacts, tables.types)


def to_artifact(row: Any) -> Artifact:
    """Return the artifact of a row of `artifact_query`."""
    return Artifact(row.type, row.uri, row.digest, row.properties, row.id)


def add_execution(connection: Connection, execution: Execution) -> Execution:
    """Insert an execution with its events; return it with every number filled in."""
    number = _insert(
        connection,
        tables.executions,
        {
            "type_id": type_id(connection, "execution", execution.type),
            "name": execution.name,
            "state": execution.state,
            "cache_key": execution.cache_key,
            "code_digest": execution.code_digest,
            "parameters": dict(execution.parameters),
            "environment": dict(execution.environment),
            "properties": dict(execution.properties),
            "error": execution.error,
            "started_us": to_microseconds(execution.started),
            "finished_us": to_microseconds(execution.finished),
        },
    )
    inputs = _add_events(connection, number, "input", execution.inputs)
    outputs = _add_events(connection, number, "output", execution.outputs)
    return replace(execution, inputs=inputs, outputs=outputs, reused=False, id=number)


def _add_events(
    connection: Connection, execution: int, kind: str, events: Mapping[str, tuple[Artifact, ...]]
) -> dict[str, tuple[Artifact, ...]]:
    recorded: dict[str, tuple[Artifact, ...]] = {}
    for name, artifacts in events.items():
        recorded[name] = tuple(add_artifacts(connection, artifacts))
        rows = [
            {"execution_id": execution, "artifact_id": item.id, "kind": kind, "name": name, "position": position}
            for position, item in enumerate(recorded[name])
        ]
        if rows:
            connection.execute(insert(tables.events), rows)
    return recorded


def associate(connection: Connection, context: int, execution: Execution, *, reused: bool) -> None:
    """Put an execution and its artifacts into a context; what is in it already stays as it is."""
    table = tables.associations
    same = (table.c.context_id == context, table.c.execution_id == execution.id)
    if connection.execute(select(table).where(*same)).first() is None:
        connection.execute(insert(table).values(context_id=context, execution_id=execution.id, reused=reused))
    events = [*execution.inputs.values(), *execution.outputs.values()]
    wanted = {artifact.id for artifacts in events for artifact in artifacts}
    held: set[int | None] = set()
    attributions = tables.attributions
    for ids in chunks(wanted):
        query = select(attributions.c.artifact_id).where(
            attributions.c.context_id == context, attributions.c.artifact_id.in_(ids)
        )
        held |= set(connection.execute(query).scalars())
    new = [{"context_id": context, "artifact_id": number} for number in sorted(n for n in wanted - held if n)]
    if new:
        connection.execute(insert(attributions), new)


def load_executions(connection: Connection, query: Any) -> list[Execution]:
    """Return the executions whose rows a query on `tables.executions` gives, in its order, with their artifacts.

    A column ``reused`` of the query is taken over.
    """
    found = connection.execute(query).all()
    names = {row.id: row.name for row in connection.execute(select(tables.types))}
    events: dict[tuple[int, str], dict[str, list[Artifact]]] = {}
    event = tables.events
    for ids in chunks(row.id for row in found):
        joined = artifact_query().join(event, event.c.artifact_id == tables.artifacts.c.id)
        joined = joined.add_columns(event.c.execution_id, event.c.kind, event.c.name.label("event"))
        for row in connection.execute(joined.where(event.c.execution_id.in_(ids)).order_by(event.c.id)):
            by_name = events.setdefault((row.execution_id, row.kind), {})
            by_name.setdefault(row.event, []).append(to_artifact(row))
    return [
        Execution(
            type=names[row.type_id],
            name=row.name,
            state=row.state,
            started=from_microseconds(row.started_us),
            finished=from_microseconds(row.finished_us),
            inputs=_tuples(events.get((row.id, "input"), {})),
            outputs=_tuples(events.get((row.id, "output"), {})),
            parameters=row.parameters,
            cache_key=row.cache_key,
            code_digest=row.code_digest,
            environment=row.environment,
            error=row.error,
            properties=row.properties,
            reused=bool(getattr(row, "reused", False)),
            id=row.id,
        )
        for row in found
    ]


def _tuples(events: Mapping[str, list[Artifact]]) -> dict[str, tuple[Artifact, ...]]:
    return {name: tuple(artifacts) for name, artifacts in events.items()}
