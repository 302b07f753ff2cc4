"""Embeddings for the projector: tables as text, and the configuration that names them."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError

TensorBoard = keras.callbacks.TensorBoard
CONFIGURATION = """embeddings {
  tensor_name: "words/embeddings"
  tensor_path: "keras_embedding-words.tsv"
  metadata_path: "keras_embedding-words-metadata.tsv"
  tensor_shape: 5
  tensor_shape: 3
}
"""


@pytest.fixture
def words() -> tuple[np.ndarray, np.ndarray]:
    return np.arange(20).reshape(10, 2) % 5, np.zeros((10, 1))


@pytest.fixture
def model() -> Any:
    layers = keras.layers
    inner = keras.Sequential([layers.Embedding(5, 2, name="inner words"), layers.Flatten()], name="inner")
    inputs = keras.Input((2,), dtype="int32")
    table = layers.Flatten()(layers.Embedding(5, 3, name="words")(inputs))
    made = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([table, inner(inputs)])))
    made.compile("sgd", "mse")
    return made


def test_tables_of_all_embeddings_are_written_with_the_weights(model, words, tmp_path: Path) -> None:
    model.fit(*words, epochs=2, verbose=0, callbacks=[TensorBoard(tmp_path, embeddings_freq=1)])
    table = np.loadtxt(tmp_path / "train" / "keras_embedding-words.tsv", delimiter="\t", dtype="float32")
    np.testing.assert_array_equal(table, model.get_layer("words").get_weights()[0])
    assert (tmp_path / "train" / "keras_embedding-inner_words.tsv").exists()
    text = (tmp_path / "train" / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "inner words/embeddings"' in text
    assert "metadata_path" not in text


@pytest.mark.parametrize("kind", ["by layer", "in the log folder", "absolute path"])
def test_metadata_is_found_and_copied_to_where_it_is_served(model, words, tmp_path: Path, kind: str) -> None:
    file = tmp_path / ("elsewhere" if kind == "absolute path" else "logs") / "labels.tsv"
    file.parent.mkdir()
    file.write_text("a\nb\nc\nd\ne\n")
    name = file if kind == "absolute path" else "labels.tsv"
    board = TensorBoard(tmp_path / "logs", embeddings_freq=1, embeddings_metadata={"words": name})
    model.fit(*words, verbose=0, callbacks=[board])
    assert (tmp_path / "logs" / "train" / "projector_config.pbtxt").read_text().startswith(CONFIGURATION)
    assert (tmp_path / "logs" / "train" / "keras_embedding-words-metadata.tsv").read_text() == file.read_text()


def test_one_metadata_file_serves_every_table(model, words, tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text("a\nb\nc\nd\ne\n")
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata="labels.tsv")
    model.fit(*words, verbose=0, callbacks=[board])
    assert (tmp_path / "train" / "projector_config.pbtxt").read_text().count("metadata_path") == 2


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"nothing": "a.tsv"}, "no embedding layer of this name"),
        ({"words": "a.tsv"}, "no such file"),
        ("a.tsv", "no such file"),
    ],
)
def test_metadata_that_does_not_fit_is_refused_before_training(model, words, tmp_path: Path, metadata, message) -> None:
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata)
    with pytest.raises(ArgumentError, match=message):
        model.fit(*words, verbose=0, callbacks=[board])
    assert int(model.optimizer.iterations) == 0


def test_tables_are_written_as_often_as_asked(model, words, tmp_path: Path) -> None:
    seen = []

    class Looking(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((tmp_path / "train" / "keras_embedding-words.tsv").read_text())

    board = TensorBoard(tmp_path, embeddings_freq=2)
    model.fit(*words, epochs=4, verbose=0, callbacks=[board, Looking()])
    assert [earlier == later for earlier, later in itertools.pairwise(seen)] == [True, False, True]


def test_a_model_without_embeddings_has_no_configuration(words, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*words, verbose=0, callbacks=[TensorBoard(tmp_path, embeddings_freq=1)])
    assert not list(tmp_path.rglob("projector_config.pbtxt"))
