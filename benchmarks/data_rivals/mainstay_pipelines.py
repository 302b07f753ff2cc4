"""The pipelines in Mainstay, as a user of tf.data would write them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import mainstay as tf
import mainstay.data
from data_rivals.cases import Case
from data_rivals.inputs import CHOSEN, COLUMNS, INDICES, SIDE, Inputs, arrays, python_work

AUTOTUNE = tf.data.AUTOTUNE
TYPES = {"string": tf.string, "int64": tf.int64, "float32": tf.float32}
DEFAULTS = [[""] if kind == "string" else np.zeros(1, kind) for kind in COLUMNS.values()]
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
            return lambda: (
                tf.data.Dataset.from_tensor_slices(data)
                .shuffle(BUFFER, seed=1)
                .map(log1p, num_parallel_calls=AUTOTUNE)
                .batch(case.batch)
                .prefetch(AUTOTUNE)
            )
        case "examples":
            return lambda: examples(inputs.tfrecord, case.batch, variant)
        case "csv":
            return lambda: tf.data.experimental.make_csv_dataset(
                inputs.csv,
                case.batch,
                column_defaults=DEFAULTS,
                num_epochs=1,
                shuffle=False,
            )
        case "parquet":
            return lambda: (
                tf.data.Dataset.from_parquet(inputs.parquet, columns=list(CHOSEN))
                .shuffle(BUFFER, seed=1)
                .batch(case.batch)
                .prefetch(AUTOTUNE)
            )
        case "images":
            return lambda: pictures(inputs.pictures(), variant).batch(case.batch).prefetch(AUTOTUNE)
        case "range":
            return lambda: tf.data.Dataset.range(INDICES).shuffle(INDICES, seed=1).batch(case.batch)
        case "memmap":
            mapped = inputs.memmap()
            return lambda: tf.data.Dataset.from_tensor_slices(mapped).shuffle(INDICES, seed=1).batch(case.batch)
    return lambda: python_rows(case.batch, variant)


def log1p(row: dict[str, Any]) -> dict[str, Any]:
    return {"x": tf.ops.log1p(tf.ops.abs(row["x"])) * 2, "y": row["y"]}


def examples(path: str, batch: int, variant: str) -> Any:
    features = {name: tf.io.FixedLenFeature([], TYPES[kind]) for name, kind in COLUMNS.items()}
    records = tf.data.TFRecordDataset(path)
    if variant == "rows":
        return records.map(lambda record: tf.io.parse_single_example(record, features), AUTOTUNE).batch(batch)
    return records.batch(batch).map(lambda some: tf.io.parse_example(some, features), AUTOTUNE).prefetch(AUTOTUNE)


def pictures(paths: list[str], variant: str) -> Any:
    if variant == "rows":
        return tf.data.Dataset.from_files(paths).map(picture, AUTOTUNE)
    return tf.data.Dataset.from_image_files(paths, tf.io.ImageForm(channels=3, size=(SIDE, SIDE), dtype="uint8"))


def picture(encoded: Any) -> Any:
    return tf.cast(tf.io.resize_images(tf.io.decode_jpeg(encoded, 3), (SIDE, SIDE)), tf.uint8)


def python_rows(batch: int, variant: str) -> Any:
    data = tf.data.Dataset.range(1_000_000).map(lambda value: np.int64(python_work(int(value))), AUTOTUNE).batch(batch)
    if variant == "processes":
        options = tf.data.Options()
        options.workers = "processes"
        data = data.with_options(options)
    return data.prefetch(AUTOTUNE)


def fit(seconds: float) -> dict[str, float]:
    """Return the seconds of an epoch of `fit` from arrays and from a data set: medians of epochs that take turns."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((200_000, 32), dtype=np.float32), random.integers(0, 10, 200_000)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1).batch(128).prefetch(AUTOTUNE)
    layers = tf.keras.layers
    ways: dict[str, Callable[[Any], Any]] = {
        "arrays_s": lambda model: model.fit(x, y, batch_size=128, verbose=0),
        "dataset_s": lambda model: model.fit(data, verbose=0),
    }
    models = {}
    for way, run in ways.items():
        models[way] = tf.keras.Sequential([layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax")])
        models[way].compile("adam", "sparse_categorical_crossentropy")
        run(models[way])
    taken: dict[str, list[float]] = {way: [] for way in ways}
    began = time.perf_counter()
    while not taken["arrays_s"] or time.perf_counter() - began < max(10 * seconds, 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run(models[way])
            taken[way].append(time.perf_counter() - start)
    return {way: statistics.median(times) for way, times in taken.items()}
