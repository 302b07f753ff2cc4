"""The grammar of request paths, as TF Serving's REST interface has it: matched in full, whatever the case."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_MODEL = re.compile(r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?", re.IGNORECASE)
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for.

    Args:
        action: ``predict``, ``classify``, ``regress``, ``status`` or ``metadata``.
        model: The model's name; empty where the path has none.
        version: The version that is asked for, or None for the latest.
        label: The version label that is asked for, or None.
    """

    action: str
    model: str
    version: int | None = None
    label: str | None = None

    @property
    def method(self) -> str:
        """The HTTP method that the action takes; GET stands for HEAD too."""
        return "GET" if self.action in ("status", "metadata") else "POST"


def parse_path(path: str) -> Route | None:
    """Return the route of a path without its query, or None where the path is none of the interface."""
    found = _PREDICTION.fullmatch(path)
    if found is not None:
        model, version, label, action = found.groups()
        return _route(action.lower(), model, version, label)
    found = _MODEL.fullmatch(path)
    if found is None:
        return None
    model, version, label, metadata = found.groups()
    return _route("metadata" if metadata else "status", model or "", version, label)


def _route(action: str, model: str, version: str | None, label: str | None) -> Route | None:
    if version is not None and len(version.lstrip("0")) > _MOST_DIGITS:
        return None
    number = None if version is None else int(version)
    return Route(action, unquote(model), number, None if label is None else unquote(label))
