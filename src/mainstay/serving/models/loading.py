"""From a path to a version that answers: find the versions, load one, compile it, measure what its batches cost."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArtifactError, RequestError, SetupError
from mainstay.serving.batching.batcher import Batcher, BatchPolicy
from mainstay.serving.batching.chunks import Chunk, merge
from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.outputs import Outputs, Run
from mainstay.serving.contract import SampledSignature, ServedModel, ServedSignature
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.options import ServerOptions
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.status import logger

if TYPE_CHECKING:
    from mainstay.saved_model import Trust

_ARTIFACT_FILES = ("saved_model.pb", "assets.extra/mainstay/manifest.json")
_MEASUREMENTS = 5
_BATCH_PLACE = re.compile(r"\$\.(.+)\[(\d+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version of a model comes from.

    Args:
        name: The model's name.
        version: The version's number.
        path: Its artifact directory.
        model: The model itself, where it is in memory already.
    """

    name: str
    version: int
    path: Path = Path()
    model: ServedModel | None = None


def find_source(name: str, given: str | os.PathLike[str] | ServedModel) -> Source:
    """Return the version to serve: the artifact at a path, or the highest numbered one in its folders.

    An artifact whose own folder has a number for a name has that version; any other, and a model in memory, has
    version 1.

    Raises:
        SetupError: There is no artifact.
    """
    if not isinstance(given, str | os.PathLike):
        return Source(name, 1, model=given)
    folder = Path(given)
    if _is_artifact(folder):
        return Source(name, int(folder.name) if _is_number(folder.name) else 1, folder)
    versions = {int(child.name): child for child in _children(folder) if _is_number(child.name)}
    if not versions:
        raise SetupError(
            f"there is no model to serve as {name!r}",
            where=folder,
            expected="a saved model, or a folder with saved models in numbered folders such as 1",
            received="nothing" if not folder.exists() else "no such files",
            fix="give the folder that `save` or `mainstay run` wrote",
        )
    latest = max(versions)
    if not _is_artifact(versions[latest]):
        raise SetupError(
            f"version {latest} of model {name!r} is no saved model",
            where=versions[latest],
            expected=" or ".join(_ARTIFACT_FILES),
            fix="remove the folder or save the model again",
        )
    return Source(name, latest, versions[latest])


def _children(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_dir()] if folder.is_dir() else []


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 2**63


def _is_artifact(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _ARTIFACT_FILES)


def load_model(path: Path, trust: Trust | None = None) -> ServedModel:
    """Load an artifact, which verifies its digests and replays its golden requests.

    Args:
        path: Its folder.
        trust: Whose signature it must have; None asks for none.
    """
    from mainstay.saved_model import load  # imported late: it brings the compiler along

    return load(path, trust=trust)


def make_servable(
    source: Source, model: ServedModel, *, options: ServerOptions, executor: Executor, loop: asyncio.AbstractEventLoop
) -> Servable:
    """Compile, warm up and measure every signature of a model, and return the version that can be routed to."""
    started = time.perf_counter()
    endpoints = {}
    for name, signature in model.signatures.items():
        if not getattr(signature, "rows", True):
            # Requests are batched by rows; a function of whole arrays has none.
            logger.info("signature %s of model %s is not served: it does not work on rows", name, source.name)
            continue
        decoder = RequestDecoder(signature.inputs)
        execution = _Execution(signature, decoder.plans)
        most = min(options.max_batch_size, max(signature.buckets, default=options.max_batch_size))
        sizes = sorted({1, most, *(size for size in signature.buckets if size < most)})
        signature.warm_up(sizes)
        inline_rows = {"auto": _cheap_rows(execution, sizes, options.inline_below_seconds), "inline": most, "thread": 0}
        policy = BatchPolicy(most, options.batch_timeout_seconds, inline_rows[options.execution])
        batcher = Batcher(execution, policy, loop=loop, executor=executor)
        endpoints[name] = Endpoint(name, signature.signature, decoder, batcher)
    seconds = time.perf_counter() - started
    logger.info(
        "model %s version %d is warm after %.1f s: %s", source.name, source.version, seconds, ", ".join(endpoints)
    )
    return Servable(source.name, source.version, endpoints)


class _Execution:
    """Runs the rows of several requests as one batch of a signature."""

    def __init__(self, signature: ServedSignature, plans: Sequence[InputPlan]) -> None:
        self._signature = signature
        self._plans = plans

    def __call__(self, chunks: Sequence[Chunk]) -> Outputs:
        started = time.monotonic()
        try:
            arrays = self._signature.run(merge(chunks, self._plans))
        except RequestError as error:
            raise _in_request(error, chunks) from error
        rows = sum(chunk.rows for chunk in chunks)
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != rows:
                raise ArtifactError(
                    f"Tensor name: {name} has inconsistent batch size",
                    expected=f"{rows} rows, as the request has",
                    received=f"shape {array.shape}",
                    fix="serve signatures whose outputs have one row for each row of the inputs",
                )
        return Outputs.of(arrays, Run(rows, started, time.monotonic(), self._padded(rows)))

    def _padded(self, rows: int) -> int:
        return min((size for size in self._signature.buckets if size >= rows), default=rows)

    def try_out(self, rows: int) -> None:
        """Run the model once on that many rows: golden ones where it has some, else blank ones."""
        if isinstance(self._signature, SampledSignature):
            self._signature.run(self._signature.example(rows))
        else:
            self([self._blank(rows)])

    def _blank(self, rows: int) -> Chunk:
        """Return rows of nothing: missing where that is allowed, else zeros and empty strings."""
        parts: list[Any] = []
        for plan in self._plans:
            if plan.inner:
                shape = (rows, *(axis or 1 for axis in plan.inner))
                parts.append(np.full(shape, "", object) if plan.dtype == "string" else np.zeros(shape, plan.dtype))
            else:
                filler: Any = None if plan.optional else "" if plan.dtype == "string" else 0
                parts.append((filler,) * rows)
        return Chunk(rows, parts, missing=True)


def _in_request(error: RequestError, chunks: Sequence[Chunk]) -> RequestError:
    """Return a refusal of the model with the path in the request instead of the row in the batch.

    Only the refusal of a single request is ever told: a batch that fails is tried again request by request.
    """
    found = _BATCH_PLACE.fullmatch(error.where or "")
    if found is None or len(chunks) != 1:
        return error
    where = chunks[0].place(found[1], int(found[2]) + chunks[0].start)
    return RequestError(error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix)


def _cheap_rows(execution: _Execution, sizes: Sequence[int], limit: float) -> int:
    """Return the largest of the sizes, ascending, up to which a batch takes less than `limit` seconds."""
    cheap = 0
    for rows in sizes:
        costs = []
        try:
            for _ in range(_MEASUREMENTS):
                started = time.perf_counter()
                execution.try_out(rows)
                costs.append(time.perf_counter() - started)
        except Exception as error:
            # A model may rightly refuse blank rows. Its cost stays unknown, and the executor thread is always right.
            logger.info("the cost of a batch is not measured, as the model refuses the rows to try: %s", error)
            return cheap
        if min(costs) >= limit:
            return cheap
        cheap = rows
    return cheap


def load_all(
    sources: Sequence[Source], options: ServerOptions, *, executor: Executor, loop: asyncio.AbstractEventLoop
) -> dict[str, dict[int, Servable]]:
    """Load, compile, warm up and measure every model, and return it by name and version."""
    loaded = {}
    for source in sources:
        model = source.model
        if model is None:
            logger.info("loading model %s version %d from %s", source.name, source.version, source.path)
            model = load_model(source.path, options.trust)
        servable = make_servable(source, model, options=options, executor=executor, loop=loop)
        loaded[source.name] = {source.version: servable}
    return loaded
