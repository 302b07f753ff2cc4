"""The TensorBoard callback: Keras' own tags and folders, at the steps that are asked for."""

import shutil
from pathlib import Path
from typing import Any

import keras as plain_keras
import numpy as np
import pytest
from event_files import read_events, read_values

from mainstay import keras, summary
from mainstay.core import ArgumentError, StorageError

TensorBoard = keras.callbacks.TensorBoard


def steps(folder: Path, tag: str) -> list[int]:
    return [step for name, step, *_ in read_values(folder) if name == tag]


def tags(folder: Path, plugin: str = "scalars") -> set[str]:
    return {name for name, _, found, _ in read_values(folder) if found == plugin}


def fit(model: Any, data: tuple, board: Any, **arguments: Any) -> Any:
    arguments = {"epochs": 2, "batch_size": 16, "verbose": 0} | arguments
    return model.fit(*data, callbacks=[board], **arguments)


def test_keras_own_name_is_this_callback() -> None:
    assert plain_keras.callbacks.TensorBoard is TensorBoard
    assert TensorBoard.__module__ == "mainstay.keras.tensorboard"
    assert issubclass(TensorBoard, plain_keras.callbacks.Callback)


def test_epochs_are_recorded_in_keras_folders_under_keras_tags(model, data, tmp_path: Path) -> None:
    history = fit(model, data, TensorBoard(tmp_path), validation_split=0.25).history
    assert {entry.name for entry in tmp_path.iterdir()} == {"train", "validation"}
    assert tags(tmp_path / "train") == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    evaluations = {"evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations"}
    assert tags(tmp_path / "validation") == {"epoch_loss", "epoch_accuracy"} | evaluations
    losses = [float(array) for tag, *_, array in read_values(tmp_path / "train") if tag == "epoch_loss"]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-6)
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1]
    assert steps(tmp_path / "validation", "evaluation_loss_vs_iterations") == [3, 6]


def test_without_validation_there_is_one_file_only(model, data, tmp_path: Path) -> None:
    fit(model, data, TensorBoard(str(tmp_path / "a b")))
    assert len(list(tmp_path.rglob("*tfevents*"))) == 1


@pytest.mark.parametrize(
    ("update_freq", "expected"), [("epoch", []), ("batch", list(range(1, 9))), (1, list(range(1, 9))), (3, [3, 6])]
)
def test_batches_are_recorded_as_often_as_asked(model, data, tmp_path: Path, update_freq, expected) -> None:
    fit(model, data, TensorBoard(tmp_path, update_freq=update_freq, write_graph=False))
    assert sorted(steps(tmp_path / "train", "batch_loss")) == expected
    assert sorted(steps(tmp_path / "train", "batch_accuracy")) == expected
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1]


def test_several_steps_of_one_execution_count_as_one_batch(model, data, tmp_path: Path) -> None:
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=2)
    fit(model, data, TensorBoard(tmp_path, update_freq=1))
    assert sorted(steps(tmp_path / "train", "batch_loss")) == [1, 2, 3, 4]


def test_training_does_not_wait_for_the_metrics_of_each_batch(model) -> None:
    def is_asynchronous(board: Any) -> bool:
        return keras.callbacks.CallbackList([board], model=model)._async_train

    assert is_asynchronous(TensorBoard(update_freq=1, write_graph=False))
    assert is_asynchronous(TensorBoard(write_steps_per_second=True, write_graph=False))
    assert not is_asynchronous(TensorBoard(update_freq=1, write_steps_per_second=True, write_graph=False))


def test_batches_are_left_alone_unless_something_of_them_is_wanted(model, data, tmp_path: Path) -> None:
    own = keras.callbacks.Callback.on_train_batch_begin

    def listens(board: Any) -> bool:
        return board.on_train_batch_begin.__func__ is not own

    class Counting(TensorBoard):
        batches = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.batches += 1
            super().on_train_batch_begin(batch, logs)

    assert not listens(TensorBoard(histogram_freq=1, write_steps_per_second=True, embeddings_freq=1))
    assert listens(TensorBoard(update_freq=100))
    assert listens(TensorBoard(profile_batch=3))
    counting = Counting(tmp_path, write_graph=False)
    fit(model, data, counting)
    assert counting.batches == 8


def test_speed_is_recorded_per_epoch_and_per_batch(model, data, tmp_path: Path) -> None:
    fit(model, data, TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True))
    assert steps(tmp_path / "train", "epoch_steps_per_second") == [0, 1]
    assert steps(tmp_path / "train", "batch_steps_per_second") == [2, 4, 6, 8]
    speeds = [float(array) for tag, *_, array in read_values(tmp_path / "train") if tag.endswith("_per_second")]
    assert min(speeds) > 0


def test_weights_are_recorded_as_histograms_and_images(data, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, name="a"), layers.Dropout(0.1), layers.Dense(2, name="b")]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model, data, TensorBoard(tmp_path, histogram_freq=2, write_images=True), epochs=3)
    assert tags(tmp_path / "train", "histograms") >= {f"{weight.path}/histogram" for weight in model.trainable_weights}
    assert {name.split("/")[-2] for name in tags(tmp_path / "train", "images")} == {"kernel", "bias"}
    assert steps(tmp_path / "train", f"{model.layers[0].kernel.path}/histogram") == [0, 2]
    images = {tag: array for tag, _, plugin, array in read_values(tmp_path / "train") if plugin == "images"}
    assert images[f"{model.layers[0].kernel.path}/image"][:2].tolist() == [b"6", b"4"]
    assert images[f"{model.layers[0].bias.path}/image"][:2].tolist() == [b"1", b"6"]


def test_the_kernels_of_a_convolution_are_images_of_their_own() -> None:
    from mainstay.keras.tensorboard import _as_images

    assert _as_images(np.zeros((3, 5, 1, 8))).shape == (8, 3, 5, 1)
    assert _as_images(np.zeros((7, 2))).shape == (1, 2, 7, 1)
    assert _as_images(np.zeros((2, 7))).shape == (1, 2, 7, 1)
    assert _as_images(np.zeros((5,))).shape == (1, 5, 1, 1)
    assert _as_images(np.zeros((3, 3, 16, 4))).shape == (3, 3, 16, 4)
    assert _as_images(np.zeros((3, 3, 16, 32))) is None
    assert _as_images(np.zeros(())) is None


def test_evaluation_alone_is_recorded_by_the_number_of_training_steps(model, data, tmp_path: Path) -> None:
    fit(model, data, keras.callbacks.Callback())
    model.evaluate(*data, verbose=0, callbacks=[TensorBoard(tmp_path, write_graph=False)])
    assert steps(tmp_path / "validation", "evaluation_loss_vs_iterations") == [8]
    assert not (tmp_path / "train").exists()


@pytest.mark.parametrize("kind", ["schedule", "scaled", "none"])
def test_the_learning_rate_is_that_of_the_optimizer_in_use(data, tmp_path: Path, kind: str) -> None:
    optimizer: Any = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 4, 0.5))
    if kind == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    fit(model, data, TensorBoard(tmp_path, write_graph=False))
    rates = [float(array) for tag, *_, array in read_values(tmp_path / "train") if tag == "epoch_learning_rate"]
    np.testing.assert_allclose(rates, [0.25, 0.25] if kind == "scaled" else [0.25, 0.125], rtol=1e-6)


class Watched(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        summary.scalar("mean of inputs", keras.ops.mean(x))
        return x


def watched_model() -> Any:
    model = keras.Sequential([keras.Input((4,)), Watched(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_summaries_of_the_models_own_code_have_the_number_of_the_batch(data, tmp_path: Path) -> None:
    x, y = data
    fit(watched_model(), data, TensorBoard(tmp_path, update_freq=2), shuffle=False, validation_data=(x[:32], y[:32]))
    means = {step: float(array) for tag, step, _, array in read_values(tmp_path / "train") if tag == "mean of inputs"}
    expected = {step: x[start : start + 16].mean() for step, start in ((2, 16), (4, 48), (6, 16), (8, 48))}
    assert means.keys() == expected.keys()
    np.testing.assert_allclose([means[step] for step in expected], list(expected.values()), rtol=1e-5)
    assert steps(tmp_path / "validation", "mean of inputs") == [2, 4]
    assert not summary.should_record_summaries()
    assert summary.experimental.get_step() is None


def test_summaries_of_the_models_own_code_are_left_out_by_epoch(data, tmp_path: Path) -> None:
    fit(watched_model(), data, TensorBoard(tmp_path))
    assert steps(tmp_path / "train", "mean of inputs") == []


def test_the_graph_is_recorded_once_for_each_model(model, data, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    fit(model, data, board)
    fit(model, data, board)
    graphs = [event for event in read_events(tmp_path / "train") if event.WhichOneof("what") == "graph_def"]
    assert len(graphs) == 1
    assert b"dot_general" in graphs[0].graph_def
    assert steps(tmp_path / "train", "keras") == [0]
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1, 0, 1]


class Subclass(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_a_subclass_has_a_graph_of_operations_only(data, tmp_path: Path) -> None:
    model = Subclass()
    model.compile("sgd", "mse")
    fit(model, data, TensorBoard(tmp_path))
    assert steps(tmp_path / "train", "keras") == []
    graphs = [event for event in read_events(tmp_path / "train") if event.WhichOneof("what") == "graph_def"]
    assert [b"dense" in graph.graph_def for graph in graphs] == [True]


def test_a_layer_that_cannot_be_serialized_costs_the_drawing_only(data, tmp_path: Path) -> None:
    class Odd(keras.layers.Dense):
        def get_config(self) -> dict:
            raise RuntimeError("no configuration")

    model = keras.Sequential([keras.Input((4,)), Odd(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="layers are left out of the graph: no configuration"):
        fit(model, data, TensorBoard(tmp_path))
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1]


def test_a_callback_survives_a_training_that_fails(model, data, tmp_path: Path) -> None:
    class Failing(keras.callbacks.Callback):
        fails = True

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.fails and batch == 2:
                raise RuntimeError("stop")

    board, failing = TensorBoard(tmp_path, update_freq=1), Failing()
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(*data, batch_size=16, verbose=0, callbacks=[board, failing])
    failing.fails = False
    model.fit(*data, batch_size=16, verbose=0, callbacks=[board, failing])
    assert not summary.should_record_summaries()
    assert sorted(steps(tmp_path / "train", "batch_loss")) == [1, 1, 2, 2, 3, 4]


def test_a_folder_that_cannot_be_written_is_an_error_before_training(model, data, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(StorageError, match="cannot write events into"):
        fit(model, data, TensorBoard(tmp_path / "logs"))
    assert int(model.optimizer.iterations) == 0


def test_a_folder_that_is_deleted_during_training_is_an_error(model, data, tmp_path: Path) -> None:
    class Deleting(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            shutil.rmtree(tmp_path / "logs")

    with pytest.raises(StorageError, match="deleted while it was written"):
        model.fit(*data, verbose=0, callbacks=[TensorBoard(tmp_path / "logs"), Deleting()])


@pytest.mark.parametrize(
    "arguments",
    [
        {"histogram_freq": -1},
        {"histogram_freq": 1.5},
        {"embeddings_freq": "epoch"},
        {"update_freq": 0},
        {"update_freq": "step"},
        {"update_freq": True},
        {"profile_batch": -1},
        {"profile_batch": (5, 3)},
        {"profile_batch": (0, 3)},
        {"profile_batch": (1, 2, 3)},
        {"profile_batch": "5,"},
        {"profile_batch": "many"},
        {"profile_batch": 2.0},
        {"profile_batch": None},
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict) -> None:
    with pytest.raises(ArgumentError, match=next(iter(arguments))):
        TensorBoard(**arguments)
