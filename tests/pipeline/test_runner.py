"""Running pipelines: what runs, what is reused, what is refused, and what is recorded about it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.core import DataError, MetadataError, PipelineError, StorageError, track
from mainstay.metadata import Context, MetadataStore
from mainstay.pipeline import (
    ArtifactType,
    Code,
    ContentRead,
    In,
    InList,
    Out,
    Pipeline,
    StepFailed,
    StepFinished,
    StepReused,
    StepStarted,
    step,
)


class Table(ArtifactType):
    """A table."""


class Words(ArtifactType):
    """Words, one per line."""

    suffix = ".txt"


class Model(ArtifactType):
    """A model."""


@step
def ingest(*, table: In[Table], upper: bool = False, words: Out[Words], summary: Out[Model]) -> None:
    text = table.read_text()
    words.write_text("\n".join(sorted((text.upper() if upper else text).split())))
    summary.mkdir()
    (summary / "count.json").write_text(json.dumps(len(text.split())))


@step
def train(*, words: In[Words], epochs: int = 3, model: Out[Model]) -> None:
    (model / "deep").mkdir(parents=True)
    (model / "deep" / "weights").write_text(words.read_text() * epochs)
    (model / "info").write_text("info")


@step
def report(*, model: In[Model], summary: In[Model] | None = None, title: str = "", page: Out[Words]) -> None:
    weights = (model / "deep" / "weights").read_text()
    page.write_text(f"{title} {len(weights)} {summary is not None}")


class Road:
    """A pipeline of three steps over one file, with a record of what it told."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data.csv"
        self.data.write_text("delta alpha charlie bravo")
        self.folder = folder / "out"
        self.events: list[object] = []

    def run(self, *, upper=False, epochs=3, title="", **options):
        self.events = []
        pipeline = Pipeline("road")
        table = pipeline.source("data", Table, self.data)
        first = pipeline.add(ingest, table=table, upper=upper)
        second = pipeline.add(train, words=first["words"], epochs=epochs)
        pipeline.add(report, model=second["model"], summary=first["summary"], title=title)
        return pipeline.run(self.folder, on_event=self.events.append, **options)

    def statuses(self, **options) -> dict[str, str]:
        return {report.name: report.status for report in self.run(**options).steps}

    def store(self) -> MetadataStore:
        return MetadataStore(self.folder / "metadata.sqlite")


ALL_RAN = {"ingest": "ran", "train": "ran", "report": "ran"}
ALL_REUSED = {"ingest": "reused", "train": "reused", "report": "reused"}


@pytest.fixture
def road(tmp_path):
    return Road(tmp_path)


def test_outputs_lie_where_the_result_says(road):
    result = road.run()
    assert (result["train"]["model"] / "deep" / "weights").read_text() == "alpha\nbravo\ncharlie\ndelta" * 3
    assert result["ingest"]["words"].suffix == ".txt"
    assert result["ingest"]["words"].parent == road.folder / "artifacts" / "ingest" / "words"
    assert result["report"]["page"].read_text() == " 75 True"
    assert not result.reused_everything
    assert sorted(path.name for path in road.folder.iterdir()) == [".lock", "artifacts", "metadata.sqlite"]
    with pytest.raises(PipelineError, match="no such step"):
        result["nothing"]


def test_a_second_identical_run_reuses_every_step_and_gives_the_same_paths(road):
    first, second = road.run(), road.run()
    assert second.reused_everything
    assert [report.outputs for report in first.steps] == [report.outputs for report in second.steps]
    assert [report.key for report in first.steps] == [report.key for report in second.steps]


def test_the_run_tells_what_happens_in_order(road):
    road.run()
    kinds = [type(event) for event in road.events if not isinstance(event, ContentRead)]
    assert kinds == [StepStarted, StepFinished] * 3
    started = [event for event in road.events if isinstance(event, StepStarted)]
    assert [(e.name, e.index, e.total, e.reason) for e in started] == [
        (name, index, 3, "never run before") for index, name in enumerate(("ingest", "train", "report"))
    ]
    assert {e.name for e in road.events if isinstance(e, ContentRead)} >= {"data", "train.model"}
    road.run(epochs=4)
    kinds = [type(event) for event in road.events if not isinstance(event, ContentRead)]
    assert kinds == [StepReused, StepStarted, StepFinished, StepStarted, StepFinished]
    assert [e.reason for e in road.events if isinstance(e, StepStarted)] == [
        "parameters changed: epochs",
        "inputs changed: model",
    ]


def test_a_parameter_reruns_only_from_its_step_on(road):
    road.run()
    assert road.statuses(title="x") == {"ingest": "reused", "train": "reused", "report": "ran"}
    assert road.statuses(epochs=1, title="x") == {"ingest": "reused", "train": "ran", "report": "ran"}
    assert road.statuses(upper=True) == ALL_RAN


def test_going_back_to_earlier_parameters_reuses_the_earlier_results(road):
    road.run()
    road.run(epochs=1)
    assert road.statuses() == ALL_REUSED


def test_a_rerun_that_gives_the_same_bytes_lets_later_steps_be_reused(road):
    road.run()
    road.data.write_text("alpha bravo charlie delta")
    assert road.statuses() == {"ingest": "ran", "train": "reused", "report": "reused"}


def test_data_is_known_by_content_not_by_name_or_time(road, tmp_path):
    road.run()
    os.utime(road.data, (1, 1))
    assert road.statuses() == ALL_REUSED
    moved = tmp_path / "moved.csv"
    road.data.rename(moved)
    road.data = moved
    assert road.statuses() == ALL_REUSED
    other_format = tmp_path / "moved.tsv"
    road.data.rename(other_format)
    road.data = other_format
    assert road.statuses()["ingest"] == "ran"


def test_changed_data_runs_everything_that_it_changes(road):
    road.run()
    road.data.write_text("echo")
    assert road.statuses() == ALL_RAN
    assert road.run()["ingest"]["words"].read_text() == "echo"


def test_a_moved_folder_is_still_reused(road, tmp_path):
    road.run()
    road.folder.rename(tmp_path / "elsewhere")
    road.folder = tmp_path / "elsewhere"
    result = road.run()
    assert result.reused_everything
    assert result["train"]["model"].is_relative_to(tmp_path / "elsewhere")


def damage_edit(model: Path) -> None:
    (model / "info").write_text("ofni")


def damage_edit_keeping_times(model: Path) -> None:
    before = (model / "info").stat()
    (model / "info").write_text("ofni")
    os.utime(model / "info", ns=(before.st_atime_ns, before.st_mtime_ns))


def damage_truncate(model: Path) -> None:
    os.truncate(model / "deep" / "weights", 5)


def damage_delete(model: Path) -> None:
    (model / "info").unlink()


def damage_add(model: Path) -> None:
    (model / "extra").touch()


def damage_remove(model: Path) -> None:
    shutil.rmtree(model)


def damage_replace_by_file(model: Path) -> None:
    shutil.rmtree(model)
    model.write_text("x")


def damage_link(model: Path) -> None:
    (model / "info").rename(model.parent.parent / "info")
    (model / "info").symlink_to(model.parent.parent / "info")


DAMAGES = [
    damage_edit,
    damage_edit_keeping_times,
    damage_truncate,
    damage_delete,
    damage_add,
    damage_remove,
    damage_replace_by_file,
    damage_link,
]


REMEMBERED = [damage_edit_keeping_times, damage_truncate]


@pytest.mark.parametrize(
    ("damage", "remembered"), [*((damage, False) for damage in DAMAGES), *((damage, True) for damage in REMEMBERED)]
)
def test_an_output_that_was_touched_on_disk_is_made_again_and_the_run_says_so(road, damage, remembered, monkeypatch):
    if remembered:
        monkeypatch.setattr("mainstay.pipeline.content.time.time_ns", lambda: 2**62)
        road.run()
    model = road.run()["train"]["model"]
    damage(model)
    result = road.run()
    assert {r.name: r.status for r in result.steps} == {"ingest": "reused", "train": "ran", "report": "reused"}
    [started] = [event for event in road.events if isinstance(event, StepStarted)]
    assert "output model" in started.reason
    assert ("is gone" in started.reason) == (damage is damage_remove)
    assert result["train"]["model"] == model
    assert (model / "info").read_text() == "info"
    assert not (model / "extra").exists()
    assert road.statuses() == ALL_REUSED
    assert [path for path in model.parent.iterdir() if path != model] == []


def test_forced_steps_run_and_what_follows_is_reused_if_nothing_changed(road):
    road.run()
    assert road.statuses(force=["train"]) == {"ingest": "reused", "train": "ran", "report": "reused"}
    assert road.statuses(force="train")["train"] == "ran"
    assert [e.reason for e in road.events if isinstance(e, StepStarted)] == ["asked to"]
    assert road.statuses(force=["ingest", "train", "report"]) == ALL_RAN


def test_another_environment_does_not_reuse(road, monkeypatch):
    road.run()
    from mainstay.pipeline import runner

    found = runner.describe_environment()
    monkeypatch.setattr(runner, "describe_environment", lambda: {**found, "jax": "99.0"})
    assert road.statuses() == ALL_RAN
    monkeypatch.setattr(runner, "describe_environment", lambda: {**found, "platform": "another machine"})
    assert road.statuses() == ALL_REUSED


def test_everything_is_recorded_with_digests_parameters_code_and_environment(road):
    first = road.run()
    road.run(epochs=4)
    with road.store() as store:
        store.check()
        runs = store.contexts(type_name="run")
        assert [run.name for run in runs] == ["road/000002", "road/000001"]
        assert all(run.properties["state"] == "complete" for run in runs)
        assert [(e.name, e.reused) for e in store.executions(context=runs[0])] == [
            ("report", False),
            ("train", False),
            ("ingest", True),
        ]
        assert len(store.executions(context=Context("pipeline", "road"))) == 5
        trained = store.executions(name="train")[-1]
        assert trained.parameters == {"epochs": 3}
        assert trained.environment["python"]
        assert trained.code_digest
        assert trained.finished >= trained.started
        assert trained.outputs["model"][0].digest == first.steps[1].digests["model"]
        assert trained.outputs["model"][0].properties["num_files"] == 2
        lineage = store.lineage(first.steps[2].digests["page"])
        assert [execution.name for execution in lineage.executions] == ["ingest", "train", "report"]
        assert [artifact.uri for artifact in lineage.sources] == [str(road.data)]


@step
def explode(*, words: In[Words], how: str, model: Out[Model]) -> None:
    model.mkdir()
    (model / "half").write_text("half")
    if how == "mainstay":
        raise DataError("the data is odd", where="a.csv:3", fix="mend it")
    if how == "other":
        raise ZeroDivisionError("by \udc80 zero \0")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "exit":
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("how", "kind", "state"),
    [
        ("mainstay", DataError, "failed"),
        ("other", ZeroDivisionError, "failed"),
        ("interrupt", KeyboardInterrupt, "canceled"),
        ("exit", SystemExit, "canceled"),
    ],
)
def test_a_failing_step_raises_its_own_error_is_recorded_and_leaves_earlier_results(road, how, kind, state):
    def run(how):
        road.events = []
        pipeline = Pipeline("road")
        first = pipeline.add(ingest, table=pipeline.source("data", Table, road.data))
        pipeline.add(explode, words=first["words"], how=how)
        return pipeline.run(road.folder, on_event=road.events.append)

    with pytest.raises(kind) as caught:
        run(how)
    assert str(caught.value) == str({"mainstay": DataError("the data is odd", where="a.csv:3", fix="mend it"),
                                     "other": ZeroDivisionError("by \udc80 zero \0"),
                                     "interrupt": KeyboardInterrupt(), "exit": SystemExit(3)}[how])  # fmt: skip
    assert isinstance(road.events[-1], StepFailed)
    assert road.events[-1].error is caught.value
    with road.store() as store:
        failed = store.executions(name="explode")[0]
        assert failed.state == state
        assert kind.__name__ in failed.error
        assert failed.outputs == {}
        assert [artifact.uri for artifact in failed.inputs["words"]]
        assert store.contexts(type_name="run")[0].properties["state"] == state
    assert not (road.folder / "artifacts" / "explode").exists()
    assert not (road.folder / ".partial").exists()
    with pytest.raises(kind):
        run(how)
    assert [type(event) for event in road.events if isinstance(event, StepReused)] == [StepReused]
    run("not at all")


@step
def forget(*, table: In[Table], model: Out[Model], page: Out[Words]) -> None:
    page.write_text("x")


@step
def meddle(*, table: In[Words], model: Out[Model]) -> None:
    table.write_text("meddled with")
    model.mkdir()


@step
def link(*, table: In[Table], model: Out[Model]) -> None:
    model.mkdir()
    (model / "link").symlink_to(table)


@step
def touch_source(*, table: In[Table], model: Out[Model]) -> None:
    table.write_text("somebody wrote here meanwhile")
    model.mkdir()


def test_a_step_that_leaves_an_output_out_is_refused(road):
    pipeline = Pipeline("road")
    pipeline.add(forget, table=pipeline.source("data", Table, road.data))
    with pytest.raises(PipelineError, match="did not write its output") as caught:
        pipeline.run(road.folder)
    assert caught.value.where == "forget(model)"


def test_an_output_that_links_elsewhere_is_refused(road):
    pipeline = Pipeline("road")
    pipeline.add(link, table=pipeline.source("data", Table, road.data))
    with pytest.raises(PipelineError, match="symbolic link"):
        pipeline.run(road.folder)


def test_a_step_that_writes_to_its_input_is_refused_and_the_input_is_made_again(road):
    pipeline = Pipeline("road")
    first = pipeline.add(ingest, table=pipeline.source("data", Table, road.data))
    pipeline.add(meddle, table=first["words"])
    with pytest.raises(PipelineError, match="an input changed while the step ran"):
        pipeline.run(road.folder)
    assert road.statuses() == ALL_RAN


def test_data_that_changes_while_a_step_reads_it_never_makes_a_wrong_record(road):
    pipeline = Pipeline("road")
    pipeline.add(touch_source, table=pipeline.source("data", Table, road.data))
    with pytest.raises(PipelineError, match="an input changed while the step ran"):
        pipeline.run(road.folder)
    with road.store() as store:
        assert store.executions(state="complete") == []


@step
def gather(*, parts: InList[Table], extra: InList[Words] | None = None, words: Out[Words]) -> None:
    words.write_text("|".join(path.read_text() for path in parts) + f" {extra}")


def test_lists_of_inputs_keep_their_order_and_the_order_counts(road, tmp_path):
    files = []
    for name in ("b.csv", "a.csv", "c.csv"):
        files.append(tmp_path / name)
        files[-1].write_text(name)

    def run(order):
        pipeline = Pipeline("road")
        pipeline.add(gather, parts=pipeline.source("files", Table, order))
        result = pipeline.run(road.folder)
        return result.steps[0].status, result["gather"]["words"].read_text()

    assert run(files) == ("ran", "b.csv|a.csv|c.csv None")
    assert run(files) == ("reused", "b.csv|a.csv|c.csv None")
    assert run(files[::-1]) == ("ran", "c.csv|a.csv|b.csv None")


@step
def call(*, function: Code | None = None, words: Out[Words]) -> None:
    words.write_text(function or "none")


def test_a_user_s_function_counts_by_its_code_not_by_its_place(road, tmp_path):
    def run(reference):
        pipeline = Pipeline("road")
        pipeline.add(call, function=reference)
        return pipeline.run(road.folder).steps[0]

    code = tmp_path / "one" / "model.py"
    code.parent.mkdir()
    code.write_text("from beside import x\ndef build(): ...\ndef other(): ...\n")
    (code.parent / "beside.py").write_text("x = 1\n")
    first = run(f"{code}:build")
    assert first.outputs["words"].read_text() == f"{code}:build"
    shutil.copytree(code.parent, tmp_path / "two")
    assert run(f"{tmp_path / 'two' / 'model.py'}:build").status == "reused"
    assert run(f"{code}:other").reason == "parameters changed: function"
    (code.parent / "beside.py").write_text("x = 2\n")
    assert run(f"{code}:build").reason == "parameters changed: function"
    assert run(None).status == "ran"


@step
def same(*, left: Out[Words], right: Out[Words]) -> None:
    left.write_text("equal")
    right.write_text("equal")


def test_equal_outputs_of_one_step_are_two_artifacts(road):
    pipeline = Pipeline("road")
    node = pipeline.add(same)
    result = pipeline.run(road.folder)
    assert result[node]["left"] != result[node]["right"]
    assert result[node]["left"].read_text() == result[node]["right"].read_text()


def test_a_pipeline_without_steps_runs(road):
    result = Pipeline("empty").run(road.folder)
    assert result.steps == ()
    assert result.reused_everything


@step
def progress(*, words: Out[Words]) -> None:
    with track("Working", total=1) as bar:
        bar.advance(1)
    words.write_text("quiet" if bar.show.__name__ == "<lambda>" else "loud")


@pytest.mark.parametrize(("quiet", "expected"), [(True, "quiet"), (False, "loud")])
def test_a_quiet_run_shows_no_progress_and_the_runner_never_prints(road, capfd, caplog, quiet, expected):
    caplog.set_level(logging.INFO)
    pipeline = Pipeline("road")
    node = pipeline.add(progress)
    assert pipeline.run(road.folder, quiet=quiet)[node]["words"].read_text() == expected
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(road):
    problems = []

    def on_event(event):
        if isinstance(event, StepStarted) and event.name == "train":
            with pytest.raises(PipelineError, match="another run is using this folder") as caught:
                Pipeline("other").run(road.folder)
            problems.append(caught.value)

    road.run()
    pipeline = Pipeline("road")
    first = pipeline.add(ingest, table=pipeline.source("data", Table, road.data))
    pipeline.add(train, words=first["words"], epochs=9)
    pipeline.run(road.folder, on_event=on_event)
    [problem] = problems
    assert problem.where == str(road.folder)
    assert str(os.getpid()) in problem.received
    Pipeline("other").run(road.folder)


def test_two_pipelines_can_share_a_folder_one_after_the_other(road):
    road.run()
    pipeline = Pipeline("other")
    pipeline.add(ingest, table=pipeline.source("data", Table, road.data))
    result = pipeline.run(road.folder)
    assert result.run == "other/000001"
    assert result.reused_everything


def test_a_damaged_store_stops_the_run_before_any_step(road):
    road.run()
    (road.folder / "metadata.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(MetadataError, match="move metadata"):
        road.run()
    for file in road.folder.glob("metadata.sqlite*"):
        file.unlink()
    assert road.statuses() == ALL_RAN


def test_a_folder_that_cannot_be_made_is_refused(road, tmp_path):
    (tmp_path / "file").touch()
    road.folder = tmp_path / "file" / "out"
    with pytest.raises(StorageError):
        road.run()


def test_a_folder_within_a_source_is_refused(road, tmp_path):
    pipeline = Pipeline("road")
    pipeline.add(gather, parts=pipeline.source("files", Table, tmp_path))
    with pytest.raises(PipelineError, match="lies within one of its sources"):
        pipeline.run(tmp_path / "deep" / "out")


def test_a_failure_to_record_a_failure_does_not_hide_it(road, monkeypatch):
    def refuse(*arguments):
        raise StorageError("disk full")

    pipeline = Pipeline("road")
    first = pipeline.add(ingest, table=pipeline.source("data", Table, road.data))
    pipeline.add(explode, words=first["words"], how="other")
    original = MetadataStore.record
    monkeypatch.setattr(
        MetadataStore,
        "record",
        lambda self, execution, contexts=(): (
            refuse() if execution.state == "failed" else original(self, execution, contexts)
        ),
    )
    with pytest.raises(ZeroDivisionError) as caught:
        pipeline.run(road.folder)
    assert any("could not be recorded" in note for note in caught.value.__notes__)


def test_a_reused_run_imports_nothing_heavy(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "import mainstay.pipeline\n"
        "early = [name for name in ('sqlalchemy', 'jax', 'keras') if name in sys.modules]\n"
        "from mainstay.pipeline import ArtifactType, Out, Pipeline, step\n"
        "class Text(ArtifactType):\n    'A text.'\n"
        "@step\n"
        "def make(*, text: Out[Text]) -> None:\n"
        "    import jax\n"
        "    text.write_text(jax.__version__)\n"
        "pipeline = Pipeline('p')\n"
        "pipeline.add(make)\n"
        "result = pipeline.run(sys.argv[1])\n"
        "late = [name for name in ('jax', 'keras') if name in sys.modules]\n"
        "print(result.reused_everything, early, late)\n"
    )
    outputs = [
        subprocess.run([sys.executable, script, tmp_path / "out"], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert outputs == ["False [] ['jax']\n", "True [] []\n"]
