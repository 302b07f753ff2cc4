"""Version labels: which of them a configuration may assign. They are looked up at each request."""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.core import PreconditionError
from mainstay.serving.models.config import FleetConfig

Labels = Mapping[str, Mapping[str, int]]
"""Version numbers by model and label."""


def assign_labels(
    config: FleetConfig, available: Mapping[str, Mapping[int, object]], *, current: Labels, unavailable_allowed: bool
) -> dict[str, dict[str, int]]:
    """Return the labels of a configuration, all of them or none.

    Args:
        config: The configuration.
        available: The versions that answer, by model and number.
        current: The labels so far.
        unavailable_allowed: Whether a label that is new, or stays where it is, may point to a version that does not
            answer.

    Raises:
        PreconditionError: A label is to point to a version that does not answer.
    """
    labels: dict[str, dict[str, int]] = {}
    for model in config.models:
        for label, version in model.labels.items():
            known = current.get(model.name, {}).get(label)
            moves = known is not None and known != version
            if version not in available.get(model.name, {}) and (moves or not unavailable_allowed):
                raise PreconditionError(
                    f"Request to assign label to version {version} of model {model.name}, which is not currently "
                    "available for inference"
                )
            labels.setdefault(model.name, {})[label] = version
    return labels
