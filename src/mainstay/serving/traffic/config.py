"""What a traffic file says: how the requests of each model are split between versions, and what shadows them."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from mainstay.core import ArgumentError, storage_errors

Target: TypeAlias = int | str
"""A version: its number, or a label."""

DEFAULT_STICKY = "x-mainstay-session"
CLIENT = "client"
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_MOST_FILE_BYTES = 4 << 20
_MOST_WEIGHT = 1e9


def target_of(text: str) -> Target:
    """Return the version that a text names: digits are a version's number, anything else is a label.

    >>> target_of("12"), target_of("canary")
    (12, 'canary')
    """
    return int(text) if text.isascii() and text.isdigit() else text


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may be apart that count as equal: ``absolute + relative × |answer|``.

    Args:
        absolute: In units of the output.
        relative: As a part of the answer's size.
    """

    absolute: float = 1e-6
    relative: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A version that some requests are sent to as well, to see whether it would have answered the same.

    Args:
        to: The version or label.
        fraction: The part of the model's requests, 0 to 1.
        tolerance: How far numbers may be apart.
        most_in_flight: How many may wait or run there; what comes beyond that is left out and counted.
        examples: How many differing rows are kept, the newest ones.
    """

    to: Target
    fraction: float = 1.0
    tolerance: Tolerance = Tolerance()
    most_in_flight: int = 4
    examples: int = 20

    def __post_init__(self) -> None:
        _check_number("fraction", self.fraction, 0, 1)
        _check_number("absolute_tolerance", self.tolerance.absolute, 0)
        _check_number("relative_tolerance", self.tolerance.relative, 0)
        _check_whole("most_in_flight", self.most_in_flight, 1, 10_000)
        _check_whole("examples", self.examples, 0, 10_000)
        _check_target("to", self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraffic:
    """How the requests of one model are spread.

    Args:
        weights: By version or label, its share of the requests that ask for none, in any unit. A version whose
            weight is 0 only answers requests that ask for it. Empty: the highest version answers.
        sticky: The header, or metadata key of gRPC, whose value keeps a client with one version; ``client`` also
            takes the client's name or address where the header is missing; empty: every request is on its own.
        shadows: Versions to try on the side.
    """

    weights: Mapping[Target, float] = field(default_factory=dict)
    sticky: tuple[str, ...] = (DEFAULT_STICKY,)
    shadows: tuple[Shadow, ...] = ()

    def __post_init__(self) -> None:
        for target, weight in self.weights.items():
            _check_target("weights", target)
            _check_number(f"weights.{target}", weight, 0, _MOST_WEIGHT)
        if self.weights and not sum(self.weights.values()) > 0:
            raise ArgumentError("no version has a weight", where="weights", fix="give one of them more than 0")
        for name in self.sticky:
            if not _HEADER.fullmatch(name):
                raise ArgumentError("no header has such a name", where="sticky", expected="lower case", received=name)
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """How the requests of all models are spread.

    Args:
        models: By name; the highest version answers for those that are not here.
    """

    models: Mapping[str, ModelTraffic] = field(default_factory=dict)


def read_traffic(path: str | Path) -> TrafficConfig:
    """Read a traffic file, as JSON or, where its name ends in ``.toml``, as TOML.

    Raises:
        StorageError: It cannot be read.
        ArgumentError: It is wrong; `where` is the file with the path of the fault.
    """
    path = Path(path)
    with storage_errors(path):
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise ArgumentError("the traffic file is too large", where=path, expected=f"{_MOST_FILE_BYTES} bytes")
        content = path.read_bytes()
    try:
        if path.suffix == ".toml":
            document: Any = tomllib.loads(content.decode())
        else:
            document = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"not a traffic file: {error}", where=path, expected="JSON, or TOML in a .toml") from error
    return parse_traffic(document, where=str(path))


def parse_traffic(document: Any, *, where: str = "traffic") -> TrafficConfig:
    """Return what the document of a traffic file says.

    >>> config = parse_traffic({"models": {"fare": {"weights": {"stable": 95, "canary": 5}}}})
    >>> config.models["fare"].weights["canary"]
    5.0

    Raises:
        ArgumentError: It is wrong; `where` has the path of the fault.
    """
    at = f"{where}: $"
    top = _table(document, at, ("models",))
    models = _mapping(top.get("models", {}), f"{at}.models")
    return TrafficConfig({name: _model(value, f"{at}.models.{name}") for name, value in models.items()})


def _model(value: Any, at: str) -> ModelTraffic:
    given = _table(value, at, ("weights", "sticky", "shadows"))
    weights: dict[Target, float] = {}
    for text, weight in _mapping(given.get("weights", {}), f"{at}.weights").items():
        target = target_of(text)
        if target in weights:
            raise ArgumentError("a version has two weights", where=f"{at}.weights.{text}")
        weights[target] = _number(weight, f"{at}.weights.{text}")
    sticky = given.get("sticky", DEFAULT_STICKY)
    names = [sticky] if isinstance(sticky, str) else sticky
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArgumentError("not the name of a header", where=f"{at}.sticky", received=_shown(sticky))
    shadows = given.get("shadows", [])
    if not isinstance(shadows, list):
        raise ArgumentError("not a list", where=f"{at}.shadows", received=_shown(shadows))
    with _Place(at):
        return ModelTraffic(
            weights=weights,
            sticky=tuple(name.lower() for name in names if name),
            shadows=tuple(_shadow(item, f"{at}.shadows[{index}]") for index, item in enumerate(shadows)),
        )


def _shadow(value: Any, at: str) -> Shadow:
    keys = ("to", "fraction", "absolute_tolerance", "relative_tolerance", "most_in_flight", "examples")
    given = _table(value, at, keys)
    to = given.get("to")
    if isinstance(to, bool) or not isinstance(to, int | str):
        raise ArgumentError("a version or a label is missing", where=f"{at}.to", received=_shown(to))
    near = Tolerance()
    with _Place(at):
        return Shadow(
            to=target_of(to) if isinstance(to, str) else to,
            fraction=_number(given.get("fraction", 1.0), f"{at}.fraction"),
            tolerance=Tolerance(
                _number(given.get("absolute_tolerance", near.absolute), f"{at}.absolute_tolerance"),
                _number(given.get("relative_tolerance", near.relative), f"{at}.relative_tolerance"),
            ),
            **{key: given[key] for key in keys[4:] if key in given},
        )


class _Place:
    """Puts the path of the table before the `where` of what a value's own checks raise."""

    def __init__(self, at: str) -> None:
        self._at = at

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ArgumentError) and error.where is not None and not error.where.startswith(self._at):
            raise ArgumentError(
                error.summary,
                where=f"{self._at}.{error.where}",
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ArgumentError("not a table", where=at, received=_shown(value))
    return value


def _table(value: Any, at: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    found = _mapping(value, at)
    for key in found:
        if key not in keys:
            raise ArgumentError("an unknown key", where=f"{at}.{key}", expected=f"one of {', '.join(keys)}")
    return found


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArgumentError("not a number", where=at, received=_shown(value))
    try:
        return float(value)
    except OverflowError:
        return math.inf  # refused with the other values out of range


def _check_target(where: str, target: Target) -> None:
    if (isinstance(target, int) and not 0 <= target < 2**63) or target == "":
        raise ArgumentError("not a version", where=where, expected="0 to 2**63-1, or a label", received=target)


def _check_number(where: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high or math.isinf(value):
        expected = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
        raise ArgumentError("out of range", where=where, expected=expected, received=value)


def _check_whole(where: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ArgumentError("out of range", where=where, expected=f"a whole number, {low} to {high}", received=value)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
