"""What users of `tf.keras` write: `input_shape` on the first layer of any kind, and `export`, without a warning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay import TensorSpec, keras, saved_model
from mainstay.core import ArgumentError, ModelError

layers = keras.layers

FIRST_LAYERS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("Dense", (5,), {"units": 2}),
    ("EinsumDense", (5,), {"equation": "ab,bc->ac", "output_shape": 2}),
    ("Activation", (5,), {"activation": "relu"}),
    ("Dropout", (5,), {"rate": 0.5}),
    ("GaussianNoise", (5,), {"stddev": 0.5}),
    ("Flatten", (5, 2), {}),
    ("Reshape", (6,), {"target_shape": (2, 3)}),
    ("Permute", (2, 3), {"dims": (2, 1)}),
    ("RepeatVector", (5,), {"n": 2}),
    ("Lambda", (5,), {"function": abs, "output_shape": (5,)}),
    ("Masking", (3, 2), {}),
    ("Normalization", (5,), {"mean": 0.0, "variance": 1.0}),
    ("Rescaling", (5,), {"scale": 2.0}),
    ("BatchNormalization", (5,), {}),
    ("LayerNormalization", (5,), {}),
    ("UnitNormalization", (5,), {}),
    ("LeakyReLU", (5,), {}),
    ("PReLU", (5,), {}),
    ("Softmax", (5,), {}),
    ("Conv1D", (6, 2), {"filters": 2, "kernel_size": 3}),
    ("Conv2D", (6, 6, 1), {"filters": 2, "kernel_size": 3}),
    ("Conv3D", (4, 4, 4, 1), {"filters": 2, "kernel_size": 3}),
    ("Conv2DTranspose", (6, 6, 1), {"filters": 2, "kernel_size": 3}),
    ("SeparableConv2D", (6, 6, 2), {"filters": 2, "kernel_size": 3}),
    ("DepthwiseConv2D", (6, 6, 2), {"kernel_size": 3}),
    ("MaxPooling2D", (6, 6, 1), {}),
    ("AveragePooling1D", (6, 1), {"pool_size": 2}),
    ("GlobalAveragePooling2D", (6, 6, 2), {}),
    ("UpSampling2D", (2, 2, 1), {}),
    ("ZeroPadding2D", (2, 2, 1), {}),
    ("Cropping2D", (6, 6, 1), {}),
    ("LSTM", (4, 3), {"units": 2}),
    ("GRU", (4, 3), {"units": 2}),
    ("SimpleRNN", (4, 3), {"units": 2}),
    ("ConvLSTM1D", (3, 6, 2), {"filters": 2, "kernel_size": 3}),
    ("RandomFlip", (4, 4, 3), {}),
    ("Resizing", (4, 4, 3), {"height": 2, "width": 2}),
    ("Embedding", (4,), {"input_dim": 10, "output_dim": 2}),
]


@pytest.mark.parametrize(("name", "shape", "arguments"), FIRST_LAYERS, ids=[name for name, _, _ in FIRST_LAYERS])
def test_the_first_layer_says_the_shape_of_the_input(name: str, shape: tuple[int, ...], arguments) -> None:
    model = keras.Sequential([getattr(layers, name)(**arguments, input_shape=shape)])
    assert model.input_shape == (None, *shape)
    again = keras.Sequential.from_config(model.get_config(), custom_objects={"abs": abs}) if name != "Lambda" else model
    assert again.input_shape == (None, *shape)
    assert again.output_shape == model.output_shape
    assert len(model.layers) == len(again.layers) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Bidirectional(layers.LSTM(2), input_shape=(4, 3)),
        lambda: layers.TimeDistributed(layers.Dense(2), input_shape=(4, 3)),
        lambda: layers.RNN(layers.LSTMCell(2), input_shape=(4, 3)),
        lambda: layers.LSTM(2, batch_input_shape=(None, 4, 3)),
    ],
)
def test_layers_around_layers_say_it_too(make: Any) -> None:
    model = keras.Sequential([make(), layers.Dense(1)])
    assert model.input_shape == (None, 4, 3)
    assert model(np.zeros((2, 4, 3), "float32")).shape[0] == 2


@pytest.mark.parametrize("arguments", [{"input_dim": 5}, {"input_shape": 5}, {"input_shape": [5]}])
def test_the_width_alone_is_enough(arguments: dict[str, Any]) -> None:
    model = keras.Sequential([layers.Dense(2, **arguments), layers.Dense(1)])
    assert model.input_shape == (None, 5)


def test_an_added_first_layer_and_a_fixed_batch_are_understood() -> None:
    model = keras.Sequential()
    model.add(layers.LSTM(2, batch_input_shape=(8, 4, 3), stateful=True))
    model.add(layers.Dense(1))
    assert model.input_shape == (8, 4, 3)
    assert model.output_shape == (8, 1)


def test_an_input_layer_takes_the_names_of_tensorflow() -> None:
    first = keras.Sequential([layers.InputLayer(input_shape=(5,)), layers.Dense(2)])
    assert first.input_shape == (None, 5)
    second = keras.Sequential([layers.InputLayer(batch_input_shape=(3, 5)), layers.Dense(2)])
    assert second.input_shape == (3, 5)


def test_a_later_layer_and_a_functional_model_are_not_disturbed() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, input_shape=(4,)), layers.Dense(2, input_dim=3)])
    assert model.output_shape == (None, 2)
    inputs = keras.Input((4,))
    assert layers.Dense(2, input_shape=(4,))(inputs).shape == (None, 2)


def test_an_argument_that_no_layer_knows_is_still_refused() -> None:
    with pytest.raises(ValueError, match="input_shpae"):
        layers.Dense(2, input_shpae=(4,))


class Scored(keras.Model):
    """Two inputs by name, called rather than built."""

    def __init__(self) -> None:
        super().__init__()
        self.table = layers.Embedding(10, 4)
        self.dense = layers.Dense(1)

    def call(self, ids: Any, weight: Any) -> Any:
        return self.dense(keras.ops.mean(self.table(ids), axis=1)) * weight


def test_a_called_model_is_exported_with_its_own_inputs(tmp_path: Path) -> None:
    model = Scored()
    ids, weight = np.array([[1, 2], [3, 4]]), np.ones((2, 1), "float32")
    want = np.asarray(model(ids, weight))
    model.export(tmp_path / "m")
    signature = saved_model.load(tmp_path / "m").signatures["serving_default"]
    assert [(item.spec.name, item.spec.dtype) for item in signature.inputs] == [("ids", "int32"), ("weight", "float32")]
    [answer] = signature({"ids": ids, "weight": weight}).values()
    np.testing.assert_allclose(answer, want, atol=1e-6)


def test_an_input_signature_says_the_inputs_of_a_called_model(tmp_path: Path) -> None:
    model = Scored()
    model(np.array([[1, 2]]), np.ones((1, 1), "float32"))
    specs = [TensorSpec([None, None], "int16", "ids"), keras.InputSpec(shape=(None, 1), dtype="float32", name="w")]
    model.export(tmp_path / "m", input_signature=specs)
    signature = saved_model.load(tmp_path / "m").signatures["serving_default"]
    assert [item.spec for item in signature.inputs] == [
        TensorSpec([None, None], "int16", "ids"),
        TensorSpec([None, 1], "float32", "w"),
    ]


def test_an_export_says_where_it_went_only_if_asked(tmp_path: Path, model, capsys) -> None:
    model.export(tmp_path / "m")
    assert capsys.readouterr().out == ""
    model.export(tmp_path / "m", verbose=True)
    assert str(tmp_path / "m") in capsys.readouterr().out


def test_exports_that_cannot_be_are_refused(tmp_path: Path, model) -> None:
    with pytest.raises(ModelError, match="not built"):
        keras.Sequential([layers.Dense(1)]).export(tmp_path / "m")
    with pytest.raises(ArgumentError, match="no further options"):
        model.export(tmp_path / "m", opset_version=18)
    with pytest.raises(ValueError, match="Unrecognized format"):
        model.export(tmp_path / "m", format="stone")
    assert list(tmp_path.iterdir()) == []
