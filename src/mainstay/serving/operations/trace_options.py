"""Where traces go and which are kept: from options, or from the environment variables of OpenTelemetry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mainstay.core import ArgumentError
from mainstay.serving.operations.sampling import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """How requests are traced.

    Args:
        endpoint: Where spans are posted to as OTLP in JSON, such as ``http://collector:4318/v1/traces``.
        service: The name of this service.
        sampler: Which traces are kept; see `sampling.SAMPLERS`.
        ratio: The share that a sampler by ratio keeps.
        headers: Headers of every post, such as the collector's key.
        attributes: What else is known of this process, such as ``deployment.environment``.
        timeout_seconds: How long a post may take.
        queue: How many spans may wait for the collector; more are dropped and counted.

    Raises:
        ArgumentError: An option is wrong.
    """

    endpoint: str
    service: str = "mainstay"
    sampler: str = "parentbased_always_on"
    ratio: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 10.0
    queue: int = 8192

    def __post_init__(self) -> None:
        Sampler(self.sampler, self.ratio)
        try:
            parts = urlsplit(self.endpoint)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or not self.endpoint.isascii() or not self.endpoint.isprintable() or " " in self.endpoint:
            raise ArgumentError(
                "this is no address of a collector", expected="http://host:4318/v1/traces", received=self.endpoint
            )
        if not 0 < self.timeout_seconds < math.inf or self.queue < 1:
            raise ArgumentError("the collector needs a positive timeout and queue", received=self.timeout_seconds)
        for name, value in self.headers.items():
            if not name or not (name + value).isascii() or not (name + value).isprintable() or ":" in name:
                raise ArgumentError("this cannot be a header", where="headers", received=name)


def traces_from_environment(environment: Mapping[str, str]) -> TraceOptions | None:
    """Return what OpenTelemetry's variables ask for; None where they name no collector or say not to trace.

    Read are ``OTEL_SDK_DISABLED``, ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_EXPORTER_OTLP_HEADERS``,
    ``OTEL_EXPORTER_OTLP_TIMEOUT`` and their variants with ``_TRACES_``, ``OTEL_SERVICE_NAME``,
    ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_TRACES_EXPORTER``, ``OTEL_TRACES_SAMPLER`` and its ``_ARG``.

    Args:
        environment: The variables, as in `os.environ`.

    Raises:
        ArgumentError: A variable is wrong; it is named.

    >>> traces_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}).endpoint
    'http://localhost:4318/v1/traces'
    """
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    endpoint = _variable(environment, "ENDPOINT") if _has(environment, "TRACES_ENDPOINT") else ""
    if not endpoint and base:
        endpoint = base.rstrip("/") + "/v1/traces"
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not endpoint or disabled or environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none":
        return None
    attributes = _pairs(environment, "OTEL_RESOURCE_ATTRIBUTES")
    service = environment.get("OTEL_SERVICE_NAME", "").strip() or attributes.pop("service.name", "") or "mainstay"
    attributes.pop("service.name", None)
    name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS" if _has(environment, "TRACES_HEADERS") else "OTEL_EXPORTER_OTLP_HEADERS"
    return TraceOptions(
        endpoint=endpoint,
        service=service,
        sampler=environment.get("OTEL_TRACES_SAMPLER", "").strip() or "parentbased_always_on",
        ratio=_number(environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1", "OTEL_TRACES_SAMPLER_ARG"),
        headers=_pairs(environment, name),
        attributes=attributes,
        timeout_seconds=_number(_variable(environment, "TIMEOUT") or "10000", "OTEL_EXPORTER_OTLP_TIMEOUT") / 1000,
    )


def _has(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip())


def _variable(environment: Mapping[str, str], name: str) -> str:
    """Return a variable of the exporter; the one for traces goes before the one for everything."""
    special = environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return special or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError("this is no number", where=where, expected="a number", received=text) from None


def _pairs(environment: Mapping[str, str], name: str) -> dict[str, str]:
    pairs = {}
    for item in environment.get(name, "").split(","):
        key, equals, value = item.partition("=")
        if not item.strip():
            continue
        if not equals or not key.strip():
            raise ArgumentError("this is no list of names and values", where=name, expected="a=1,b=2", received=item)
        pairs[key.strip()] = unquote(value.strip())
    return pairs
