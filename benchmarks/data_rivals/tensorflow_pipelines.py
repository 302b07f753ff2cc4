"""The pipelines in tf.data, as its performance guide says: AUTOTUNE everywhere, batches before functions, prefetch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf
from pyarrow import parquet

from data_rivals.cases import Case
from data_rivals.inputs import CHOSEN, COLUMNS, SIDE, Inputs, arrays, python_work

AUTOTUNE = tf.data.AUTOTUNE
TYPES = {"string": tf.string, "int64": tf.int64, "float32": tf.float32}
BUFFER = 100_000


def pipeline(case: Case, variant: str, inputs: Inputs) -> Callable[[], Iterable[Any]]:
    """Return what makes the data set of a case anew."""
    match case.name:
        case "arrays32" | "arrays512":
            data = arrays()
            return lambda: (
                tf.data.Dataset.from_tensor_slices(data).shuffle(BUFFER, seed=1).batch(case.batch).prefetch(AUTOTUNE)
            )
        case "log1p":
            data = arrays()
            return lambda: log1p(tf.data.Dataset.from_tensor_slices(data).shuffle(BUFFER, seed=1), case.batch, variant)
        case "examples":
            return lambda: examples(inputs.tfrecord, case.batch, variant)
        case "csv":
            return lambda: lines(inputs.csv, case.batch) if variant == "lines" else csv(inputs.csv, case.batch)
        case "parquet":
            return lambda: parquet_rows(inputs.parquet, case.batch)
        case "images":
            paths = inputs.pictures()
            return lambda: (
                tf.data.Dataset.from_tensor_slices(paths)
                .map(quick_picture if variant == "quick" else picture, num_parallel_calls=AUTOTUNE)
                .batch(case.batch, num_parallel_calls=AUTOTUNE)
                .prefetch(AUTOTUNE)
            )
    return lambda: (
        tf.data.Dataset.range(1_000_000)
        .map(lambda value: tf.numpy_function(python_work, [value], tf.int64), num_parallel_calls=AUTOTUNE)
        .batch(case.batch)
        .prefetch(AUTOTUNE)
    )


def log1p(data: tf.data.Dataset, batch: int, variant: str) -> tf.data.Dataset:
    def function(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"x": tf.math.log1p(tf.abs(row["x"])) * 2, "y": row["y"]}

    if variant == "rows":
        return data.map(function, num_parallel_calls=AUTOTUNE).batch(batch).prefetch(AUTOTUNE)
    return data.batch(batch).map(function, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def examples(path: str, batch: int, variant: str) -> tf.data.Dataset:
    features = {name: tf.io.FixedLenFeature([], TYPES[kind]) for name, kind in COLUMNS.items()}
    records = tf.data.TFRecordDataset(path)
    if variant == "rows":
        rows = records.map(lambda record: tf.io.parse_single_example(record, features), num_parallel_calls=AUTOTUNE)
        return rows.batch(batch).prefetch(AUTOTUNE)
    batches = records.batch(batch)
    return batches.map(lambda some: tf.io.parse_example(some, features), num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def defaults() -> list[tf.Tensor]:
    return [tf.constant(["" if kind == "string" else 0], TYPES[kind]) for kind in COLUMNS.values()]


def csv(path: str, batch: int) -> tf.data.Dataset:
    return tf.data.experimental.make_csv_dataset(
        path,
        batch,
        column_defaults=defaults(),
        num_epochs=1,
        shuffle=False,
        num_parallel_reads=AUTOTUNE,
        prefetch_buffer_size=AUTOTUNE,
    )


def lines(path: str, batch: int) -> tf.data.Dataset:
    def decoded(some: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(COLUMNS, tf.io.decode_csv(some, defaults()), strict=True))

    batches = tf.data.TextLineDataset(path).skip(1).batch(batch)
    return batches.map(decoded, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def parquet_rows(path: str, batch: int) -> tf.data.Dataset:
    """Return rows that pyarrow reads, since TensorFlow has no reader of Parquet."""

    def groups() -> Iterator[dict[str, Any]]:
        for some in parquet.ParquetFile(path).iter_batches(65_536, columns=list(CHOSEN)):
            yield {name: some[name].to_numpy() for name in CHOSEN}

    signature = {name: tf.TensorSpec([None], TYPES[COLUMNS[name]]) for name in CHOSEN}
    rows = tf.data.Dataset.from_generator(groups, output_signature=signature).unbatch()
    return rows.shuffle(BUFFER, seed=1).batch(batch).prefetch(AUTOTUNE)


def picture(path: tf.Tensor) -> tf.Tensor:
    pixels = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), 3), (SIDE, SIDE))
    return tf.cast(pixels, tf.uint8)


def quick_picture(path: tf.Tensor) -> tf.Tensor:
    encoded = tf.io.read_file(path)
    pixels = tf.io.decode_jpeg(encoded, 3, fancy_upscaling=False, dct_method="INTEGER_FAST")
    return tf.cast(tf.image.resize(pixels, (SIDE, SIDE)), tf.uint8)
