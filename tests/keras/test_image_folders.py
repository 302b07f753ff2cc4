import numpy as np
import pytest

import mainstay as tf
from mainstay import keras
from mainstay.core import ArgumentError, DataError
from mainstay.io import encode_jpeg, encode_png

CLASSES = ("blue", "green", "red")


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for index in range(8):
            image = np.random.default_rng(index).integers(0, 60, (10 + index, 12, 3), dtype=np.uint8)
            image[..., 2 - number] += 180
            contents = encode_png(image) if index % 2 else encode_jpeg(image)
            (tmp_path / name / f"{index}.{'png' if index % 2 else 'jpg'}").write_bytes(contents)
    return tmp_path


def read(folder, **arguments):
    arguments = {"image_size": (8, 8), "batch_size": 4, "verbose": False, "seed": 1, **arguments}
    return keras.utils.image_dataset_from_directory(folder, **arguments)


def test_it_is_found_where_programs_look_for_it():
    assert tf.keras.utils.image_dataset_from_directory is keras.preprocessing.image_dataset_from_directory


def test_images_come_in_batches_with_the_numbers_of_their_classes(folder, capsys):
    dataset = read(folder, verbose=True)
    assert capsys.readouterr().out == "Found 24 files belonging to 3 classes.\n"
    assert dataset.class_names == list(CLASSES)
    assert len(dataset.file_paths) == 24
    assert len(dataset) == 6
    for images, labels in dataset:
        assert images.shape == (4, 8, 8, 3)
        assert images.dtype == np.float32
        assert labels.dtype == np.int32
        assert np.array_equal(2 - images.mean(axis=(1, 2)).argmax(axis=-1), labels)


def test_without_shuffling_the_order_is_that_of_the_paths(folder):
    dataset = read(folder, shuffle=False, batch_size=None, seed=None)
    assert dataset.file_paths == sorted(dataset.file_paths)
    assert [int(label) for _, label in dataset] == [0] * 8 + [1] * 8 + [2] * 8


def test_every_pass_over_shuffled_images_has_its_own_order(folder):
    dataset = read(folder)
    passes = [np.concatenate([labels for _, labels in dataset]).tolist() for _ in range(2)]
    assert passes[0] != passes[1]
    assert sorted(passes[0]) == sorted(passes[1]) == [0] * 8 + [1] * 8 + [2] * 8


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"), [("int", (), "int32"), ("categorical", (3,), "float32"), ("binary", (1,), "float32")]
)
def test_labels_have_the_form_of_the_mode(folder, mode, shape, dtype):
    names = ["green", "red"] if mode == "binary" else None
    dataset = read(folder, label_mode=mode, class_names=names, shuffle=False)
    _, labels = next(iter(dataset))
    assert labels.shape == (4, *shape)
    assert labels.dtype == dtype
    assert not labels[0].any() or labels[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("arguments", [{"labels": None}, {"label_mode": None}])
def test_without_labels_there_are_images_alone(folder, arguments):
    dataset = read(folder, **arguments)
    assert next(iter(dataset)).shape == (4, 8, 8, 3)
    assert dataset.class_names is None


def test_labels_can_be_handed_in(folder):
    dataset = read(folder, labels=list(range(24)), shuffle=False, batch_size=24)
    assert next(iter(dataset))[1].tolist() == list(range(24))


@pytest.mark.parametrize(("mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_colours_and_formats(folder, mode, channels, data_format):
    images, _ = next(iter(read(folder, color_mode=mode, data_format=data_format)))
    assert images.shape == ((4, 8, 8, channels) if data_format == "channels_last" else (4, channels, 8, 8))


def test_a_split_is_the_same_from_both_sides(folder):
    arguments = {"validation_split": 0.3}
    training = read(folder, subset="training", **arguments)
    validation = read(folder, subset="validation", **arguments)
    assert (len(training.file_paths), len(validation.file_paths)) == (17, 7)
    assert not set(training.file_paths) & set(validation.file_paths)
    both = read(folder, subset="both", **arguments)
    assert [each.file_paths for each in both] == [training.file_paths, validation.file_paths]
    passes = [np.concatenate([labels for _, labels in both[1]]).tolist() for _ in range(2)]
    assert passes[0] == passes[1]


@pytest.mark.parametrize("fit", ["crop_to_aspect_ratio", "pad_to_aspect_ratio"])
def test_proportions_can_be_kept(tmp_path, fit):
    (tmp_path / "a").mkdir()
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    (tmp_path / "a" / "wide.png").write_bytes(encode_png(image))
    (images,), _ = next(iter(read(tmp_path, image_size=6, interpolation="nearest", **{fit: True})))
    if fit == "crop_to_aspect_ratio":
        assert (images == 200).all()
    else:
        assert images[:, 2, 0].tolist() == [0, 0, 200, 200, 0, 0]


def test_a_model_is_fitted_to_a_folder(folder):
    training, validation = read(folder, subset="both", validation_split=0.25, batch_size=6)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    history = model.fit(training, validation_data=validation, epochs=8, verbose=0).history
    assert history["val_accuracy"][-1] == 1.0


def test_a_damaged_image_is_named(folder):
    (folder / "red" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match=r"red.3\.png"):
        list(read(folder))


@pytest.mark.parametrize(
    "arguments",
    [
        {"color_mode": "cmyk"},
        {"label_mode": "text"},
        {"label_mode": "binary"},
        {"labels": "blue"},
        {"labels": [1, 2]},
        {"labels": list(range(24)), "class_names": ["blue"]},
        {"class_names": ["pink"]},
        {"image_size": (0, 8)},
        {"image_size": "8"},
        {"interpolation": "cubic"},
        {"format": "torch"},
        {"subset": "training"},
        {"validation_split": 0.2},
        {"validation_split": 1.5, "subset": "training"},
        {"validation_split": 0.2, "subset": "test"},
        {"validation_split": 0.01, "subset": "validation"},
        {"validation_split": 0.2, "subset": "both", "seed": None},
        {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
    ],
)
def test_wrong_arguments_are_refused(folder, arguments):
    with pytest.raises(ArgumentError):
        read(folder, **arguments)
