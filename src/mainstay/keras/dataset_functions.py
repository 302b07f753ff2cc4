"""What of Keras makes or takes a `tf.data.Dataset`, on our own: windows of time series, folders of texts, `adapt`.

Keras' checks of arguments stay in front; only what would import TensorFlow is another.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from keras.src.layers.preprocessing import discretization, normalization
from keras.src.utils import text_dataset_utils, timeseries_dataset_utils

from mainstay.data import AUTOTUNE, Dataset
from mainstay.io import read_file


def windows_of(
    data: Any,
    targets: Any,
    *,
    sequence_length: int,
    sequence_stride: int,
    sampling_rate: int,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    start_index: int | None,
    end_index: int | None,
) -> Dataset:
    """Return windows of a series, as `keras.utils.timeseries_dataset_from_array` does.

    The windows are views of the series: none is copied before its batch is made, and `shuffle` is over all of them.

    Args:
        data: The series, time first.
        targets: The target of the window that begins at the same place; None for none.
        sequence_length: Values in a window.
        sequence_stride: Values between the beginnings of two windows.
        sampling_rate: Values between two in a window.
        batch_size: Windows in a batch; None for no batches.
        shuffle: Whether every pass has an order of its own.
        seed: Makes the order repeatable.
        start_index: The first value that is used; None for the first one.
        end_index: The value behind the last one that is used; None for the end.
    """
    start = 0 if start_index is None else start_index
    series = np.asarray(data)[start : len(data) if end_index is None else end_index]
    span = (sequence_length - 1) * sampling_rate + 1
    count = len(series) - span + 1 if targets is None else min(len(series) - span + 1, len(targets))
    if count > 0:
        spans = np.moveaxis(np.lib.stride_tricks.sliding_window_view(series, span, axis=0), -1, 1)
        windows = spans[:count:sequence_stride, ::sampling_rate]
    else:
        windows = np.empty((0, sequence_length, *series.shape[1:]), series.dtype)
    elements: Any = windows
    if targets is not None:
        elements = (windows, np.asarray(targets)[start:][: max(count, 0) : sequence_stride])
    dataset = Dataset.from_tensor_slices(elements)
    if shuffle:
        dataset = dataset.shuffle(max(len(windows), 1), seed=seed)
    return dataset if batch_size is None else dataset.batch(batch_size)


def texts_of(
    file_paths: Sequence[str],
    labels: Sequence[int] | None,
    label_mode: str | None,
    num_classes: int,
    max_length: int | None,
    shuffle: bool = False,
    shuffle_buffer_size: int | None = None,  # noqa: ARG001  (Keras passes it)
    seed: int | None = None,
) -> Dataset:
    """Return the contents of text files, as `keras.utils.text_dataset_from_directory` has them before its batches.

    Args:
        file_paths: The files.
        labels: The number of the class of each; None for none.
        label_mode: ``'int'``: ``int32``; ``'categorical'``: one-hot ``float32``; ``'binary'``: ``float32 [1]``; None.
        num_classes: How many classes there are.
        max_length: How many bytes of a text are kept; None for all.
        shuffle: Whether every pass has an order of its own, over all files.
        shuffle_buffer_size: What Keras asks for; all files are shuffled without a buffer.
        seed: Makes the order repeatable.
    """
    paths = np.array(file_paths, object)
    elements: Any = paths if label_mode is None else (paths, _labels(np.asarray(labels), label_mode, num_classes))
    dataset = Dataset.from_tensor_slices(elements)
    if shuffle:
        dataset = dataset.shuffle(len(paths), seed=seed)
    read = read_file if label_mode is None else lambda path, label: (read_file(path), label)
    dataset = dataset.map(read)
    if max_length is None:
        return dataset
    cut = (lambda text: text[:max_length]) if label_mode is None else lambda text, label: (text[:max_length], label)
    return dataset.map(cut)


def _labels(numbers: Any, label_mode: str, num_classes: int) -> Any:
    if label_mode == "categorical":
        return np.eye(num_classes, dtype=np.float32)[numbers]
    return numbers.astype(np.int32) if label_mode == "int" else numbers.astype(np.float32)[:, None]


class _Tensorflow:
    """Stands for TensorFlow in Keras' layers that ask whether something is one of its datasets or tensors."""

    data = SimpleNamespace(Dataset=Dataset, AUTOTUNE=AUTOTUNE)

    @staticmethod
    def is_tensor(value: Any) -> bool:
        """Return whether something is a tensor of a TensorFlow that the program has imported."""
        tensorflow = sys.modules.get("tensorflow")
        return tensorflow is not None and bool(tensorflow.is_tensor(value))


def install() -> None:
    """Put our datasets where Keras looks for those of TensorFlow."""
    timeseries_dataset_utils._timeseries_dataset_tf = windows_of
    text_dataset_utils._paths_and_labels_to_dataset_tf = texts_of
    text_dataset_utils.tf = _Tensorflow
    normalization.tf = _Tensorflow
    discretization.tf = _Tensorflow
