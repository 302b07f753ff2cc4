"""Modules: functions, variables and files come back under the attributes that they had."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mainstay as tf
from mainstay.core import ArgumentError, ModelError, RequestError, TensorSpec
from mainstay.saved_model import LoadedModel, load, read_contents, save, verify


class Encoder(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.arange(6, dtype="float32").reshape(3, 2))

    @tf.function(input_signature=[TensorSpec([None, 3])])
    def encode(self, x: Any) -> Any:
        return x @ self.kernel


class Model(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.scale = tf.Variable(2.0, trainable=False)
        self.parts = [tf.Variable([1.0, 2.0])]
        self.table = np.arange(5000, dtype="float32")

    @tf.function(input_signature=[TensorSpec([None, 3], name="image"), TensorSpec([], "int32")])
    def serve(self, x: Any, number: Any) -> Any:
        return {"y": self.encoder.encode(x) * self.scale + self.parts[0], "n": number + 1}

    @tf.function
    def several(self, x: Any, training: bool = False) -> Any:
        if training:
            return x * 2
        return x, [x + 1, {"sum": x.sum()}]

    @tf.function(input_signature=[TensorSpec([None])])
    def centre(self, x: Any) -> Any:
        return x - tf.ops.mean(x)

    @tf.function(input_signature=[TensorSpec([None], "int32")])
    def look_up(self, index: Any) -> Any:
        return tf.ops.take(self.table, index)

    @tf.function(input_signature=[TensorSpec([])])
    def count(self, x: Any) -> Any:
        self.scale.assign_add(x)
        return x

    @tf.function(input_signature=[TensorSpec([None, 3])])
    def __call__(self, x: Any) -> Any:
        return self.encoder.encode(x) + 1


X = np.ones((2, 3), "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("module")
    (root / "words.txt").write_text("a\n")
    module = Model()
    module.several.get_concrete_function(TensorSpec([None, 4]))
    module.several.get_concrete_function(TensorSpec([2]), training=True)
    signatures = {"serving_default": module.serve, "look_up": module.look_up, "centre": module.centre}
    save(module, root / "m", signatures, assets=[root / "words.txt"])
    return root / "m"


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    loaded = load(folder)
    assert isinstance(loaded, LoadedModel)
    return loaded


def test_signatures_have_the_names_that_tensorflow_gives_inputs_and_outputs(model: LoadedModel) -> None:
    serve = model.signatures["serving_default"]
    assert serve.structured_input_signature == (
        (),
        {"image": TensorSpec([None, 3], "float32", "image"), "number": TensorSpec([], "int32", "number")},
    )
    assert set(serve.structured_outputs) == {"y", "n"}
    assert list(model.signatures["look_up"].structured_outputs) == ["output_0"]


def test_a_signature_with_a_scalar_runs_at_just_the_shapes_of_a_request(model: LoadedModel) -> None:
    answer = model.signatures["serving_default"](image=X, number=3)
    assert answer["n"].shape == ()
    assert int(answer["n"]) == 4
    np.testing.assert_array_equal(answer["y"], [[13.0, 20.0], [13.0, 20.0]])
    with pytest.raises(RequestError, match="wrong shape"):
        model.signatures["serving_default"](image=X, number=[3])
    with pytest.raises(RequestError, match="is not there"):
        model.signatures["serving_default"](image=X)


def test_only_functions_whose_rows_are_provably_independent_run_in_padded_batches(model: LoadedModel) -> None:
    rows = {name: signature.rows for name, signature in model.signatures.items()}
    assert rows == {"serving_default": False, "look_up": True, "centre": False}
    np.testing.assert_allclose(model.signatures["centre"]([1.0, 2.0, 3.0])["output_0"], [-1.0, 0.0, 1.0])


def test_functions_are_attributes_again_with_their_structures(model: LoadedModel) -> None:
    np.testing.assert_array_equal(model.encoder.encode(X), [[6.0, 9.0], [6.0, 9.0]])
    np.testing.assert_array_equal(model(X), [[7.0, 10.0], [7.0, 10.0]])
    first, (second, third) = model.several(np.ones((3, 4), "float32"))
    assert (first.shape, float(second[0, 0]), float(third["sum"])) == ((3, 4), 2.0, 12.0)
    assert model.several(np.ones(2, "float32"), training=True).tolist() == [2.0, 2.0]
    assert set(model.serve(X, 3)) == {"y", "n"}


def test_arguments_that_fit_no_saved_form_are_refused_by_name(model: LoadedModel) -> None:
    with pytest.raises(ArgumentError, match="several: the arguments fit no form"):
        model.several(np.ones((3, 5), "float32"))
    with pytest.raises(ArgumentError, match="too many positional"):
        model.encoder.encode(X, X)
    with pytest.raises(ArgumentError, match="unknown or comes twice"):
        model.encoder.encode(X, x=X)
    with pytest.raises(ArgumentError, match="an argument is missing"):
        model.encoder.encode()
    with pytest.raises(AttributeError, match="neither a function nor a variable"):
        model.nothing  # noqa: B018
    with pytest.raises(AttributeError, match=r"no encoder\.nothing"):
        model.encoder.nothing  # noqa: B018


def test_variables_come_back_by_path_once_and_mapped(model: LoadedModel, folder: Path) -> None:
    assert [(v.name, v.trainable) for v in model.variables] == [
        ("parts/0", True),
        ("scale", False),
        ("encoder/kernel", True),
    ]
    assert model.parts[0].numpy().tolist() == [1.0, 2.0]
    assert not model.encoder.kernel.numpy().flags.writeable
    assert np.asarray(model.scale).shape == ()
    assert set(read_contents(folder).tensors) == {"parts/0", "scale", "encoder/kernel", "captured/0"}


def test_large_constants_of_a_function_are_stored_with_the_weights(model: LoadedModel, folder: Path) -> None:
    assert model.look_up([1, 4999]).tolist() == [1.0, 4999.0]
    programs = [file.stat().st_size for file in folder.rglob("*.stablehlo")]
    assert max(programs) < 4096


def test_assets_are_kept_by_name(model: LoadedModel) -> None:
    assert model.assets["words.txt"].read_text() == "a\n"


def test_a_function_that_assigns_variables_is_left_out_and_refused_as_a_signature(
    model: LoadedModel, tmp_path: Path
) -> None:
    assert "count" not in model.functions
    module = Model()
    with pytest.raises(ModelError, match="assigns variables") as failure:
        save(module, tmp_path / "m", {"count": module.count})
    assert failure.value.received == "scale"


def test_a_program_of_a_signature_and_a_function_is_stored_once(folder: Path) -> None:
    assert not list(folder.rglob("function.serve*"))
    assert list(folder.rglob("serving_default.stablehlo"))


def test_a_module_is_verified_like_any_other(folder: Path) -> None:
    assert set(verify(folder).rows) == {"serving_default", "look_up", "centre"}


def test_the_only_function_becomes_the_default_signature_as_in_tensorflow(tmp_path: Path) -> None:
    save(Encoder(), tmp_path / "m", tensorflow=None)
    assert list(load(tmp_path / "m").signatures) == ["serving_default"]


def test_of_several_functions_none_is_the_default(tmp_path: Path) -> None:
    class Two(tf.Module):
        @tf.function(input_signature=[TensorSpec([None])])
        def one(self, x: Any) -> Any:
            return x

        @tf.function(input_signature=[TensorSpec([None])])
        def other(self, x: Any) -> Any:
            return x + 1

    save(Two(), tmp_path / "m", tensorflow=None)
    loaded = load(tmp_path / "m")
    assert dict(loaded.signatures) == {}
    assert loaded.other([1.0]).tolist() == [2.0]


def test_a_function_alone_and_a_concrete_one_are_saved(tmp_path: Path) -> None:
    variable = tf.Variable(3.0, name="factor")

    @tf.function
    def triple(pair: Any) -> Any:
        return pair["a"] * variable, pair["b"]

    concrete = triple.get_concrete_function({"a": TensorSpec([None]), "b": TensorSpec([None], name="other")})
    save(concrete, tmp_path / "m", tensorflow=None)
    serve = load(tmp_path / "m").signatures["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["pair", "other"]
    answer = serve(pair=[1.0], other=[2.0])
    assert {name: value.tolist() for name, value in answer.items()} == {"output_0": [3.0], "output_1": [2.0]}


def test_a_signature_needs_one_kind_of_arguments_and_flat_results(tmp_path: Path) -> None:
    @tf.function
    def untraced(x: Any) -> Any:
        return x

    @tf.function(input_signature=[TensorSpec([None])])
    def nested(x: Any) -> Any:
        return {"a": [x, x]}

    with pytest.raises(ArgumentError, match="one kind of arguments"):
        save(untraced, tmp_path / "m")
    with pytest.raises(ModelError, match="results of a signature are flat"):
        save(nested, tmp_path / "m")
    with pytest.raises(ArgumentError, match="a signature is made of a function"):
        save(Encoder(), tmp_path / "m", {"serving_default": 3})
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_depends_on_values_is_named(tmp_path: Path) -> None:
    import jax.numpy as jnp

    @tf.function(input_signature=[TensorSpec([3])])
    def positive(x: Any) -> Any:
        return x[jnp.nonzero(x)[0]]

    with pytest.raises(Exception, match=r"test_module_lowering\.py|nonzero"):
        save(positive, tmp_path / "m")


def test_assets_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for place in (tmp_path / "x.txt", tmp_path / "a" / "x.txt"):
        place.write_text("x")
    with pytest.raises(ArgumentError, match="two assets have one name"):
        save(Encoder(), tmp_path / "m", assets=[tmp_path / "x.txt", tmp_path / "a" / "x.txt"])
    with pytest.raises(ArgumentError, match="an asset is a file"):
        save(Encoder(), tmp_path / "m", assets={"x": 3})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match="cannot be a file's"):
        save(Encoder(), tmp_path / "m", assets={"../x": b""})
