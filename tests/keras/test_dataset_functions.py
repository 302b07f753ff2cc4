"""Keras' functions that need tf.data work on our datasets."""

import numpy as np
import pytest

import mainstay as tf

SERIES = np.arange(20, dtype="float32")


def windows(**arguments):
    dataset = tf.keras.utils.timeseries_dataset_from_array(**{"shuffle": False, "batch_size": None, **arguments})
    return list(dataset.as_numpy_iterator())


def test_windows_of_a_series_are_those_of_its_indices():
    found = windows(data=SERIES, targets=None, sequence_length=3, sequence_stride=4, sampling_rate=2)
    assert [window.tolist() for window in found] == [[0, 2, 4], [4, 6, 8], [8, 10, 12], [12, 14, 16]]


def test_each_window_has_the_target_at_its_beginning():
    found = windows(data=SERIES[:-3], targets=SERIES[3:] * 10, sequence_length=3, start_index=2, end_index=8)
    assert [(window.tolist(), float(target)) for window, target in found] == [
        ([2, 3, 4], 50),
        ([3, 4, 5], 60),
        ([4, 5, 6], 70),
        ([5, 6, 7], 80),
    ]


def test_windows_of_several_channels_come_in_shuffled_batches_that_hold_all_of_them():
    series = np.stack([SERIES, -SERIES], axis=1)
    dataset = tf.keras.utils.timeseries_dataset_from_array(series, None, 5, shuffle=True, seed=3, batch_size=4)
    assert dataset.element_spec.shape == (None, 5, 2)
    first = np.concatenate([batch[:, 0, 0] for batch in dataset])
    again = np.concatenate([batch[:, 0, 0] for batch in dataset])
    assert sorted(first) == sorted(again) == list(range(16))
    assert first.tolist() != again.tolist()


def test_a_series_that_is_too_short_has_no_windows():
    assert windows(data=SERIES[:4], targets=None, sequence_length=4) != []
    assert windows(data=SERIES[:4], targets=SERIES[:4], sequence_length=4, start_index=1, sampling_rate=1) == []


def test_wrong_numbers_are_refused_as_keras_does():
    with pytest.raises(ValueError, match="sequence_stride"):
        windows(data=SERIES, targets=None, sequence_length=3, sequence_stride=0)


def test_normalization_adapts_to_the_first_part_of_batched_elements():
    x = np.random.default_rng(0).normal(3, 2, (100, 4)).astype("float32")
    layer = tf.keras.layers.Normalization()
    layer.adapt(tf.data.Dataset.from_tensor_slices((x, np.arange(100))).batch(32))
    np.testing.assert_allclose(layer.mean, x.mean(0)[None], rtol=1e-5)
    np.testing.assert_allclose(layer.variance, x.var(0)[None], rtol=1e-4)


def test_normalization_adapts_to_single_numbers():
    x = np.arange(10, dtype="float32")
    layer = tf.keras.layers.Normalization(axis=None)
    layer.adapt(tf.data.Dataset.from_tensor_slices(x))
    assert float(np.squeeze(layer.mean)) == pytest.approx(4.5)


def test_normalization_adapts_to_a_list_of_batches():
    x = np.arange(20, dtype="float32").reshape(10, 2)
    layer = tf.keras.layers.Normalization()
    layer.adapt([x[:4], x[4:]])
    np.testing.assert_allclose(layer.mean, x.mean(0)[None], rtol=1e-5)


def test_discretization_adapts_to_a_dataset():
    layer = tf.keras.layers.Discretization(num_bins=4)
    layer.adapt(tf.data.Dataset.from_tensor_slices(np.arange(100, dtype="float32")).batch(10))
    assert np.asarray(layer(np.float32([1, 30, 60, 90]))).tolist() == [0, 1, 2, 3]


@pytest.fixture
def reviews(tmp_path):
    for kind in ("bad", "good"):
        (tmp_path / kind).mkdir()
        for number in range(6):
            (tmp_path / kind / f"{number}.txt").write_text(f"a {kind} film, number {number}")
    return tmp_path


def test_a_folder_of_texts_is_a_dataset_of_batches_with_the_numbers_of_their_classes(reviews, capsys):
    dataset = tf.keras.utils.text_dataset_from_directory(reviews, batch_size=4, seed=1)
    assert "Found 12 files belonging to 2 classes" in capsys.readouterr().out
    assert dataset.class_names == ["bad", "good"]
    seen = []
    for texts, labels in dataset:
        assert texts.shape == labels.shape == (4,)
        assert labels.dtype == np.int32
        assert all((b"good" in text.numpy()) == bool(label) for text, label in zip(texts, labels, strict=True))
        seen += texts.tolist()
    assert len(set(seen)) == 12
    assert seen != [text for texts, _ in dataset for text in texts.tolist()]


def test_texts_for_training_and_for_validation_have_none_in_common(reviews):
    arguments = {"validation_split": 0.25, "seed": 3, "batch_size": None, "verbose": False, "max_length": 6}
    training, validation = tf.keras.utils.text_dataset_from_directory(
        reviews, subset="both", label_mode="binary", **arguments
    )
    assert (len(training), len(validation)) == (9, 3)
    text, label = next(training.as_numpy_iterator())
    assert text in (b"a bad ", b"a good")
    assert label.tolist() == [float(b"good" in text)]
    (one_hot,) = [label for _, label in validation.take(1)]
    assert one_hot.dtype == np.float32


def test_texts_without_labels_and_with_one_hot_labels(reviews):
    unlabelled = tf.keras.utils.text_dataset_from_directory(reviews, labels=None, shuffle=False, batch_size=None)
    assert next(unlabelled.as_numpy_iterator()).startswith(b"a bad film")
    labelled = tf.keras.utils.text_dataset_from_directory(reviews, label_mode="categorical", shuffle=False)
    (_, labels), *rest = labelled
    assert rest == []
    assert labels.tolist() == [[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 6
