"""The kernels are used on CPUs only, can be switched off, and leave a Keras alone that they do not know."""

import warnings
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mainstay.keras as keras
from mainstay.core import SetupError
from mainstay.framework import install_kernels, kernels_enabled, plain_kernels
from mainstay.framework.kernels import installation, switch

install_kernels()


def pooled(x: Any) -> Any:
    return keras.ops.max_pool(x, 2, 1)


def is_plain(function: Any, *arguments: Any) -> bool:
    # A new function each time: JAX remembers what it has traced.
    return "reduce_window" in str(jax.make_jaxpr(lambda *arguments: function(*arguments))(*arguments))


X = jnp.arange(16.0).reshape(1, 4, 4, 1)


def test_they_are_used_in_a_process_with_cpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels_enabled()
    assert not is_plain(pooled, X)
    monkeypatch.setattr(switch, "backends", lambda: {"cpu": object(), "cuda": object()})
    assert not kernels_enabled()
    assert is_plain(pooled, X)


def test_a_context_switches_them_off_also_in_functions_that_are_compiled_already() -> None:
    traced = []

    @jax.jit
    def run(x: jax.Array) -> jax.Array:
        traced.append(kernels_enabled())
        return pooled(x)

    expected = run(X)
    with plain_kernels():
        assert not kernels_enabled()
        assert is_plain(pooled, X)
        np.testing.assert_array_equal(run(X), expected)
        with plain_kernels():
            assert not kernels_enabled()
        assert not kernels_enabled()
    assert kernels_enabled()
    run(X)
    assert traced == [True, False]


def test_the_context_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError, match="stop"), plain_kernels():
        raise RuntimeError("stop")
    assert kernels_enabled()


def test_the_environment_switches_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_KERNELS", "plain")
    assert not kernels_enabled()
    monkeypatch.setenv("MAINSTAY_KERNELS", "auto")
    assert kernels_enabled()
    monkeypatch.setenv("MAINSTAY_KERNELS", "quick")
    with pytest.raises(SetupError, match="MAINSTAY_KERNELS") as caught:
        kernels_enabled()
    assert "auto or plain" in str(caught.value)


def test_a_program_with_symbolic_shapes_is_plain() -> None:
    (batch,) = jax.export.symbolic_shape("batch")
    symbolic = jax.ShapeDtypeStruct((batch, 4, 4, 1), jnp.float32)
    exported = jax.export.export(jax.jit(pooled))(symbolic)
    assert "reduce_window" in exported.mlir_module()
    np.testing.assert_array_equal(exported.call(X), pooled(X))


def test_an_export_for_other_devices_inside_the_context_holds_plain_operations() -> None:
    kernel = jnp.ones((3, 3, 1, 1))

    def model(x: jax.Array) -> jax.Array:
        return keras.ops.depthwise_conv(x, kernel, padding="same")

    with plain_kernels():
        exported = jax.export.export(jax.jit(model), platforms=["cpu", "cuda", "tpu"])(X)
    assert "stablehlo.convolution" in exported.mlir_module()


def test_a_second_installation_changes_nothing() -> None:
    before = [getattr(module, name) for module, name, _, _ in installation.REPLACEMENTS]
    install_kernels()
    assert [getattr(module, name) for module, name, _, _ in installation.REPLACEMENTS] == before


@pytest.mark.parametrize(
    "module",
    [SimpleNamespace(__name__="nn", conv=lambda inputs, weights: None), SimpleNamespace(__name__="nn")],
    ids=["other-parameters", "no-such-function"],
)
def test_a_keras_with_other_functions_is_left_alone_with_one_warning(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = getattr(module, "conv", None)

    def rewrite(plain: Any) -> Any:
        raise RuntimeError("called")

    monkeypatch.setattr(installation, "_left_alone", set())
    entry = (module, "conv", ("inputs", "kernel"), rewrite)
    monkeypatch.setattr(installation, "REPLACEMENTS", (entry,))
    with pytest.warns(UserWarning, match=r"Keras .* defines nn\.conv differently .* slower on a CPU") as caught:
        install_kernels()
    assert len(caught) == 1
    assert getattr(module, "conv", None) is before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        install_kernels()
