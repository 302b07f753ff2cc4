"""`mainstay bench serve`: steps of load on a server, one after the other, and what came of each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mainstay.core import NotFoundError, PermissionDeniedError, RequestError, UnauthenticatedError
from mainstay.serving.client.address import parse_address
from mainstay.serving.client.arrays import find_signature, input_arrays
from mainstay.serving.client.client import Client, tls_context
from mainstay.serving.client.protocols import Target
from mainstay.serving.load.generator import LoadTarget, put_load
from mainstay.serving.load.requests import made_up, predict_target
from mainstay.serving.load.results import StepResult
from mainstay.serving.load.schedule import LoadStep
from mainstay.serving.running import event_loop

_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What is asked over and over.

    Args:
        model: The model's name.
        signature: The signature's name; empty for the default one.
        version: The version; None for the server's choice.
        label: The version's label.
        inputs: The inputs by name; None makes them up from the signature.
        rows: How many rows are made up.
        token: A bearer token to show.
        tls: How to speak TLS: see `Client`.
    """

    model: str
    signature: str = ""
    version: int | None = None
    label: str | None = None
    inputs: Any = None
    rows: int = 1
    token: str | None = None
    tls: Any = None


_NOT_THE_INPUTS = (NotFoundError, PermissionDeniedError, UnauthenticatedError)


def bench_server(
    address: str,
    request: LoadRequest,
    steps: Sequence[LoadStep],
    *,
    on_step: Callable[[StepResult], None] | None = None,
) -> list[StepResult]:
    """Put load on a model server in steps.

    Each step sends requests at its own rate, whether or not those before have been answered, and a request's latency
    counts from when it was due: a server that stalls for a second is seen to make every request of that second wait.

    Args:
        address: The server; see `Client`.
        request: What is asked.
        steps: The load, in order.
        on_step: Called with the result of each step.

    Returns:
        The results of the steps.

    Raises:
        RequestError: The server refuses the request; it is tried once before.
        UnavailableError: The server cannot be reached.
    """
    target = _target(address, request)
    results = []
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        first = steps[0]
        warm_up = LoadStep(None, min(_WARM_UP_SECONDS, first.seconds), min(first.connections, 8))
        runner.run(put_load(target, warm_up))
        for step in steps:
            results.append(runner.run(put_load(target, step)))
            if on_step is not None:
                on_step(results[-1])
    return results


def _target(address: str, request: LoadRequest) -> LoadTarget:
    place = parse_address(address)
    with Client(address, token=request.token, tls=request.tls) as client:
        known = client.signatures(request.model, version=request.version, label=request.label)
        signature = find_signature(known, request.signature, request.model)
        inputs = made_up(signature, request.rows) if request.inputs is None else request.inputs
        arrays = input_arrays(inputs, signature)
        try:
            client.predict(
                request.model, arrays, signature=request.signature, version=request.version, label=request.label
            )
        except RequestError as error:
            if request.inputs is None and not isinstance(error, _NOT_THE_INPUTS):
                raise RequestError(
                    f"the model refuses the inputs that were made up: {error.summary}",
                    where=error.where,
                    fix="give inputs of your own: --inputs FILE.json, a JSON object with the columns of a request",
                ) from error
            raise
    headers = () if request.token is None else (("authorization", f"Bearer {request.token}"),)
    asked = Target(request.model, request.version, request.label, request.signature, headers)
    context: ssl.SSLContext | None = tls_context(request.tls) if place.secure else None
    if context is not None and place.protocol == "grpc":
        context.set_alpn_protocols(["h2"])
    return predict_target(place, asked, arrays, tls=context)
