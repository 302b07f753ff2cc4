"""Probes: requests of different sizes, from which the shapes are learned of what host stages make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import MainstayError, ModelError
from mainstay.saved_model.graph_reading.feeds import feed
from mainstay.saved_model.graph_reading.graph import Source
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graph_reading.signatures import ForeignSignature, Port

Array = np.ndarray[Any, Any]

SIZES = ((2, 3), (5, 7))
"""The batch and the length of the other open axes of each probe; no two are equal."""


@dataclass(frozen=True)
class Probe:
    """What a signature made of a request.

    Args:
        rows: The batch.
        length: The length of the other open axes of its inputs.
        arguments: The inputs.
        values: Every value that a stage handed to another.
        results: The outputs.
    """

    rows: int
    length: int
    arguments: tuple[Array, ...]
    values: Mapping[Source, Value]
    results: tuple[Array, ...]


def probe(signature: ForeignSignature, golden: Mapping[str, Any] | None) -> tuple[Probe, ...]:
    """Return what a signature makes of requests of two sizes.

    Args:
        signature: The signature.
        golden: Requests by input name, which the inputs are made of; without them they are zeros and empty strings.

    Raises:
        ModelError: The signature refuses them.
    """
    found = []
    for rows, length in SIZES:
        arguments = [_argument(port, rows, length, golden) for port in signature.ports]
        try:
            results, values = signature.program.run_and_keep(arguments)
        except MainstayError as error:
            raise ModelError(
                "a signature does not answer the requests that it is tried with",
                where=signature.name,
                received=error.one_line(),
                fix="give golden requests that it answers",
            ) from error
        arrays = tuple(np.asarray(result) for result in results)
        found.append(Probe(rows, length, tuple(map(np.asarray, arguments)), values, arrays))
    return tuple(found)


def _argument(port: Port, rows: int, length: int, golden: Mapping[str, Any] | None) -> Any:
    shape = port.shape if port.shape is not None else (None,)
    if golden is not None and port.name in golden:
        given = np.asarray(feed(golden[port.name], port.kind, f"$.{port.name}"))
        if shape and shape[0] is None and given.ndim and len(given):
            given = np.take(given, np.arange(rows) % len(given), axis=0)
        return given
    if port.default is not None:
        return port.default
    sizes = [length if axis is None else axis for axis in shape]
    if shape and shape[0] is None:
        sizes[0] = rows
    filler = np.zeros(sizes, port.kind if isinstance(port.kind, np.dtype) else object)
    if port.kind == "string":
        filler[...] = b""
    return filler


def axes(probes: Sequence[Probe], shapes: Sequence[tuple[int, ...]]) -> tuple[int | str | None, ...]:
    """Return what each axis of a value is: ``batch``, a length that never changed, or None for any other length.

    Raises:
        ModelError: Its rank changed.
    """
    if len({len(shape) for shape in shapes}) != 1:
        raise ModelError("a value changes its rank", received=shapes)
    found: list[int | str | None] = []
    for sizes in zip(*shapes, strict=True):
        if all(size == each.rows for size, each in zip(sizes, probes, strict=True)):
            found.append("batch")
        else:
            found.append(sizes[0] if len(set(sizes)) == 1 else None)
    return tuple(found)
