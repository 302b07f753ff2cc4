"""Windows, buckets by length, and groups."""

import numpy as np
from encoding import elements, fails, spec, values


def _windows(window):
    return [values(one) for one in window]


def window_sizes(tf, folder):
    data = tf.data.Dataset.range(7)
    forms = {
        "3": data.window(3),
        "3 drop": data.window(3, drop_remainder=True),
        "3 by 2": data.window(3, 2),
        "3 by 1 drop": data.window(3, 1, 1, True),
        "3 stride 2": data.window(3, 1, 2, True),
        "2 by 5": data.window(2, 5),
        "3 by 2 stride 2": data.window(3, 2, 2),
    }
    return {name: [_windows(form), int(form.cardinality())] for name, form in forms.items()}


def window_of_structures(tf, folder):
    data = tf.data.Dataset.from_tensor_slices({"a": np.arange(5), "b": np.arange(5.0)}).window(2)
    return [elements(data), spec(data)]


def window_of_tuples_flattened(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((np.arange(5), np.arange(5.0))).window(2, shift=1, drop_remainder=True)
    flat = data.flat_map(lambda a, b: tf.data.Dataset.zip((a.batch(2), b.batch(2))))
    return [elements(flat), spec(flat)["spec"]]


def window_flattened_to_batches(tf, folder):
    data = tf.data.Dataset.range(7).window(3, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(3))
    return [elements(data), spec(data)["spec"]]


def window_refuses_a_size_of_zero(tf, folder):
    return fails(lambda: list(tf.data.Dataset.range(3).window(0)))


def _sentences(tf):
    lengths = [1, 5, 2, 7, 3, 6, 1, 9, 4]
    rows = [np.full(n, n, np.int64) for n in lengths]
    return tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=tf.TensorSpec([None], tf.int64))


def _length(row):
    return row.shape[0]


def bucket_by_sequence_length(tf, folder):
    length = (lambda row: tf.shape(row)[0]) if hasattr(tf, "shape") else _length
    data = _sentences(tf)
    forms = [
        data.bucket_by_sequence_length(length, [3, 6], [2, 2, 2]),
        data.bucket_by_sequence_length(length, [3, 6], [2, 2, 2], drop_remainder=True),
        data.bucket_by_sequence_length(length, [3, 6], [2, 2, 2], padding_values=np.int64(-1)),
        data.bucket_by_sequence_length(length, [3, 6, 10], [2, 2, 2, 2], pad_to_bucket_boundary=True),
        data.bucket_by_sequence_length(length, [4], [3, 1], padded_shapes=[10]),
    ]
    return [elements(form) for form in forms]


def bucket_spec(tf, folder):
    length = (lambda row: tf.shape(row)[0]) if hasattr(tf, "shape") else _length
    return spec(_sentences(tf).bucket_by_sequence_length(length, [3, 6], [2, 2, 2]))


def bucket_refuses_what_is_longer_than_a_boundary(tf, folder):
    length = (lambda row: tf.shape(row)[0]) if hasattr(tf, "shape") else _length
    data = _sentences(tf).bucket_by_sequence_length(length, [3, 6], [2, 2, 2], pad_to_bucket_boundary=True)
    return fails(lambda: list(data))


def group_by_window_in_order(tf, folder):
    data = tf.data.Dataset.range(10).group_by_window(
        key_func=lambda x: x % 3, reduce_func=lambda key, window: window.batch(2), window_size=2
    )
    return [values(data), spec(data)["spec"]]
