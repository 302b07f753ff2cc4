"""Which elements come, in what order, what a function makes of them, and what is known of them before."""

import numpy as np
from encoding import elements as all_elements
from encoding import fails, spec, values


def range_forms(tf, folder):
    forms = [(5,), (2, 5), (1, 10, 3), (5, 0, -2), (0,), (5, 2)]
    return [[all_elements(tf.data.Dataset.range(*form)), spec(tf.data.Dataset.range(*form))] for form in forms]


def range_of_another_type(tf, folder):
    data = tf.data.Dataset.range(3, output_type=tf.int32)
    return [all_elements(data), spec(data)]


def take_and_skip(tf, folder):
    data = tf.data.Dataset.range(10)
    chosen = {"take": [data.take(n) for n in (0, 3, 20, -1)], "skip": [data.skip(n) for n in (0, 3, 20, -1)]}
    return {name: [[values(one), spec(one)] for one in some] for name, some in chosen.items()}


def shard(tf, folder):
    data = [tf.data.Dataset.range(10).shard(3, index) for index in range(3)]
    return [[values(one), spec(one)] for one in data]


def shard_of_batches(tf, folder):
    return [values(tf.data.Dataset.range(10).batch(3).shard(2, index)) for index in range(2)]


def shard_refuses_an_index_too_large(tf, folder):
    return fails(lambda: list(tf.data.Dataset.range(10).shard(3, 3)))


def enumerate_from_a_start(tf, folder):
    data = tf.data.Dataset.from_tensor_slices(["a", "b"]).enumerate(start=5)
    return [all_elements(data), spec(data)]


def repeat_some_times(tf, folder):
    data = tf.data.Dataset.range(2)
    return [[values(data.repeat(n), 5), spec(data.repeat(n))] for n in (0, 1, 3, -1, None)]


def repeat_of_nothing_ends(tf, folder):
    return values(tf.data.Dataset.range(0).repeat(3))


def repeat_within_batches(tf, folder):
    return [values(tf.data.Dataset.range(3).repeat(2).batch(4)), values(tf.data.Dataset.range(3).batch(4).repeat(2))]


def map_of_a_number(tf, folder):
    data = tf.data.Dataset.range(4).map(lambda x: x * x + 1)
    return [all_elements(data), spec(data)]


def map_changes_the_structure(tf, folder):
    data = tf.data.Dataset.range(3).map(lambda x: {"a": x, "b": (x + 1, x * 2)})
    return [all_elements(data), spec(data)]


def map_takes_tuples_apart(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((np.arange(3), np.arange(3.0))).map(lambda a, b: (b, a))
    return [all_elements(data), spec(data)]


def map_gets_dicts_whole(tf, folder):
    data = tf.data.Dataset.from_tensor_slices({"a": np.arange(3), "b": np.ones(3)}).map(lambda row: row["a"])
    return [all_elements(data), spec(data)]


def map_gets_nested_tuples(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((np.arange(3), (np.ones(3), np.zeros(3)))).map(lambda a, b: b[0])
    return [all_elements(data), spec(data)]


def map_gives_lists_as_tuples(tf, folder):
    data = tf.data.Dataset.range(2).map(lambda x: [x, x + 1])
    return [all_elements(data), spec(data)]


def map_in_parallel_keeps_the_order(tf, folder):
    return values(tf.data.Dataset.range(50).map(lambda x: x * 3, num_parallel_calls=4))


def map_of_a_constant(tf, folder):
    data = tf.data.Dataset.range(3).map(lambda x: (x, 7, 2.5, "a"))
    return [all_elements(data), spec(data)]


def map_of_slices_of_an_array(tf, folder):
    data = tf.data.Dataset.from_tensor_slices(np.arange(12).reshape(3, 4)).map(lambda x: x[1:3])
    return [all_elements(data), spec(data)]


def map_to_bool(tf, folder):
    data = tf.data.Dataset.range(3).map(lambda x: x > 1)
    return [all_elements(data), spec(data)]


def map_of_float32_keeps_it(tf, folder):
    data = tf.data.Dataset.from_tensor_slices(np.arange(3, dtype=np.float32)).map(lambda x: x * 2.5 + 1)
    return [all_elements(data), spec(data)]


def map_of_small_integers_overflows(tf, folder):
    data = tf.data.Dataset.from_tensor_slices(np.array([200, 100], np.uint8)).map(lambda x: x + x)
    return [all_elements(data), spec(data)]


def map_divides_integers(tf, folder):
    data = tf.data.Dataset.from_tensor_slices(np.array([7, -7])).map(lambda x: (x // 2, x % 3, x / 2))
    return [all_elements(data), spec(data)]


def map_casts(tf, folder):
    data = tf.data.Dataset.range(3).map(lambda x: tf.cast(x, tf.float32) / 2)
    return [all_elements(data), spec(data)]


def filter_of_numbers(tf, folder):
    data = tf.data.Dataset.range(10).filter(lambda x: x % 3 == 0)
    return [all_elements(data), spec(data)]


def filter_of_structures(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((np.arange(6), np.arange(6) % 2)).filter(lambda a, b: b == 1)
    return [all_elements(data), spec(data)]


def filter_of_batches(tf, folder):
    return values(tf.data.Dataset.range(10).batch(3).filter(lambda x: x[0] > 2))


def cardinalities(tf, folder):
    data = tf.data.Dataset.range(10)
    made = {
        "filter": data.filter(lambda x: x > 3),
        "repeat": data.repeat(),
        "take of repeat": data.repeat().take(7),
        "skip of repeat": data.repeat().skip(7),
        "batch of repeat": data.repeat().batch(3),
        "shard": data.shard(3, 1),
        "zip": tf.data.Dataset.zip((data, data.repeat())),
        "concatenate": data.concatenate(data.repeat()),
        "concatenate finite": data.concatenate(data),
        "cache": data.cache(),
        "shuffle": data.shuffle(3),
        "prefetch": data.prefetch(2),
        "enumerate": data.enumerate(),
        "map": data.map(lambda x: x),
        "window": data.window(3),
        "unbatch": data.batch(3).unbatch(),
        "flat_map": data.flat_map(lambda x: tf.data.Dataset.range(x)),
        "interleave": data.interleave(lambda x: tf.data.Dataset.range(x)),
        "assert": data.filter(lambda x: x > 3).apply(tf.data.experimental.assert_cardinality(6)),
    }
    return {name: {"cardinality": int(one.cardinality())} for name, one in made.items()}


def lengths(tf, folder):
    data = tf.data.Dataset.range(10)
    return [
        len(data),
        len(data.batch(3)),
        fails(lambda: len(data.repeat())),
        fails(lambda: len(data.filter(lambda x: x > 1))),
    ]


def shuffle_is_a_permutation(tf, folder):
    data = tf.data.Dataset.range(100).shuffle(10, seed=1)
    first, second = values(data), values(data)
    return [sorted(first), first != list(range(100)), first != second]


def shuffle_that_is_the_same_each_time(tf, folder):
    data = tf.data.Dataset.range(100).shuffle(100, seed=1, reshuffle_each_iteration=False)
    return [values(data) == values(data), values(data.repeat(2))[:100] == values(data.repeat(2))[100:]]


def shuffle_before_repeat_ends_each_epoch(tf, folder):
    drawn = values(tf.data.Dataset.range(10).shuffle(10, seed=1).repeat(2))
    return [sorted(drawn[:10]), sorted(drawn[10:]), drawn[:10] != drawn[10:]]


def cache_and_prefetch_change_nothing(tf, folder):
    data = tf.data.Dataset.range(10).cache().prefetch(2)
    return [values(data), values(data), spec(data)]


def reduce_counts(tf, folder):
    result = tf.data.Dataset.range(5).reduce(np.int64(10), lambda state, value: state + value)
    return int(result)


def apply_calls_a_function(tf, folder):
    return values(tf.data.Dataset.range(5).apply(lambda data: data.batch(2)))


def as_numpy_iterator_gives_numpy(tf, folder):
    kinds = {"a": np.arange(2), "b": (np.array([b"x", b"y"]), np.zeros((2, 3), np.float32))}
    found = list(tf.data.Dataset.from_tensor_slices(kinds).as_numpy_iterator())
    return [[type(row["a"]).__name__, type(row["b"][0]).__name__, type(row["b"][1]).__name__] for row in found]


def unique_keeps_the_first(tf, folder):
    return values(tf.data.Dataset.from_tensor_slices([1, 3, 1, 2, 3]).unique())


def take_while_stops(tf, folder):
    return values(tf.data.Dataset.range(10).take_while(lambda x: x < 4))


def scan_carries_a_state(tf, folder):
    data = tf.data.Dataset.range(5).scan(np.int64(0), lambda state, value: (state + value, state * value))
    return values(data)


def map_before_and_after_batch(tf, folder):
    return values(tf.data.Dataset.range(5).map(lambda x: x + 1).batch(2).map(lambda x: x * 10))


def get_single_element_of_one(tf, folder):
    return [
        int(tf.data.Dataset.range(5).batch(5).get_single_element()[3]),
        fails(lambda: tf.data.Dataset.range(2).get_single_element()),
        fails(lambda: tf.data.Dataset.range(0).get_single_element()),
    ]


def options_survive(tf, folder):
    options = tf.data.Options()
    options.deterministic = False
    data = tf.data.Dataset.range(3).with_options(options).map(lambda x: x)
    return [data.options().deterministic, sorted(values(data))]


def random_numbers_are_repeatable(tf, folder):
    data = tf.data.Dataset.random(seed=4).take(5)
    return [values(data) == values(data), len(set(values(data))), spec(data)]


def ignore_errors_skips_them(tf, folder):
    def check(x):
        return 6 // (x - 2)

    return values(tf.data.Dataset.range(5).map(check).ignore_errors())
