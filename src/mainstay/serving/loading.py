"""From a path to a version that answers: find the versions, load one, compile it, measure what its batches cost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import SetupError
from mainstay.serving.answers import logger
from mainstay.serving.batcher import Batcher, BatchPolicy
from mainstay.serving.chunks import Chunk, merge
from mainstay.serving.contract import ServedModel, ServedSignature
from mainstay.serving.decode import RequestDecoder
from mainstay.serving.encode import Outputs
from mainstay.serving.executor import Executor
from mainstay.serving.options import ServerOptions
from mainstay.serving.snapshot import Endpoint, Servable
from mainstay.serving.values import InputPlan

_ARTIFACT_FILES = ("saved_model.pb", "assets.extra/mainstay/manifest.json")
_MEASUREMENTS = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version of a model comes from.

    Args:
        name: The model's name.
        version: The version's number.
        path: Its artifact directory.
    """

    name: str
    version: int
    path: Path


def find_source(name: str, path: str | os.PathLike[str]) -> Source:
    """Return the version to serve: the artifact at `path`, or the highest numbered one in its folders.

    An artifact whose own folder has a number for a name has that version, any other has version 1.

    Raises:
        SetupError: There is no artifact.
    """
    folder = Path(path)
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


def load_model(path: Path) -> ServedModel:
    """Load an artifact, which verifies its digests and replays its golden requests."""
    from mainstay.saved_model import load  # imported late: it brings the compiler along

    return load(path)


def make_servable(
    name: str,
    version: int,
    *,
    model: ServedModel,
    options: ServerOptions,
    executor: Executor,
    loop: asyncio.AbstractEventLoop,
) -> Servable:
    """Compile, warm up and measure every signature of a model, and return the version that can be routed to."""
    started = time.perf_counter()
    endpoints = {}
    for key, signature in model.signatures.items():
        buckets = [size for size in signature.buckets if size <= options.max_batch_size] or list(signature.buckets[:1])
        signature.warm_up(buckets)
        most = min(options.max_batch_size, max(signature.buckets, default=options.max_batch_size))
        decoder = RequestDecoder(signature.inputs)
        execution = _Execution(signature, decoder.plans)
        inline_below = {"auto": options.inline_below_seconds, "inline": float("inf"), "thread": 0.0}
        policy = BatchPolicy(most, options.batch_timeout_seconds, inline_below[options.execution])
        batcher = Batcher(execution, policy, loop=loop, executor=executor)
        _measure(f"{name}/{version}/{key}", execution, batcher, _sizes(most, buckets))
        endpoints[key] = Endpoint(signature.signature, decoder, batcher)
    logger.info(
        "model %s version %d is ready after %.1f s: %s",
        name,
        version,
        time.perf_counter() - started,
        ", ".join(f"{key} ({len(model.signatures[key].inputs)} inputs)" for key in sorted(endpoints)),
    )
    return Servable(name, version, endpoints)


def _sizes(most: int, buckets: Sequence[int]) -> list[int]:
    sizes = {min(size, most) for size in buckets}
    return sorted(sizes | {1, most})


class _Execution:
    """Runs the rows of several requests as one batch of a signature."""

    def __init__(self, signature: ServedSignature, plans: Sequence[InputPlan]) -> None:
        self._signature = signature
        self._plans = plans

    def __call__(self, chunks: Sequence[Chunk]) -> Outputs:
        arrays = self._signature.run(merge(chunks, self._plans))
        rows = sum(chunk.rows for chunk in chunks)
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != rows:
                raise SetupError(
                    f"Tensor name: {name} has inconsistent batch size",
                    expected=f"{rows} rows, as the request has",
                    received=f"shape {array.shape}",
                    fix="serve signatures whose outputs have one row for each row of the inputs",
                )
        return Outputs.of(arrays)

    def blank(self, rows: int) -> Chunk:
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


def _measure(place: str, execution: _Execution, batcher: Batcher, sizes: Sequence[int]) -> None:
    """Tell the batcher what batches of each size cost, so that the first requests run in the right place already."""
    for rows in sizes:
        chunk, costs = execution.blank(rows), []
        try:
            for _ in range(_MEASUREMENTS):
                started = time.perf_counter()
                execution([chunk])
                costs.append(time.perf_counter() - started)
        except Exception as error:
            # A model may rightly refuse empty rows; then the first requests are what is measured.
            logger.info("%s: no costs measured, as blank rows are refused: %s", place, error)
            return
        batcher.expect_cost(rows, min(costs))


def load_all(
    models: Mapping[str, str | os.PathLike[str] | ServedModel],
    options: ServerOptions,
    *,
    executor: Executor,
    loop: asyncio.AbstractEventLoop,
) -> dict[str, dict[int, Servable]]:
    """Load every model: a path is resolved by `find_source`, a model in memory is served as version 1."""
    loaded = {}
    for name, given in models.items():
        version = 1
        if isinstance(given, str | os.PathLike):
            source = find_source(name, given)
            version = source.version
            logger.info("loading model %s version %d from %s", name, version, source.path)
            model = load_model(source.path)
        else:
            model = given
        servable = make_servable(name, version, model=model, options=options, executor=executor, loop=loop)
        loaded[name] = {version: servable}
    return loaded
