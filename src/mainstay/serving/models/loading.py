"""From a model to a version that answers."""

from __future__ import annotations

import asyncio
import time

from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.parameters import options_of_version
from mainstay.serving.contract import ServedModel
from mainstay.serving.models.endpoints import make_endpoints
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.models.sources import Source
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import logger


def make_servable(
    source: Source, model: ServedModel, *, options: ServerOptions, executor: Executor, loop: asyncio.AbstractEventLoop
) -> Servable:
    """Compile, warm up and measure every signature of a model, and return the version that can be routed to."""
    started = time.perf_counter()
    batching = options.batching if source.model is not None else options_of_version(source.path, options.batching)
    endpoints = make_endpoints(model, batching, executor=executor, loop=loop)
    seconds = time.perf_counter() - started
    logger.info(
        "model %s version %d is warm after %.1f s: %s", source.name, source.version, seconds, ", ".join(endpoints)
    )
    return Servable(source.name, source.version, endpoints)
