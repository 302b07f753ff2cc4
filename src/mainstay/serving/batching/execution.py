"""Execution: the rows of several requests run as one batch of a signature, or one request's tensors as they are."""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import ArtifactError, RequestError
from mainstay.hostops import Column
from mainstay.serving.batching.chunks import Chunk, DensePart, merge, padded_to_longest
from mainstay.serving.batching.outputs import Outputs, Run
from mainstay.serving.contract import PaddingSignature, SampledSignature, ServedSignature, WholeSignature
from mainstay.serving.plans import InputPlan

_BATCH_PLACE = re.compile(r"\$\.(.+)\[(\d+)\]", re.DOTALL)


class Execution:
    """Runs batches of a signature. Several threads may call it at once.

    Args:
        signature: The signature.
        plans: Its inputs.
        mixed_shapes: Whether rows of different lengths share a batch, padded to the longest.
    """

    def __init__(self, signature: ServedSignature, plans: Sequence[InputPlan], *, mixed_shapes: bool = False) -> None:
        self._signature = signature
        self._plans = tuple(plans)
        self._mixed = mixed_shapes and any(None in plan.inner for plan in plans)
        self._sizes = tuple(signature.buckets)
        self._padding = signature if isinstance(signature, PaddingSignature) and signature.takes_padding else None

    def __call__(self, chunks: Sequence[Chunk]) -> Outputs:
        """Return the outputs for the rows of all chunks, in order.

        Raises:
            RequestError: The model refuses a value.
            ArtifactError: An output does not have a row for each row of the inputs.
        """
        started = time.monotonic()
        if len(chunks) == 1:
            first = chunks[0]
            if first.whole:
                return self._run_whole(first, started)
            rows = first.rows
        else:
            rows = sum([chunk.rows for chunk in chunks])
            if self._mixed:
                chunks = padded_to_longest(chunks, self._plans)
        size = self._size(rows)
        try:
            if self._padding is not None:
                arrays = self._padding.run_padded(merge(chunks, self._plans, length=size), rows)
            else:
                arrays = self._signature.run(merge(chunks, self._plans))
        except RequestError as error:
            raise _in_request(error, chunks) from error
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != rows:
                raise _inconsistent(name, array, rows)
        return Outputs(arrays, Run(rows, started, time.monotonic(), size), arrays)

    def _size(self, rows: int) -> int:
        sizes = self._sizes
        return sizes[bisect_left(sizes, rows)] if sizes and rows <= sizes[-1] else rows

    def _run_whole(self, chunk: Chunk, started: float) -> Outputs:
        signature = self._signature
        if not isinstance(signature, WholeSignature):
            raise ArtifactError("a signature takes no tensors of any shape", received=type(signature).__name__)
        arrays = signature.run_whole(chunk.parts)
        return Outputs(arrays, Run(chunk.rows, started, time.monotonic(), chunk.rows), arrays)

    def try_out(self, rows: int) -> None:
        """Run the model once on that many rows: golden ones where it has some, else blank ones."""
        if isinstance(self._signature, SampledSignature):
            chunk = Chunk(rows, [_part(column) for column in self._signature.example(rows)], missing=True)
        else:
            chunk = self._blank(rows)
        self([chunk])

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


def _part(column: Column) -> Any:
    values = column.values
    array = values if isinstance(values, np.ndarray) else np.asarray(values.to_pylist(), object)
    return array if column.missing is None else DensePart(array, column.missing)


def _inconsistent(name: str, array: np.ndarray[Any, Any], rows: int) -> ArtifactError:
    return ArtifactError(
        f"Tensor name: {name} has inconsistent batch size",
        expected=f"{rows} rows, as the request has",
        received=f"shape {array.shape}",
        fix="serve signatures whose outputs have one row for each row of the inputs",
    )


def _in_request(error: RequestError, chunks: Sequence[Chunk]) -> RequestError:
    """Return a refusal of the model with the path in the request instead of the row in the batch.

    Only the refusal of a single request is ever told: a batch that fails is tried again in parts.
    """
    found = _BATCH_PLACE.fullmatch(error.where or "")
    if found is None or len(chunks) != 1:
        return error
    where = chunks[0].place(found[1], int(found[2]) + chunks[0].start)
    return RequestError(error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix)
