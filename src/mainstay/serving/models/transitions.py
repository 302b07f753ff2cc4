"""What a model does next on its way from the versions that it has to those that it should have. Pure functions."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mainstay.serving.models.sources import Source


class Phase(enum.Enum):
    """Where a version stands, in more detail than clients are told."""

    NEW = enum.auto()
    WAITING = enum.auto()  # for another try
    LOADING = enum.auto()
    READY = enum.auto()
    UNLOADING = enum.auto()
    FAILED = enum.auto()


class Act(enum.Enum):
    """What is done to a version."""

    LOAD = enum.auto()
    UNLOAD = enum.auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """One version of a model as a transition sees it.

    Args:
        source: The version.
        phase: Where it stands.
        wanted: Whether it should be served.
    """

    source: Source
    phase: Phase
    wanted: bool


Action = tuple[Act, Source]


def next_action(versions: Sequence[Standing], transition: str) -> Action | None:
    """Return what to do next, or None if there is nothing to do at present.

    Both ways are TF Serving's: one keeps a version available while another one loads, one never has two in memory.

    Args:
        versions: The versions of one model.
        transition: ``availability`` or ``resources``.
    """
    return _keep_resources(versions) if transition == "resources" else _keep_availability(versions)


def _keep_availability(versions: Sequence[Standing]) -> Action | None:
    unwanted = [each for each in versions if not each.wanted and each.phase is Phase.READY]
    wanted = [each for each in versions if each.wanted]
    if unwanted and (not wanted or any(each.phase is Phase.READY for each in wanted) or len(unwanted) > 1):
        return Act.UNLOAD, min(unwanted, key=lambda each: each.source.version).source
    return _load_highest(versions)


def _keep_resources(versions: Sequence[Standing]) -> Action | None:
    for each in versions:
        if not each.wanted and each.phase is Phase.READY:
            return Act.UNLOAD, each.source
    if any(not each.wanted and each.phase is not Phase.FAILED for each in versions):
        return None
    return _load_highest(versions)


def _load_highest(versions: Sequence[Standing]) -> Action | None:
    new = [each.source for each in versions if each.wanted and each.phase is Phase.NEW]
    return (Act.LOAD, max(new, key=lambda source: source.version)) if new else None
