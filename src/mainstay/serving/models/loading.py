"""From a model to a version that answers."""

from __future__ import annotations

import asyncio
import time

from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.parameters import options_of_version
from mainstay.serving.contract import ServedModel
from mainstay.serving.models.endpoints import batch_sizes, make_endpoints
from mainstay.serving.models.snapshot import Servable, WarmUp
from mainstay.serving.models.sources import Source
from mainstay.serving.models.warm_up import warm_up
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import logger


def make_servable(
    source: Source,
    model: ServedModel,
    *,
    options: ServerOptions,
    executor: Executor,
    loop: asyncio.AbstractEventLoop,
    is_compiled: bool = False,
) -> Servable:
    """Compile, warm up and measure every signature of a model, and return the version that can be routed to.

    Args:
        source: The version.
        model: The model.
        options: How its requests are batched, and how it is warmed up.
        executor: Where executions run that are too long for the event loop.
        loop: The event loop of the server; this may be called on any thread.
        is_compiled: Whether the compiler has seen all of its programs already, so that requests for the warm-up are
            of no use but where they bring shapes along.

    Raises:
        MainstayError: A signature cannot be compiled, or a request of the warm-up fails.
    """
    started = time.perf_counter()
    in_memory = source.model is not None
    batching = options.batching if in_memory else options_of_version(source.path, options.batching)
    endpoints = make_endpoints(model, batching, executor=executor, loop=loop)
    servable = Servable(source.name, source.version, endpoints)
    versions = options.versions
    if versions.warm_up and not in_memory:
        every_size = versions.warm_up_every_size
        sizes = {name: batch_sizes(model.signatures[name], batching) for name in endpoints} if every_size else {}
        begun = time.perf_counter()
        records = warm_up(
            source.path,
            servable,
            iterations=versions.warm_up_iterations,
            sizes=sizes,
            open_shapes_only=is_compiled,
        )
        if records:
            servable.warm_up = WarmUp(str(source.path), time.perf_counter() - begun, records)
    seconds = time.perf_counter() - started
    logger.info(
        "model %s version %d is warm after %.1f s: %s", source.name, source.version, seconds, ", ".join(endpoints)
    )
    return servable
