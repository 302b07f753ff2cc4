"""Stages an `if` whose condition is traced: both branches are traced once and become one `lax.cond`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.core import ModelError
from mainstay.framework.autograph.jumps import VALUE, is_flag
from mainstay.framework.autograph.staging import (
    GROWN,
    Block,
    Kind,
    Output,
    Tree,
    common_kind,
    describe,
    describe_tree,
    kind_of_leaf,
    leaf_value,
    plain,
    same_object,
    trace_block,
)
from mainstay.framework.autograph.state import UNDEFINED, Attribute, Contents, Place, Variables

_MANY = 32
"""Programs with more operations than this are never run for nothing."""


def truth(value: Any, where: str) -> jax.Array:
    """Return a traced condition as one boolean, `[] bool`.

    Raises:
        ModelError: It has more than one element.
    """
    array = jnp.asarray(plain(value))
    if array.size != 1:
        raise ModelError(
            f"a condition is one truth value, and this one has the shape {array.shape}",
            where=where,
            expected="a scalar",
            fix="say which is meant: `ops.all(x)` or `ops.any(x)`; elementwise: `ops.where`, `ops.logical_and`",
        )
    return jnp.reshape(array, ()).astype(bool)


@dataclass
class _Merge:
    """How the outcomes of two branches become one: the leaves that `lax.cond` gives, and the rest."""

    pairs: list[tuple[Any, Any, Kind]]
    where: str
    truthful: bool = False
    left: tuple[bool, ...] = (False, False)

    def place(self, name: str, one: Any, other: Any) -> Any:
        """Return the `Tree` of a place after the `if`; its `Output`s count in `pairs`."""
        if one is GROWN or other is GROWN:
            return GROWN
        if one is UNDEFINED or other is UNDEFINED:
            return self._half(name, one, other)
        if one.structure != other.structure:
            raise self._mismatch(name, describe_tree(one), describe_tree(other))
        leaves = [self._leaf(name, a, b) for a, b in zip(one.leaves, other.leaves, strict=True)]
        return Tree(one.structure, leaves)

    def _leaf(self, name: str, one: Any, other: Any) -> Any:
        same, value = same_object(one, other)
        if same:
            return value
        a, b = kind_of_leaf(one), kind_of_leaf(other)
        if a is None or b is None:
            raise self._mismatch(name, describe(one), describe(other))
        kind = common_kind(a, b)
        if kind is None and self.truthful and a.shape == b.shape:
            kind = Kind(a.shape, jnp.dtype(bool), False)
        if kind is None:
            raise self._mismatch(name, describe(one), describe(other))
        return self.pair(one, other, kind)

    def pair(self, one: Any, other: Any, kind: Kind) -> Output:
        """Take a leaf of each branch and return the output that they share."""
        self.pairs.append((one, other, kind))
        return Output(len(self.pairs) - 1, kind)

    def _half(self, name: str, one: Any, other: Any) -> Any:
        """Merge a place that only one branch defines.

        That is fine if nobody reads it after the other: the value of a `return` that did not happen, or any name if
        the other branch jumps out of the block around it.
        """
        if one is other:
            return UNDEFINED
        tree = other if one is UNDEFINED else one
        if name != VALUE and not self.left[0 if one is UNDEFINED else 1]:
            raise self._mismatch(name, describe_tree(one), describe_tree(other))
        leaves = []
        for leaf in tree.leaves:
            kind = kind_of_leaf(leaf)
            if kind is None or (isinstance(leaf, Output) and leaf.same is not None):
                leaves.append(leaf.same if isinstance(leaf, Output) else leaf)
            elif one is UNDEFINED:
                leaves.append(self.pair(_Zeros(kind), leaf, kind))
            else:
                leaves.append(self.pair(leaf, _Zeros(kind), kind))
        return Tree(tree.structure, leaves)

    def _mismatch(self, name: str, one: str, other: str) -> ModelError:
        subject = "the returned value" if name == VALUE else name if name.startswith("the ") else f"'{name}'"
        undefined = "not defined" in (one, other)
        return ModelError(
            f"{subject} is {one} after the if-branch and {other} after the else-branch of a condition on a tensor",
            where=self.where,
            expected="the same structure, shape and dtype after both; Python numbers adapt to the other's dtype",
            fix=(
                "give it a value before the `if`, or in both branches"
                if undefined
                else "make both alike, for instance with `cast`, or decide with a Python value"
            ),
        )


@dataclass(frozen=True)
class _Zeros:
    kind: Kind


def staged_if(
    condition: Any,
    branches: tuple[Callable[[], Any], Callable[[], Any]],
    places: Sequence[Place],
    live: Sequence[str],
    where: str,
    *,
    truthful: bool = False,
) -> None:
    """Run one of two blocks, as a traced condition says, and leave what it did in the places and variables.

    Args:
        condition: A traced scalar.
        branches: What runs if it is true, and what runs if not.
        places: What the branches may assign.
        live: The names of those that may be read later.
        where: File and line of the `if`.
        truthful: Whether values of different dtypes may become booleans.
    """
    predicate = truth(condition, where)
    variables = Variables()
    # A place that nobody reads later keeps what it had: no tracer of a branch outlives the branch.
    kept = [place for place in places if outlives(place, live)]
    blocks = tuple(trace_block(branch, places, kept, where) for branch in branches)
    merge = _Merge([], where, truthful, tuple(_leaves(block, kept) for block in blocks))
    merged = [
        merge.place(place.name, *values) for place, *values in zip(kept, *(b.values for b in blocks), strict=True)
    ]
    written = {key: variable for block in blocks for key, (variable, _) in block.writes.items()}
    outputs = {key: _merge_write(merge, key, variable, blocks, variables) for key, variable in written.items()}
    results = _choose(predicate, blocks, merge.pairs)
    for place, tree in zip(kept, merged, strict=True):
        if tree is not GROWN:
            place.write(unpack(tree, results))
    for key, output in outputs.items():
        variables.put(key, written[key], results[output.index])


def staged_value(
    condition: Any, branches: tuple[Callable[[], Any], Callable[[], Any]], where: str, *, truthful: bool = False
) -> Any:
    """Return the value of one of two expressions, as a traced condition says."""
    name = "the operand" if truthful else "the value"
    place = Place(name, CellType(), {})

    def block(expression: Callable[[], Any]) -> Callable[[], None]:
        return lambda: place.write(expression())

    staged_if(condition, (block(branches[0]), block(branches[1])), [place], [name], where, truthful=truthful)
    return place.read()


def unpack(tree: Any, results: Sequence[Any]) -> Any:
    """Return the value of a `Tree`, given the arrays that its outputs count."""
    if tree is UNDEFINED:
        return UNDEFINED
    leaves = [results[leaf.index] if isinstance(leaf, Output) else leaf for leaf in tree.leaves]
    return jax.tree.unflatten(tree.structure, leaves)


def _leaves(block: Block, places: Sequence[Place]) -> bool:
    """Return whether a branch ends with a jump out of the block around it."""
    pairs = zip(places, block.values, strict=True)
    return any(is_flag(place.name) and isinstance(tree, Tree) and tree.leaves == [True] for place, tree in pairs)


def outlives(place: Place, live: Sequence[str]) -> bool:
    """Return whether anything may read a place after a block; of attributes and containers nobody knows."""
    return isinstance(place, Attribute | Contents) or place.name in live


def _merge_write(merge: _Merge, key: int, variable: Any, blocks: Sequence[Block], variables: Variables) -> Output:
    """Merge the new values of a variable; a branch that does not assign it leaves the old one."""
    old = variables.get(key, variable)
    new = [block.writes[key][1] if key in block.writes else old for block in blocks]
    kind = kind_of_leaf(old)
    if kind is None:
        raise ModelError("a variable without a value is assigned in a branch", where=merge.where)
    return merge.pair(new[0], new[1], kind)


def _choose(predicate: jax.Array, blocks: Sequence[Block], pairs: Sequence[tuple[Any, Any, Kind]]) -> list[Any]:
    def branch(number: int) -> Callable[[], list[jax.Array]]:
        def run() -> list[jax.Array]:
            outputs = blocks[number].run()
            return [
                jnp.zeros(kind.shape, kind.dtype)
                if isinstance(pair[number], _Zeros)
                else leaf_value(pair[number], outputs, kind)
                for *pair, kind in pairs
            ]

        return run

    if not pairs and not any(block.program.effects for block in blocks):
        return []
    if all(_is_trivial(block.program.jaxpr) for block in blocks) and all(_is_small(kind) for *_, kind in pairs):
        return [lax.select(predicate, a, b) for a, b in zip(branch(0)(), branch(1)(), strict=True)]
    return list(lax.cond(predicate, branch(0), branch(1)))


def _is_small(kind: Kind) -> bool:
    return kind.shape == () and (jnp.issubdtype(kind.dtype, jnp.integer) or kind.dtype == bool)


def _is_trivial(jaxpr: Any, limit: int = _MANY) -> bool:
    """Return whether both branches may as well run: a few operations on integers, without effects and gradients.

    Not for floats: the gradient of a branch that was not taken, such as that of `log(0)`, would reach the result.
    """
    if jaxpr.effects or len(jaxpr.eqns) > limit:
        return False
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr")
        if equation.primitive.name not in ("jit", "pjit"):
            if inner is not None or any(name in equation.params for name in ("branches", "cond_jaxpr", "call_jaxpr")):
                return False
        elif not _is_trivial(inner.jaxpr, limit):
            return False
        arrays = [variable.aval for variable in (*equation.invars, *equation.outvars)]
        if not all(_is_small(Kind(tuple(aval.shape), aval.dtype, False)) for aval in arrays):
            return False
    return True
