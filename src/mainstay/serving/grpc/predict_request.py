"""Predict requests: read in full by protobuf, or, where one like it came before, by looking at its numbers alone.

A message is like an earlier one if it is as long and all of its bytes are equal but those of the numbers, whose places
the earlier one told. As the length of everything lies in the bytes that are equal, the parse is the same too.
Places are found by walking the wire format, never by searching for bytes, which may come twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mainstay.core import message_class
from mainstay.serving.grpc.tensor_proto import CONTENT_FIELD, DTYPES, FIXED_NAMES
from mainstay.serving.grpc.wire import LENGTH, VARINT, Field, MalformedError, walk

Array: TypeAlias = np.ndarray[Any, Any]


class Head(NamedTuple):
    """What a request says besides its tensors.

    Attributes:
        model: The model's name.
        version: The version that is asked for, or None.
        label: The version label that is asked for, or None.
        signature: The signature's name; empty for the default one.
        outputs: The outputs that are asked for; empty for all.
        is_complete: Whether it says which model it is for.
        client: Who asks, as the request says; empty for nobody in particular.
    """

    model: str
    version: int | None
    label: str | None
    signature: str
    outputs: tuple[str, ...] = ()
    is_complete: bool = True
    client: bytes = b""


class Numbers(NamedTuple):
    """Where the numbers of an input lie in a message: `size` of them, from `start` to before `stop`."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    start: int
    stop: int


class Template:
    """A message that was read, without the numbers of its inputs.

    Args:
        message: The message.
        head: What it says.
        inputs: Where the numbers of each input lie, in the order of the message.
    """

    __slots__ = ("_first", "_last", "_middle", "head", "inputs")

    def __init__(self, message: bytes, head: Any, inputs: tuple[Numbers, ...]) -> None:
        self.head = head
        self.inputs = inputs
        self._first = message[: inputs[0].start]
        self._last = message[inputs[-1].stop :]
        gaps = [(one.stop, other.start) for one, other in itertools.pairwise(inputs)]
        self._middle = tuple((start, stop, message[start:stop]) for start, stop in gaps)

    def fits(self, message: bytes) -> bool:
        """Return whether a message of the same length differs in nothing but the numbers."""
        if not (message.startswith(self._first) and message.endswith(self._last)):
            return False
        for start, stop, between in self._middle:  # noqa: SIM110  (a generator would cost more than it compares)
            if message[start:stop] != between:
                return False
        return True

    def tensors(self, message: bytes) -> dict[str, Array]:
        """Return the inputs of a message that fits; they share its memory."""
        return {
            item.name: np.frombuffer(message, item.dtype, item.size, item.start).reshape(item.shape)
            for item in self.inputs
        }


_MOST_LENGTHS = 1024
_MOST_OF_ONE_LENGTH = 4
_MOST_EQUAL_BYTES = 4096
_MOST_VAIN = 64


class _Shelf:
    """The templates of one length, and how many were learned since one of them was of use."""

    __slots__ = ("templates", "vain")

    def __init__(self) -> None:
        self.templates: list[Template] = []
        self.vain = 0


class Templates:
    """The templates of the messages that came lately: a few of each length, and of a limited number of lengths.

    Args:
        find: Returns where the numbers of all inputs lie in a message of which protobuf read the inputs, or None.
    """

    def __init__(self, find: Callable[[bytes, Any], tuple[Numbers, ...] | None] | None = None) -> None:
        self._find_numbers = find or find_numbers
        self._shelves: dict[int, _Shelf] = {}

    def find(self, message: bytes) -> Template | None:
        """Return the template of a message, if one like it came before."""
        shelf = self._shelves.get(len(message))
        if shelf is None:
            return None
        for template in shelf.templates:
            if template.fits(message):
                shelf.vain = 0
                return template
        return None

    def learn(self, message: bytes, request: Any, head: Any) -> None:
        """Remember a message that was read in full and for which there is no template, if it can be one.

        Args:
            message: The message.
            request: What protobuf read.
            head: The same, without the tensors.
        """
        shelf = self._shelves.get(len(message))
        if shelf is not None and shelf.vain >= _MOST_VAIN:
            return
        inputs = self._find_numbers(message, request.inputs)
        if not inputs or len(message) - sum(item.stop - item.start for item in inputs) > _MOST_EQUAL_BYTES:
            return
        if shelf is None:
            if len(self._shelves) >= _MOST_LENGTHS:
                self._shelves.clear()
            shelf = self._shelves[len(message)] = _Shelf()
        if len(shelf.templates) >= _MOST_OF_ONE_LENGTH:
            del shelf.templates[0]
        shelf.vain += 1
        shelf.templates.append(Template(message, head, inputs))


def read_request(message: bytes) -> tuple[Any, Head]:
    """Return a request as protobuf reads it, and its head.

    Raises:
        DecodeError: The bytes are no such message (`google.protobuf.message`).
    """
    request = message_class("tensorflow.serving.PredictRequest").FromString(message)
    head = head_of(request.model_spec, request.HasField("model_spec"), tuple(request.output_filter))
    client = request.client_id or request.request_options.client_id
    return request, head._replace(client=client) if client else head


def head_of(spec: Any, is_there: bool, outputs: tuple[str, ...] = ()) -> Head:
    """Return what a ``ModelSpec`` says.

    Args:
        spec: The message.
        is_there: Whether the request has one.
        outputs: The outputs that are asked for.
    """
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    label = spec.version_label if choice == "version_label" else None
    return Head(spec.name, version, label, spec.signature_name, outputs, is_there)


def find_numbers(message: bytes, inputs: Mapping[str, Any]) -> tuple[Numbers, ...] | None:
    """Return where the numbers of all inputs lie in a request, in the order of the message.

    Args:
        message: The request.
        inputs: What protobuf read: the tensors by name.

    Returns:
        None if an input has none, such as strings or numbers of no fixed size, or if the message holds anything twice
        of which protobuf keeps the last or puts both together.
    """
    found: dict[str, Numbers] = {}
    try:
        for item in walk(message, 0, len(message)):
            if item.number != 2:
                continue
            entry = _once(message, item, {1: LENGTH, 2: LENGTH})
            if entry is None or set(entry) != {1, 2}:
                return None
            name = message[entry[1].start : entry[1].stop].decode()
            if name in found or name not in inputs:
                return None
            numbers = _numbers(message, entry[2], name, inputs[name])
            if numbers is None:
                return None
            found[name] = numbers
    except (MalformedError, UnicodeDecodeError):
        return None
    return tuple(found.values()) if len(found) == len(inputs) else None


_TENSOR_FIELDS = {1: VARINT, 2: LENGTH, 3: VARINT, CONTENT_FIELD: LENGTH, **dict.fromkeys(FIXED_NAMES, LENGTH)}
_FIXED_DTYPES = {"float_val": np.dtype(np.float32), "double_val": np.dtype(np.float64)}


def _numbers(message: bytes, value: Field, name: str, tensor: Any) -> Numbers | None:
    """Return where the numbers of a tensor lie, if all of them lie there in one piece."""
    fields = _once(message, value, _TENSOR_FIELDS)
    dtype = DTYPES.get(tensor.dtype)
    if fields is None or dtype is None or dtype.kind in "Ob" or tensor.tensor_shape.unknown_rank:
        return None
    filled = [number for number in (CONTENT_FIELD, *FIXED_NAMES) if number in fields and _length(fields[number])]
    if len(filled) != 1:
        return None
    place = fields[filled[0]]
    if filled[0] != CONTENT_FIELD and _FIXED_DTYPES[FIXED_NAMES[filled[0]]] != dtype:
        return None
    shape = tuple([axis.size for axis in tensor.tensor_shape.dim])
    count = math.prod(shape)
    if any(size < 0 for size in shape) or count * dtype.itemsize != _length(place):
        return None
    return Numbers(name, dtype, shape, count, place.start, place.stop)


def _length(place: Field) -> int:
    return place.stop - place.start


def _once(message: bytes, within: Field, kinds: Mapping[int, int]) -> dict[int, Field] | None:
    """Return the fields of a message by number, or None if one comes twice, is unknown or of another wire type."""
    if within.kind != LENGTH:
        return None
    found: dict[int, Field] = {}
    for item in walk(message, within.start, within.stop):
        if item.number in found or kinds.get(item.number) != item.kind:
            return None
        found[item.number] = item
    return found
