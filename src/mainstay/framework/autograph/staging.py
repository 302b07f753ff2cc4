"""Traces one block of Python to a jaxpr and says what it leaves in each place: arrays, or plain Python values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from mainstay.core import ModelError
from mainstay.framework.autograph.state import UNDEFINED, Contents, Place, Variables, refuse_losses
from mainstay.framework.jax_internals import is_abstract
from mainstay.framework.keras_internals import is_variable


def plain(value: Any) -> Any:
    """Return the value of a Keras variable, and anything else as it is."""
    return value.value if is_variable(value) else value


def is_traced(value: Any) -> bool:
    """Return whether the value of an array is not known now, because a program is being traced."""
    return is_abstract(plain(value))


# JAX gives its class no types.
struct: Callable[..., Any] = jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Kind:
    """Shape and dtype of an array; weak for what came from a Python number alone."""

    shape: tuple[Any, ...]
    dtype: Any
    weak: bool

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    def struct(self) -> Any:
        """Return it as JAX has it."""
        return struct(self.shape, self.dtype, weak_type=self.weak)

    def sample(self) -> Any:
        """Return something that promotes as an array of this kind does."""
        return {"i": 0, "f": 0.0, "c": 0j}.get(np.dtype(self.dtype).kind, self.dtype) if self.weak else self.dtype


def kind_of(leaf: Any) -> Kind | None:
    """Return the kind of an array or number, or None for any other object."""
    if isinstance(leaf, jax.Array):
        aval = jax.typeof(leaf)
        return Kind(tuple(aval.shape), aval.dtype, bool(getattr(aval, "weak_type", False)))
    if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "biufcV":
        return Kind(leaf.shape, jnp.result_type(leaf), False)
    if isinstance(leaf, bool | int | float | complex):
        return Kind((), jnp.result_type(leaf), not isinstance(leaf, bool))
    return None


def common_kind(one: Kind, other: Kind) -> Kind | None:
    """Return the kind that holds both, or None: only Python numbers adapt to the dtype of an array."""
    if one.shape != other.shape:
        return None
    if one.dtype == other.dtype:
        return Kind(one.shape, one.dtype, one.weak and other.weak)
    if not (one.weak or other.weak) or jnp.issubdtype(one.dtype, jax.dtypes.extended):
        return None
    dtype = jnp.result_type(one.sample(), other.sample())
    return Kind(one.shape, dtype, one.weak and other.weak)


def as_kind(value: Any, kind: Kind) -> jax.Array:
    """Return a value as an array of a kind."""
    array = jnp.asarray(plain(value))
    if array.dtype == kind.dtype:
        return array
    # Adding a Python number keeps a weak type weak; a conversion would make it strong.
    return array + kind.sample() if kind.weak else jax.lax.convert_element_type(array, kind.dtype)


class Grown:
    """What happened to a list that got Python values while a block was traced: a side effect, which stays."""


GROWN = Grown()


@dataclass(frozen=True)
class Output:
    """An array that a traced block gives; `same` is the object from outside of the block that it simply passes on."""

    index: int
    kind: Kind
    same: Any = None


@dataclass(frozen=True)
class Tree:
    """What a place holds: its structure, and leaves that are each an `Output` or a Python object."""

    structure: Any
    leaves: list[Any]


@dataclass
class Block:
    """A traced block.

    Attributes:
        program: The jaxpr; values from outside are its constants.
        values: What each place holds after the block: a `Tree`, `UNDEFINED`, or `GROWN`.
        writes: The variables that it assigns, by key, and the output that is the new value.
        result: What the block itself returned, as a `Tree`.
    """

    program: Any = None
    values: list[Any] = field(default_factory=list)
    writes: dict[int, tuple[Any, Output]] = field(default_factory=dict)
    result: Any = None

    def run(self, *arguments: Any) -> list[Any]:
        """Put the program into the running trace and return its outputs."""
        return jex.jaxpr_as_fun(self.program)(*arguments)  # type: ignore[no-any-return]


Body = Callable[..., Any]


def trace_block(
    body: Body,
    places: Sequence[Place],
    kept: Sequence[Place],
    where: str,
    *,
    inputs: Sequence[Any] = (),
    enter: Callable[..., tuple[Any, ...]] = lambda: (),
) -> Block:
    """Trace a block once, leaving places and variables as they were.

    Args:
        body: The block; it is called with what `enter` returns.
        places: Everything that the block may assign.
        kept: Those whose values after the block matter.
        where: File and line, for messages.
        inputs: Arrays or structs that are arguments of the program.
        enter: Is called with the traced arguments first, to put them where the block finds them.
    """
    variables, before = Variables(), [place.read() for place in places]
    outside = {id(leaf) for value in before for leaf in jax.tree.leaves(value)}
    block = Block()

    def program(*arguments: Any) -> list[Any]:
        entered = enter(*arguments)
        snapshot = variables.snapshot()
        result = body(*entered)
        outputs: list[Any] = []
        packed = [_pack(place.read(), outputs, outside) for place in kept]
        old = dict(zip(map(id, places), before, strict=True))
        block.values = [_grown(place, old[id(place)], tree) for place, tree in zip(kept, packed, strict=True)]
        block.result = _pack(result, outputs, outside)
        refuse_losses(variables, snapshot, where)
        for key, variable in variables.written_since(snapshot).items():
            value = variables.get(key, None)
            block.writes[key] = (variable, _output(value, outputs))
        return outputs

    with variables.undone():
        try:
            block.program = jax.make_jaxpr(program)(*inputs)
        finally:
            grown = {id(place) for place, value in zip(kept, block.values, strict=False) if value is GROWN}
            for place, value in zip(places, before, strict=True):
                if id(place) not in grown:
                    place.write(value)
    return block


def _output(array: Any, outputs: list[Any], same: Any = None) -> Output:
    kind = kind_of(array)
    if kind is None:
        raise ModelError(f"a block gives {type(array).__name__}, which is not an array")
    outputs.append(array)
    return Output(len(outputs) - 1, kind, same)


def _pack(value: Any, outputs: list[Any], outside: set[int]) -> Any:
    if value is UNDEFINED:
        return UNDEFINED
    leaves, structure = jax.tree.flatten(value)
    packed = []
    for leaf in leaves:
        if is_variable(leaf):
            packed.append(_output(leaf.value, outputs, same=leaf))
        elif isinstance(leaf, jax.core.Tracer):
            packed.append(_output(leaf, outputs, same=leaf if id(leaf) in outside else None))
        else:
            packed.append(leaf)
    return Tree(structure, packed)


def _grown(place: Place, before: Any, tree: Any) -> Any:
    """Return `GROWN` for a list or dictionary that got or lost items of which none is traced, or the tree."""
    if not isinstance(place, Contents) or tree.structure == jax.tree.structure(before):
        return tree
    return tree if any(isinstance(leaf, Output) and leaf.same is None for leaf in tree.leaves) else GROWN


def kind_of_leaf(leaf: Any) -> Kind | None:
    """Return the kind of a leaf of a `Tree`."""
    return leaf.kind if isinstance(leaf, Output) else kind_of(leaf)


def same_object(one: Any, other: Any) -> tuple[bool, Any]:
    """Return whether two leaves are one Python value, and that value."""
    a, b = (leaf.same if isinstance(leaf, Output) else leaf for leaf in (one, other))
    if a is b and not (a is None and isinstance(one, Output)):
        return True, a
    if isinstance(one, Output) or isinstance(other, Output) or type(a) is not type(b):
        return False, None
    if isinstance(a, jax.Array | np.ndarray):
        return False, None
    return bool(a == b), a


def leaf_value(leaf: Any, outputs: Sequence[Any], kind: Kind) -> jax.Array:
    """Return a leaf as an array of a kind, given the outputs of its block."""
    return as_kind(outputs[leaf.index] if isinstance(leaf, Output) else leaf, kind)


def describe(leaf: Any) -> str:
    """Return what a leaf is, for messages: `float32[3]`, `'text'`, `an object of type Model`."""
    kind = kind_of_leaf(leaf)
    if isinstance(leaf, bool | int | float | str):
        return f"the Python value {leaf!r}"
    return str(kind) if kind is not None else f"an object of type {type(leaf).__name__}"


def describe_tree(tree: Any) -> str:
    """Return what a place holds, for messages."""
    if tree is UNDEFINED:
        return "not defined"
    if tree.structure.num_leaves == 1 and jax.tree_util.treedef_is_leaf(tree.structure):
        return describe(tree.leaves[0])
    return str(jax.tree.unflatten(tree.structure, [_Text(describe(leaf)) for leaf in tree.leaves]))


class _Text(str):
    def __repr__(self) -> str:
        return str(self)
