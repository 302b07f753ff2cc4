"""The routing snapshot: which models and versions answer, as one immutable value. A reload publishes a new one."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mainstay.core import NotFoundError, RequestError, Signature
from mainstay.serving.batching.batcher import Batcher
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.status import Code

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A signature that can be called.

    Args:
        name: Its name.
        signature: What it takes and gives.
        decoder: Reads the rows of a JSON request.
        batcher: Runs them.
        method: The `method_name` of its `SignatureDef`, such as ``tensorflow/serving/predict``.
        batched: Whether it works on rows, of which those of several requests run together. Without that a request is
            whole tensors, `Chunk.whole`, and runs alone.
        definition: The `tensorflow.SignatureDef` that the model has for it; None where it has none.
        memo: What protocols have worked out for it, under keys of their own; it goes when the version goes.
    """

    name: str
    signature: Signature
    decoder: RequestDecoder
    batcher: Batcher
    method: str = "tensorflow/serving/predict"
    batched: bool = True
    definition: Any = field(default=None, compare=False, repr=False)
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def plans(self) -> tuple[InputPlan, ...]:
        """What it asks of the values of each input, in the order in which a chunk has its parts."""
        return self.decoder.plans


class WarmUp(NamedTuple):
    """The warm-up requests of a version.

    Args:
        path: The version's folder.
        seconds: How long they took.
        records: How many there were.
    """

    path: str
    seconds: float
    records: int


class Servable:
    """One version of a model, loaded and warmed up.

    Args:
        name: The model's name.
        version: The version's number.
        endpoints: Its signatures by name.

    Attributes:
        default_endpoint: The signature that answers where none is named; None where there is none.
        users: How many calls it answers at the moment.
        on_idle: Called when the last one of them is answered, once the version has been told to go.
        warm_up: The warm-up requests that were run, if there were any.
    """

    __slots__ = ("default_endpoint", "endpoints", "name", "on_idle", "users", "version", "warm_up")

    def __init__(self, name: str, version: int, endpoints: Mapping[str, Endpoint]) -> None:
        self.name = name
        self.version = version
        self.endpoints = endpoints
        only = next(iter(endpoints.values())) if len(endpoints) == 1 else None
        self.default_endpoint = endpoints.get(DEFAULT_SIGNATURE, only)
        self.users = 0
        self.on_idle: Callable[[], None] | None = None
        self.warm_up: WarmUp | None = None

    def release(self) -> None:
        """Note that a call is answered."""
        self.users -= 1
        if not self.users and self.on_idle is not None:
            self.on_idle()

    def endpoint(self, signature_name: str) -> Endpoint:
        """Return a signature; an empty name means the default one, as does the only one there is.

        Raises:
            RequestError: There is none of that name.
        """
        name = signature_name or DEFAULT_SIGNATURE
        found = self.endpoints.get(name) if signature_name else self.default_endpoint
        if found is None:
            raise RequestError(
                f'Serving signature name: "{name}" not found in signature def',
                where="$.signature_name",
                expected=f"one of {', '.join(sorted(self.endpoints))}",
                received=name,
            )
        return found


class State(enum.Enum):
    """Where a version stands; the values are those of TF Serving's `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """Where a version stands and, where it failed, why.

    Args:
        state: Where it stands.
        code: OK, or how loading it failed.
        message: What went wrong.
    """

    state: State
    code: Code = Code.OK
    message: str = ""


@dataclass(frozen=True)
class Snapshot:
    """What the server routes to at one moment.

    Args:
        servables: The versions that answer, by model and number.
        statuses: Where every known version stands, by model and number; those that answer are AVAILABLE without it.
        labels: The versions' labels, by model.
        ready: Whether everything that was asked for at the start is there.

    Attributes:
        latest: The highest version of each model that answers.
    """

    servables: Mapping[str, Mapping[int, Servable]] = field(default_factory=dict)
    statuses: Mapping[str, Mapping[int, VersionStatus]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ready: bool = True
    latest: Mapping[str, Servable] = field(init=False)

    def __post_init__(self) -> None:
        latest = {name: versions[max(versions)] for name, versions in self.servables.items() if versions}
        object.__setattr__(self, "latest", latest)

    def find(self, model: str, version: int | None = None, label: str | None = None) -> Servable:
        """Return the version that a request asks for; the highest one where it names none.

        Raises:
            NotFoundError: There is no such model or version, or it does not answer yet.
            RequestError: The model has no such label.
        """
        if label is not None:
            version = self.labels.get(model, {}).get(label)
            if version is None:
                raise RequestError(f"Unrecognized servable version label: {label}")
        found = self.latest.get(model) if version is None else self.servables.get(model, {}).get(version)
        if found is None:
            asked = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            raise NotFoundError(f"Servable not found for request: {asked}")
        return found

    def versions(self, model: str, version: int | None = None) -> Mapping[int, VersionStatus]:
        """Return where the versions of a model stand, or the one that is asked for.

        Raises:
            NotFoundError: There is no such model or version.
        """
        available = VersionStatus(State.AVAILABLE)
        known = {**dict.fromkeys(self.servables.get(model, {}), available), **self.statuses.get(model, {})}
        if not known:
            raise NotFoundError(f"Could not find any versions of model {model}")
        if version is None:
            return known
        if version not in known:
            raise NotFoundError(f"Could not find version {version} of model {model}")
        return {version: known[version]}
