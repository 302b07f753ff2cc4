"""Arrays scaled to a largest norm, with TensorFlow's answers for zeros, None and numbers that are not finite."""

import jax.numpy as jnp
import numpy as np
import pytest

import mainstay as tf
from mainstay.core import ArgumentError
from mainstay.framework import clip_by_global_norm, clip_by_norm, global_norm


def test_the_global_norm_is_that_of_all_numbers_together() -> None:
    parts = [tf.Variable([[1.0, 2.0]]), None, tf.constant(2.0), np.float32([4.0])]
    assert float(global_norm(parts)) == 5.0
    assert float(global_norm([None, None])) == 0.0
    assert float(global_norm([])) == 0.0


def test_arrays_are_scaled_by_one_factor_and_none_stays() -> None:
    clipped, norm = clip_by_global_norm([tf.constant([3.0, 0.0]), None, tf.Variable(4.0)], 2.5)
    assert float(norm) == 5.0
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[0], [1.5, 0.0])
    np.testing.assert_allclose(clipped[2], 2.0)


def test_a_small_norm_leaves_the_numbers_exactly_as_they_are() -> None:
    values = [np.float32([0.1, 0.7, -0.3])]
    np.testing.assert_array_equal(clip_by_global_norm(values, 49.0)[0][0], values[0])
    np.testing.assert_array_equal(clip_by_norm(values[0], 49.0), values[0])


def test_a_structure_keeps_its_form() -> None:
    clipped, _ = clip_by_global_norm({"a": tf.constant(3.0), "b": (None, tf.constant(4.0))}, 1.0)
    assert sorted(clipped) == ["a", "b"]
    assert clipped["b"][0] is None
    assert float(clipped["b"][1]) == pytest.approx(0.8)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_number_that_is_not_finite_makes_all_nan(bad: float) -> None:
    clipped, norm = clip_by_global_norm([tf.constant([1.0, 2.0]), tf.constant(bad)], 1.0)
    assert not np.isfinite(norm)
    assert all(np.isnan(array).all() for array in clipped)


def test_a_known_norm_is_not_computed_again() -> None:
    clipped, norm = clip_by_global_norm([tf.constant(3.0)], 1.0, use_norm=tf.constant(6.0))
    assert (float(clipped[0]), float(norm)) == (0.5, 6.0)
    clipped, _ = clip_by_global_norm([tf.constant(3.0)], 1.0, use_norm=6.0)
    assert float(clipped[0]) == 0.5


def test_each_array_keeps_its_dtype_and_half_precision_does_not_overflow() -> None:
    clipped, norm = clip_by_global_norm([jnp.full(4, 300.0, "float16"), jnp.zeros(2, "bfloat16")], 6.0)
    assert [str(array.dtype) for array in clipped] == ["float16", "bfloat16"]
    assert float(norm) == 600.0
    np.testing.assert_allclose(clipped[0], np.full(4, 3.0), rtol=1e-3)
    assert clip_by_norm(jnp.full(4, 300.0, "float16"), 6.0).dtype == "float16"


def test_norms_along_axes() -> None:
    values = np.float32([[3.0, 4.0], [0.3, 0.4]])
    np.testing.assert_allclose(clip_by_norm(values, 1.0, axes=1), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(clip_by_norm(values, 1.0, axes=[0, 1]), clip_by_norm(values, 1.0))
    limits = [[1.0], [0.25]]
    np.testing.assert_allclose(clip_by_norm(values, tf.constant(limits), axes=1), [[0.6, 0.8], [0.15, 0.2]], rtol=1e-6)
    assert clip_by_norm(np.zeros(3, np.float32), 1.0).tolist() == [0.0, 0.0, 0.0]


def test_both_have_gradients_on_a_tape_also_at_zero() -> None:
    v = tf.Variable([3.0, 4.0])
    with tf.GradientTape(persistent=True) as tape:
        single = tf.ops.sum(clip_by_norm(v, 1.0))
        together = tf.ops.sum(clip_by_global_norm([v], 1.0)[0][0])
    # The derivative of (x + y) / |(x, y)|: ((y - x) y, (x - y) x) / |(x, y)|³.
    for result in (single, together):
        np.testing.assert_allclose(tape.gradient(result, v), [4 / 125, -3 / 125], rtol=1e-5)
    v.assign([0.0, 0.0])
    with tf.GradientTape(persistent=True) as tape:
        single = tf.ops.sum(clip_by_norm(v, 1.0))
        together = tf.ops.sum(clip_by_global_norm([v], 1.0)[0][0])
    assert tape.gradient(single, v).tolist() == [1.0, 1.0]
    assert tape.gradient(together, v).tolist() == [1.0, 1.0]


def test_a_compiled_step_clips_the_gradients_of_a_tape() -> None:
    v, unused = tf.Variable([3.0, 4.0]), tf.Variable(1.0)

    @tf.function
    def step(limit):
        with tf.GradientTape() as tape:
            loss = tf.ops.sum(v * v)
        return clip_by_global_norm(tape.gradient(loss, [v, unused]), limit)

    clipped, norm = step(tf.constant(5.0))
    assert float(norm) == 10.0
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[0], [3.0, 4.0], rtol=1e-6)


def test_integers_and_norms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="only floating-point numbers"):
        clip_by_global_norm([tf.constant([1, 2])], 1.0)
    with pytest.raises(ArgumentError, match="the norm does not fit the array"):
        clip_by_norm([1.0], tf.constant([1.0, 2.0]))
