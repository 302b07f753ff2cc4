"""`save` and `load_model`: SavedModel folders and Keras' files, whole or not at all, and the same model again."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay import keras, saved_model
from mainstay.core import (
    ArgumentError,
    ArtifactError,
    FormatError,
    IntegrityError,
    MainstayError,
    ModelError,
    StorageError,
)

layers = keras.layers


def load(path: Path, **options: Any) -> Any:
    return keras.models.load_model(path, **options)


@pytest.mark.parametrize("name", ["m", "m.keras", "deep/er/v1.2"])
def test_a_loaded_model_is_the_saved_one(tmp_path: Path, assert_same_bits, model, data, name: str) -> None:
    x, y = data
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / name)
    loaded = load(tmp_path / name)
    assert_same_bits(model, loaded)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]


def test_a_file_of_the_old_format_gives_the_same_answers(tmp_path: Path, model, data) -> None:
    model.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(
        load(tmp_path / "m.h5").predict(data[0], verbose=0), model.predict(data[0], verbose=0)
    )


def test_training_goes_on_from_a_folder_as_if_it_had_not_stopped(tmp_path: Path, assert_same_bits, model, data) -> None:
    x, y = data
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m", save_format="tf")
    loaded = load(tmp_path / "m")
    histories = [item.fit(x, y, epochs=2, shuffle=False, verbose=0).history for item in (model, loaded)]
    assert histories[0] == histories[1]
    assert_same_bits(model, loaded)


def test_the_folder_is_served_without_keras(tmp_path: Path, model, data) -> None:
    model.save(tmp_path / "m")
    signature = saved_model.load(tmp_path / "m").signatures["serving_default"]
    [answer] = signature(data[0]).values()
    np.testing.assert_allclose(answer, model.predict(data[0], verbose=0), atol=1e-6)


def test_weights_are_stored_once(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((64,)), layers.Dense(256), layers.Dense(64)])
    model.save(tmp_path / "m")
    size = sum(file.stat().st_size for file in (tmp_path / "m").rglob("*") if file.is_file())
    weights = sum(np.asarray(weight.value).nbytes for weight in model.weights)
    assert weights <= size < 1.5 * weights


def test_without_the_optimizer_neither_it_nor_its_state_is_there(tmp_path: Path, model, data) -> None:
    model.fit(*data, verbose=0)
    model.save(tmp_path / "m", include_optimizer=False)
    names = saved_model.read_contents(tmp_path / "m").tensors
    assert not [name for name in names if "optimizer" in name]
    loaded = load(tmp_path / "m")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(data[0], verbose=0), model.predict(data[0], verbose=0))


def test_a_model_can_be_loaded_without_compiling_it(tmp_path: Path, model, data) -> None:
    model.fit(*data, verbose=0)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m", compile=False)
    assert not loaded.compiled
    loaded.compile("sgd", "sparse_categorical_crossentropy")
    loaded.fit(*data, verbose=0)


@pytest.mark.parametrize(
    ("name", "save_format", "kind"),
    [
        ("m", None, "folder"),
        ("m", "tf", "folder"),
        ("m", "tensorflow", "folder"),
        ("m.keras", None, "file"),
        ("m.keras", "keras", "file"),
        ("m.h5", "h5", "file"),
        ("m.hdf5", "hdf5", "file"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_name_and_format_say_what_is_written(tmp_path: Path, model, name: str, save_format, kind: str) -> None:
    model.save(str(tmp_path / name), save_format=save_format)
    assert (tmp_path / name).is_dir() == (kind == "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "save_format", "message"),
    [
        ("m.h5", "tf", "the name does not fit save_format='tf'"),
        ("m.keras", "tf", "the name does not fit"),
        ("m", "keras", "a name that ends in .keras"),
        ("m", "h5", "a name that ends in .h5"),
        ("m", "onnx", "unknown save_format"),
        ("m.pb", None, "not saved in a file of this kind"),
        ("m.tflite", None, "not saved in a file of this kind"),
    ],
)
def test_a_name_that_contradicts_the_format_is_refused(tmp_path: Path, model, name, save_format, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.save(tmp_path / name, save_format=save_format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m", "m.keras"])
def test_what_is_there_gives_way_only_if_it_may(tmp_path: Path, assert_same_bits, model, data, name: str) -> None:
    model.save(tmp_path / name)
    before = model.predict(data[0], verbose=0)
    model.fit(*data, epochs=3, verbose=0)
    with pytest.raises(StorageError, match="exists already"):
        model.save(tmp_path / name, overwrite=False)
    np.testing.assert_array_equal(load(tmp_path / name).predict(data[0], verbose=0), before)
    model.save(tmp_path / name)
    assert_same_bits(load(tmp_path / name), model)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["m", "m.keras"])
def test_what_is_there_survives_a_failure(
    tmp_path: Path, assert_same_bits, model, data, name: str, monkeypatch
) -> None:
    model.save(tmp_path / name)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    place = "mainstay.keras.artifacts" if name == "m" else "mainstay.keras.saving"
    monkeypatch.setattr(f"{place}.install", fail)
    with pytest.raises(OSError, match="No space"):
        model.save(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert_same_bits(load(tmp_path / name), model)


def test_a_folder_with_other_things_in_it_is_not_replaced(tmp_path: Path, model) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArgumentError, match="something else than a saved model"):
        model.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_and_a_saved_model_of_tensorflow_give_way(tmp_path: Path, assert_same_bits, model) -> None:
    (tmp_path / "m").mkdir()
    model.save(tmp_path / "m")
    (tmp_path / "tf" / "variables").mkdir(parents=True)
    (tmp_path / "tf" / "saved_model.pb").write_bytes(b"\0")
    model.save(tmp_path / "tf")
    assert_same_bits(load(tmp_path / "tf"), model)


@pytest.mark.parametrize("part", ["assets", "variables"])
def test_a_folder_whose_parts_only_sound_like_a_saved_model_is_left_alone(tmp_path: Path, model, part: str) -> None:
    (tmp_path / "site" / part).mkdir(parents=True)
    (tmp_path / "site" / part / "logo.txt").write_text("mine")
    for write in (model.save, model.export):
        with pytest.raises(ArgumentError, match="something else than a saved model"):
            write(tmp_path / "site")
    assert (tmp_path / "site" / part / "logo.txt").read_text() == "mine"


def test_a_folder_is_not_written_over_a_file_nor_a_file_over_a_folder(tmp_path: Path, model) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ArgumentError, match="here is a file"):
        model.save(tmp_path / "file")
    with pytest.raises(ArgumentError, match="here is a folder"):
        model.save(tmp_path / "folder.keras")
    with pytest.raises(StorageError):
        model.save(tmp_path / "file" / "m")
    with pytest.raises(StorageError):
        model.save(tmp_path / "file" / "m.keras")


def test_a_model_that_is_not_built_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not built"):
        keras.Sequential([layers.Dense(2)]).save(tmp_path / "m")


@keras.saving.register_keras_serializable("tests")
class Twice(keras.Model):
    """A subclassed model that can be made again from its arguments."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="relu")
        self.parts = [layers.Dense(3), layers.Dense(2)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.parts[1](self.parts[0](self.hidden(inputs)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Unknown(keras.Model):
    def __init__(self, callable_: Any) -> None:
        super().__init__()
        self.callable_ = callable_
        self.dense = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def test_a_subclassed_model_comes_back_and_trains_on(tmp_path: Path, assert_same_bits, data) -> None:
    x, y = data
    model = Twice(5)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert isinstance(loaded, Twice)
    assert_same_bits(model, loaded)
    histories = [item.fit(x, y, epochs=2, shuffle=False, verbose=0).history for item in (model, loaded)]
    assert histories[0] == histories[1]
    [answer] = saved_model.load(tmp_path / "m").signatures["serving_default"](x[:3]).values()
    assert answer.shape == (3, 2)


def test_a_model_without_a_configuration_is_told_what_it_lacks(tmp_path: Path, data) -> None:
    model = Unknown(lambda x: x)
    model(data[0])
    with pytest.raises(ModelError, match="no configuration") as caught:
        model.save(tmp_path / "m")
    assert "get_config" in str(caught.value.fix)
    model.export(tmp_path / "m")
    assert saved_model.load(tmp_path / "m").signatures


def test_custom_objects_are_found_where_the_caller_says(tmp_path: Path) -> None:
    class Own(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    model = keras.Sequential([keras.Input((2,)), Own()])
    model.save(tmp_path / "m")
    with pytest.raises(ModelError, match=r"cannot be made again(.|\n)*'Own'") as caught:
        load(tmp_path / "m")
    assert "custom_objects" in str(caught.value.fix)
    assert "class_name" not in str(caught.value)
    loaded = load(tmp_path / "m", custom_objects={"Own": Own})
    np.testing.assert_array_equal(loaded(np.ones((1, 2))), [[2, 2]])
    with keras.saving.custom_object_scope({"Own": Own}):
        assert load(tmp_path / "m").layers[-1].__class__ is Own


def test_code_in_a_model_is_refused_in_safe_mode(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"(?i)lambda"):
        load(tmp_path / "m")
    loaded = load(tmp_path / "m", safe_mode=False)
    np.testing.assert_array_equal(loaded(np.ones((1, 2))), [[2, 2]])


def test_models_in_models_shared_layers_and_several_inputs_come_back(tmp_path: Path, assert_same_bits) -> None:
    keras.utils.set_random_seed(1)
    shared = layers.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.LayerNormalization()])
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    joined = layers.Concatenate()([inner(shared(left)), inner(shared(right))])
    model = keras.Model({"left": left, "right": right}, {"score": layers.Dense(1)(joined), "joined": joined})
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert_same_bits(model, loaded)
    x = {"left": np.ones((3, 2), "float32"), "right": np.zeros((3, 2), "float32")}
    for name, value in model.predict(x, verbose=0).items():
        np.testing.assert_array_equal(loaded.predict(x, verbose=0)[name], value)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_a_model_of_another_precision_comes_back(tmp_path: Path, assert_same_bits, policy: str) -> None:
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype=policy), layers.Dense(1, dtype="float32")])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert_same_bits(model, loaded)
    assert loaded.layers[0].dtype_policy.name == policy


def test_what_a_layer_keeps_beside_variables_comes_back(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("tests")
    class Remembering(layers.Layer):
        note = ""

        def call(self, inputs: Any) -> Any:
            return inputs

        def save_assets(self, folder: str) -> None:
            Path(folder, "note.txt").write_text(self.note)

        def load_assets(self, folder: str) -> None:
            self.note = Path(folder, "note.txt").read_text()

    normal = layers.Normalization()
    normal.adapt(np.arange(12, dtype="float32").reshape(6, 2))
    note = Remembering()
    note.note = "seen"
    model = keras.Sequential([keras.Input((2,)), normal, note])
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.layers[1].note == "seen"
    np.testing.assert_array_equal(loaded(np.ones((1, 2))), model(np.ones((1, 2))))


def test_frozen_layers_stay_frozen(tmp_path: Path, assert_same_bits, model, data) -> None:
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*data, verbose=0)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert len(loaded.trainable_variables) == len(model.trainable_variables) == 4
    assert_same_bits(model, loaded)


def test_an_exported_model_is_loaded_elsewhere(tmp_path: Path, model) -> None:
    model.export(tmp_path / "m")
    with pytest.raises(ArtifactError, match="no Keras configuration") as caught:
        load(tmp_path / "m")
    assert "mainstay.saved_model.load" in str(caught.value)


def test_a_saved_model_of_tensorflow_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ArtifactError, match="no Keras configuration") as failure:
        load(tmp_path / "m")
    assert failure.value.received == "what TensorFlow wrote"
    assert failure.value.fix == "load it with mainstay.saved_model.load and call its signatures"


@pytest.mark.parametrize("name", ["absent", "absent.keras", "absent.h5"])
def test_nothing_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="there is no saved model here"):
        load(tmp_path / name)


def test_an_empty_folder_is_no_saved_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="an empty folder"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_a_damaged_file_is_refused(tmp_path: Path, model, name: str, damage: str) -> None:
    path = tmp_path / name
    model.save(path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"not a model at all"}[damage])
    with pytest.raises(IntegrityError, match="the file is damaged"):
        load(path)


@pytest.mark.parametrize("file", ["variables/variables.data-00000-of-00001", "assets.extra/mainstay/keras.json"])
def test_an_edited_folder_is_refused(tmp_path: Path, model, file: str) -> None:
    model.save(tmp_path / "m")
    path = tmp_path / "m" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="edited"):
        load(tmp_path / "m")


def rewrite(folder: Path, change: Any) -> Path:
    """An artifact like the one at `folder` whose Keras configuration was changed by its writer."""
    contents = saved_model.read_contents(folder)
    description = json.loads(contents.sidecars["keras.json"])
    content = change(description)
    function = saved_model.from_keras_model(keras.Sequential([keras.Input((2,)), layers.Dense(1)]))
    target = folder.with_name("changed")
    saved_model.save(
        function,
        target,
        sidecars={"keras.json": content if isinstance(content, bytes) else json.dumps(description).encode()},
        tensors={name: value for name, value in contents.tensors.items() if "dense" not in name},
    )
    return target


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: b"{", FormatError, "not JSON"),
        (lambda d: b"[]", FormatError, "another version"),
        (lambda d: d.update(format_version=99), FormatError, "another version"),
        (lambda d: d.update(surprise=1), FormatError, "another version"),
        (lambda d: d["state"].update(x={"0": "absent"}), FormatError, "not there"),
        (lambda d: d.update(state={}), ModelError, "does not fit the model"),
        (lambda d: d.update(state={}, variables=[None]), MainstayError, "does not fit the model"),
        (lambda d: d.update(assets={"../up": "keras.json"}), FormatError, "impossible path"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(tmp_path: Path, change, error, message: str) -> None:
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization()])
    model.save(tmp_path / "m")
    with pytest.raises(error, match=message), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load(rewrite(tmp_path / "m", change))


def test_the_functions_of_models_and_saving_are_the_same(tmp_path: Path, assert_same_bits, model) -> None:
    keras.saving.save_model(model, tmp_path / "a")
    keras.models.save_model(model, tmp_path / "b", save_format="tf")
    assert_same_bits(keras.saving.load_model(tmp_path / "a"), keras.models.load_model(os.fspath(tmp_path / "b")))


def test_weights_alone_go_to_their_file_as_ever(tmp_path: Path, model, data) -> None:
    model.fit(*data, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.models.clone_model(model)
    other.load_weights(tmp_path / "m.weights.h5")
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_checkpoint_callback_saves_and_resumes(tmp_path: Path, assert_same_bits, model, data) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    model.fit(*data, epochs=2, verbose=0, callbacks=[checkpoint])
    assert_same_bits(load(tmp_path / "2.keras"), model)
