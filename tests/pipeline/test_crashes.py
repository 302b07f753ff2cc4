"""Killed at any moment: the next run recovers, reuses only what was recorded, and nothing half-written is ever used."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from mainstay.metadata import MetadataStore

SCRIPT = """
from __future__ import annotations
import json, os, signal, sys
from pathlib import Path
from mainstay.pipeline import ArtifactType, In, Out, Pipeline, step
from mainstay.pipeline import execution
from mainstay.metadata import MetadataStore, rows


class Thing(ArtifactType):
    "A thing."


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


moment = ""
installed = 0


@step
def first(*, one: Out[Thing]) -> None:
    one.write_text("one")


@step
def second(*, one: In[Thing], left: Out[Thing], right: Out[Thing]) -> None:
    left.mkdir()
    (left / "a").write_text(one.read_text() * 1000)
    if moment == "in the step":
        kill()
    (left / "b").write_text("b")
    right.write_text("right")


@step
def third(*, left: In[Thing], right: In[Thing], end: Out[Thing]) -> None:
    end.write_text(f"{len((left / 'a').read_text())} {right.read_text()}")


def install(source, target, *, replace):
    global installed
    installed += 1
    if (moment, installed) in {("before the first rename", 2), ("between the renames", 3)}:
        kill()
    real_install(source, target, replace=replace)


def record(self, recorded, contexts=()):
    if moment == "before the record" and recorded.name == "second":
        kill()
    made = real_record(self, recorded, contexts)
    if moment == "after the record" and recorded.name == "second":
        kill()
    return made


def associate(connection, context, recorded, *, reused):
    if moment == "within the record" and recorded.name == "second":
        kill()
    real_associate(connection, context, recorded, reused=reused)


real_install, execution.install = execution.install, install
real_record, MetadataStore.record = MetadataStore.record, record
real_associate, rows.associate = rows.associate, associate


def run(folder):
    pipeline = Pipeline("crash")
    a = pipeline.add(first)
    b = pipeline.add(second, one=a["one"])
    c = pipeline.add(third, left=b["left"], right=b["right"])
    result = pipeline.run(folder)
    print(json.dumps([{r.name: r.status for r in result.steps}, result["third"]["end"].read_text()]), flush=True)


def in_child(folder, at):
    global moment
    child = os.fork()
    if child == 0:
        moment = at
        try:
            run(folder)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


folder = Path(sys.argv[1])
for at in sys.argv[2:]:
    print(in_child(folder / at, at), flush=True)
    if at == "before the record":
        for path in (folder / at / "artifacts" / "second").rglob("*"):
            if path.is_file():
                path.write_text("a disk that lied")
    in_child(folder / at, "")
"""

MOMENTS = {
    "in the step": "ran",
    "before the first rename": "ran",
    "between the renames": "ran",
    "before the record": "ran",
    "within the record": "ran",
    "after the record": "reused",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("crashes")


@pytest.fixture(scope="module")
def told(folder):
    """For each moment: how the killed process ended, and what the run after it printed."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, folder, *MOMENTS], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(MOMENTS), done.stderr
    return {moment: (int(lines[2 * i]), json.loads(lines[2 * i + 1])) for i, moment in enumerate(MOMENTS)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_is_continued_by_the_next_one(folder, told, moment):
    ended, (statuses, end) = told[moment]
    assert ended == -signal.SIGKILL
    assert statuses == {"first": "reused", "second": MOMENTS[moment], "third": "ran"}
    assert end == "3000 right"
    assert not (folder / moment / ".partial").exists()
    assert all("partial" not in path.name for path in (folder / moment).rglob("*"))
    with MetadataStore(folder / moment / "metadata.sqlite") as store:
        store.check()
        assert len(store.executions(name="second", state="complete")) == 1
        states = [run.properties["state"] for run in store.contexts(type_name="run")]
        assert states == ["complete", "running"]
