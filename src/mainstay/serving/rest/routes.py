"""The grammar of request paths, as TF Serving's REST interface has it: matched in full, whatever the case.

Beyond it, a model has an OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from mainstay.core import RequestError

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_MODEL = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata|/openapi\.json)?", re.IGNORECASE
)
_MOST_DIGITS = 19
_MOST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for.

    Args:
        action: ``predict``, ``classify``, ``regress``, ``status``, ``metadata`` or ``openapi``.
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
        return "POST" if self.action in ("predict", "classify", "regress") else "GET"


def parse_path(path: str) -> Route | None:
    """Return the route of a path without its query, or None where the path is none of the interface.

    Raises:
        RequestError: The number of a version has too many digits.
    """
    found = _PREDICTION.fullmatch(path)
    if found is not None:
        model, version, label, action = found.groups()
        return _route(action.lower(), model, version, label)
    found = _MODEL.fullmatch(path)
    if found is None:
        return None
    model, version, label, part = found.groups()
    action = {"/metadata": "metadata", "/openapi.json": "openapi"}.get((part or "").lower(), "status")
    return _route(action, model or "", version, label)


def _route(action: str, model: str, version: str | None, label: str | None) -> Route:
    number = None
    if version is not None:
        number = int(version) if len(version.lstrip("0")) <= _MOST_DIGITS else _MOST_VERSION + 1
        if number > _MOST_VERSION:
            raise RequestError(f"Failed to convert version: {version} to numeric.")
    return Route(action, unquote(model), number, None if label is None else unquote(label))
