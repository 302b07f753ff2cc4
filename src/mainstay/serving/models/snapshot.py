"""The routing snapshot: which models and versions answer, as one immutable value. A reload publishes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mainstay.core import RequestError, Signature
from mainstay.serving.rest.answers import Answer, Code, refusal
from mainstay.serving.batching.batcher import Batcher
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.rest.routes import Route

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A signature that can be called.

    Args:
        signature: What it takes and gives.
        decoder: Reads the rows of a request.
        batcher: Runs them.
    """

    signature: Signature
    decoder: RequestDecoder
    batcher: Batcher


@dataclass(frozen=True, slots=True)
class Servable:
    """One version of a model, loaded and warmed up.

    Args:
        name: The model's name.
        version: The version's number.
        endpoints: Its signatures by name.
    """

    name: str
    version: int
    endpoints: Mapping[str, Endpoint]

    def endpoint(self, signature_name: str) -> Endpoint:
        """Return a signature; an empty name means the default one, as does the only one there is.

        Raises:
            RequestError: There is none of that name.
        """
        name = signature_name or DEFAULT_SIGNATURE
        found = self.endpoints.get(name)
        if found is None and not signature_name and len(self.endpoints) == 1:
            found = next(iter(self.endpoints.values()))
        if found is None:
            raise RequestError(
                f'Serving signature name: "{name}" not found in signature def',
                where="$.signature_name",
                expected=f"one of {', '.join(sorted(self.endpoints))}",
                received=name,
            )
        return found


@dataclass(frozen=True)
class Snapshot:
    """What the server routes to at one moment.

    Args:
        models: The versions of each model by number; None stands for one that is still loading.

    Attributes:
        latest: The highest loaded version of each model that has one.
        ready: Whether everything that was asked for is loaded and warmed up.
    """

    models: Mapping[str, Mapping[int, Servable | None]] = field(default_factory=dict)
    latest: Mapping[str, Servable] = field(init=False)
    ready: bool = field(init=False)

    def __post_init__(self) -> None:
        loaded = {
            name: {number: servable for number, servable in versions.items() if servable is not None}
            for name, versions in self.models.items()
        }
        latest = {name: versions[max(versions)] for name, versions in loaded.items() if versions}
        object.__setattr__(self, "latest", latest)
        object.__setattr__(self, "ready", all(map(all, (versions.values() for versions in self.models.values()))))

    def find(self, route: Route) -> Servable | Answer:
        """Return the version that a route asks for, or the answer that says why there is none."""
        model, version = route.model, route.version
        versions = self.models.get(model, {})
        if versions and route.label is not None:
            return refusal(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {route.label}")
        found = self.latest.get(model) if version is None else versions.get(version)
        if found is not None:
            return found
        asked = f"Latest({model})" if version is None else f"Specific({model}, {version})"
        if versions and (version is None or version in versions):
            return refusal(Code.UNAVAILABLE, f"Servable is still loading: {asked}")
        return refusal(Code.NOT_FOUND, f"Servable not found for request: {asked}")

    def versions(self, route: Route) -> Mapping[int, Servable | None] | Answer:
        """Return the versions that a status request asks for, or the answer that says why there are none."""
        versions = self.models.get(route.model)
        if not versions:
            return refusal(Code.NOT_FOUND, f"Could not find any versions of model {route.model}")
        if route.version is None:
            return versions
        if route.version not in versions:
            return refusal(Code.NOT_FOUND, f"Could not find version {route.version} of model {route.model}")
        return {route.version: versions[route.version]}
