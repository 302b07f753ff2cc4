"""The lineage store: records executions atomically and answers what led to what. It never changes what it recorded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, delete, func, insert, literal, select, update

from mainstay.core import MetadataError, storage_errors
from mainstay.metadata import rows, tables
from mainstay.metadata.database import database_errors, open_engine, write
from mainstay.metadata.lineage import find_lineage
from mainstay.metadata.migrations import prepare
from mainstay.metadata.records import Artifact, Context, Execution, Lineage, check_object


class MetadataStore:
    """A lineage store in one SQLite file, shared by any number of processes of one machine.

    Writers queue for up to a minute; readers never wait. A commit is fsynced before it returns, so that the record
    survives a power failure: this is an audit log, and a commit costs far less than a step.

    Args:
        path: The file; it and its folders are made if they are not there.

    Raises:
        MetadataError: The file is damaged, no lineage store, or of another schema version.
        StorageError: The file system refused.

    Example:
        >>> import tempfile
        >>> from datetime import datetime, timezone
        >>> path = tempfile.mkdtemp() + "/metadata.sqlite"
        >>> time = datetime(2026, 1, 1, tzinfo=timezone.utc)
        >>> model = Artifact("Model", "artifacts/model", "0" * 64)
        >>> with MetadataStore(path) as store:
        ...     done = store.record(
        ...         Execution(
        ...             type="train", name="train", state="complete", started=time, finished=time,
        ...             outputs={"model": (model,)},
        ...         )
        ...     )
        ...     [execution.name for execution in store.lineage("00000000").executions]
        ['train']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with storage_errors(self.path, "open"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with database_errors(self.path):
            self._engine = open_engine(self.path)
            try:
                prepare(self._engine, self.path)
            except BaseException:
                self._engine.dispose()
                raise

    def __enter__(self) -> MetadataStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the store may be used again, it then opens it anew."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with database_errors(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with database_errors(self.path), write(self._engine) as connection:
            yield connection

    def record(self, execution: Execution, contexts: Sequence[Context] = ()) -> Execution:
        """Record an execution, its artifacts and what contexts it belongs to: all of it or, on any error, nothing.

        Args:
            execution: What ran; artifacts that are recorded already are recognised by type, uri and digest.
            contexts: Made where they are new.

        Returns:
            The execution with the store's numbers filled in.
        """
        with self._writing() as connection:
            recorded = rows.add_execution(connection, execution)
            for context in contexts:
                rows.associate(connection, _number(rows.add_context(connection, context)), recorded, reused=False)
            return recorded

    def reuse(self, execution: Execution, contexts: Sequence[Context]) -> None:
        """Record that contexts rely on an execution that was recorded before.

        Args:
            execution: What `find_execution` returned.
            contexts: Made where they are new.
        """
        if execution.id is None:
            raise MetadataError("only an execution that is recorded can be reused", received=execution.name)
        with self._writing() as connection:
            for context in contexts:
                rows.associate(connection, _number(rows.add_context(connection, context)), execution, reused=True)

    def add_context(self, context: Context) -> Context:
        """Return a context with its number, made where it is new; of one that is there, the properties stay."""
        with self._writing() as connection:
            return rows.add_context(connection, context)

    def start_run(self, pipeline: str, properties: Mapping[str, Any]) -> Context:
        """Return a fresh context of type ``run`` with the pipeline's next number, such as ``fraud/000003``.

        Args:
            pipeline: The pipeline's name.
            properties: What is worth knowing about the run, plain JSON values.
        """
        if "/" in pipeline:
            raise MetadataError("the name of a pipeline has no slash", received=pipeline)
        context = Context("run", f"{pipeline}/000001", properties)
        with self._writing() as connection:
            table, number = tables.contexts, rows.type_id(connection, "context", "run")
            begins = func.substr(table.c.name, 1, len(pipeline) + 1) == f"{pipeline}/"
            count = connection.execute(
                select(func.count()).select_from(table).where(table.c.type_id == number, begins)
            ).scalar_one()
            return rows.add_context(connection, replace(context, name=f"{pipeline}/{count + 1:06d}"))

    def finish_run(self, run: Context, properties: Mapping[str, Any]) -> Context:
        """Add to the properties of a run, such as its end and its state.

        Args:
            run: What `start_run` returned.
            properties: Plain JSON values; they go over those of the same names.
        """
        check_object(properties, "$.properties")
        merged = {**run.properties, **properties}
        with self._writing() as connection:
            table = tables.contexts
            connection.execute(update(table).where(table.c.id == _number(run)).values(properties=merged))
        return replace(run, properties=merged)

    def find_execution(self, cache_key: str) -> Execution | None:
        """Return the latest complete execution with that cache key, or None."""
        table = tables.executions
        query = select(table).where(table.c.cache_key == cache_key, table.c.state == "complete")
        with self._reading() as connection:
            found = rows.load_executions(connection, query.order_by(table.c.id.desc()).limit(1))
        return found[0] if found else None

    def executions(
        self, *, context: Context | None = None, name: str | None = None, state: str | None = None, limit: int = 1000
    ) -> list[Execution]:
        """Return executions, the latest first.

        Args:
            context: Only those of this context; `Execution.reused` then says whether it reused them.
            name: Only those of the step of this name.
            state: Only those in this state.
            limit: At most so many.
        """
        table, association = tables.executions, tables.associations
        query = select(table, literal(False).label("reused"))
        if context is not None:
            query = select(table, association.c.reused).join(association, association.c.execution_id == table.c.id)
        with self._reading() as connection:
            if context is not None:
                query = query.where(association.c.context_id == self._context_number(connection, context))
            query = query if name is None else query.where(table.c.name == name)
            query = query if state is None else query.where(table.c.state == state)
            return rows.load_executions(connection, query.order_by(table.c.id.desc()).limit(limit))

    def artifacts(
        self, *, context: Context | None = None, type_name: str | None = None, limit: int = 1000
    ) -> list[Artifact]:
        """Return artifacts, the latest first.

        Args:
            context: Only those that executions of this context read or wrote.
            type_name: Only those of this type, such as ``Model``.
            limit: At most so many.
        """
        table, attribution = tables.artifacts, tables.attributions
        query = rows.artifact_query()
        with self._reading() as connection:
            if context is not None:
                query = query.join(attribution, attribution.c.artifact_id == table.c.id)
                query = query.where(attribution.c.context_id == self._context_number(connection, context))
            query = query if type_name is None else query.where(tables.types.c.name == type_name)
            found = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
            return [rows.to_artifact(row) for row in found]

    def contexts(self, *, type_name: str | None = None, limit: int = 1000) -> list[Context]:
        """Return contexts, the latest first.

        Args:
            type_name: Only those of this type, such as ``run``.
            limit: At most so many.
        """
        table = tables.contexts
        query = select(table, tables.types.c.name.label("type")).join_from(table, tables.types)
        query = query if type_name is None else query.where(tables.types.c.name == type_name)
        with self._reading() as connection:
            found = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
            return [Context(row.type, row.name, row.properties, row.id) for row in found]

    def lineage(self, artifact: str) -> Lineage:
        """Return everything that led to an artifact.

        Every complete execution that wrote the very same artifact counts; of those with one cache key, the last.

        Args:
            artifact: Its digest, the first 8 or more digits of it, or its uri.

        Raises:
            MetadataError: No such artifact is recorded, or the digits fit several.
        """
        with self._reading() as connection:
            return find_lineage(connection, artifact)

    def known_digests(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return the fingerprint and the digest that were remembered for each path that is known.

        Args:
            paths: Absolute paths of files.
        """
        table = tables.file_digests
        known: dict[str, tuple[str, str]] = {}
        with self._reading() as connection:
            for names in rows.chunks(paths):
                for row in connection.execute(select(table).where(table.c.path.in_(names))):
                    known[row.path] = (row.fingerprint, row.digest)
        return known

    def remember_digests(self, digests: Mapping[str, tuple[str, str]]) -> None:
        """Remember a fingerprint and a digest by path; a memory only, no part of the audit log.

        Args:
            digests: The fingerprint, a text that changes whenever the file may have changed, and the digest.
        """
        table = tables.file_digests
        with self._writing() as connection:
            for paths in rows.chunks(digests):
                connection.execute(delete(table).where(table.c.path.in_(paths)))
                values = [{"path": p, "fingerprint": digests[p][0], "digest": digests[p][1]} for p in paths]
                connection.execute(insert(table), values)

    def check(self) -> None:
        """Read the whole file and refuse it if any page or reference is damaged.

        Raises:
            MetadataError: It is.
        """
        with self._reading() as connection:
            problems = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if problems != ["ok"] or dangling:
            received = "; ".join(str(problem) for problem in problems if problem != "ok")
            raise MetadataError(
                "the lineage store is damaged",
                where=self.path,
                received=received or f"{len(dangling)} references to rows that are gone",
                fix=f"restore a backup, or try `sqlite3 {self.path.name} .recover`",
            )

    def _context_number(self, connection: Connection, context: Context) -> int:
        if context.id is not None:
            return context.id
        table = tables.contexts
        query = select(table.c.id).join_from(table, tables.types)
        query = query.where(tables.types.c.name == context.type, table.c.name == context.name)
        number = connection.execute(query).scalar()
        if number is None:
            raise MetadataError("no such context is recorded", received=f"{context.type} {context.name}")
        return int(number)


def _number(context: Context) -> int:
    if context.id is None:
        raise MetadataError("the context is not recorded", received=f"{context.type} {context.name}")
    return context.id
