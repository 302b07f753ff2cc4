"""The dispatch: where the tasks of a stage run, in threads or in worker processes, and how that is decided."""

from __future__ import annotations

from typing import Any

from mainstay.data.execution.settings import Settings
from mainstay.data.execution.stage import Stage
from mainstay.data.execution.task import Done, Task


class Dispatch:
    """Does the tasks of a stage.

    Args:
        task: The task.
        stage: What counts them.
        settings: Where they may run.
    """

    def __init__(self, task: Task, stage: Stage, settings: Settings) -> None:
        self.task, self.stage, self._settings = task, stage, settings

    def __call__(self, address: Any) -> Done:
        """Return what the task gives at an address."""
        return self.task.timed(address)

    def forget_workers(self) -> None:
        """Do without worker processes: they are another process's."""

    def close(self, seconds: float = 0.0) -> None:
        """End the worker processes."""
