"""Random numbers: those that follow from a seed, bit by bit as TensorFlow's, and those that nothing determines.

The stateless operations draw from Philox 4x32-10. The stateful ones run on the host: with a seed they give the same
numbers on every call, and without one other numbers each time; neither are TensorFlow's numbers.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import product
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, integers, known

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_PHILOX, _AUTO = 1, 3


@jax.jit
def philox(counter: Any, key: Any) -> Any:
    """Return the Philox 4x32-10 block of each counter.

    Args:
        counter: `[..., 4]` uint32.
        key: `[2]` uint32.

    Returns:
        `[..., 4]` uint32.
    """
    parts = [counter[..., index] for index in range(4)]
    keys = [key[0], key[1]]
    for _ in range(_ROUNDS):
        products = [
            parts[2 * index].astype(jnp.uint64) * jnp.asarray(multiplier, jnp.uint64)
            for index, multiplier in enumerate(_MULTIPLIERS)
        ]
        high = [(each >> jnp.asarray(32, jnp.uint64)).astype(jnp.uint32) for each in products]
        low = [each.astype(jnp.uint32) for each in products]
        parts = [high[1] ^ parts[1] ^ keys[0], low[1], high[0] ^ parts[3] ^ keys[1], low[0]]
        keys = [each + jnp.asarray(step, jnp.uint32) for each, step in zip(keys, _WEYL, strict=True)]
    return jnp.stack(parts, -1)


def _halves(numbers: Any) -> list[Any]:
    """Return the low and high 32 bits of each 64-bit number, in this order."""
    unsigned = jnp.ravel(jnp.asarray(numbers)).astype(jnp.int64).astype(jnp.uint64)
    words = []
    for index in range(unsigned.shape[0]):
        words += [
            unsigned[index].astype(jnp.uint32),
            (unsigned[index] >> jnp.asarray(32, jnp.uint64)).astype(jnp.uint32),
        ]
    return words


def _scrambled(seed: Value) -> tuple[Any, Any]:
    """Return the key and the first counter that follow from a seed of two numbers."""
    key = jnp.asarray([0x3EC8F720, 0x02461E29], jnp.uint32)
    mixed = philox(jnp.stack(_halves(seed)), key)
    zero = jnp.zeros((), jnp.uint32)
    return mixed[:2], jnp.stack([zero, zero, mixed[2], mixed[3]])


def _given(key: Value, counter: Value) -> tuple[Any, Any]:
    """Return the words of a key and a counter of 64-bit numbers."""
    words = [lax.bitcast_convert_type(jnp.asarray(each, jnp.uint64), jnp.uint32).ravel() for each in (key, counter)]
    return words[0][:2], jnp.concatenate([words[1], jnp.zeros(4, jnp.uint32)])[:4]


def _words(source: tuple[Any, Any], count: Any) -> Any:
    """Return at least so many 32-bit words."""
    key, start = source
    blocks = -(-count // 4)
    step = jnp.arange(blocks, dtype=jnp.uint64)
    low = start[0].astype(jnp.uint64) | start[1].astype(jnp.uint64) << jnp.asarray(32, jnp.uint64)
    reached = low + step
    carried = (reached < low).astype(jnp.uint64)
    high = (start[2].astype(jnp.uint64) | start[3].astype(jnp.uint64) << jnp.asarray(32, jnp.uint64)) + carried
    shift = jnp.asarray(32, jnp.uint64)
    counters = [reached, reached >> shift, high, high >> shift]
    return philox(jnp.stack([each.astype(jnp.uint32) for each in counters], -1), key).reshape(-1)


def _unit(words: Any, dtype: Any) -> Any:
    """Return numbers from 0 up to 1 of random words: one word for each, or two for float64."""
    if dtype == np.float64:
        pairs = words.reshape(-1, 2).astype(jnp.uint64)
        fraction = (pairs[:, 0] & jnp.asarray(0xFFFFF, jnp.uint64)) << jnp.asarray(32, jnp.uint64) | pairs[:, 1]
        bits = fraction | jnp.asarray(1023 << 52, jnp.uint64)
        return lax.bitcast_convert_type(bits, jnp.float64) - 1
    if dtype == np.float32:
        bits = words & jnp.asarray(0x7FFFFF, jnp.uint32) | jnp.asarray(127 << 23, jnp.uint32)
        return lax.bitcast_convert_type(bits, jnp.float32) - 1
    mask, exponent = (0x3FF, 15 << 10) if dtype == np.float16 else (0x7F, 127 << 7)
    bits = words.astype(jnp.uint16) & jnp.asarray(mask, jnp.uint16) | jnp.asarray(exponent, jnp.uint16)
    return lax.bitcast_convert_type(bits, dtype) - jnp.ones((), dtype)


def _uniform(source: tuple[Any, Any], shape: tuple[Any, ...], dtype: Any) -> Any:
    count = product(shape)
    words = _words(source, count * 2 if dtype == np.float64 else count)
    return _unit(words, dtype)[:count].reshape(shape)


def _normal(source: tuple[Any, Any], shape: tuple[Any, ...], dtype: Any) -> Any:
    """Return normal numbers of pairs of uniform ones, after Box and Muller."""
    count = product(shape)
    wide = np.float64 if dtype == np.float64 else np.float32
    pairs = _unit(_words(source, (count + 1) // 2 * (4 if wide is np.float64 else 2)), wide)
    pairs = pairs.reshape(-1, 2)
    radius = jnp.sqrt(-2 * jnp.log(jnp.maximum(pairs[:, 0], jnp.asarray(1e-7, wide))))
    angle = jnp.asarray(2 * math.pi, wide) * pairs[:, 1]
    numbers = jnp.stack([jnp.sin(angle) * radius, jnp.cos(angle) * radius], -1).reshape(-1)
    return numbers[:count].reshape(shape).astype(dtype)


def _whole_numbers(source: tuple[Any, Any], shape: tuple[Any, ...], dtype: Any) -> Any:
    """Return integers of all bits of an unsigned dtype."""
    count = product(shape)
    if np.dtype(dtype).itemsize == 4:
        return _words(source, count)[:count].reshape(shape)
    pairs = _words(source, 2 * count).reshape(-1, 2).astype(jnp.uint64)
    return (pairs[:, 0] | pairs[:, 1] << jnp.asarray(32, jnp.uint64))[:count].reshape(shape)


def _between(source: tuple[Any, Any], shape: tuple[Any, ...], low: Value, high: Value) -> Any:
    low, high = jnp.asarray(low), jnp.asarray(high)
    unsigned = jnp.uint32 if low.dtype.itemsize == 4 else jnp.uint64
    width = high.astype(unsigned) - low.astype(unsigned)
    drawn = _whole_numbers(source, shape, unsigned) % width
    return (low.astype(unsigned) + drawn).astype(low.dtype)


def _source(node: OpNode, key: Value, counter: Value, algorithm: Value) -> tuple[Any, Any]:
    if integer(algorithm) not in (_PHILOX, _AUTO):
        raise ModelError(
            "random numbers come from an algorithm that is not read",
            where=node.name,
            expected="Philox",
            received=f"algorithm {integer(algorithm)}",
        )
    return _given(key, counter)


@graph_op("StatelessRandomUniform")
def stateless_random_uniform(node: OpNode, shape: Value, seed: Value) -> Value:
    """Return numbers from 0 up to 1."""
    return _uniform(_scrambled(seed), integers(shape), node.dtype("dtype"))


@graph_op("StatelessRandomUniformV2")
def stateless_random_uniform_v2(node: OpNode, shape: Value, key: Value, counter: Value, algorithm: Value) -> Value:
    """Return numbers from 0 up to 1."""
    return _uniform(_source(node, key, counter, algorithm), integers(shape), node.dtype("dtype"))


@graph_op("StatelessRandomNormal")
def stateless_random_normal(node: OpNode, shape: Value, seed: Value) -> Value:
    """Return numbers of the standard normal distribution."""
    return _normal(_scrambled(seed), integers(shape), node.dtype("dtype"))


@graph_op("StatelessRandomNormalV2")
def stateless_random_normal_v2(node: OpNode, shape: Value, key: Value, counter: Value, algorithm: Value) -> Value:
    """Return numbers of the standard normal distribution."""
    return _normal(_source(node, key, counter, algorithm), integers(shape), node.dtype("dtype"))


@graph_op("StatelessRandomUniformInt")
def stateless_random_uniform_int(_node: OpNode, shape: Value, seed: Value, low: Value, high: Value) -> Value:
    """Return integers from a range."""
    return _between(_scrambled(seed), integers(shape), low, high)


@graph_op("StatelessRandomUniformIntV2")
def stateless_random_uniform_int_v2(node: OpNode, shape: Value, key: Value, counter: Value, *rest: Value) -> Value:
    """Return integers from a range."""
    algorithm, low, high = rest
    return _between(_source(node, key, counter, algorithm), integers(shape), low, high)


@graph_op("StatelessRandomUniformFullInt")
def stateless_random_uniform_full_int(node: OpNode, shape: Value, seed: Value) -> Value:
    """Return integers of all values."""
    dtype = node.dtype("dtype")
    return _whole_numbers(_scrambled(seed), integers(shape), dtype).astype(dtype)


@graph_op("StatelessRandomUniformFullIntV2")
def stateless_random_uniform_full_int_v2(node: OpNode, shape: Value, key: Value, counter: Value, alg: Value) -> Value:
    """Return integers of all values."""
    dtype = node.dtype("dtype")
    return _whole_numbers(_source(node, key, counter, alg), integers(shape), dtype).astype(dtype)


def _packed(words: Any) -> Any:
    return lax.bitcast_convert_type(words.reshape(-1, 2), jnp.uint64)


@graph_op("StatelessRandomGetKeyCounter")
def get_key_counter(_node: OpNode, seed: Value) -> Value:
    """Return key and counter that follow from a seed."""
    key, counter = _scrambled(seed)
    return _packed(key), _packed(counter)


@graph_op("StatelessRandomGetKeyCounterAlg")
def get_key_counter_alg(_node: OpNode, seed: Value) -> Value:
    """Return key and counter that follow from a seed, and the number of the algorithm."""
    key, counter = _scrambled(seed)
    return _packed(key), _packed(counter), np.asarray(_PHILOX, np.int32)


@graph_op("StatelessRandomGetAlg")
def get_alg(_node: OpNode) -> Value:
    """Return the number of the algorithm."""
    return np.asarray(_PHILOX, np.int32)


def _generator(node: OpNode) -> np.random.Generator:
    seeds = (node.attr("seed", 0), node.attr("seed2", 0))
    return np.random.default_rng([each % (1 << 63) for each in seeds] if any(seeds) else None)


@graph_op("RandomUniform", kind="host")
def random_uniform(node: OpNode, shape: Value) -> Value:
    """Return numbers from 0 up to 1."""
    return _generator(node).random(integers(shape)).astype(node.dtype("dtype"))


@graph_op("RandomStandardNormal", kind="host")
def random_standard_normal(node: OpNode, shape: Value) -> Value:
    """Return numbers of the standard normal distribution."""
    return _generator(node).standard_normal(integers(shape)).astype(node.dtype("dtype"))


@graph_op("TruncatedNormal", kind="host")
def truncated_normal(node: OpNode, shape: Value) -> Value:
    """Return numbers of the normal distribution that lie within two standard deviations."""
    generator, target = _generator(node), integers(shape)
    numbers = generator.standard_normal(target)
    while (outside := np.abs(numbers) > 2).any():
        numbers = np.where(outside, generator.standard_normal(target), numbers)
    return np.asarray(numbers).astype(node.dtype("dtype"))


@graph_op("RandomUniformInt", kind="host")
def random_uniform_int(node: OpNode, shape: Value, low: Value, high: Value) -> Value:
    """Return integers from a range."""
    return _generator(node).integers(integer(low), integer(high), integers(shape), node.dtype("Tout"))


@graph_op("RandomShuffle", kind="host")
def random_shuffle(node: OpNode, x: Value) -> Value:
    """Return rows in another order."""
    return _generator(node).permutation(known(x))


@graph_op("Multinomial", kind="host")
def multinomial(node: OpNode, logits: Value, count: Value) -> Value:
    """Draw classes by the logarithms of their weights."""
    scores = np.asarray(known(logits), np.float64)
    noise = _generator(node).gumbel(size=(scores.shape[0], integer(count), scores.shape[1]))
    return np.argmax(scores[:, None] + noise, -1).astype(node.attr("output_dtype", np.dtype(np.int64)))
