"""Export: which functions become programs, and how those that cannot are refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ModelError, TensorSpec
from mainstay.saved_model.export import export_program
from mainstay.saved_model.program import Program

X = TensorSpec([None], "float32", "x")


def export(function: Any, *inputs: TensorSpec, **weights: Any) -> Program:
    return export_program(
        function, inputs or (X,), weights={name: np.asarray(value) for name, value in weights.items()}
    ).program


def test_weights_are_arguments_and_the_batch_is_a_symbol() -> None:
    program = export(lambda w, x: {"y": x["x"] * w["a"]}, a=np.float32(2))
    assert [(t.name, t.weight, t.shape) for t in program.arguments] == [("a", True, ()), ("x", False, ("batch",))]
    assert [(t.name, t.dtype, t.shape) for t in program.results] == [("y", "float32", ("batch",))]
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_a_weight_that_a_function_does_not_use_is_no_argument() -> None:
    unused = TensorSpec([None, 3], "float32", "unused")
    program = export(lambda w, x: {"y": x["x"] + 0 * w["a"]}, X, unused, a=np.float32(2), b=np.float32(1))
    assert [tensor.name for tensor in program.arguments] == ["a", "x", "unused"]


def test_a_function_may_use_the_batch_size_alone() -> None:
    assert export(lambda w, x: {"y": jnp.zeros((x["x"].shape[0], 2))}).results[0].shape == ("batch", 2)


def test_a_module_is_written_at_the_stated_version_without_paths_of_this_machine() -> None:
    program = export(lambda w, x: {"y": jnp.tanh(x["x"])})
    assert program.module.startswith(b"ML\xefR\rStableHLO_v1.9.0\0")
    assert __file__.encode() not in program.module
    assert b"test_export" not in program.module


def test_the_same_function_gives_the_same_bytes() -> None:
    def function(w: Any, x: Any) -> Any:
        return {"y": jax.lax.top_k(x["t"] @ w["a"], 2)[0]}

    spec = TensorSpec([None, 4], "float32", "t")
    first, second = (export(function, spec, a=np.ones((4, 3), np.float32)) for _ in range(2))
    assert first == second


def test_free_axes_have_symbols_of_their_own() -> None:
    tokens, mask = TensorSpec([None, None], "float32", "tokens"), TensorSpec([None, None], "float32", "mask")
    program = export(lambda w, x: {"y": jnp.concatenate([x["tokens"], x["mask"]], 1)}, tokens, mask)
    assert [tensor.shape for tensor in program.arguments] == [("batch", "n0_1"), ("batch", "n1_1")]
    assert program.results[0].shape == ("batch", "n1_1 + n0_1")


def test_free_axes_that_must_agree_share_a_symbol() -> None:
    tokens, mask = TensorSpec([None, None], "float32", "tokens"), TensorSpec([None, None], "float32", "mask")
    program = export(lambda w, x: {"y": (x["tokens"] * x["mask"]).sum(1)}, tokens, mask)
    assert [tensor.shape for tensor in program.arguments] == [("batch", "n1"), ("batch", "n1")]


def test_a_64_bit_input_is_32_bits_wide_on_the_device() -> None:
    ids = TensorSpec([None], "int64", "ids")
    assert export(lambda w, x: {"y": x["ids"] + 1}, ids).arguments[0].dtype == "int32"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w, x: {"y": x["x"] if x["x"][0] > 0 else -x["x"]}, "TracerBoolConversionError"),
        (lambda w, x: {"y": jax.pure_callback(lambda v: v, x["x"], x["x"])}, "cannot be exported"),
        (lambda w, x: {"y": jnp.linalg.cholesky(jnp.einsum("b,ij->bij", x["x"], jnp.eye(2)))}, "lapack_spotrf_ffi"),
        (lambda w, x: {"y": x["x"].sum()}, "y: an output does not have the batch"),
        (lambda w, x: {"y": x["x"].astype(jnp.complex64)}, "complex64"),
        (lambda w, x: {"y": jnp.zeros(3)}, "does not have the batch"),
        (lambda w, x: x["x"], "mapping of outputs by name"),
        (lambda w, x: {}, "mapping of outputs by name"),
        (lambda w, x: {"y": w["gone"]}, "KeyError"),
        (lambda w, x: {"y": x["x"][jnp.nonzero(x["x"])]}, "cannot be exported"),
    ],
)
def test_a_function_that_has_no_stable_form_is_refused_saying_why(function: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        export(function)


def test_a_function_with_effects_is_refused() -> None:
    def chatty(w: Any, x: Any) -> Any:
        jax.debug.print("{}", x["x"])
        return {"y": x["x"]}

    with pytest.raises(ModelError, match="effects"):
        export(chatty)
