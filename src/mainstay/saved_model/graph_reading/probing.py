"""Probes: requests of different sizes, from which the shapes are learned of what host stages make."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay import io
from mainstay.core import MainstayError, ModelError
from mainstay.saved_model.graph_reading.example_requests import made_up_examples, parsed_arguments
from mainstay.saved_model.graph_reading.feeds import feed
from mainstay.saved_model.graph_reading.graph import Source
from mainstay.saved_model.graph_reading.graph_ops.parsing import Features
from mainstay.saved_model.graph_reading.graph_ops.values import Value

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.signatures import ForeignSignature, Port

Array = np.ndarray[Any, Any]

LENGTHS = (5, 7)
"""The lengths of the open axes, but for the batch, of the probes; no two are equal, and none is a batch."""

_ROWS = ((0, 1), (0, 1, 2))
"""Which rows the probes have."""

_OTHER_ROWS = (1, 2)
"""Rows to ask for once more, one of them together with another one than before."""

_WORDS = (b"7", b"1 b c d", b"22 f g h i jk")
"""Strings of three rows that differ in bytes and in words, so that axes show that follow them."""

_DIGITS = (b"7", b"1234", b"654321")
"""Strings of three rows for models that read numbers from them."""


@functools.cache
def _made_up() -> tuple[Sequence[bytes] | None, ...]:
    """Return what requests are made of, to be tried in turn; None for zeros and empty strings."""
    pictures = [np.full((8, 8, 3), shade, np.uint8) for shade in (20, 120, 220)]
    files = tuple(tuple(bytes(encode(picture)) for picture in pictures) for encode in (io.encode_jpeg, io.encode_png))
    return _WORDS, _DIGITS, *files, None


_TOLERANCE = 1e-4


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
        golden: Requests by input name, whose rows are taken; without them they are made up, strings that are parsed as
            tf.Examples.

    Raises:
        ModelError: The signature refuses them.
    """
    failure: MainstayError | None = None
    for texts in _made_up():
        try:
            return tuple(
                _probe(signature, golden, rows, length, texts=texts)
                for rows, length in zip(_ROWS, LENGTHS, strict=True)
            )
        except MainstayError as error:
            failure = failure or error
    raise ModelError(
        "a signature does not answer the requests that it is tried with",
        where=signature.name,
        received=failure and failure.one_line(),
        fix="give golden requests that it answers",
    ) from failure


def _probe(
    signature: ForeignSignature,
    golden: Mapping[str, Any] | None,
    rows: Sequence[int],
    length: int,
    *,
    texts: Sequence[bytes] | None,
) -> Probe:
    parsed = parsed_arguments(signature.program)
    arguments = [
        _examples(port, parsed[index], rows)
        if index in parsed and (golden is None or port.name not in golden)
        else _argument(port, rows, length, golden, texts)
        for index, port in enumerate(signature.ports)
    ]
    results, values = signature.program.run_and_keep(arguments)
    arrays = tuple(np.asarray(result) for result in results)
    return Probe(len(rows), length, tuple(map(np.asarray, arguments)), values, arrays)


def rows_seem_independent(signature: ForeignSignature, golden: Mapping[str, Any] | None = None) -> bool | None:
    """Return whether a row has the same answer beside another row: for models of which no proof is found.

    None stands for a signature that cannot be tried: it refuses the rows, or they are all the same.

    Args:
        signature: The signature, whose inputs and outputs all have the batch as their first axis.
        golden: As for `probe`.
    """
    for texts in _made_up():
        try:
            one = _probe(signature, golden, _ROWS[0], LENGTHS[0], texts=texts)
            other = _probe(signature, golden, _OTHER_ROWS, LENGTHS[0], texts=texts)
        except MainstayError:
            continue
        return _same_beside(one, other)
    return None


def _same_beside(first: Probe, other: Probe) -> bool | None:
    if all(np.array_equal(one, two) for one, two in zip(first.arguments, other.arguments, strict=True)):
        return None
    for one, two in zip(first.results, other.results, strict=True):
        if one.shape[:1] != (2,) or one.shape != two.shape:
            return False
        if one.dtype == object or one.dtype.kind in "iub":
            if not np.array_equal(one[1], two[0]):
                return False
        elif not np.allclose(one[1].astype(np.float64), two[0].astype(np.float64), _TOLERANCE, _TOLERANCE):
            return False
    return True


def _argument(
    port: Port, rows: Sequence[int], length: int, golden: Mapping[str, Any] | None, texts: Sequence[bytes] | None
) -> Any:
    shape = port.shape if port.shape is not None else (None,)
    batched = bool(shape) and shape[0] is None
    if golden is not None and port.name in golden:
        given = np.asarray(feed(golden[port.name], port.kind, f"$.{port.name}"))
        return np.take(given, np.array(rows) % len(given), axis=0) if batched and given.ndim and len(given) else given
    if port.default is not None:
        return port.default
    sizes = [length if axis is None else axis for axis in shape]
    if batched:
        sizes[0] = 1 + max(max(rows), max(_OTHER_ROWS))
    values = _values(port, sizes, texts)
    return values[list(rows)] if batched else values


def _examples(port: Port, features: list[Features], rows: Sequence[int]) -> Any:
    texts = made_up_examples(features, 1 + max(max(rows), max(_OTHER_ROWS)))
    return texts[list(rows)] if port.shape is None or port.shape else texts[0]


def _values(port: Port, sizes: Sequence[int], texts: Sequence[bytes] | None) -> Array:
    if not isinstance(port.kind, np.dtype):
        filler = np.zeros(sizes, object)
        filler[...] = b"" if texts is None else texts[0]
        if texts is not None and filler.ndim:
            for row in range(len(filler)):
                filler[row] = texts[row % len(texts)]
        return filler
    if texts is None:
        return np.zeros(sizes, port.kind)
    random = np.random.default_rng(len(port.name))
    if port.kind.kind in "iub":
        return random.integers(0, 2, sizes).astype(port.kind)
    return random.normal(size=sizes).astype(port.kind)


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
