"""Elements answer to `numpy()`, as those of TensorFlow do, and so does what is taken out of them."""

import numpy as np

from mainstay.data import Dataset
from mainstay.data.array import Array, Text
from mainstay.io import Ragged


def test_parts_of_a_batch_answer_to_numpy() -> None:
    numbers, texts = next(iter(Dataset.from_tensor_slices((np.arange(6).reshape(3, 2), ["a", "b", "c"])).batch(3)))
    assert numbers[1].numpy().tolist() == [2, 3]
    assert numbers[1][0].numpy() == 2
    assert isinstance(numbers[1, 0].numpy(), np.int64)
    assert texts[2].numpy().decode() == "c"
    assert type(texts.numpy()[2]) is bytes


def test_numbers_of_a_batch_one_after_the_other_answer_to_numpy() -> None:
    labels = next(iter(Dataset.range(3).batch(3)))
    assert [label.numpy() for label in labels] == [0, 1, 2]
    assert [text.numpy() for text in next(iter(Dataset.from_tensor_slices(["a", "b"]).batch(2)))] == [b"a", b"b"]


def test_results_of_arithmetic_answer_to_numpy() -> None:
    label = next(iter(Dataset.range(3).skip(2)))
    assert (label + 1).numpy() == 3
    assert (label == 2).numpy()
    assert label.sum().numpy() == 2
    assert (label * np.ones(2)).numpy().tolist() == [2.0, 2.0]


def test_a_number_serves_as_one() -> None:
    label = np.arange(3).view(Array)[1]
    assert label.shape == ()
    assert ["a", "b"][label] == "b"
    assert f"{label:3d}" == "  1"
    assert int(label) == label == 1
    assert label in (1, 2)


def test_masks_slices_and_new_axes_are_those_of_numpy() -> None:
    array = np.arange(6).reshape(2, 3).view(Array)
    assert array[array > 3].tolist() == [4, 5]
    assert array[:, 1].tolist() == [1, 4]
    assert array[..., None].shape == (2, 3, 1)
    assert [row.tolist() for row in array] == [[0, 1, 2], [3, 4, 5]]
    assert np.concatenate([array, array]).shape == (4, 3)


def test_lists_and_sequences_of_any_length_answer_to_numpy() -> None:
    lists = Ragged.from_rows([[1, 2], [], [3]])
    assert [row.numpy().tolist() for row in Dataset.from_tensor_slices(lists)] == [[1, 2], [], [3]]
    texts = Dataset.from_tensor_slices(Ragged.from_rows([["a", "b"], ["c"]]))
    assert [[text.numpy() for text in row] for row in texts] == [[b"a", b"b"], [b"c"]]


def test_a_text_has_the_dtype_of_strings() -> None:
    assert Text(b"a").dtype == np.dtype(object)
