"""A Python generator as a source: pulled by one thread at a time, once per pass, and continued by counting."""

from __future__ import annotations

import base64
import copy
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.code_identity import identity_of
from mainstay.data.functions.steps import name_of
from mainstay.data.sources.elements import Promise, leaf_of, located, promise_of
from mainstay.data.sources.source import Stream
from mainstay.data.specs import UNKNOWN_CARDINALITY, Spec
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure, flatten, map_structure, skeleton_of

_PATIENCE = 0.1
_LEAF_BYTES = 64
_MOST_STATE = 1 << 16
_END, _NOTHING = object(), object()


class GeneratorSource(Stream):
    """What a function yields, called anew for every pass.

    Args:
        generator: Returns an iterable.
        specs: The specs of the elements; the name of a dtype where only that is known, then the first element tells the
            number of axes, each of any length. None takes everything from the first element.
        arguments: What the function is called with.

    Raises:
        ArgumentError: It is no function, or already runs.
    """

    def __init__(
        self,
        generator: Callable[..., Any],
        specs: Structure | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        if not callable(generator):
            raise ArgumentError(
                "a generator is handed over as the function that makes it, for every pass calls it anew",
                where="generator",
                expected="a function without parentheses, as in from_generator(numbers)",
                received=f"{type(generator).__name__}: {generator!r:.80}",
                fix="pass the function, or lambda: over what makes the iterable",
            )
        self.generator, self.arguments = generator, arguments
        self.name = f"generator {name_of(generator)}"
        is_known = specs is not None and not any(isinstance(spec, str) for spec in flatten(specs))
        self._promise = Promise(specs, converts=True) if is_known else None
        self._declared = specs
        self._lock = threading.RLock()
        self._waiting: _Pass | None = None
        self._last: Callable[[], Any] = lambda: None

    @property
    def spec(self) -> Structure:
        """What was declared, or what the first element looks like; that element is kept for the next pass."""
        with self._lock:
            if self._promise is None and self._peek() is _END:
                raise ArgumentError(
                    "what the elements look like is not known: the generator gave none",
                    where=self.name,
                    fix="say it with output_signature",
                )
        return self.promise(None).specs

    def begin(self) -> Chunk | None:
        """Return the first element; the pass that it came from is kept for the next one that begins."""
        with self._lock:
            element = self._peek()
            if element is _END:
                return None
            promise = self.promise(element)
        return promise.chunk([promise.pick(element)], Origin(self._describe, range(1)))

    def _peek(self) -> Any:
        if self._waiting is None:
            self._waiting = self._start()
        return self._waiting.peek()

    def promise(self, element: Structure) -> Promise:
        """Return what elements are to look like; the first one decides where nothing was declared."""
        with self._lock:
            if self._promise is None:
                self._promise = promise_of(element) if self._declared is None else _completed(self._declared, element)
            return self._promise

    @property
    def cardinality(self) -> int:
        """Unknown."""
        return UNKNOWN_CARDINALITY

    def fingerprint(self) -> Any:
        """The name of the function and what was declared."""
        return ["generator", self.name, str(self._declared)]

    def content(self) -> Any:
        """The arguments beside what was declared; the code of the function is looked at by whoever needs it."""
        return [*self.fingerprint(), [identity_of(argument, self.name) for argument in self.arguments]]

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield elements that were pulled together; the state is the number of the next.

        Chunks begin small so that a first element is there soon, and end early where the generator is slow.
        """
        running = self._take() if state is None else self._continue(*state)
        try:
            while True:
                first = running.number
                try:
                    elements = running.take(_boundary(first, rows))
                except Exception as error:
                    # It is raised where it stands in the order, after everything before it has been delivered.
                    yield error, running.state()
                    return
                if not elements:
                    return
                yield _Pulled(first, elements), running.state()
        finally:
            running.close()

    def load(self, address: Any) -> Chunk:
        """Return the chunk of some elements."""
        if isinstance(address, Exception):
            raise address
        first, stop = address.first, address.first + len(address.elements)
        return self.promise(None).chunk(address.elements, Origin(self._describe, range(first, stop)))

    def _describe(self, index: int) -> str:
        return f"element {index} of the {self.name}"

    def _start(self) -> _Pass:
        with self._lock:
            iterable = self.generator(*self.arguments)
            if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
                raise ArgumentError(
                    "the function returns nothing to iterate",
                    where=self.name,
                    expected="a generator, a list or another iterable",
                    received=f"{type(iterable).__name__}: {iterable!r:.80}",
                )
            if iterable is self._last():
                raise ArgumentError(
                    "the function returned the same iterator twice, so two passes would share its elements",
                    where=self.name,
                    received=f"{type(iterable).__name__}: {iterable!r:.80}",
                    fix="let the function make a new iterator on every call",
                )
            if hasattr(iterable, "__next__"):
                self._last = _reference(iterable)
            return _Pass(self, iterable)

    def _take(self) -> _Pass:
        """Return a pass at its beginning: the one that was begun to see the first element, if there is one."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting or self._start()

    def _continue(self, number: int, own: Any) -> _Pass:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        running = self._start()
        running.go_to(number, own)
        return running


@dataclass(frozen=True)
class _Pulled:
    """Elements that were pulled together.

    Args:
        first: The number of the first one.
        elements: The leaves of each.
    """

    first: int
    elements: list[list[Any]]

    @property
    def nbytes(self) -> int:
        """About their size, by that of the first one."""
        return len(self.elements) * sum(getattr(leaf, "nbytes", None) or _LEAF_BYTES for leaf in self.elements[0])


class _Pass:
    """One call of the function, and how far it has been iterated."""

    def __init__(self, source: GeneratorSource, iterable: Any) -> None:
        self.source, self.number = source, 0
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._own: _OwnState | None = None
        self._peeked: Any = _NOTHING
        self._failure: Exception | None = None

    def _pull(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        return next(self._iterator, _END)

    def _note(self, error: Exception) -> None:
        error.add_note(f"in the {self.source.name}, at element {self.number}")

    def peek(self) -> Any:
        """Return the first element, which comes again with `next`, or `_END`."""
        if self._peeked is _NOTHING:
            try:
                self._peeked = self._pull()
            except Exception as error:
                self._note(error)
                raise
        if self._peeked is not _END:
            self.source.promise(self._peeked)
        return self._peeked

    def take(self, stop: int) -> list[list[Any]]:
        """Return the leaves of the elements up to a number, which no later one changes; fewer if they take long."""
        if self._failure is not None:
            raise self._failure
        elements: list[list[Any]] = []
        number, begun, is_pulling = self.number, time.monotonic(), True
        element, self._peeked = self._peeked, _NOTHING
        try:
            if element is _NOTHING:
                element = self._pull()
            if element is _END or self._iterator is None:
                return elements
            is_pulling = False
            iterator, promise = self._iterator, self.source.promise(element)
            while element is not _END:
                elements.append(promise.hold(element))
                number += 1
                if number >= stop or time.monotonic() - begun > _PATIENCE:
                    break
                is_pulling = True
                element = next(iterator, _END)
                is_pulling = False
        except Exception as error:
            self.number = number
            if is_pulling:
                self._note(error)
            elif isinstance(error, DataError):
                error = located(error, f"element {number} of the {self.source.name}")
            if not elements:
                raise error
            # What came before it is handed over first.
            self._failure = error
            return elements
        self.number = number
        if element is _END:
            self._peeked = _END
        return elements

    def state(self) -> State:
        """Return the number of the next element, and what the iterator itself says of its place."""
        own = self._own or (_own_state_of(self._iterator, self._iterable) if self.number else None)
        self._own = own
        return [self.number, own.get() if own else None]

    def go_to(self, number: int, own: Any) -> None:
        """Go on at an element: by the iterator's own state if there is one, else by passing over those before it."""
        setter = _own_state_of(None, self._iterable) if own is not None else None
        if setter is not None:
            setter.set(own)
        self._iterator = iter(self._iterable)
        if own is not None and setter is None:
            setter = _own_state_of(self._iterator, None)
            if setter is None:
                raise ArgumentError(
                    "the state holds a place of the generator's iterator, which takes none now", where=self.source.name
                )
            setter.set(own)
        while self.number < number:
            if setter is None and self._pull() is _END:
                raise DataError(
                    "the generator ends before the place where it was to go on",
                    where=self.source.name,
                    expected=f"at least {number} elements",
                    received=self.number,
                    fix="let it give the same elements whenever it is called",
                )
            self.number += 1

    def close(self) -> None:
        """Close the generator, so that its `finally` blocks run."""
        close = getattr(self._iterator, "close", None)
        if callable(close):
            close()


@dataclass(frozen=True)
class _OwnState:
    """The place of an iterator by its own account, as in Grain and torchdata."""

    owner: Any
    getter: str
    setter: str

    def get(self) -> Any:
        """Return the state as JSON values; None where it is none or large."""
        state = getattr(self.owner, self.getter)()
        value = {"bytes": base64.b64encode(state).decode()} if isinstance(state, bytes) else {"json": state}
        try:
            text = json.dumps(value)
        except (TypeError, ValueError):
            return None
        # The iterator may go on to change what it gave, so what is kept is a copy.
        kept: State = json.loads(text)
        return kept if len(text) < _MOST_STATE and kept == value else None

    def set(self, value: Any) -> None:
        """Go to a place that `get` gave."""
        state = base64.b64decode(value["bytes"]) if "bytes" in value else copy.deepcopy(value["json"])
        getattr(self.owner, self.setter)(state)


def _own_state_of(*owners: Any) -> _OwnState | None:
    for owner in owners:
        for getter, setter in (("get_state", "set_state"), ("state_dict", "load_state_dict")):
            if callable(getattr(owner, getter, None)) and callable(getattr(owner, setter, None)):
                return _OwnState(owner, getter, setter)
    return None


def _boundary(number: int, rows: int) -> int:
    """Return where the chunk that begins at an element ends: after 1, 2, 4, … elements, then at multiples of `rows`."""
    return min(1 << number.bit_length(), rows) if number < rows else number + rows - number % rows


def _reference(iterator: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(iterator)
    except TypeError:
        return lambda: iterator


def _completed(declared: Structure, element: Structure) -> Promise:
    """Return the promise of what was declared, with the number of axes of a first element where only dtypes were."""
    specs = map_structure(lambda spec: TensorSpec((), spec) if isinstance(spec, str) else spec, declared)
    values = Promise(specs).pick(element)

    def complete(spec: Spec | str, index: int) -> Spec:
        return TensorSpec((None,) * np.ndim(leaf_of(values[index])), spec) if isinstance(spec, str) else spec

    return Promise(map_structure(complete, declared, skeleton_of(declared)), converts=True)
