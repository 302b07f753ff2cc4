"""Stages loops: their rounds become one program under `lax.while_loop`, or `lax.scan` where their number is known.

Only `lax.scan` has gradients. It is used for a loop over the rows of an array, and for any loop that says how many
rounds it has at most.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.core import ArgumentError, ModelError
from mainstay.framework.autograph.branches import outlives, truth
from mainstay.framework.autograph.jumps import VALUE, ends_loop
from mainstay.framework.autograph.staging import (
    GROWN,
    Block,
    Kind,
    Output,
    Tree,
    as_kind,
    common_kind,
    describe,
    describe_tree,
    kind_of_leaf,
    leaf_value,
    plain,
    same_object,
    struct,
    trace_block,
)
from mainstay.framework.autograph.state import UNDEFINED, Contents, Place, Variables
from mainstay.framework.keras_internals import stateless_scope

_ROUNDS = 8
"""How often a body is traced at most until the dtypes that go round stay the same; two are the rule."""

_running = threading.local()
# Which variables the body of a loop assigned when it was traced before: a loop within a loop is then traced once.
_assigned: weakref.WeakKeyDictionary[Any, dict[Any, dict[int, Any]]] = weakref.WeakKeyDictionary()


@dataclass
class Options:
    """What `set_loop_options` said in the body of the loop that is being traced."""

    maximum_iterations: int | None = None


def set_loop_options(*, maximum_iterations: int | None = None) -> None:
    """Say something about the loop in whose body this is called.

    A loop over a tensor condition or a `range` of a tensor has no known number of rounds, and so no gradient. With a
    bound it runs as a scan of that length, whose rounds do nothing once the loop has ended, and has one. A loop that
    Python runs, since nothing about it is traced, ignores this.

    Args:
        maximum_iterations: The number of rounds after which the loop ends in any case.

    Raises:
        ArgumentError: The number is not known when the function is traced, or negative.
    """
    loops: list[Options] = getattr(_running, "loops", [])
    if not loops or maximum_iterations is None:
        return
    try:
        number = int(maximum_iterations)
    except (TypeError, jax.errors.ConcretizationTypeError) as error:
        raise ArgumentError(
            "maximum_iterations is not known when the function is traced", expected="a Python integer"
        ) from error
    if number < 0:
        raise ArgumentError("maximum_iterations is negative", expected="zero or more", received=number)
    loops[-1].maximum_iterations = number


@contextmanager
def _options() -> Iterator[Options]:
    loops: list[Options] = _running.__dict__.setdefault("loops", [])
    loops.append(Options())
    try:
        yield loops[-1]
    finally:
        loops.pop()


@dataclass(frozen=True)
class Rounds:
    """What a staged `for` goes through.

    Attributes:
        items: Gives the item of a round from its number, `[] int32`, and its row of each of `rows`.
        number: How many there are; an int where that is known, as it is if there are rows.
        rows: Arrays `[number, ...]`.
    """

    items: Callable[..., Any]
    number: Any
    rows: Sequence[Any] = ()

    def structs(self) -> list[Any]:
        """Return what `items` takes."""
        return [struct((), jnp.int32), *(struct(row.shape[1:], row.dtype) for row in self.rows)]


@dataclass
class _Slot:
    """One leaf that goes from round to round: what it is before the loop, and the kind that it keeps."""

    place: int
    leaf: int
    initial: Any
    kind: Kind


@dataclass
class _Loop:
    test: Callable[[], Any] | None
    body: Callable[..., Any]
    places: Sequence[Place]
    live: Sequence[str]
    where: str
    rounds: Rounds | None
    kept: list[Place] = field(default_factory=list)
    before: list[Any] = field(default_factory=list)
    slots: list[_Slot] = field(default_factory=list)
    written: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = [place for place in self.places if outlives(place, self.live)]
        for number, place in enumerate(self.kept):
            value = place.read()
            tree = UNDEFINED if value is UNDEFINED else _tree(value)
            self.before.append(tree)
            if tree is not UNDEFINED and not self._is_python(place, tree):
                self._add_slots(number)

    @staticmethod
    def _is_python(place: Place, tree: Tree) -> bool:
        """Return whether a list or dictionary holds no array: it may be there for side effects only."""
        return isinstance(place, Contents) and not any(isinstance(plain(leaf), jax.Array) for leaf in tree.leaves)

    def _add_slots(self, number: int) -> None:
        for index, leaf in enumerate(self.before[number].leaves):
            kind = kind_of_leaf(plain(leaf))
            if kind is not None:
                self.slots.append(_Slot(number, index, plain(leaf), kind))

    def _add_changed(self, block: Block) -> bool:
        """Let what a list or dictionary of Python values holds go round after all, if a round changes it."""
        known, count = {slot.place for slot in self.slots}, len(self.slots)
        for number, (before, tree) in enumerate(zip(self.before, block.values, strict=True)):
            if number in known or not isinstance(self.kept[number], Contents) or tree is GROWN:
                continue
            pairs = zip(before.leaves, tree.leaves, strict=False)
            if tree.structure == before.structure and not all(same_object(a, b)[0] for a, b in pairs):
                self._add_slots(number)
        return len(self.slots) > count

    def enter_round(self, *arguments: Any) -> tuple[Any, ...]:
        """Put what goes round into the places and variables; return the arguments of the body."""
        item = self.enter(*arguments)
        for place in self.kept:
            if ends_loop(place.name):
                place.write(False)  # or there would be no further round
        return item

    def enter(self, *arguments: Any) -> tuple[Any, ...]:
        """Do that before the test."""
        leaves = [list(tree.leaves) if tree is not UNDEFINED else [] for tree in self.before]
        for slot, value in zip(self.slots, arguments, strict=False):
            leaves[slot.place][slot.leaf] = value
        for number in {slot.place: None for slot in self.slots}:
            self.kept[number].write(jax.tree.unflatten(self.before[number].structure, leaves[number]))
        variables = Variables()
        for (key, variable), value in zip(self.written.items(), arguments[len(self.slots) :], strict=False):
            variables.put(key, variable, value)
        extra = arguments[len(self.slots) + len(self.written) :]
        return (self.rounds.items(*extra),) if self.rounds else ()

    def inputs(self) -> list[Any]:
        """Return what a round starts from, as arguments to trace with."""
        variables = Variables()
        kinds = [kind_of_leaf(variables.get(key, variable)) for key, variable in self.written.items()]
        structs = [slot.kind.struct() for slot in self.slots] + [kind.struct() for kind in kinds if kind is not None]
        return [*structs, *self.rounds.structs()] if self.rounds else structs

    def trace(self) -> Block:
        """Trace a round until what it gives is of the kind that it takes."""
        key = getattr(self.body, "__code__", None)
        scope = stateless_scope()
        known = {} if scope is None else _assigned.setdefault(scope, {}).setdefault(key, {})
        self.written = dict(known)
        for _ in range(_ROUNDS):
            block = self._round()
            again = [self._settle(block, slot) for slot in self.slots]
            new = {key: variable for key, (variable, _) in block.writes.items() if key not in self.written}
            if not new and not self._add_changed(block) and not any(again):
                return block
            self.written |= new
            known |= new
        raise ModelError("the dtypes in a loop do not settle", where=self.where)

    def _round(self) -> Block:
        try:
            return trace_block(
                self.body, self.places, self.kept, self.where, inputs=self.inputs(), enter=self.enter_round
            )
        except NameError as error:
            undefined = {p.name for p, tree in zip(self.kept, self.before, strict=True) if tree is UNDEFINED}
            if error.name not in undefined:
                raise
            raise ModelError(
                f"'{error.name}' is read in a loop over a tensor before anything is assigned to it",
                where=self.where,
                expected="a value before the loop, of the shape and dtype that the loop gives it",
                fix=f"assign '{error.name}' before the loop",
            ) from error

    def _settle(self, block: Block, slot: _Slot) -> bool:
        """Widen the kind of a slot to hold what a round gives; return whether a round must be traced again."""
        tree, place = block.values[slot.place], self.kept[slot.place]
        before = self.before[slot.place]
        if tree is UNDEFINED or tree.structure != before.structure:
            raise self._mismatch(place.name, describe_tree(before), describe_tree(tree))
        leaf = tree.leaves[slot.leaf]
        kind = kind_of_leaf(leaf)
        common = None if kind is None else common_kind(slot.kind, kind)
        if common is None:
            raise self._mismatch(place.name, describe(slot.initial), describe(leaf))
        changed = bool(common.dtype != slot.kind.dtype)
        slot.kind = common
        return changed

    def _mismatch(self, name: str, before: str, after: str) -> ModelError:
        subject = "the returned value" if name == VALUE else f"'{name}'"
        return ModelError(
            f"{subject} is {before} before a round of a loop over a tensor and {after} after it",
            where=self.where,
            expected="the same structure, shape and dtype in every round; Python numbers adapt to the other's dtype",
            fix=(
                "a list or dictionary cannot grow in there: write to an array, as in `x = x.at[i].set(row)`"
                if any(isinstance(place, Contents) and place.name == name for place in self.kept)
                else "start from a value of the shape and dtype that the loop gives"
            ),
        )

    def late(self, block: Block) -> dict[int, Tree]:
        """Return the places that only the loop defines; their arrays go round too, and start from zeros."""
        found = {}
        for number, (before, tree) in enumerate(zip(self.before, block.values, strict=True)):
            if before is UNDEFINED and tree is not UNDEFINED:
                found[number] = tree
        return found

    def unchanged(self, block: Block) -> None:
        """Raise if a round changes a Python value that is not a number."""
        slots = {(slot.place, slot.leaf) for slot in self.slots}
        for number, (before, tree) in enumerate(zip(self.before, block.values, strict=True)):
            if before is UNDEFINED or tree is GROWN:
                continue
            name = self.kept[number].name
            if tree is UNDEFINED or tree.structure != before.structure:
                raise self._mismatch(name, describe_tree(before), describe_tree(tree))
            for index, (old, new) in enumerate(zip(before.leaves, tree.leaves, strict=True)):
                if (number, index) not in slots and not same_object(old, new)[0]:
                    raise self._mismatch(name, describe(old), describe(new))


def staged_loop(
    test: Callable[[], Any] | None,
    body: Callable[..., Any],
    places: Sequence[Place],
    live: Sequence[str],
    where: str,
    rounds: Rounds | None = None,
) -> None:
    """Run a loop of which something is traced, and leave what it did in the places and variables.

    Args:
        test: Whether there is another round, or None if only `rounds` says.
        body: One round; takes the item if there are `rounds`.
        places: What the body may assign.
        live: The names of those that a further round, or what follows, may read.
        where: File and line of the loop.
        rounds: What a `for` goes through.
    """
    loop = _Loop(test, body, places, live, where, rounds)
    with _options() as options:
        block = loop.trace()
    loop.unchanged(block)
    question = None
    if test is not None:
        question = trace_block(test, places, [], where, inputs=loop.inputs(), enter=lambda *a: (loop.enter(*a), ())[1])
        if question.writes:
            raise ModelError(
                "the condition of a loop over a tensor assigns a variable",
                where=where,
                fix="use `while True:` with `if not …: break` in the body",
            )
    late = loop.late(block)
    results = _Program(loop, block, question, late, where).run(options.maximum_iterations)
    _leave(loop, late, results)


@dataclass
class _Program:
    """The loop as JAX runs it: a carry of slots, variables, late arrays and the number of the round."""

    loop: _Loop
    block: Block
    question: Block | None
    late: dict[int, Tree]
    where: str

    def __post_init__(self) -> None:
        self.late_leaves = [leaf for tree in self.late.values() for leaf in tree.leaves if _is_new(leaf)]

    def start(self) -> list[Any]:
        variables = Variables()
        carry = [as_kind(slot.initial, slot.kind) for slot in self.loop.slots]
        carry += [variables.get(key, variable) for key, variable in self.loop.written.items()]
        carry += [jnp.zeros(leaf.kind.shape, leaf.kind.dtype) for leaf in self.late_leaves]
        return [*carry, jnp.int32(0)] if self.loop.rounds else carry

    def arguments(self, carry: Sequence[Any], rows: Sequence[Any]) -> list[Any]:
        known = list(carry[: len(self.loop.slots) + len(self.loop.written)])
        return [*known, carry[-1], *rows] if self.loop.rounds else known

    def goes_on(self, carry: Sequence[Any], rows: Sequence[Any] = ()) -> Any:
        rounds, question = self.loop.rounds, self.question
        more = True if rounds is None else carry[-1] < rounds.number
        if question is None:
            return jnp.asarray(more)
        outputs = question.run(*self.arguments(carry, rows))
        leaf = question.result.leaves[0]
        answer = truth(outputs[leaf.index] if isinstance(leaf, Output) else leaf, self.where)
        return answer if rounds is None else jnp.logical_and(more, answer)

    def round(self, carry: Sequence[Any], rows: Sequence[Any] = ()) -> list[Any]:
        outputs = self.block.run(*self.arguments(carry, rows))
        values = self.block.values
        following = [leaf_value(values[s.place].leaves[s.leaf], outputs, s.kind) for s in self.loop.slots]
        old = carry[len(following) :]
        for (key, _), value in zip(self.loop.written.items(), old, strict=False):
            new = self.block.writes.get(key)
            following.append(value if new is None else outputs[new[1].index].astype(value.dtype))
        following += [as_kind(outputs[leaf.index], leaf.kind) for leaf in self.late_leaves]
        return [*following, carry[-1] + 1] if self.loop.rounds else following

    def run(self, most: int | None) -> list[Any]:
        rounds, carry = self.loop.rounds, self.start()
        number = None if rounds is None else rounds.number
        known = number if isinstance(number, int) else None
        length = most if known is None else known if most is None else min(known, most)
        if length is None:
            return list(lax.while_loop(lambda c: self.goes_on(list(c)), lambda c: self.round(list(c)), carry))
        always = known is not None and self.question is None

        def step(carry: list[Any], rows: list[Any]) -> tuple[list[Any], None]:
            if always:
                return self.round(carry, rows), None
            return lax.cond(self.goes_on(carry, rows), lambda: self.round(carry, rows), lambda: list(carry)), None

        rows = [row[:length] for row in rounds.rows] if rounds else []
        return list(lax.scan(step, carry, rows, length=length)[0])


def _leave(loop: _Loop, late: dict[int, Tree], results: Sequence[Any]) -> None:
    """Write what the loop gives into the places and variables."""
    leaves = [list(tree.leaves) if tree is not UNDEFINED else [] for tree in loop.before]
    for slot, value in zip(loop.slots, results, strict=False):
        leaves[slot.place][slot.leaf] = value
    for number in {slot.place: None for slot in loop.slots}:
        loop.kept[number].write(jax.tree.unflatten(loop.before[number].structure, leaves[number]))
    variables, position = Variables(), len(loop.slots)
    for key, variable in loop.written.items():
        variables.put(key, variable, results[position])
        position += 1
    for number, tree in late.items():
        values = []
        for leaf in tree.leaves:
            if _is_new(leaf):
                values.append(results[position])
                position += 1
            else:
                values.append(leaf.same if isinstance(leaf, Output) else leaf)
        loop.kept[number].write(jax.tree.unflatten(tree.structure, values))


def _is_new(leaf: Any) -> bool:
    """Return whether a leaf is an array that a round made, and not an object that was there before the loop."""
    return isinstance(leaf, Output) and leaf.same is None


def _tree(value: Any) -> Tree:
    leaves, structure = jax.tree.flatten(value)
    return Tree(structure, leaves)
