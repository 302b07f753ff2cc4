"""Batches, padded, ragged, undone and of another size."""

import numpy as np
from encoding import elements, fails, spec, values


def batch_keeps_the_short_rest(tf, folder):
    data = tf.data.Dataset.range(7).batch(3)
    return [elements(data), spec(data)]


def batch_drops_the_rest(tf, folder):
    data = tf.data.Dataset.range(7).batch(3, drop_remainder=True)
    return [elements(data), spec(data)]


def batch_of_structures(tf, folder):
    data = tf.data.Dataset.from_tensor_slices({"a": np.arange(5.0), "b": (np.arange(10).reshape(5, 2), [b"x"] * 5)})
    return [elements(data.batch(2)), spec(data.batch(2))]


def batch_twice(tf, folder):
    data = tf.data.Dataset.range(10).batch(2).batch(3)
    return [elements(data), spec(data)]


def batch_of_nothing(tf, folder):
    data = tf.data.Dataset.range(0).batch(3)
    return [elements(data), spec(data)]


def batch_larger_than_the_data(tf, folder):
    return elements(tf.data.Dataset.range(3).batch(10))


def batch_refuses_rows_of_different_shapes(tf, folder):
    data = tf.data.Dataset.from_generator(
        lambda: iter([[1], [1, 2]]), output_signature=tf.TensorSpec([None], tf.int64)
    ).batch(2)
    return fails(lambda: list(data))


def batch_refuses_a_size_of_zero(tf, folder):
    return fails(lambda: list(tf.data.Dataset.range(3).batch(0)))


def _growing(tf):
    return tf.data.Dataset.from_generator(
        lambda: (np.arange(n, dtype=np.int64) for n in (1, 3, 0, 2)), output_signature=tf.TensorSpec([None], tf.int64)
    )


def padded_batch_to_the_longest(tf, folder):
    data = _growing(tf).padded_batch(3)
    return [elements(data), spec(data)]


def padded_batch_to_a_length(tf, folder):
    data = _growing(tf).padded_batch(2, padded_shapes=[4], padding_values=np.int64(-1))
    return [elements(data), spec(data)]


def padded_batch_drops_the_rest(tf, folder):
    return elements(_growing(tf).padded_batch(3, drop_remainder=True))


def padded_batch_refuses_what_is_longer(tf, folder):
    return fails(lambda: list(_growing(tf).padded_batch(2, padded_shapes=[2])))


def padded_batch_of_structures(tf, folder):
    rows = [([1], [b"a", b"b"]), ([1, 2], [b"c"])]
    signature = (tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.string))
    data = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature)
    padded = data.padded_batch(2, padded_shapes=([None], [3]), padding_values=(np.int32(9), b"-"))
    return [elements(data.padded_batch(2)), elements(padded), spec(padded)]


def padded_batch_of_matrices(tf, folder):
    rows = [np.ones((1, 2), "float32"), np.ones((2, 1), "float32")]
    data = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=tf.TensorSpec([None, None], tf.float32))
    return elements(data.padded_batch(2))


def padded_batch_of_scalars(tf, folder):
    return elements(tf.data.Dataset.range(3).padded_batch(2))


def ragged_batch_of_lists(tf, folder):
    data = _growing(tf).ragged_batch(3)
    return [elements(data), spec(data)]


def ragged_batch_of_scalars(tf, folder):
    data = tf.data.Dataset.range(5).ragged_batch(2)
    return [elements(data), spec(data)]


def ragged_batch_drops_the_rest(tf, folder):
    return elements(_growing(tf).ragged_batch(3, drop_remainder=True))


def unbatch_of_batches(tf, folder):
    data = tf.data.Dataset.range(5).batch(2).unbatch()
    return [elements(data), spec(data)]


def unbatch_of_slices(tf, folder):
    data = tf.data.Dataset.from_tensor_slices({"a": np.arange(12).reshape(2, 3, 2), "b": np.zeros((2, 3))}).unbatch()
    return [elements(data), spec(data)]


def unbatch_of_ragged_batches(tf, folder):
    data = _growing(tf).ragged_batch(2).unbatch()
    return elements(data)


def unbatch_refuses_scalars(tf, folder):
    return fails(lambda: list(tf.data.Dataset.range(3).unbatch()))


def rebatch_to_a_size(tf, folder):
    data = tf.data.Dataset.range(10).batch(4).rebatch(3)
    return [elements(data), spec(data)]


def rebatch_to_a_size_without_the_rest(tf, folder):
    data = tf.data.Dataset.range(10).batch(4).rebatch(3, drop_remainder=True)
    return [elements(data), spec(data)]


def rebatch_to_several_sizes(tf, folder):
    return values(tf.data.Dataset.range(12).batch(4).rebatch([2, 1, 3]))
