"""Pruning: only outputs that no late run used are deleted, and the records stay."""

from __future__ import annotations

import pytest

from mainstay.core import ArgumentError, PipelineError
from mainstay.metadata import MetadataStore
from mainstay.pipeline import ArtifactType, In, Out, Pipeline, prune, step


class Text(ArtifactType):
    """A text."""


@step
def write(*, text: str, out: Out[Text]) -> None:
    out.write_text(text)


@step
def wrap(*, inner: In[Text], out: Out[Text]) -> None:
    out.mkdir()
    (out / "text").write_text(inner.read_text())


def run(folder, text, name="p"):
    pipeline = Pipeline(name)
    pipeline.add(wrap, inner=pipeline.add(write, text=text)["out"])
    return pipeline.run(folder)


def test_outputs_of_old_runs_go_and_those_of_late_runs_stay(tmp_path):
    results = [run(tmp_path, text) for text in ("a", "b", "a", "c")]
    assert prune(tmp_path, keep=3) == []
    deleted = prune(tmp_path, keep=2)
    assert sorted(deleted) == sorted([results[1]["wrap"]["out"], results[1]["write"]["out"]])
    assert not any(path.exists() for path in deleted)
    assert run(tmp_path, "a").reused_everything
    assert run(tmp_path, "b").steps[0].reason.startswith("its output out is gone")
    with MetadataStore(tmp_path / "metadata.sqlite") as store:
        assert len(store.executions(name="write")) == 4


def test_runs_count_per_pipeline(tmp_path):
    run(tmp_path, "a", "one")
    run(tmp_path, "b", "two")
    assert prune(tmp_path, keep=1) == []


def test_leftovers_that_nobody_recorded_go(tmp_path):
    run(tmp_path, "a")
    stray = tmp_path / "artifacts" / "write" / "out" / ".stray.partial"
    stray.mkdir()
    assert prune(tmp_path) == [stray]


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(PipelineError, match="no pipeline has run"):
        prune(tmp_path)
    run(tmp_path, "a")
    with pytest.raises(ArgumentError, match="at least one run"):
        prune(tmp_path, keep=0)
