"""Several datasets as one: side by side, one after the other, in turns, by choice."""

import numpy as np
from encoding import elements, fails, spec, values


def zip_ends_with_the_shortest(tf, folder):
    data = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(10, 15)))
    return [elements(data), spec(data)]


def zip_of_arguments(tf, folder):
    return elements(tf.data.Dataset.zip(tf.data.Dataset.range(2), tf.data.Dataset.range(2, 4)))


def zip_of_a_nested_structure(tf, folder):
    a, b = tf.data.Dataset.range(3), tf.data.Dataset.range(4).batch(2)
    data = tf.data.Dataset.zip({"a": a, "b": (b, a)})
    return [elements(data), spec(data)]


def concatenate_in_order(tf, folder):
    data = tf.data.Dataset.range(3).concatenate(tf.data.Dataset.range(10, 12))
    return [elements(data), spec(data)]


def concatenate_relaxes_shapes(tf, folder):
    data = tf.data.Dataset.from_tensors(np.zeros(2)).concatenate(tf.data.Dataset.from_tensors(np.ones(3)))
    return [elements(data), spec(data)]


def concatenate_refuses_other_dtypes(tf, folder):
    return fails(lambda: list(tf.data.Dataset.range(3).concatenate(tf.data.Dataset.from_tensors(np.float32(0)))))


def _interleaved(tf, cycle, block, lengths=(5, 2, 0, 4, 3)):
    firsts = np.array([(start * 10, start * 10 + length) for start, length in enumerate(lengths, 1)])
    outer = tf.data.Dataset.from_tensor_slices(firsts)
    return outer.interleave(
        lambda pair: tf.data.Dataset.range(pair[0], pair[1]), cycle_length=cycle, block_length=block
    )


def interleave_orders(tf, folder):
    return {
        f"{cycle}, {block}": values(_interleaved(tf, cycle, block))
        for cycle in (1, 2, 3, 4, 9)
        for block in (1, 2, 3, 7)
    }


def interleave_in_parallel_keeps_the_order(tf, folder):
    outer = tf.data.Dataset.range(4)
    data = outer.interleave(
        lambda x: tf.data.Dataset.from_tensors(x).repeat(3), cycle_length=2, block_length=2, num_parallel_calls=2
    )
    return [elements(data), spec(data)]


def interleave_refuses_a_cycle_of_nothing(tf, folder):
    return fails(lambda: list(_interleaved(tf, 0, 1)))


def flat_map_in_order(tf, folder):
    data = tf.data.Dataset.range(4).flat_map(lambda x: tf.data.Dataset.range(x))
    return [elements(data), spec(data)]


def flat_map_of_batches(tf, folder):
    data = tf.data.Dataset.range(6).batch(4).flat_map(lambda x: tf.data.Dataset.from_tensor_slices((x, x * 2)))
    return [elements(data), spec(data)]


def choose_from_datasets_by_index(tf, folder):
    datasets = [tf.data.Dataset.from_tensors(name).repeat(3) for name in ("a", "b", "c")]
    choice = tf.data.Dataset.from_tensor_slices(np.array([0, 2, 1, 0, 2, 0, 1, 2, 1]))
    data = tf.data.Dataset.choose_from_datasets(datasets, choice)
    return [elements(data), spec(data)["spec"]]


def choose_stops_on_an_empty_dataset(tf, folder):
    datasets = [tf.data.Dataset.range(1), tf.data.Dataset.range(10, 13)]
    choice = tf.data.Dataset.from_tensor_slices(np.array([0, 1, 0, 1, 1]))
    choose = tf.data.Dataset.choose_from_datasets
    return [
        values(choose(datasets, choice, stop_on_empty_dataset=True)),
        values(choose(datasets, choice, stop_on_empty_dataset=False)),
    ]


def choose_refuses_an_index_too_large(tf, folder):
    choice = tf.data.Dataset.from_tensor_slices(np.array([0, 5]))
    return fails(lambda: list(tf.data.Dataset.choose_from_datasets([tf.data.Dataset.range(3)], choice)))


def _sampled(tf, **options):
    datasets = [tf.data.Dataset.from_tensors(np.int64(n)).repeat() for n in range(3)]
    data = tf.data.Dataset.sample_from_datasets(datasets, seed=3, **options)
    drawn = np.array(values(data.take(6000)))
    return np.bincount(drawn, minlength=3) / 6000


def sample_from_datasets_by_weight(tf, folder):
    shares = _sampled(tf, weights=[0.5, 0.3, 0.2])
    return bool(np.allclose(shares, [0.5, 0.3, 0.2], atol=0.03))


def sample_from_datasets_evenly(tf, folder):
    return bool(np.allclose(_sampled(tf), 1 / 3, atol=0.03))


def sample_takes_all_in_the_order_of_each(tf, folder):
    datasets = [tf.data.Dataset.range(0, 20), tf.data.Dataset.range(100, 105)]
    drawn = values(tf.data.Dataset.sample_from_datasets(datasets, [0.5, 0.5], seed=1))
    return [sorted(drawn), [n for n in drawn if n < 100], [n for n in drawn if n >= 100]]


def sample_with_a_weight_of_zero(tf, folder):
    datasets = [tf.data.Dataset.range(0, 3), tf.data.Dataset.range(100, 105)]
    return values(tf.data.Dataset.sample_from_datasets(datasets, [1.0, 0.0], seed=1))[:3]


def sample_stops_on_an_empty_dataset(tf, folder):
    datasets = [tf.data.Dataset.range(0), tf.data.Dataset.range(100, 105)]
    return len(
        values(tf.data.Dataset.sample_from_datasets(datasets, [0.999, 0.001], seed=1, stop_on_empty_dataset=True))
    )
