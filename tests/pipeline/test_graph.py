"""Wiring pipelines: every wrong wire is an error when it is drawn, with a message that says how to draw it."""

from __future__ import annotations

import os

import pytest

from mainstay.core import PipelineError
from mainstay.pipeline import ArtifactType, Code, In, InList, Out, Pipeline, step


class Table(ArtifactType):
    """A table."""


class Examples(ArtifactType):
    """Examples."""


class SpecialExamples(Examples):
    """Examples of a narrower kind."""


@step
def ingest(*, table: In[Table], label: str = "y", examples: Out[Examples]) -> None: ...


@step
def ingest_many(*, tables: InList[Table], examples: Out[SpecialExamples], summary: Out[Table]) -> None: ...


@step
def train(
    *, examples: In[Examples], extra: In[Examples] | None = None, epochs: int, function: Code | None = None,
    model: Out[Table],
) -> None: ...  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n")
    return path


@pytest.fixture
def pipeline():
    return Pipeline("road")


@pytest.fixture
def data(pipeline, file):
    return pipeline.source("data", Table, file)


def test_steps_come_in_the_order_of_adding_with_their_wires(pipeline, data):
    first = pipeline.add(ingest, table=data, label="tips")
    second = pipeline.add(train, examples=first["examples"], epochs=3, name="training")
    assert [node.name for node in pipeline.steps] == ["ingest", "training"]
    assert second.inputs["examples"][0].producer is first
    assert second.inputs["extra"] == ()
    assert second.parameters == {"epochs": 3, "function": None}
    assert first.parameters == {"label": "tips"}


def test_a_subclass_fits_where_its_base_is_taken(pipeline, data):
    many = pipeline.add(ingest_many, tables=[data, data])
    pipeline.add(train, examples=many["examples"], epochs=1)
    assert len(many.inputs["tables"]) == 2


def test_a_list_takes_one_handle_several_or_none(pipeline, data, file):
    both = pipeline.source("both", Table, [file, file])
    assert both.num_paths == 2
    for number, handles in enumerate((data, both, [both, data], ())):
        pipeline.add(ingest_many, tables=handles, name=f"m{number}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 1}, "an input is missing"),
        ({"examples": "GOOD"}, "a parameter is missing"),
        ({"examples": "GOOD", "epochs": "3"}, "wrong type"),
        ({"examples": "GOOD", "epochs": 1, "epoch": 3}, "did you mean 'epochs'"),
        ({"examples": "GOOD", "epochs": 1, "model": 3}, "output is not an argument"),
        ({"examples": "NODE", "epochs": 1}, "a whole step"),
        ({"examples": "WRONG", "epochs": 1}, "wrong kind of artifact"),
        ({"examples": "/data/x", "epochs": 1}, "plain value"),
        ({"examples": ["GOOD"], "epochs": 1}, "plain value"),
        ({"examples": "FOREIGN", "epochs": 1}, "another pipeline"),
        ({"examples": "GOOD", "extra": "WRONG", "epochs": 1}, "wrong kind of artifact"),
        ({"examples": "GOOD", "epochs": 1, "function": "nowhere.py:f"}, "file is not there"),
        ({"examples": "GOOD", "epochs": 1, "function": "f"}, "FILE.py:function"),
        ({"examples": "GOOD", "epochs": 1, "name": "INGEST"}, "name is taken"),
        ({"examples": "GOOD", "epochs": 1, "name": "data"}, "name is taken"),
        ({"examples": "GOOD", "epochs": 1, "name": "../x"}, "malformed"),
        ({"examples": "GOOD", "epochs": 1, "name": ""}, "malformed"),
        ({"examples": "GOOD", "epochs": 1, "name": "x" * 101}, "malformed"),
    ],
)
def test_a_wrong_wire_is_refused_and_leaves_the_pipeline_as_it_was(pipeline, data, file, arguments, message):
    node = pipeline.add(ingest, table=data)
    other = Pipeline("other")
    foreign = other.add(ingest, table=other.source("data", Table, file))["examples"]
    values = {"GOOD": node["examples"], "NODE": node, "WRONG": data, "FOREIGN": foreign}
    given = {
        key: [values[v] for v in value] if isinstance(value, list) else values.get(value, value)
        for key, value in arguments.items()
    }
    with pytest.raises(PipelineError, match=message):
        pipeline.add(train, **given)
    assert pipeline.steps == (node,)


def test_the_message_of_a_wrong_kind_names_both_kinds_and_the_place(pipeline, data):
    with pytest.raises(PipelineError) as caught:
        pipeline.add(train, examples=data, epochs=1)
    assert caught.value.where == "train(examples)"
    assert caught.value.expected == "Examples"
    assert caught.value.received == "Table from data"


def test_the_same_step_can_be_added_twice_under_two_names(pipeline, data):
    pipeline.add(ingest, table=data)
    with pytest.raises(PipelineError, match="taken"):
        pipeline.add(ingest, table=data)
    pipeline.add(ingest, table=data, name="again")


def test_an_unknown_output_is_refused_naming_those_there_are(pipeline, data):
    with pytest.raises(PipelineError, match="no such output") as caught:
        pipeline.add(ingest, table=data)["model"]
    assert "examples" in caught.value.expected


def test_an_input_of_one_path_refuses_a_source_of_several(pipeline, file):
    both = pipeline.source("both", Table, [file, file])
    with pytest.raises(PipelineError, match="takes one path") as caught:
        pipeline.add(ingest, table=both)
    assert "InList" in caught.value.fix


def test_a_source_must_be_there_and_be_files(pipeline, file, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for paths, message in (
        (tmp_path / "nowhere.csv", "not there"),
        (file / "below", "not there"),
        ("a\0b", "not there"),
        ([], "no files"),
        (tmp_path / "pipe", "neither a file nor a folder"),
    ):
        with pytest.raises(PipelineError, match=message):
            pipeline.source("s", Table, paths)
    with pytest.raises(PipelineError, match="kind of artifact"):
        pipeline.source("s", int, file)
    pipeline.source("s", Table, [tmp_path, file])


def test_a_relative_source_is_bound_when_it_is_declared(pipeline, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    handle = pipeline.source("data", Table, file.name)
    assert handle.producer.paths == (file,)


@pytest.mark.parametrize("name", ["", "a/b", "ä", "-x", None])
def test_a_malformed_pipeline_name_is_refused(name):
    with pytest.raises(PipelineError, match="malformed"):
        Pipeline(name)


def test_forcing_an_unknown_step_is_refused_before_anything_runs(pipeline, data, tmp_path):
    pipeline.add(ingest, table=data)
    with pytest.raises(PipelineError, match="did you mean 'ingest'"):
        pipeline.run(tmp_path / "out", force=["ingets"])
    assert not (tmp_path / "out").exists()


def test_a_reference_to_a_function_is_checked_without_running_the_file(pipeline, data, tmp_path):
    node = pipeline.add(ingest, table=data)
    code = tmp_path / "model.py"
    code.write_text("raise SystemExit('ran')\ndef build(): ...\n")
    added = pipeline.add(train, examples=node["examples"], epochs=1, function=f"{code}:build")
    assert added.parameters["function"] == f"{code}:build"
    with pytest.raises(PipelineError, match="did you mean 'build'"):
        pipeline.add(train, examples=node["examples"], epochs=1, function=f"{code}:biuld", name="t2")
    code.write_text("def (:\n")
    with pytest.raises(PipelineError, match=r"model\.py:1: a file is not valid Python"):
        pipeline.add(train, examples=node["examples"], epochs=1, function=f"{code}:build", name="t3")
