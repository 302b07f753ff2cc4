import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, StorageError
from mainstay.data import Dataset
from mainstay.data.sources.images import ImageFiles
from mainstay.io import ImageForm, encode_jpeg, encode_png

FORM = ImageForm(3, (4, 6))


@pytest.fixture
def paths(tmp_path):
    made = []
    for index in range(10):
        image = np.full((9 + index, 12, 3), 20 * index, np.uint8)
        path = tmp_path / (f"{index}.jpg" if index % 2 else f"{index}.png")
        path.write_bytes(encode_jpeg(image) if index % 2 else encode_png(image))
        made.append(str(path))
    return made


def test_images_and_labels_come_in_the_order_of_the_files(paths):
    dataset = Dataset.from_image_files(paths, FORM, labels=np.arange(10, dtype=np.int32))
    assert len(dataset) == 10
    for index, (image, label) in enumerate(dataset):
        assert image.shape == (4, 6, 3)
        assert image.dtype == np.float32
        assert abs(float(image.mean()) - 20 * index) < 3
        assert int(label) == index


def test_a_batch_is_one_array(paths):
    batches = list(Dataset.from_image_files(paths, FORM).batch(4))
    assert [batch.shape for batch in batches] == [(4, 4, 6, 3), (4, 4, 6, 3), (2, 4, 6, 3)]


def test_shuffled_images_keep_their_labels_and_every_pass_differs(paths):
    labels = np.arange(10, dtype=np.int32)
    dataset = Dataset.from_image_files(paths, FORM, labels=labels).shuffle(10, seed=3).batch(3)
    orders = []
    for _ in range(2):
        batches = list(dataset)
        means = np.concatenate([images.mean(axis=(1, 2, 3)) for images, _ in batches])
        orders.append(np.concatenate([each for _, each in batches]).tolist())
        assert np.abs(means - 20 * np.array(orders[-1])).max() < 3
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]


def test_a_pass_goes_on_where_it_was_left(paths):
    dataset = Dataset.from_image_files(paths, FORM, labels=np.arange(10)).shuffle(10, seed=1).batch(2)
    straight = [labels.tolist() for _, labels in dataset.iter()]
    fresh = Dataset.from_image_files(paths, FORM, labels=np.arange(10)).shuffle(10, seed=1).batch(2)
    iterator = fresh.iter()
    begun = [next(iterator)[1].tolist() for _ in range(2)]
    assert begun + [labels.tolist() for _, labels in fresh.iter(iterator.state())] == straight


def test_labels_become_vectors(paths):
    dataset = Dataset.from_image_files(paths[:3], FORM, labels=[0, 2, 1], num_classes=3)
    assert [label.tolist() for _, label in dataset] == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert dataset.element_spec[1].shape == (3,)


def test_channels_may_come_first(paths):
    first = Dataset.from_image_files(paths, FORM, channels_first=True)
    assert first.element_spec.shape == (3, 4, 6)
    for one, other in zip(first, Dataset.from_image_files(paths, FORM), strict=True):
        assert np.array_equal(one, np.moveaxis(other, -1, 0))


def test_bytes_take_a_quarter_of_the_memory(paths):
    dataset = Dataset.from_image_files(paths, ImageForm(1, (4, 6), dtype="uint8"))
    assert dataset.element_spec.dtype == "uint8"
    assert next(iter(dataset)).dtype == np.uint8


def test_a_damaged_file_is_named(paths):
    with open(paths[7], "r+b") as file:
        file.truncate(60)
    with pytest.raises(DataError, match=r"7\.jpg"):
        list(Dataset.from_image_files(paths, FORM).batch(5))


def test_a_missing_file_is_named(paths):
    with pytest.raises(StorageError, match=r"gone\.png"):
        list(Dataset.from_image_files([*paths, "gone.png"], FORM))


@pytest.mark.parametrize(
    ("labels", "num_classes"),
    [([1, 2], None), ([0] * 9 + [3], 3), ([-1] * 10, 3), ([0.5] * 10, 3), (None, 3)],
)
def test_labels_that_do_not_fit_are_refused(paths, labels, num_classes):
    with pytest.raises(ArgumentError, match="label"):
        Dataset.from_image_files(paths, FORM, labels=labels, num_classes=num_classes)


def test_sources_are_told_apart_wherever_they_lie(paths, tmp_path):
    def fingerprint(files, **arguments):
        return ImageFiles(tuple(files), arguments.pop("form", FORM), **arguments).fingerprint()

    moved = [path.replace(str(tmp_path), "/elsewhere") for path in paths]
    assert fingerprint(paths) == fingerprint(moved)
    others = [
        fingerprint(paths[::-1]),
        fingerprint(paths, form=ImageForm(3, (4, 7))),
        fingerprint(paths, labels=np.zeros(10, np.int32)),
        fingerprint(paths, channels_first=True),
    ]
    assert fingerprint(paths) not in others


def test_the_content_changes_with_a_file(paths):
    source = ImageFiles(tuple(paths), FORM)
    before = source.content()
    with open(paths[0], "ab") as file:
        file.write(b"more")
    assert source.content() != before


def test_batches_that_are_kept_stay_as_they_were(paths):
    form = ImageForm(3, (400, 300), dtype="float32")
    dataset = Dataset.from_image_files(paths * 4, form).batch(4)
    kept = list(dataset.as_numpy_iterator())
    copies = [batch.copy() for batch in dataset.as_numpy_iterator()]
    for _ in dataset:
        pass
    assert len(kept) == 10
    assert all(np.array_equal(batch, copy) for batch, copy in zip(kept, copies, strict=True))
