"""Dropout masks from a counter-based hash: a fraction of the cost of JAX's own generator, the same on every device.

The mask of an element is a function of the seed, the counter of the seed generator and the element's position in the
array, in integer arithmetic. So it does not depend on the device or on how the array is sharded, and a mask that is
computed again (`jax.checkpoint`) is the same mask.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.core import ArgumentError, SetupError
from mainstay.framework.jax_internals import set_for_all_threads

GENERATORS = ("hash", "jax")
ENVIRONMENT_VARIABLE = "MAINSTAY_DROPOUT"

_WORD = 1 << 32
# The constants of the integer hash `triple32` by Chris Wellons, found by a search for the lowest bias.
_SHIFTS = (17, 11, 15, 14)
_FACTORS = (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB)

# A context that JAX knows of: a function that `jit` has traced with the other generator is traced again.
_chosen: Any = jax.make_user_context(None)  # type: ignore[no-untyped-call]


def set_dropout_generator(name: str) -> None:
    """Choose what makes the masks of dropout: of `keras.layers.Dropout` and all layers and functions built on it.

    Args:
        name: ``"hash"``, the default, or ``"jax"`` for JAX's own generator, whose masks are those of Keras alone.

    Raises:
        ArgumentError: There is no such generator.

    >>> set_dropout_generator("hash")
    """
    if name not in GENERATORS:
        raise ArgumentError(
            "there is no such generator of dropout masks",
            where="name",
            expected=" or ".join(map(repr, GENERATORS)),
            received=repr(name),
        )
    set_for_all_threads(_chosen, name)


def dropout_generator() -> str:
    """Return what makes the masks of dropout, ``"hash"`` or ``"jax"``.

    Without a choice by `set_dropout_generator` the environment variable `MAINSTAY_DROPOUT` decides.

    Raises:
        SetupError: `MAINSTAY_DROPOUT` names another generator.
    """
    name: str = _chosen.value or os.environ.get(ENVIRONMENT_VARIABLE, GENERATORS[0])
    if name not in GENERATORS:
        raise SetupError(
            "the environment asks for a generator of dropout masks that does not exist",
            where=ENVIRONMENT_VARIABLE,
            expected=" or ".join(GENERATORS),
            received=name,
            fix=f"unset {ENVIRONMENT_VARIABLE} or set it to one of them",
        )
    return name


def keep_mask(seed: jax.Array, keep_probability: float, shape: Sequence[int]) -> jax.Array:
    """Return booleans that are true with a probability, to a resolution of 2⁻³².

    Args:
        seed: Two words, `[2] uint32`: the state of a `keras.random.SeedGenerator`.
        keep_probability: Between 0 and 1.
        shape: The shape of the mask.
    """
    threshold = min(round(keep_probability * _WORD), _WORD - 1)
    return jnp.less(hashed_words(seed, tuple(shape)), jnp.uint32(threshold))


@functools.partial(jax.jit, static_argnums=1)
def hashed_words(seed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return independent uniform words for the elements of an array.

    Args:
        seed: Two words, `[2] uint32`.
        shape: The shape, with no dimension above 2³².

    Returns:
        An array of that shape, `uint32`.
    """
    rows, columns = rows_and_columns(shape)
    if rows * columns <= _WORD:
        row = lax.broadcasted_iota(jnp.uint32, (rows, 1), 0) * jnp.uint32(columns)
        column = lax.broadcasted_iota(jnp.uint32, (1, columns), 1)
        return words_at(seed, jnp.uint32(0), row + column).reshape(shape)
    high = lax.broadcasted_iota(jnp.uint32, (rows, 1), 0)
    low = lax.broadcasted_iota(jnp.uint32, (1, columns), 1)
    return words_at(seed, high, low).reshape(shape)


def words_at(seed: jax.Array, high: jax.Array, low: jax.Array) -> jax.Array:
    """Return the words at positions that are numbered by two words each, `uint32`.

    The seed and the high word go through a Feistel network first, a bijection: two seeds never give the same key, and
    seeds that are neighbours (as those of one generator are) give keys that have nothing in common. The key enters the
    hash of the low word at two places with a multiplication between them, so that the words of two keys are not the
    same words in another order.
    """
    first, second = _key(seed[0], seed[1])
    first, second = _key(first ^ high, second) if high.ndim else (first, second)
    word = low ^ first
    word = (word ^ (word >> jnp.uint32(_SHIFTS[0]))) * jnp.uint32(_FACTORS[0])
    word = (word ^ (word >> jnp.uint32(_SHIFTS[1]))) + second
    word = word * jnp.uint32(_FACTORS[1])
    word = (word ^ (word >> jnp.uint32(_SHIFTS[2]))) * jnp.uint32(_FACTORS[2])
    return jnp.bitwise_xor(word, word >> jnp.uint32(_SHIFTS[3]))


def rows_and_columns(shape: Sequence[int]) -> tuple[int, int]:
    """Return how an array is numbered: the product of the leading dimensions, and that of the others, at most 2³².

    The first dimension, which is the one that is sharded most, stays apart where it can.
    """
    split = min(1, len(shape) - 1) if len(shape) else 0
    while split < len(shape) and math.prod(shape[split:]) > _WORD:
        split += 1
    return math.prod(shape[:split]), math.prod(shape[split:])


def dropout_with(plain: Callable[..., Any], draw_seed: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return Keras' `dropout` with hashed masks, and `plain` where JAX's generator is chosen or it is not covered.

    Args:
        plain: Keras' own function.
        draw_seed: Keras' own way from a `seed` argument to two words, which moves a seed generator on.
    """

    def dropout(inputs: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:
        if dropout_generator() != "hash" or not isinstance(rate, (int, float)) or not 0 < rate < 1:
            return plain(inputs, rate, noise_shape, seed)
        shape = inputs.shape if noise_shape is None else _filled(noise_shape, inputs.shape)
        if not all(isinstance(size, int) and size <= _WORD for size in shape):
            return plain(inputs, rate, noise_shape, seed)
        drawn = draw_seed(seed)
        words = _seed_words(drawn)
        if words is None:
            return plain(inputs, rate, noise_shape, drawn)
        keep = 1.0 - rate
        mask = jnp.broadcast_to(keep_mask(words, keep, shape), inputs.shape)
        return lax.select(mask, inputs / keep, jnp.zeros_like(inputs))

    return dropout


def _filled(noise_shape: Sequence[int | None], shape: Sequence[int]) -> list[int]:
    return [shape[axis] if size is None else size for axis, size in enumerate(noise_shape)]


def _seed_words(seed: Any) -> jax.Array | None:
    """Return the two words of a seed, or None for one of another kind (such as a key of another generator of JAX)."""
    if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        seed = jax.random.key_data(seed)
    if seed.shape != (2,) or not jnp.issubdtype(seed.dtype, jnp.integer):
        return None
    return jnp.asarray(seed).astype(jnp.uint32)


def _key(left: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    for round_number in range(2):
        left = left ^ _hash(right + jnp.uint32(0x9E3779B9 + 2 * round_number))
        right = right ^ _hash(left + jnp.uint32(0x9E3779BA + 2 * round_number))
    return left, right


def _hash(word: jax.Array) -> jax.Array:
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        word = (word ^ (word >> jnp.uint32(shift))) * jnp.uint32(factor)
    return jnp.bitwise_xor(word, word >> jnp.uint32(_SHIFTS[3]))
