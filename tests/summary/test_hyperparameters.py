"""Hyperparameters: the messages that TensorBoard's HParams page reads."""

from pathlib import Path

import numpy as np
import pytest

from mainstay import summary
from mainstay.core import ArgumentError, message_class


@pytest.fixture
def writer(tmp_path: Path):
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default():
        yield writer
    writer.close()


@pytest.fixture
def plugin_data(writer, tmp_path: Path, read_events):
    """Reads {tag: HParamsPluginData}."""

    def read() -> dict:
        writer.flush()
        values = [event.summary.value[0] for event in read_events(tmp_path)]
        assert {value.metadata.plugin_data.plugin_name for value in values} <= {"hparams"}
        message = message_class("tensorboard.hparams.HParamsPluginData")
        return {value.tag: message.FromString(value.metadata.plugin_data.content) for value in values}

    return read


def test_a_trial_has_its_values_a_group_and_a_beginning(plugin_data) -> None:
    rate = summary.HParam("rate", summary.Interval(0, 1))
    name = summary.HParam("name", summary.Discrete(["a", "b"]))
    assert summary.hparams({rate: np.float32(0.5), "units": 16, "bias": True, name: "a"}, start_time_secs=3.5)
    start = plugin_data()["_hparams_/session_start_info"].session_start_info
    assert start.start_time_secs == 3.5
    assert start.hparams["rate"].number_value == 0.5
    assert start.hparams["units"].number_value == 16
    assert start.hparams["bias"].bool_value is True
    assert start.hparams["name"].string_value == "a"
    assert len(start.group_name) == 64


def test_the_group_is_that_of_the_values_or_the_id(writer, tmp_path: Path, read_events) -> None:
    for values, trial in (({"a": 1, "b": 2}, None), ({"b": 2, "a": 1}, None), ({"a": 2}, None), ({"a": 1}, "mine")):
        summary.hparams(values, trial_id=trial, clock=lambda: 1.0)
    writer.flush()
    message = message_class("tensorboard.hparams.HParamsPluginData")
    contents = [event.summary.value[0].metadata.plugin_data.content for event in read_events(tmp_path)]
    groups = [message.FromString(content).session_start_info.group_name for content in contents]
    assert groups[0] == groups[1] != groups[2]
    assert groups[3] == "mine"


def test_the_end_of_a_trial_has_a_status(plugin_data) -> None:
    assert summary.hparams_end("failure", clock=lambda: 9.0)
    end = plugin_data()["_hparams_/session_end_info"].session_end_info
    assert (end.status, end.end_time_secs) == (2, 9.0)


def test_an_experiment_lists_what_is_tried_and_measured(plugin_data) -> None:
    summary.hparams_config(
        [
            summary.HParam("rate", summary.Interval(0.1, 0.5), display_name="Rate"),
            summary.HParam("optimizer", summary.Discrete(["adam", "sgd"]), description="which"),
            summary.HParam("deep", summary.Discrete([True, False])),
            summary.HParam("free"),
        ],
        [summary.Metric("epoch_loss", group="validation", display_name="loss", dataset_type="validation")],
        time_created_secs=1.0,
    )
    experiment = plugin_data()["_hparams_/experiment"].experiment
    rate, optimizer, deep, free = experiment.hparam_infos
    assert (rate.display_name, rate.type, rate.domain_interval.max_value) == ("Rate", 3, 0.5)
    assert (optimizer.type, [v.string_value for v in optimizer.domain_discrete.values]) == (1, ["adam", "sgd"])
    assert (deep.type, [v.bool_value for v in deep.domain_discrete.values]) == (2, [True, False])
    assert (free.type, free.WhichOneof("domain")) == (0, None)
    [metric] = experiment.metric_infos
    assert (metric.name.tag, metric.name.group, metric.dataset_type) == ("epoch_loss", "validation", 2)


@pytest.mark.parametrize("values", [{"a": None}, {"a": [1]}, {"": 1}, {3: 1}, {"a": 1, summary.HParam("a"): 2}])
def test_wrong_values_and_names_are_refused(writer, values: dict) -> None:
    with pytest.raises(ArgumentError, match="hyperparameter"):
        summary.hparams(values)


@pytest.mark.parametrize("make", [lambda: summary.Discrete([]), lambda: summary.Discrete([1, "a"])])
def test_a_domain_of_nothing_or_of_several_kinds_is_refused(make) -> None:
    with pytest.raises(ArgumentError, match="at least one value, all of one kind"):
        make()


@pytest.mark.parametrize("bounds", [(2, 1), ("a", "b"), (0, float("nan")), (False, True)])
def test_a_wrong_interval_is_refused(bounds: tuple) -> None:
    with pytest.raises(ArgumentError, match="interval"):
        summary.Interval(*bounds)


def test_an_unknown_kind_of_data_is_refused() -> None:
    with pytest.raises(ArgumentError, match="training, validation or None"):
        summary.Metric("loss", dataset_type="test")


def test_an_unknown_status_is_refused(writer) -> None:
    with pytest.raises(ArgumentError, match="success, failure, running"):
        summary.hparams_end("done")


def test_without_a_writer_nothing_is_recorded() -> None:
    assert not summary.hparams({"a": 1})
    assert not summary.hparams_config([], [])
    assert not summary.hparams_end()
