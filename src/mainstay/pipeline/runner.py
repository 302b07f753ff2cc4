"""The runner: one step after the other, in this process, reusing what is recorded and unchanged. It prints nothing."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mainstay.core import MainstayError, PipelineError, quiet, storage_errors
from mainstay.metadata import Context, Execution, MetadataStore
from mainstay.pipeline.cache import CacheKey, ending, explain, make_key
from mainstay.pipeline.code import CodeReader
from mainstay.pipeline.content import ContentReader
from mainstay.pipeline.environment import describe_environment
from mainstay.pipeline.events import ContentRead, OnEvent, StepFailed, StepFinished, StepReused, StepStarted
from mainstay.pipeline.execution import Ready, StepExecutor, make_artifact
from mainstay.pipeline.graph import Handle, Node, Pipeline, Source
from mainstay.pipeline.layout import Layout
from mainstay.pipeline.lock import folder_lock
from mainstay.pipeline.results import RunResult, StepReport

Clock = Callable[[], datetime]


def run_quietly(pipeline: Pipeline, folder: Path, *, on_event: OnEvent | None, force: Collection[str]) -> RunResult:
    """Run a pipeline while `core.track` shows nothing; see `Pipeline.run`."""
    with quiet():
        return run_pipeline(pipeline, folder, on_event=on_event, force=force)


def run_pipeline(pipeline: Pipeline, folder: Path, *, on_event: OnEvent | None, force: Collection[str]) -> RunResult:
    """Run a pipeline; see `Pipeline.run`."""
    layout = Layout(folder)
    tell = on_event or (lambda event: None)
    with (
        folder_lock(layout),
        _partial_folder(layout),
        MetadataStore(layout.store) as store,
        _recorded_run(store, pipeline.name, utc_now) as run,
    ):
        return _Run(pipeline, layout, store, run=run, on_event=tell).steps(force)


def utc_now() -> datetime:
    """Return the time; it is recorded, and no result depends on it."""
    return datetime.now(UTC)


@contextlib.contextmanager
def _partial_folder(layout: Layout) -> Iterator[None]:
    """Have an empty folder to write in, without what a killed run left there."""
    with storage_errors(layout.partial):
        if layout.partial.exists():
            shutil.rmtree(layout.partial)
        layout.partial.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(layout.partial, ignore_errors=True)


@contextlib.contextmanager
def _recorded_run(store: MetadataStore, pipeline: str, clock: Clock) -> Iterator[Context]:
    """Number a run and record how it ended."""
    run = store.start_run(pipeline, {"state": "running", "started": clock().isoformat()})
    try:
        yield run
    except BaseException as error:
        state = "failed" if isinstance(error, Exception) else "canceled"
        try:
            store.finish_run(run, {"state": state, "finished": clock().isoformat()})
        except MainstayError as second:
            error.add_note(f"the end of run {run.name} could not be recorded: {second.one_line()}")
        raise
    store.finish_run(run, {"state": "complete", "finished": clock().isoformat()})


class _Run:
    """One run of a pipeline: what is ready to be read so far."""

    def __init__(
        self, pipeline: Pipeline, layout: Layout, store: MetadataStore, *, run: Context, on_event: OnEvent
    ) -> None:
        self._nodes = pipeline.steps
        self._layout = layout
        self._store = store
        self._name = run.name
        self._contexts = (store.add_context(Context("pipeline", pipeline.name)), run)
        self._tell = on_event
        self._code = CodeReader()
        self._environment = describe_environment()
        self._content = ContentReader(store, lambda name, num_bytes: on_event(ContentRead(name, num_bytes)))
        self._executor = StepExecutor(
            layout,
            store,
            content=self._content,
            contexts=self._contexts,
            environment=self._environment,
            clock=utc_now,
        )
        self._ready: dict[tuple[str, str], list[Ready]] = {}

    def steps(self, force: Collection[str]) -> RunResult:
        """Run or reuse every step."""
        reports = [self._step(node, index, node.name in force) for index, node in enumerate(self._nodes)]
        return RunResult(self._name, self._layout.store, tuple(reports))

    def _step(self, node: Node, index: int, forced: bool) -> StepReport:
        place = (node.name, index, len(self._nodes))
        began = time.perf_counter()
        inputs = {name: self._inputs(handles) for name, handles in node.inputs.items()}
        contents = {
            name: [[item.artifact.digest, ending(item.path)] for item in items] for name, items in inputs.items()
        }
        key = make_key(node, self._code, contents, self._environment)
        found = self._store.find_execution(key.digest())
        reason = "asked to" if forced else self._why(node, key, found)
        if found is not None and not reason:
            self._store.reuse(found, self._contexts)
            report = self._report(node, key, found, time.perf_counter() - began)
            self._tell(StepReused(*place, report.seconds, report.outputs))
            return report
        self._tell(StepStarted(*place, reason))
        began = time.perf_counter()
        try:
            made = self._executor.execute(node, key, inputs)
        except BaseException as error:
            self._tell(StepFailed(*place, time.perf_counter() - began, error))
            raise
        report = self._report(node, key, made, time.perf_counter() - began, reason)
        self._tell(StepFinished(*place, report.seconds, report.outputs))
        return report

    def _inputs(self, handles: Sequence[Handle]) -> list[Ready]:
        """Return what handles stand for; the files of a source are read when the first step needs them."""
        found: list[Ready] = []
        for handle in handles:
            source, place = handle.producer, (handle.producer.name, handle.output)
            if place not in self._ready and isinstance(source, Source):
                self._ready[place] = [
                    Ready(make_artifact(handle.type, str(path), self._content.read(path, name=source.name)), path)
                    for path in source.paths
                ]
            found += self._ready[place]
        return found

    def _why(self, node: Node, key: CacheKey, found: Execution | None) -> str:
        """Return why a step must run; nothing if its recorded result is still there, unchanged."""
        if found is None:
            last = self._store.executions(context=self._contexts[0], name=node.name, state="complete", limit=1)
            return explain(key, last[0] if last else None)
        for output, kind in node.spec.outputs.items():
            recorded = found.outputs.get(output, ())
            if len(recorded) != 1:
                return f"its output {output} is not recorded"
            digest = recorded[0].digest
            path = self._layout.place(node.name, output, digest, suffix=kind.suffix)
            if not path.exists():
                return f"its output {output} is gone: {path}"
            try:
                content = self._content.read(path, name=f"{node.name}.{output}", links=False)
            except PipelineError as error:
                return f"its output {output} was changed on disk: {error.one_line()}"
            if content.digest != digest:
                return f"its output {output} was changed on disk: {path}"
        return ""

    def _report(self, node: Node, key: CacheKey, execution: Execution, seconds: float, reason: str = "") -> StepReport:
        outputs, digests = {}, {}
        for output, kind in node.spec.outputs.items():
            artifact = execution.outputs[output][0]
            path = self._layout.place(node.name, output, artifact.digest, suffix=kind.suffix)
            outputs[output], digests[output] = path, artifact.digest
            self._ready[node.name, output] = [Ready(artifact, path)]
        status = "ran" if reason else "reused"
        return StepReport(node.name, status, seconds, reason, key.digest(), outputs, digests)
