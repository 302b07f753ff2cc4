"""What a run tells while it goes on, for whoever shows it; the runner itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True)
class StepStarted:
    """A step begins to run.

    Args:
        name: The step.
        index: Its place among the steps, from 0.
        total: How many steps the pipeline has.
        reason: Why it runs instead of being reused, such as ``parameters changed: epochs``.
    """

    name: str
    index: int
    total: int
    reason: str


@dataclass(frozen=True)
class StepFinished:
    """A step has run, and its outputs are recorded.

    Args:
        name: The step.
        index: Its place among the steps, from 0.
        total: How many steps the pipeline has.
        seconds: How long it took.
        outputs: Where its outputs lie, by name.
    """

    name: str
    index: int
    total: int
    seconds: float
    outputs: Mapping[str, Path]


@dataclass(frozen=True)
class StepReused:
    """A step need not run: its result is recorded and unchanged on disk.

    Args:
        name: The step.
        index: Its place among the steps, from 0.
        total: How many steps the pipeline has.
        seconds: How long checking took.
        outputs: Where its outputs lie, by name.
    """

    name: str
    index: int
    total: int
    seconds: float
    outputs: Mapping[str, Path]


@dataclass(frozen=True)
class StepFailed:
    """A step has raised an exception, which ends the run.

    Args:
        name: The step.
        index: Its place among the steps, from 0.
        total: How many steps the pipeline has.
        seconds: How long it took.
        error: The exception.
    """

    name: str
    index: int
    total: int
    seconds: float
    error: BaseException


@dataclass(frozen=True)
class ContentRead:
    """Files are about to be read to know their content; files that nobody touched since a run are not read again.

    Args:
        name: The source or the step's output.
        num_bytes: How much there is to read.
    """

    name: str
    num_bytes: int


Event: TypeAlias = StepStarted | StepFinished | StepReused | StepFailed | ContentRead
"""Anything that a run tells."""

OnEvent: TypeAlias = Callable[[Event], None]
"""What is called with each event, in the run's own thread."""
