"""What a run leaves: where the outputs lie and what became of each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.core import PipelineError

if TYPE_CHECKING:
    from mainstay.pipeline.graph import Node


@dataclass(frozen=True)
class StepReport:
    """What became of a step.

    Args:
        name: The step.
        status: ``ran`` or ``reused``.
        seconds: How long it took.
        reason: Why it ran; empty where it was reused.
        key: The cache key.
        outputs: Where its outputs lie, by name.
        digests: The digests of its outputs, by name.
    """

    name: str
    status: str
    seconds: float
    reason: str
    key: str
    outputs: Mapping[str, Path]
    digests: Mapping[str, str]


@dataclass(frozen=True)
class RunResult:
    """What a run leaves; ``result[node]["model"]`` is the path of an output, a step's name does as well.

    Args:
        run: The run's name in the lineage store, such as ``fraud/000003``.
        store: The lineage store's file.
        steps: What became of each step, in order.
    """

    run: str
    store: Path
    steps: tuple[StepReport, ...]

    @property
    def reused_everything(self) -> bool:
        """Whether no step had to run."""
        return all(step.status == "reused" for step in self.steps)

    def __getitem__(self, step: Node | str) -> Mapping[str, Path]:
        name = step if isinstance(step, str) else step.name
        for report in self.steps:
            if report.name == name:
                return report.outputs
        raise PipelineError(
            "the pipeline has no such step",
            expected=f"one of {', '.join(report.name for report in self.steps)}",
            received=name,
        )
