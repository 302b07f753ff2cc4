"""Running one step: into a fresh folder, checked, moved into place, recorded.

The digests of the outputs are computed where the step wrote them, under ``.partial``; their bytes are fsynced, they
are renamed to their place, and the execution is recorded in one fsynced transaction. Whatever the moment at which the
process is killed, a result is recorded only if it is whole and in place; what is in place without a record is
compared, or replaced, when it is made again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mainstay.core import MainstayError, PipelineError, install, storage_errors
from mainstay.metadata import Artifact, Context, Execution, MetadataStore
from mainstay.pipeline.artifacts import ArtifactType
from mainstay.pipeline.cache import CacheKey
from mainstay.pipeline.content import Content, ContentReader
from mainstay.pipeline.graph import Node
from mainstay.pipeline.layout import Layout

_MAX_ERROR = 10_000


@dataclass(frozen=True)
class Ready:
    """An artifact that steps may read.

    Args:
        artifact: What it is.
        path: Where it lies.
    """

    artifact: Artifact
    path: Path


def make_artifact(kind: type[ArtifactType], uri: str, content: Content) -> Artifact:
    """Return the artifact of some content; a uri that is no Unicode text is escaped."""
    text = uri.encode(errors="backslashreplace").decode()
    return Artifact(
        kind.__name__, text, content.digest, {"num_bytes": content.num_bytes, "num_files": content.num_files}
    )


class StepExecutor:
    """Runs the steps of one run.

    Args:
        layout: Where things lie.
        store: Where executions are recorded.
        content: Computes digests.
        contexts: What executions belong to.
        environment: What is recorded as the environment.
        clock: Gives the time to record.
    """

    def __init__(
        self,
        layout: Layout,
        store: MetadataStore,
        *,
        content: ContentReader,
        contexts: Sequence[Context],
        environment: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._layout = layout
        self._store = store
        self._content = content
        self._contexts = contexts
        self._environment = environment
        self._clock = clock

    def execute(self, node: Node, key: CacheKey, inputs: Mapping[str, Sequence[Ready]]) -> Execution:
        """Run a step and record it.

        Raises:
            PipelineError: The step left an output out, or changed an input.
            BaseException: Whatever the step raises; the failure is recorded.
        """
        started = self._clock()
        try:
            with self._work(node) as work:
                written = {name: work / f"{name}{kind.suffix}" for name, kind in node.spec.outputs.items()}
                node.spec.function(**_arguments(node, inputs, written))
                self._check_inputs(node, inputs)
                outputs = {name: (self._place(node, name, path),) for name, path in written.items()}
        except BaseException as error:
            self._record_failure(node, key, inputs, started, error)
            raise
        return self._record(node, key, inputs, started, state="complete", outputs=outputs)

    @contextlib.contextmanager
    def _work(self, node: Node) -> Iterator[Path]:
        work = self._layout.partial / node.name
        with storage_errors(work):
            work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _check_inputs(self, node: Node, inputs: Mapping[str, Sequence[Ready]]) -> None:
        """Refuse a result whose inputs are no longer what its key says."""
        for name, items in inputs.items():
            for item in items:
                if not self._content.is_unchanged(item.path):
                    raise PipelineError(
                        "an input changed while the step ran",
                        where=f"{node.name}({name})",
                        received=item.path,
                        fix="run again when nobody writes to it; a step must not write to its inputs",
                    )

    def _place(self, node: Node, output: str, written: Path) -> Artifact:
        """Move an output to the place that its content names, unless the same content lies there already."""
        kind = node.spec.outputs[output]
        if not written.exists():
            raise PipelineError(
                "the step did not write its output",
                where=f"{node.name}({output})",
                expected="a file or a folder at the path that the step was given",
            )
        content = self._content.read(written, name=f"{node.name}.{output}", links=False)
        target = self._layout.place(node.name, output, content.digest, suffix=kind.suffix)
        if not self._lies_at(target, content.digest):
            install(written, target, replace=True)
        self._content.adopt(target, content.digest)
        return make_artifact(kind, self._layout.uri(target), content)

    def _lies_at(self, target: Path, digest: str) -> bool:
        try:
            return target.exists() and self._content.read(target, links=False).digest == digest
        except PipelineError:
            return False

    def _record(
        self,
        node: Node,
        key: CacheKey,
        inputs: Mapping[str, Sequence[Ready]],
        started: datetime,
        **outcome: Any,
    ) -> Execution:
        execution = Execution(
            type=node.spec.path,
            name=node.name,
            started=started,
            finished=self._clock(),
            inputs={name: tuple(item.artifact for item in items) for name, items in inputs.items()},
            parameters=node.parameters,
            cache_key=key.digest(),
            code_digest=key.code,
            environment=self._environment,
            properties={
                "key": {
                    "version": key.version,
                    "parameters": key.parameters,
                    "inputs": key.inputs,
                    "environment": key.environment,
                }
            },
            **outcome,
        )
        return self._store.record(execution, self._contexts)

    def _record_failure(
        self,
        node: Node,
        key: CacheKey,
        inputs: Mapping[str, Sequence[Ready]],
        started: datetime,
        error: BaseException,
    ) -> None:
        """Record that a step failed; if even that fails, say so on the step's own exception, which goes on its way."""
        text = f"{type(error).__name__}: {error}"[:_MAX_ERROR].replace("\0", "\\0")
        text = text.encode(errors="backslashreplace").decode()
        state = "failed" if isinstance(error, Exception) else "canceled"
        try:
            self._record(node, key, inputs, started, state=state, error=text)
        except MainstayError as second:
            error.add_note(f"the failure of step {node.name} could not be recorded: {second.one_line()}")


def _arguments(node: Node, inputs: Mapping[str, Sequence[Ready]], written: Mapping[str, Path]) -> dict[str, Any]:
    arguments: dict[str, Any] = {**node.parameters, **written}
    for name, port in node.spec.inputs.items():
        paths = tuple(item.path for item in inputs[name])
        if port.many:
            arguments[name] = paths if node.inputs[name] or not port.optional else None
        else:
            arguments[name] = paths[0] if paths else None
    return arguments
