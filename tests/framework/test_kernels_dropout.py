"""Dropout masks from the hash: as good as those of JAX's generator, and the same mask wherever it is made."""

import functools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import mainstay.keras as keras
from mainstay.core import ArgumentError, SetupError
from mainstay.framework import GradientTape, dropout_generator, install_kernels, set_dropout_generator
from mainstay.framework.jax_internals import set_for_all_threads
from mainstay.framework.kernels.dropout import hashed_words, keep_mask, rows_and_columns, words_at

install_kernels()

KNOWN = {
    (0, 0): [4107335385, 2137819274, 138539492, 3192844810],
    (1337, 5): [3795001949, 1063967552, 245591183, 1388533689],
}

Words = Callable[[Any, tuple[int, ...]], np.ndarray]

# Of 2 × 40 tests of a perfect generator one in ten thousand runs has a p-value below this.
LEAST = 1e-6
SAMPLE = 1 << 20


def seed(*words: int) -> jax.Array:
    return jnp.asarray(words, jnp.uint32)


def hashed(words: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(hashed_words(seed(*words), shape))


def threefry(words: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(jax.random.bits(jax.random.wrap_key_data(seed(*words), impl="threefry2x32"), shape, jnp.uint32))


@pytest.fixture(autouse=True)
def default_generator() -> Iterator[None]:
    yield
    set_dropout_generator("hash")


def two_sided(z: Any) -> float:
    """The smallest p-value of normal scores, corrected for their number."""
    scores = np.atleast_1d(np.abs(np.asarray(z, np.float64)))
    return min(1.0, math.erfc(float(scores.max()) / math.sqrt(2)) * scores.size)


def chi_square(counts: Any, expected: Any) -> float:
    """The two-sided p-value of counts, by the normal approximation of Wilson and Hilferty."""
    counts, expected = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    degrees = counts.size - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    z = ((statistic / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    return two_sided(z)


def bits_of(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.astype(">u4").view(np.uint8))


def monobit(words: np.ndarray) -> float:
    bits = bits_of(words).reshape(-1, 32).sum(0, dtype=np.int64)
    return two_sided((bits - len(words) / 2) / math.sqrt(len(words) / 4))


def poker(words: np.ndarray) -> float:
    bytes_ = np.bincount(words.view(np.uint8), minlength=256)
    pairs = np.bincount(words.view(np.uint16), minlength=1 << 16)
    return min(chi_square(bytes_, words.size * 4 / 256), chi_square(pairs, words.size * 2 / (1 << 16)))


def runs(words: np.ndarray) -> float:
    kept = words < (1 << 31)
    ones = int(kept.sum())
    share = ones / kept.size
    changes = int((kept[1:] != kept[:-1]).sum()) + 1
    spread = 2 * math.sqrt(kept.size) * share * (1 - share)
    return two_sided((changes - 2 * kept.size * share * (1 - share)) / spread)


def gap(words: np.ndarray, rate: float = 0.1) -> float:
    """How many kept elements lie between two dropped ones, against the geometric distribution."""
    places = np.flatnonzero(words >= (1 - rate) * 2**32)
    lengths = np.minimum(np.diff(places) - 1, 60)
    chances = rate * (1 - rate) ** np.arange(60)
    return chi_square(np.bincount(lengths, minlength=61), lengths.size * np.append(chances, 1 - chances.sum()))


def serial(words: np.ndarray) -> float:
    """Pairs and triples of neighbouring words, by their highest and by their lowest bits."""
    worst = 1.0
    for shift in (0, 29):
        digits = ((words >> np.uint32(shift)) & np.uint32(7)).astype(np.int64)
        triples = digits[:-2:3] * 64 + digits[1:-1:3] * 8 + digits[2::3]
        worst = min(worst, chi_square(np.bincount(triples, minlength=512), triples.size / 512))
    return worst


def spectral(words: np.ndarray) -> float:
    """The power spectrum of the masks: its largest peak, and its share above the median of noise."""
    signal = np.where(words < (1 << 31), 1.0, -1.0)
    power = np.abs(np.fft.rfft(signal)[1:-1]) ** 2 / signal.size
    peak = min(1.0, power.size * math.exp(-float(power.max())))
    above = float((power > math.log(2)).sum())
    return min(peak, two_sided((above - power.size / 2) / math.sqrt(power.size / 4)))


def correlation(words: np.ndarray) -> float:
    """Neighbours along each axis of an array of four dimensions, at three distances."""
    grid = (words.astype(np.float64) / 2**32 - 0.5).reshape(8, 8, 128, -1)
    scores = []
    for axis in range(4):
        for distance in (1, 2, 4):
            left = np.take(grid, range(grid.shape[axis] - distance), axis)
            right = np.take(grid, range(distance, grid.shape[axis]), axis)
            scores.append((left * right).sum() / math.sqrt(left.size) * 12)
    return two_sided(scores)


def birthday_spacings(words: np.ndarray) -> float:
    """How often two spacings between sorted birthdays are equal, against the Poisson distribution of the theory."""
    sets = words.reshape(-1, 4096).astype(np.int64)
    spacings = np.sort(np.diff(np.sort(sets, 1), axis=1), 1)
    equal = int((np.diff(spacings, axis=1) == 0).sum())
    expected = len(sets) * 4096**3 / (4 * 2**32)
    return two_sided((equal - expected) / math.sqrt(expected))


def rank(words: np.ndarray) -> float:
    """How many 32 × 32 matrices of bits are invertible, against the exact share."""
    matrices = words[: 32 * 4096].reshape(-1, 32).copy()
    rows = np.arange(len(matrices))
    full = np.ones(len(matrices), bool)
    for column in range(32):
        bit = (matrices[:, column:] >> np.uint32(column)) & np.uint32(1)
        full &= bit.any(1)
        pivot = column + bit.argmax(1)
        chosen = matrices[rows, pivot].copy()
        matrices[rows, pivot] = matrices[:, column]
        matrices[:, column] = chosen
        below = ((matrices >> np.uint32(column)) & np.uint32(1)).astype(bool)
        below[:, : column + 1] = False
        matrices ^= np.where(below, chosen[:, None], np.uint32(0))
    share = float(np.prod(1 - 0.5 ** np.arange(1, 33)))
    return two_sided((full.sum() - len(full) * share) / math.sqrt(len(full) * share * (1 - share)))


BATTERY = (monobit, poker, runs, gap, serial, spectral, correlation, birthday_spacings, rank)


@functools.cache
def sample(generator: str, *words: int) -> np.ndarray:
    return {"hash": hashed, "threefry": threefry}[generator](words, (SAMPLE,))


@pytest.mark.parametrize("generator", ["hash", "threefry"])
@pytest.mark.parametrize("words", [(0, 0), (1337, 1), (2**32 - 1, 2**31)], ids=str)
@pytest.mark.parametrize("test", BATTERY, ids=lambda test: test.__name__)
def test_the_words_of_one_seed_look_random(generator: str, words: Any, test: Callable[[np.ndarray], float]) -> None:
    assert test(sample(generator, *words)) > LEAST


def test_the_battery_refuses_bad_generators() -> None:
    counter = np.arange(SAMPLE, dtype=np.uint32) * np.uint32(2**32 // SAMPLE)
    linear = np.empty(SAMPLE, np.uint64)
    linear[:] = np.arange(1, SAMPLE + 1, dtype=np.uint64) * np.uint64(1664525) + np.uint64(1013904223)
    weak = (linear & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    for bad in (counter, weak, hashed((3, 4), (SAMPLE // 2,)).repeat(2)):
        assert min(test(bad) for test in BATTERY) < LEAST**2


@pytest.mark.parametrize("generator", [hashed, threefry], ids=["hash", "threefry"])
def test_masks_of_consecutive_seeds_and_counters_have_nothing_in_common(generator: Words) -> None:
    pairs = [((5, count), (5, count + 1)) for count in range(12)]
    pairs += [((number, 3), (number + 1, 3)) for number in range(12)]
    pairs += [((7, 1 << bit), (7, 0)) for bit in range(0, 32, 4)] + [((1 << bit, 7), (0, 7)) for bit in range(0, 32, 4)]
    pairs += [((3, 9), (9, 3))]
    scores = []
    for one, other in pairs:
        left, right = (generator(words, (1 << 16,)) for words in (one, other))
        flipped = bits_of(left ^ right).reshape(-1, 32).sum(0, dtype=np.int64)
        scores += list((flipped - left.size / 2) / math.sqrt(left.size / 4))
        scores.append(((left == right).sum() - left.size / 2**32) / 1.0)
        # The words of one seed are not those of the other in another order either.
        assert np.intersect1d(left, right).size <= 12
    assert two_sided(scores) > LEAST


def test_flipping_one_bit_of_seed_or_position_flips_half_of_the_word() -> None:
    generator = np.random.default_rng(0)
    words = jnp.asarray(generator.integers(0, 2**32, (4, 4096), dtype=np.uint32))

    @jax.jit
    def word(parts: jax.Array) -> jax.Array:
        return jax.vmap(lambda part: words_at(part[:2], part[2, None], part[3, None])[0])(parts.T)

    before = np.asarray(word(words))
    scores = []
    for part in range(4):
        for bit in range(32):
            after = np.asarray(word(words.at[part].set(words[part] ^ jnp.uint32(1 << bit))))
            flipped = bits_of(before ^ after).reshape(-1, 32).sum(0, dtype=np.int64)
            scores += list((flipped - before.size / 2) / math.sqrt(before.size / 4))
    # A bijection of the position is not a random function: its bits are allowed a hair more than chance.
    assert np.abs(scores).max() < 6.5
    assert abs(float(np.mean(np.square(scores))) - 1) < 0.1


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_every_rate_is_met_in_every_part_of_the_mask(rate: float) -> None:
    kept = np.asarray(keep_mask(seed(11, 12), 1 - rate, (256, 2048)))
    expected = np.full(256, 2048.0) * (1 - rate)
    spread = math.sqrt(2048 * rate * (1 - rate))
    scores = (kept.sum(1) - expected) / spread
    assert two_sided(scores) > LEAST
    assert two_sided((kept.sum() - kept.size * (1 - rate)) / math.sqrt(kept.size * rate * (1 - rate))) > LEAST
    assert 0.7 < float(np.mean(scores**2)) < 1.4


def test_a_rate_of_one_in_a_million_is_met() -> None:
    rates = [float((~keep_mask(seed(1, count), 1 - 1e-6, (1 << 22,))).sum()) for count in range(4)]
    assert abs(sum(rates) - 4 * 2**22 * 1e-6) < 5 * math.sqrt(4 * 2**22 * 1e-6)
    assert keep_mask(seed(1, 2), 1 - 1e-12, (1000,)).all()
    assert not keep_mask(seed(1, 2), 1e-12, (1000,)).any()


def test_arrays_beyond_two_to_the_32_elements_are_numbered_by_two_words() -> None:
    assert rows_and_columns((1 << 16, 1 << 16)) == (1 << 16, 1 << 16)
    assert rows_and_columns((1 << 10, 1 << 16, 1 << 16)) == (1 << 10, 1 << 32)
    assert rows_and_columns((1 << 10, 3, 1 << 16, 1 << 16)) == (3 << 10, 1 << 32)
    assert rows_and_columns((2, 3, 4)) == (2, 12)
    assert rows_and_columns((5,)) == (1, 5)
    assert rows_and_columns(()) == (1, 1)
    shape = (3, 1 << 16, 1 << 16)
    assert jax.eval_shape(lambda words: hashed_words(words, shape), seed(0, 0)).shape == shape
    low = jnp.arange(1 << 16, dtype=jnp.uint32)
    rows = [np.asarray(words_at(seed(1, 2), jnp.full((1,), high, jnp.uint32), low)) for high in range(6)]
    scores = []
    for index, row in enumerate(rows):
        for other in rows[:index]:
            flipped = bits_of(row ^ other).reshape(-1, 32).sum(0, dtype=np.int64)
            scores += list((flipped - row.size / 2) / math.sqrt(row.size / 4))
    assert two_sided(scores) > LEAST


def test_the_mask_is_the_same_under_jit_vmap_scan_and_remat() -> None:
    shape = (4, 6)
    expected = np.asarray(keep_mask(seed(3, 4), 0.7, shape))
    np.testing.assert_array_equal(jax.jit(lambda words: keep_mask(words, 0.7, shape))(seed(3, 4)), expected)
    stacked = jax.vmap(lambda words: keep_mask(words, 0.7, shape))(jnp.stack([seed(1, 1), seed(3, 4)]))
    np.testing.assert_array_equal(stacked[1], expected)
    _, scanned = jax.lax.scan(lambda state, _: (state + seed(0, 1), keep_mask(state, 0.7, shape)), seed(3, 3), length=2)
    np.testing.assert_array_equal(scanned[1], expected)

    def drop(x: jax.Array) -> jax.Array:
        return keras.random.dropout(x, 0.3, seed=seed(3, 4)) ** 2

    plain = jax.grad(lambda x: drop(x).sum())(jnp.ones(shape))
    np.testing.assert_array_equal(jax.grad(lambda x: jax.checkpoint(drop)(x).sum())(jnp.ones(shape)), plain)
    np.testing.assert_array_equal(np.asarray(plain) != 0, expected)


def test_the_mask_does_not_depend_on_how_the_array_is_sharded() -> None:
    program = (
        "import jax, numpy as np\n"
        "from jax.sharding import Mesh, NamedSharding, PartitionSpec as P\n"
        "import mainstay.keras as keras\n"
        "from mainstay.framework import install_kernels\n"
        "install_kernels()\n"
        "mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ('a', 'b'))\n"
        "f = jax.jit(lambda x: keras.random.dropout(x, 0.4, seed=9))\n"
        "x = jax.numpy.ones((8, 6, 4))\n"
        "for spec in (P('a'), P(None, 'b'), P('a', 'b'), P(('a', 'b')), P()):\n"
        "    placed = jax.device_put(x, NamedSharding(mesh, spec))\n"
        "    assert (np.asarray(f(placed)) == np.asarray(f(x))).all(), spec\n"
        "print('same')\n"
    )
    flags = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], env=flags, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "same", done.stderr


def test_a_mask_has_a_known_value() -> None:
    # Masks are part of a training run that must be repeatable: across versions, machines and devices.
    assert hashed((0, 0), (4,)).tolist() == KNOWN[(0, 0)]
    assert hashed((1337, 5), (2, 2)).ravel().tolist() == KNOWN[(1337, 5)]


def dropped(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(layer(jnp.ones(shape), training=True))


def test_the_layer_drops_and_scales_as_keras_own() -> None:
    output = dropped(keras.layers.Dropout(0.25, seed=1), (100, 100))
    assert set(np.unique(output)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((output == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(keras.layers.Dropout(0.25)(jnp.ones((3, 3)), training=False), jnp.ones((3, 3)))


def test_equal_seeds_give_equal_masks_and_each_call_another_one() -> None:
    one, other = (keras.layers.Dropout(0.5, seed=3) for _ in range(2))
    first, second = dropped(one, (32, 32)), dropped(one, (32, 32))
    assert (first != second).any()
    np.testing.assert_array_equal(dropped(other, (32, 32)), first)
    np.testing.assert_array_equal(dropped(other, (32, 32)), second)
    masks = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        masks.append(dropped(keras.layers.Dropout(0.5), (32, 32)))
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_seed_generator_moves_on_as_under_keras_own_generator(rate: float) -> None:
    states = []
    for name in ("hash", "jax"):
        set_dropout_generator(name)
        generator = keras.random.SeedGenerator(4)
        keras.random.dropout(jnp.ones((3,)), rate, seed=generator)
        states.append(np.asarray(generator.state.value))
    np.testing.assert_array_equal(*states)


def test_a_noise_shape_drops_whole_features() -> None:
    output = dropped(keras.layers.SpatialDropout2D(0.5, seed=2), (4, 5, 5, 16))
    assert (output == output[:, :1, :1]).all()
    output = dropped(keras.layers.Dropout(0.5, noise_shape=(None, 1), seed=2), (64, 8))
    assert (output == output[:, :1]).all()
    assert 0.2 < (output == 0).mean() < 0.8


def test_jax_own_generator_stays_selectable_and_compiled_functions_follow() -> None:
    x = jnp.ones((64,))
    run = jax.jit(lambda x: keras.random.dropout(x, 0.5, seed=7))
    hashed_mask = np.asarray(run(x))
    set_dropout_generator("jax")
    assert dropout_generator() == "jax"
    keep = jax.random.bernoulli(seed(7, 0), 0.5, (64,))
    np.testing.assert_array_equal(np.asarray(run(x)) != 0, keep)
    set_dropout_generator("hash")
    np.testing.assert_array_equal(run(x), hashed_mask)
    assert (hashed_mask != 0).tolist() != keep.tolist()


def test_a_key_of_another_generator_of_jax_is_used_as_it_is() -> None:
    key = jax.random.key(1, impl="rbg")
    kept = np.asarray(keras.random.dropout(jnp.ones((64,)), 0.5, seed=key)) != 0
    np.testing.assert_array_equal(kept, jax.random.bernoulli(key, 0.5, (64,)))
    typed = keras.random.dropout(jnp.ones((64,)), 0.5, seed=jax.random.wrap_key_data(seed(7, 0)))
    np.testing.assert_array_equal(typed, keras.random.dropout(jnp.ones((64,)), 0.5, seed=7))


def test_a_tape_sees_the_mask() -> None:
    layer = keras.layers.Dropout(0.5, seed=1)
    x = jnp.ones((32,))
    with GradientTape() as tape:
        tape.watch(x)
        output = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(output, x), output)


def test_an_unknown_generator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="'hash' or 'jax'"):
        set_dropout_generator("threefry")
    program = "from mainstay.framework import dropout_generator; print(dropout_generator())"
    environment = os.environ | {"MAINSTAY_DROPOUT": "jax"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "jax"
    from mainstay.framework.kernels import dropout

    set_for_all_threads(dropout._chosen, None)
    monkeypatch.setenv("MAINSTAY_DROPOUT", "dice")
    with pytest.raises(SetupError, match="MAINSTAY_DROPOUT"):
        dropout_generator()


def test_one_device_meshes_are_no_special_case() -> None:
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    placed = jax.device_put(jnp.ones((8, 4)), NamedSharding(mesh, PartitionSpec("batch")))
    run = jax.jit(lambda x: keras.random.dropout(x, 0.4, seed=9))
    np.testing.assert_array_equal(run(placed), run(jnp.ones((8, 4))))
