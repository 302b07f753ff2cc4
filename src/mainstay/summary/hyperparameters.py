"""Hyperparameters: what each trial of an experiment was run with, for TensorBoard's HParams page."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mainstay.core import ArgumentError, message_class
from mainstay.summary.messages import TENSOR, float_tensor, plugin_metadata
from mainstay.summary.recording import record

_STRING, _BOOL, _NUMBER = 1, 2, 3
_STATUSES = {"success": 1, "failure": 2, "running": 3}
_DATASETS = {None: 0, "training": 1, "validation": 2}

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Discrete:
    """A fixed set of values that a hyperparameter may have.

    Args:
        values: The values, all of one kind: bools, numbers or strings.

    Raises:
        ArgumentError: There is none, or they are of several kinds.
    """

    values: Sequence[Value]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))  # hashable, as a key of `hparams` is
        kinds = {_kind(value, "values") for value in self.values}
        if len(kinds) != 1:
            raise ArgumentError(
                "the values of a hyperparameter are wrong",
                expected="at least one value, all of one kind",
                received=list(self.values),
            )


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from `min_value` to `max_value`, both included.

    Raises:
        ArgumentError: The bounds are no numbers, or in the wrong order.
    """

    min_value: float
    max_value: float

    def __post_init__(self) -> None:
        numbers = all(_kind(value, "interval") == _NUMBER for value in (self.min_value, self.max_value))
        if not numbers or not self.min_value <= self.max_value:
            raise ArgumentError(
                "the interval of a hyperparameter is wrong",
                expected="two numbers, the smaller one first",
                received=f"{self.min_value!r}, {self.max_value!r}",
            )


@dataclass(frozen=True, slots=True)
class HParam:
    """A hyperparameter of an experiment.

    Args:
        name: Its name, as in the dictionaries that `hparams` gets.
        domain: The values that it may have; any, without it.
        display_name: What the page shows in place of the name.
        description: Markdown.
    """

    name: str
    domain: Discrete | Interval | None = None
    display_name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A scalar series that the trials of an experiment are compared by.

    Args:
        tag: The name of the series, such as `epoch_accuracy`.
        group: The folder of the series under that of the trial, such as `validation`.
        display_name: What the page shows in place of the name.
        description: Markdown.
        dataset_type: Which data it was measured on: `"training"` or `"validation"`.

    Raises:
        ArgumentError: The kind of data is unknown.
    """

    tag: str
    group: str | None = None
    display_name: str | None = None
    description: str | None = None
    dataset_type: Literal["training", "validation"] | None = None

    def __post_init__(self) -> None:
        if self.dataset_type not in _DATASETS:
            raise ArgumentError(
                "the kind of data of a metric is unknown",
                where="dataset_type",
                expected="training, validation or None",
                received=repr(self.dataset_type),
            )


def hparams(
    values: Mapping[str | HParam, Any],
    *,
    trial_id: str | None = None,
    start_time_secs: float | None = None,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Record what a trial is run with; call it once, with a writer on the trial's own folder.

    Args:
        values: The value of each hyperparameter: a bool, a number or a string.
        trial_id: Runs of the same id are shown as one group; without it, runs of equal values are.
        start_time_secs: When the trial began, in seconds since 1970; now, without it.
        clock: Gives the present time.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: A name or a value is wrong.
        StorageError: The event file could not be written.
    """
    plain: dict[str, Value] = {}
    for key, value in values.items():
        name = key.name if isinstance(key, HParam) else key
        if not isinstance(name, str) or not name or name in plain:
            raise ArgumentError("the name of a hyperparameter is empty, no string, or given twice", received=repr(name))
        plain[name] = _plain(value)
        _kind(plain[name], name)
    if trial_id is None:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        trial_id = hashlib.sha256(text.encode()).hexdigest()
    start = message_class("tensorboard.hparams.SessionStartInfo")(
        group_name=trial_id, start_time_secs=clock() if start_time_secs is None else start_time_secs
    )
    for name, value in sorted(plain.items()):
        _set_value(start.hparams[name], value)
    return _record("session_start_info", start)


def hparams_end(
    status: Literal["success", "failure", "running"] = "success",
    *,
    end_time_secs: float | None = None,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Record how a trial ended.

    Args:
        status: How it ended.
        end_time_secs: When, in seconds since 1970; now, without it.
        clock: Gives the present time.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: The status is unknown.
        StorageError: The event file could not be written.
    """
    if status not in _STATUSES:
        raise ArgumentError("the status of a trial is unknown", expected=", ".join(_STATUSES), received=repr(status))
    end = message_class("tensorboard.hparams.SessionEndInfo")(
        status=_STATUSES[status], end_time_secs=clock() if end_time_secs is None else end_time_secs
    )
    return _record("session_end_info", end)


def hparams_config(
    hparams: Sequence[HParam],
    metrics: Sequence[Metric],
    *,
    time_created_secs: float | None = None,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Record what an experiment tries and measures; call it once, with a writer on the folder above all trials.

    Args:
        hparams: The hyperparameters, in the order of the page's columns.
        metrics: The metrics, in the order of the page's columns.
        time_created_secs: When the experiment began, in seconds since 1970; now, without it.
        clock: Gives the present time.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        StorageError: The event file could not be written.
    """
    experiment = message_class("tensorboard.hparams.Experiment")(
        time_created_secs=clock() if time_created_secs is None else time_created_secs
    )
    for hparam in hparams:
        info = experiment.hparam_infos.add(
            name=hparam.name, display_name=hparam.display_name or "", description=hparam.description or ""
        )
        match hparam.domain:
            case Discrete(values):
                info.type = _kind(values[0], hparam.name)
                info.domain_discrete.SetInParent()
                for value in values:
                    _set_value(info.domain_discrete.values.add(), _plain(value))
            case Interval(low, high):
                info.type = _NUMBER
                info.domain_interval.min_value, info.domain_interval.max_value = low, high
    for metric in metrics:
        info = experiment.metric_infos.add(
            display_name=metric.display_name or "",
            description=metric.description or "",
            dataset_type=_DATASETS[metric.dataset_type],
        )
        info.name.tag, info.name.group = metric.tag, metric.group or ""
    return _record("experiment", experiment)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _kind(value: Any, where: str) -> int:
    match _plain(value):
        case bool():
            return _BOOL
        case int() | float():
            return _NUMBER
        case str():
            return _STRING
    raise ArgumentError(
        "the value of a hyperparameter is wrong",
        where=where,
        expected="a bool, a number or a string",
        received=f"{type(value).__name__}: {value!r}",
    )


def _set_value(message: Any, value: Value) -> None:
    match value:
        case bool():
            message.bool_value = value
        case str():
            message.string_value = value
        case _:
            message.number_value = value


def _record(field: str, message: Any) -> bool:
    data = message_class("tensorboard.hparams.HParamsPluginData")(**{field: message})
    metadata = plugin_metadata("hparams", TENSOR, None, data.SerializeToString())
    return record(f"_hparams_/{field}", lambda: float_tensor(0.0), (), 0, metadata)
