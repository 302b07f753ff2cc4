"""Pipelines: typed steps, wired and checked before they run, whose recorded results are reused."""

from mainstay.pipeline.artifacts import ArtifactType, In, InList, Out
from mainstay.pipeline.code import user_code_digest
from mainstay.pipeline.components.requests import curl_line
from mainstay.pipeline.components.transactions import write_transactions
from mainstay.pipeline.events import (
    ContentRead,
    Event,
    OnEvent,
    StepFailed,
    StepFinished,
    StepReused,
    StepStarted,
)
from mainstay.pipeline.graph import Handle, Node, Pipeline
from mainstay.pipeline.marks import Code
from mainstay.pipeline.pruning import prune
from mainstay.pipeline.results import RunResult, StepReport
from mainstay.pipeline.road import RoadOptions, RoadResult, build_road, run_road
from mainstay.pipeline.step import step

__all__ = [
    "ArtifactType",
    "Code",
    "ContentRead",
    "Event",
    "Handle",
    "In",
    "InList",
    "Node",
    "OnEvent",
    "Out",
    "Pipeline",
    "RoadOptions",
    "RoadResult",
    "RunResult",
    "StepFailed",
    "StepFinished",
    "StepReport",
    "StepReused",
    "StepStarted",
    "build_road",
    "curl_line",
    "prune",
    "run_road",
    "step",
    "user_code_digest",
    "write_transactions",
]
