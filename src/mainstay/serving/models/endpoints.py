"""From a loaded model to signatures that can be called: compiled, warmed up, and their batches measured."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from mainstay.core import ArgumentError
from mainstay.serving.batching.batcher import Batcher, BatchPolicy
from mainstay.serving.batching.costs import Costs
from mainstay.serving.batching.execution import Execution
from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.contract import ResizableSignature, ServedModel, ServedSignature
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.status import logger

_MEASUREMENTS = 5

_HOPELESS = 20
"""A batch that takes so many times too long is not measured again: it would only take time from others."""

_METHODS = {name: f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress")}


def make_endpoints(
    model: ServedModel, options: BatchingOptions, *, executor: Executor, loop: asyncio.AbstractEventLoop
) -> dict[str, Endpoint]:
    """Compile, warm up and measure every signature of a model, and return what can be called, by name.

    Args:
        model: The model.
        options: How its requests are batched.
        executor: Where executions run that are too long for the event loop.
        loop: The event loop of the server; this may be called on any thread.

    Raises:
        MainstayError: A signature cannot be compiled.
    """
    return {
        name: make_endpoint(name, signature, options, executor=executor, loop=loop)
        for name, signature in model.signatures.items()
    }


def make_endpoint(
    name: str,
    signature: ServedSignature,
    options: BatchingOptions,
    *,
    executor: Executor,
    loop: asyncio.AbstractEventLoop,
) -> Endpoint:
    """Compile, warm up and measure one signature; see `make_endpoints`.

    One that does not work on rows is neither compiled nor measured: it runs on the tensors of one request at a time,
    whatever their shapes.
    """
    batched = bool(getattr(signature, "rows", True))
    free = not getattr(signature, "checks_shapes", True)
    decoder = RequestDecoder(signature.inputs, free=free, batched=batched)
    sizes = batch_sizes(signature, options) if batched else []
    most = sizes[-1] if sizes else options.execution_rows
    costs = Costs(
        signature.buckets if batched else (),
        execution=options.execution,
        inline_below_seconds=options.inline_below_seconds,
    )
    execution = Execution(signature, decoder.plans, mixed_shapes=options.pad_variable_length_inputs)
    if batched:
        signature.warm_up(sizes)
        if options.execution == "auto" and not any(None in plan.inner for plan in decoder.plans):
            _measure(execution, sizes, costs, limit=options.inline_below_seconds)
    policy = BatchPolicy(
        max_rows=most,
        max_request_rows=options.request_rows,
        timeout_seconds=options.batch_timeout_seconds if options.enabled else 0.0,
        max_enqueued_batches=options.max_enqueued_batches,
        aging_seconds=options.aging_seconds,
        alone=not options.enabled,
        mixed_shapes=options.pad_variable_length_inputs,
        exclusive=_on_accelerator(),
    )
    batcher = Batcher(execution, policy, costs=costs, loop=loop, executor=executor)
    method = str(getattr(signature, "method", "predict"))
    return Endpoint(
        name,
        signature.signature,
        decoder,
        batcher,
        method=_METHODS.get(method, method),
        batched=batched,
        definition=getattr(signature, "definition", None),
    )


def batch_sizes(signature: ServedSignature, options: BatchingOptions) -> list[int]:
    """Return the batch sizes that are compiled before a signature answers, ascending, the last one being the largest.

    Where sizes are asked for, the signature is set to them.

    Raises:
        ArgumentError: The sizes are fixed and others are asked for.
    """
    if options.allowed_batch_sizes:
        wanted = tuple(options.allowed_batch_sizes)
        if isinstance(signature, ResizableSignature):
            signature.use_buckets(wanted)
        elif set(wanted) - set(signature.buckets):
            raise ArgumentError(
                "the batch sizes of a model cannot be changed",
                where="allowed_batch_sizes",
                expected=f"some of {', '.join(map(str, signature.buckets))}",
                received=", ".join(map(str, wanted)),
            )
        return list(wanted)
    most = min(options.execution_rows, max(signature.buckets, default=options.execution_rows))
    return sorted({1, most, *(size for size in signature.buckets if size < most)})


def _on_accelerator() -> bool:
    """Whether models run on a device that is none of the host's own processors."""
    jax = sys.modules.get("jax")  # not imported for this: a model that needs it has done so
    return jax is not None and jax.default_backend() != "cpu"


def _measure(execution: Execution, sizes: Sequence[int], costs: Costs, *, limit: float) -> None:
    """Measure batches of these sizes, ascending, until one takes longer than `limit` seconds."""
    for rows in sizes:
        seconds = []
        try:
            for _ in range(_MEASUREMENTS):
                started = time.perf_counter()
                execution.try_out(rows)
                seconds.append(time.perf_counter() - started)
                if seconds[-1] > _HOPELESS * limit:
                    break
        except Exception as error:
            # A model may rightly refuse blank rows. Its cost stays unknown until it has run, on the device's thread.
            logger.debug("the cost of a batch is not measured, as the model refuses the rows to try: %s", error)
            return
        costs.start(rows, min(seconds))
        if min(seconds) >= limit:
            return
