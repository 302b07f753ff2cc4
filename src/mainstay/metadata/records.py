"""The values of the lineage store: artifacts, executions, contexts and the lineage of an artifact.

They follow the logical model of ML Metadata: an execution reads and writes artifacts, each reading or writing being
an event, and contexts group both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mainstay.core import MetadataError

STATES = ("complete", "failed", "canceled")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Artifact:
    """Something that was read or written: a file or a folder with a known content.

    Two artifacts are one and the same if their type, place and digest are equal.

    Args:
        type: What it is, such as ``Model``.
        uri: Where it lies: a path relative to the store's folder for what a pipeline wrote, else an absolute path.
        digest: The sha256 of its content, 64 hexadecimal digits; see `core.digest_tree`.
        properties: Anything else worth knowing, plain JSON values.
        id: Its number in the store, None before it is recorded.

    Raises:
        MetadataError: A text is empty, the digest is none, or the properties are not plain JSON.
    """

    type: str
    uri: str
    digest: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None

    def __post_init__(self) -> None:
        check_text(self.type, "$.type")
        check_text(self.uri, "$.uri")
        check_digest(self.digest, "$.digest")
        check_object(self.properties, "$.properties")


@dataclass(frozen=True)
class Context:
    """What artifacts and executions belong to: a pipeline, one run of it, an experiment.

    Args:
        type: The kind of grouping, such as ``pipeline`` or ``run``.
        name: Its name, unique within the type.
        properties: Anything else worth knowing, plain JSON values.
        id: Its number in the store, None before it is recorded.

    Raises:
        MetadataError: A text is empty, or the properties are not plain JSON.
    """

    type: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None

    def __post_init__(self) -> None:
        check_text(self.type, "$.type")
        check_text(self.name, "$.name")
        check_object(self.properties, "$.properties")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One run of one step: what went in, with which code and parameters, and what came out.

    Args:
        type: The code that ran, such as ``mainstay.pipeline.components.train:train``.
        name: The step's name in its pipeline.
        state: ``complete``, ``failed`` or ``canceled``.
        started: When it began, an aware datetime.
        finished: When it ended, an aware datetime.
        inputs: The artifacts that it read, by input name, in order.
        outputs: The artifacts that it wrote, by output name, in order.
        parameters: Its parameters, plain JSON values.
        cache_key: What the result depends on, as a digest; None where nothing may be reused.
        code_digest: The digest of the code that ran.
        environment: The versions it ran with, plain JSON values.
        error: What went wrong, where it did not complete.
        properties: Anything else worth knowing, plain JSON values.
        reused: Whether the context that was asked for reused this execution instead of running it.
        id: Its number in the store, None before it is recorded.

    Raises:
        MetadataError: A field is not as described.
    """

    type: str
    name: str
    state: str
    started: datetime
    finished: datetime
    inputs: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cache_key: str | None = None
    code_digest: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False
    id: int | None = None

    def __post_init__(self) -> None:
        check_text(self.type, "$.type")
        check_text(self.name, "$.name")
        if self.state not in STATES:
            raise MetadataError(
                "unknown state of an execution",
                where="$.state",
                expected=f"one of {', '.join(STATES)}",
                received=repr(self.state),
            )
        check_time(self.started, "$.started")
        check_time(self.finished, "$.finished")
        if self.error is not None:
            check_text(self.error, "$.error")
        for name in ("cache_key", "code_digest"):
            if getattr(self, name) is not None:
                check_digest(getattr(self, name), f"$.{name}")
        for name in ("parameters", "environment", "properties"):
            check_object(getattr(self, name), f"$.{name}")
        for kind in ("inputs", "outputs"):
            for name, artifacts in getattr(self, kind).items():
                check_text(name, f"$.{kind}")
                if not all(isinstance(artifact, Artifact) for artifact in artifacts):
                    raise MetadataError(f"the {kind} of an execution are artifacts", where=f"$.{kind}.{name}")


@dataclass(frozen=True)
class Lineage:
    """Everything that led to an artifact.

    Args:
        artifacts: The artifacts that were asked for.
        executions: The complete executions that led to them, in the order in which they were recorded.
    """

    artifacts: tuple[Artifact, ...]
    executions: tuple[Execution, ...]

    @property
    def sources(self) -> tuple[Artifact, ...]:
        """The artifacts at the beginning: read by some execution, written by none, in the order of reading."""
        written = {artifact.id for execution in self.executions for artifact in _flat(execution.outputs)}
        read = [*(artifact for execution in self.executions for artifact in _flat(execution.inputs)), *self.artifacts]
        return tuple({artifact.id: artifact for artifact in read if artifact.id not in written}.values())


def _flat(events: Mapping[str, tuple[Artifact, ...]]) -> tuple[Artifact, ...]:
    return tuple(artifact for artifacts in events.values() for artifact in artifacts)


def check_text(value: object, where: str) -> None:
    """Refuse what is no text, is empty, or has characters that no database can store."""
    if not isinstance(value, str) or not value:
        raise MetadataError("a text is needed", where=where, expected="a text that is not empty", received=repr(value))
    if "\0" in value or not _encodes(value):
        raise MetadataError(
            "a text cannot be stored", where=where, expected="Unicode text without NUL", received=repr(value)
        )


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_digest(value: object, where: str) -> None:
    """Refuse what is not 64 hexadecimal digits."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise MetadataError(
            "a digest is needed", where=where, expected="64 lower-case hexadecimal digits", received=repr(value)
        )


def check_time(value: object, where: str) -> None:
    """Refuse what is not a datetime with a time zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise MetadataError(
            "a time with its zone is needed",
            where=where,
            expected="an aware datetime",
            received=repr(value),
            fix="pass datetime.now(UTC)",
        )


def check_object(value: object, where: str) -> None:
    """Refuse what is not a mapping of texts to plain JSON values."""
    try:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TypeError(f"{type(value).__name__} is not a mapping of texts")
        canonical_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise MetadataError("plain JSON values are needed", where=where, received=str(error)) from error


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, ASCII; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain_mapping)


def _plain_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not plain JSON")
