"""The routing snapshot: which models and versions answer, as one immutable value. A reload publishes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mainstay.core import RequestError, Signature
from mainstay.serving.answers import Answer, Code, refusal
from mainstay.serving.batcher import Batcher
from mainstay.serving.decode import RequestDecoder
from mainstay.serving.routes import Route

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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the server routes to at one moment.

    Args:
        models: The loaded versions of each model by number; a model that is still loading has none.
        ready: Whether every model that was asked for is loaded and warmed up.
    """

    models: Mapping[str, Mapping[int, Servable]] = field(default_factory=dict)
    ready: bool = False

    def find(self, route: Route) -> Servable | Answer:
        """Return the version that a route asks for, or the answer that says why there is none."""
        versions = self.models.get(route.model)
        if versions is not None and route.label is not None:
            return refusal(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {route.label}")
        if versions:
            found = versions.get(max(versions) if route.version is None else route.version)
            if found is not None:
                return found
        asked = f"Latest({route.model})" if route.version is None else f"Specific({route.model}, {route.version})"
        if versions is not None and not versions:
            return refusal(Code.UNAVAILABLE, f"Servable is still loading: {asked}")
        return refusal(Code.NOT_FOUND, f"Servable not found for request: {asked}")

    def versions(self, route: Route) -> Mapping[int, Servable] | Answer:
        """Return the versions that a status request asks for, or the answer that says why there are none."""
        versions = self.models.get(route.model)
        if versions is None:
            return refusal(Code.NOT_FOUND, f"Could not find any versions of model {route.model}")
        if route.version is None:
            return versions
        if route.version not in versions:
            return refusal(Code.NOT_FOUND, f"Could not find version {route.version} of model {route.model}")
        return {route.version: versions[route.version]}
