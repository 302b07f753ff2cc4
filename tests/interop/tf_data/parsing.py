"""`tf.io.parse_example` and `parse_single_example`, for each kind of feature."""

import numpy as np
from encoding import encoded, fails, spec
from example_bytes import entry, example, field, floats, integers, strings

ROWS = [
    example(n=integers(1), x=floats(0.5), s=strings(b"a"), many=integers(1, 2, 3), words=strings(b"p", b"q")),
    example(n=integers(-2), x=floats(-1.5), s=strings(b""), many=integers(), words=strings()),
    example(n=integers(2**62), x=floats(1e30), s=strings("é".encode()), many=integers(7), words=strings(b"r")),
]
"""`n`, `x` and `s` are in every row, `many` and `words` of any length."""

GAPS = [example(n=integers(1), x=floats(0.5), s=strings(b"a")), example(other=integers(9)), example(n=integers(3))]
"""Rows that lack features."""


def _parsed(features, rows=ROWS):
    """A program that parses rows at once, and one by one in a dataset, and in batches in a dataset."""

    def program(tf):
        made = features(tf)
        data = tf.data.Dataset.from_tensor_slices(np.array(rows, dtype=object))
        single = data.map(lambda row: tf.io.parse_single_example(row, made))
        batch = data.batch(2).map(lambda some: tf.io.parse_example(some, made))
        parsed = [tf.io.parse_example(np.array(rows, dtype=object), made), *single, *batch]
        sparse = (tf.io.VarLenFeature, tf.io.SparseFeature)
        # What Mainstay has no tensors for cannot be compared by its spec.
        kept = {name for name, feature in made.items() if not isinstance(feature, sparse)}
        specs = [spec(data)["spec"] for data in (single, batch)]
        specs = [{name: part for name, part in one.items() if name in kept} for one in specs]
        return [[encoded(_without_sparse(tf, row, made)) for row in parsed], specs]

    return program


def _without_sparse(tf, row, features):
    """TensorFlow's sparse tensors as what Mainstay gives for them: lists for varying lengths, else dense arrays."""

    def part(name, value):
        if not hasattr(value, "dense_shape"):
            return value
        if isinstance(features[name], tf.io.SparseFeature):
            return tf.sparse.to_dense(value, b"" if value.dtype == tf.string else 0)
        return tf.RaggedTensor.from_sparse(value) if len(value.dense_shape) == 2 else value.values

    return {name: part(name, value) for name, value in row.items()}


def scalars(tf, folder):
    return _parsed(
        lambda tf: {
            "n": tf.io.FixedLenFeature([], tf.int64),
            "x": tf.io.FixedLenFeature([], tf.float32),
            "s": tf.io.FixedLenFeature([], tf.string),
        }
    )(tf)


def a_shape_of_one(tf, folder):
    return _parsed(lambda tf: {"n": tf.io.FixedLenFeature([1], tf.int64)})(tf)


def matrices(tf, folder):
    rows = [example(m=floats(1, 2, 3, 4, 5, 6)), example(m=floats(*range(6)))]
    return _parsed(lambda tf: {"m": tf.io.FixedLenFeature([2, 3], tf.float32)}, rows)(tf)


def strings_of_a_shape(tf, folder):
    rows = [example(w=strings(b"a", b"bc")), example(w=strings(b"", b"d"))]
    return _parsed(lambda tf: {"w": tf.io.FixedLenFeature([2], tf.string)}, rows)(tf)


def defaults_fill_gaps(tf, folder):
    return _parsed(
        lambda tf: {
            "n": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
            "x": tf.io.FixedLenFeature([], tf.float32, default_value=2.5),
            "s": tf.io.FixedLenFeature([], tf.string, default_value="none"),
        },
        GAPS,
    )(tf)


def defaults_of_a_shape(tf, folder):
    rows = [example(m=integers(1, 2)), example()]
    return _parsed(lambda tf: {"m": tf.io.FixedLenFeature([2], tf.int64, default_value=[8, 9])}, rows)(tf)


def a_gap_without_a_default_is_refused(tf, folder):
    return fails(lambda: tf.io.parse_example(GAPS, {"n": tf.io.FixedLenFeature([], tf.int64)}))


def a_feature_of_no_kind_is_a_gap(tf, folder):
    rows = [example(n=integers(5)), example(n=b"")]
    return _parsed(lambda tf: {"n": tf.io.FixedLenFeature([], tf.int64, default_value=-1)}, rows)(tf)


def an_empty_list_is_no_gap(tf, folder):
    features = {"n": tf.io.FixedLenFeature([], tf.int64, default_value=-1)}
    return fails(lambda: tf.io.parse_example([example(n=integers(5)), example(n=integers())], features))


def another_type_is_refused(tf, folder):
    return fails(lambda: tf.io.parse_example(ROWS, {"n": tf.io.FixedLenFeature([], tf.float32)}))


def another_length_is_refused(tf, folder):
    return [
        fails(lambda: tf.io.parse_example(ROWS, {"n": tf.io.FixedLenFeature([2], tf.int64)})),
        fails(lambda: tf.io.parse_example(ROWS, {"many": tf.io.FixedLenFeature([], tf.int64)})),
    ]


def no_message_is_refused(tf, folder):
    features = {"n": tf.io.FixedLenFeature([], tf.int64)}
    cut = [ROWS[0][:-3], b"\xff\xff\xff", field(1, b"\x0a\xff")]
    return [fails(lambda row=row: tf.io.parse_example([row], features)) for row in cut]


def an_empty_message_has_no_features(tf, folder):
    return _parsed(lambda tf: {"n": tf.io.FixedLenFeature([], tf.int64, default_value=4)}, [b"", ROWS[0]])(tf)


def varying_lengths(tf, folder):
    return _parsed(lambda tf: {"many": tf.io.VarLenFeature(tf.int64), "words": tf.io.VarLenFeature(tf.string)})(tf)


def varying_lengths_with_gaps(tf, folder):
    return _parsed(lambda tf: {"x": tf.io.VarLenFeature(tf.float32)}, GAPS)(tf)


def sequences_with_a_default(tf, folder):
    rows = [example(m=integers(1, 2, 3)), example(m=integers(4)), example()]
    return _parsed(
        lambda tf: {"m": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True, default_value=-1)}, rows
    )(tf)


def sequences_of_a_shape(tf, folder):
    rows = [example(m=floats(1, 2, 3, 4)), example(m=floats(5, 6)), example()]
    return _parsed(lambda tf: {"m": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True)}, rows)(tf)


def ragged_lists(tf, folder):
    return _parsed(lambda tf: {"many": tf.io.RaggedFeature(tf.int64), "words": tf.io.RaggedFeature(tf.string)})(tf)


def ragged_lists_with_long_splits(tf, folder):
    return _parsed(lambda tf: {"many": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)})(tf)


def ragged_lists_under_another_name(tf, folder):
    return _parsed(lambda tf: {"a": tf.io.RaggedFeature(tf.int64, value_key="many")})(tf)


PARTS = [
    example(v=integers(1, 2, 3, 4), lengths=integers(3, 1), splits=integers(0, 3, 4), starts=integers(0, 3),
            limits=integers(3, 4), ids=integers(0, 0, 0, 1)),
    example(v=integers(), lengths=integers(), splits=integers(0), starts=integers(), limits=integers(),
            ids=integers()),
    example(v=integers(5, 6), lengths=integers(0, 2), splits=integers(0, 0, 2), starts=integers(0, 0),
            limits=integers(0, 2), ids=integers(1, 1)),
]  # fmt: skip


def partitions(tf, folder):
    def features(tf):
        ragged = tf.io.RaggedFeature
        ways = {
            "lengths": [ragged.RowLengths("lengths")],
            "splits": [ragged.RowSplits("splits")],
            "starts": [ragged.RowStarts("starts")],
            "limits": [ragged.RowLimits("limits")],
            "ids": [ragged.ValueRowIds("ids")],
        }
        return {name: ragged(tf.int64, value_key="v", partitions=way) for name, way in ways.items()}

    return _parsed(features, PARTS)(tf)


def uniform_partitions(tf, folder):
    rows = [example(v=integers(1, 2, 3, 4)), example(v=integers(5, 6)), example(v=integers())]
    return _parsed(
        lambda tf: {
            "u": tf.io.RaggedFeature(tf.int64, value_key="v", partitions=[tf.io.RaggedFeature.UniformRowLength(2)])
        },
        rows,
    )(tf)


def nested_partitions(tf, folder):
    rows = [
        example(v=integers(1, 2, 3), inner=integers(1, 0, 2), outer=integers(2, 1)),
        example(v=integers(4), inner=integers(1), outer=integers(0, 1)),
    ]

    def features(tf):
        ragged = tf.io.RaggedFeature
        parts = [ragged.RowLengths("outer"), ragged.RowLengths("inner")]
        return {"d": ragged(tf.int64, value_key="v", partitions=parts)}

    return _parsed(features, rows)(tf)


def sparse_vectors(tf, folder):
    rows = [example(i=integers(4, 1), v=floats(0.5, 1.5)), example(), example(i=integers(0), v=floats(2.5))]
    return _parsed(lambda tf: {"s": tf.io.SparseFeature("i", "v", tf.float32, 6)}, rows)(tf)


def sparse_matrices(tf, folder):
    rows = [example(i=integers(1, 0), j=integers(2, 1), v=integers(7, 8)), example()]
    return _parsed(lambda tf: {"s": tf.io.SparseFeature(["i", "j"], "v", tf.int64, [3, 4])}, rows)(tf)


def unpacked_lists(tf, folder):
    rows = [example(n=integers(1, 2, packed=False), x=floats(0.5, 1.5, packed=False)) for _ in range(2)]
    return _parsed(
        lambda tf: {"n": tf.io.FixedLenFeature([2], tf.int64), "x": tf.io.FixedLenFeature([2], tf.float32)}, rows
    )(tf)


def the_last_entry_of_a_name_wins(tf, folder):
    rows = [field(1, entry("n", integers(1)) + entry("n", integers(2)))]
    return _parsed(lambda tf: {"n": tf.io.FixedLenFeature([], tf.int64)}, rows)(tf)


def several_feature_maps_are_one(tf, folder):
    rows = [field(1, entry("n", integers(1))) + field(1, entry("x", floats(2)))]
    return _parsed(
        lambda tf: {"n": tf.io.FixedLenFeature([], tf.int64), "x": tf.io.FixedLenFeature([], tf.float32)}, rows
    )(tf)


def unknown_fields_are_passed_over(tf, folder):
    rows = [field(9, b"new") + ROWS[0] + b"\x50\x07"]
    return _parsed(lambda tf: {"n": tf.io.FixedLenFeature([], tf.int64)}, rows)(tf)


def every_kind_at_once(tf, folder):
    return _parsed(
        lambda tf: {
            "n": tf.io.FixedLenFeature([], tf.int64),
            "many": tf.io.RaggedFeature(tf.int64),
            "words": tf.io.VarLenFeature(tf.string),
            "missing": tf.io.FixedLenFeature([2], tf.float32, default_value=[1.0, 2.0]),
        }
    )(tf)
