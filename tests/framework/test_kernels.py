"""The rewritten kernels give what Keras' own functions give: values, derivatives of both modes and orders, batches."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainstay.keras as keras
from mainstay.framework import install_kernels, plain_kernels

install_kernels()

from keras.src import backend  # noqa: E402

# The numbers do not depend on it, the time to compile does.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def pair(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    ours = getattr(backend.nn, name)
    return ours, ours.plain_kernel


def noise(seed: int, *shape: int, dtype: Any = np.float32) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def assert_close(ours: Any, plain: Any, tolerance: float = 2e-5) -> None:
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        assert one.dtype == other.dtype
        scale = float(np.abs(np.asarray(other, np.float64)).max(initial=0.0))
        np.testing.assert_allclose(
            np.asarray(one, np.float64),
            np.asarray(other, np.float64),
            rtol=tolerance,
            atol=tolerance * max(scale, 1e-3),
        )


def first_order(function: Callable[..., Any], *arguments: jax.Array) -> Any:
    """The value, the derivative forward and the derivative backward, with fixed directions."""
    tangents = tuple(jnp.cos(argument) for argument in arguments)
    value, moved = jax.jvp(function, arguments, tangents)
    cotangent = jax.tree.map(lambda item: jnp.sin(3 * item), value)
    return value, moved, jax.vjp(function, *arguments)[1](cotangent)


def second_order(function: Callable[..., Any], *arguments: jax.Array) -> Any:
    positions = tuple(range(len(arguments)))

    def loss(*arguments: jax.Array) -> Any:
        return sum(jnp.sum(jnp.sin(item)) for item in jax.tree.leaves(function(*arguments)))

    def of_gradients(*arguments: jax.Array) -> Any:
        return sum(jnp.sum(item**3) for item in jax.grad(loss, positions)(*arguments))

    return jax.grad(of_gradients, positions)(*arguments)


def assert_same(name: str, arguments: tuple[jax.Array, ...], orders: Any = (first_order,), **settings: Any) -> None:
    ours, plain = (functools.partial(function, **settings) for function in pair(name))

    @compiled
    def both(*arguments: jax.Array) -> Any:
        return [(order(ours, *arguments), order(plain, *arguments)) for order in orders]

    for one, other in both(*arguments):
        assert_close(one, other)


def operations(function: Callable[..., Any], *arguments: Any) -> str:
    return str(jax.make_jaxpr(function)(*arguments))


@pytest.mark.parametrize(
    ("image", "kernel", "options"),
    [
        ((2, 9, 8, 6), (1, 1, 6, 4), {"strides": 2, "padding": "same"}),
        ((2, 9, 8, 6), (1, 1, 6, 4), {"strides": (1, 3), "padding": "valid"}),
        ((2, 9, 6), (1, 6, 4), {"strides": 3, "padding": "valid"}),
        ((2, 5, 4, 4, 2), (1, 1, 1, 2, 3), {"strides": 1, "padding": "same", "dilation_rate": 2}),
    ],
)
def test_a_convolution_of_single_positions_equals_keras_own(image: Any, kernel: Any, options: Any) -> None:
    arguments = (noise(0, *image), noise(1, *kernel))
    ours, plain = (functools.partial(function, **options) for function in pair("conv"))
    assert operations(ours, *arguments) != operations(plain, *arguments)
    assert_same("conv", arguments, (first_order, second_order), **options)


@pytest.mark.parametrize(
    ("image", "kernel", "options"),
    [
        ((2, 9, 8, 6), (3, 3, 6, 4), {}),
        ((2, 9, 8, 6), (1, 1, 3, 4), {}),
        ((2, 6, 9, 8), (1, 1, 6, 4), {"data_format": "channels_first"}),
        ((2, 9, 8, 6), (1, 1, 6, 4), {"dtype": jnp.bfloat16}),
    ],
    ids=["larger-window", "groups", "channels-first", "bfloat16"],
)
def test_a_convolution_outside_the_rewrite_is_keras_own(image: Any, kernel: Any, options: Any) -> None:
    dtype = options.get("dtype", jnp.float32)
    options = {name: value for name, value in options.items() if name != "dtype"}
    ours, plain = (functools.partial(function, **options) for function in pair("conv"))
    arguments = (noise(0, *image).astype(dtype), noise(1, *kernel).astype(dtype))
    assert operations(ours, *arguments) == operations(plain, *arguments)


@settings(max_examples=8)
@given(
    spatial=st.tuples(st.integers(4, 8), st.integers(4, 8)),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.sampled_from([(1, 1), (2, 2), (3, 3)]),
    dilation=st.sampled_from([1, 2]),
    padding=st.sampled_from(["same", "valid"]),
    multiplier=st.integers(1, 2),
)
def test_a_depthwise_convolution_equals_keras_own(
    spatial: Any, size: Any, strides: Any, dilation: int, padding: str, multiplier: int
) -> None:
    if padding == "valid" and any((length - 1) * dilation >= room for length, room in zip(size, spatial, strict=True)):
        return
    arguments = (noise(2, 2, *spatial, 3), noise(3, *size, 3, multiplier))
    dilation = dilation if strides == (1, 1) else 1
    assert_same("depthwise_conv", arguments, strides=strides, padding=padding, dilation_rate=dilation)


@pytest.mark.parametrize("options", [{"strides": 1, "padding": "same"}, {"strides": 2, "padding": "valid"}])
def test_a_depthwise_convolution_has_second_derivatives(options: Any) -> None:
    assert_same("depthwise_conv", (noise(4, 2, 7, 6, 3), noise(5, 3, 3, 3, 2)), (second_order,), **options)


def test_one_dimensional_depthwise_convolutions_are_covered() -> None:
    assert_same("depthwise_conv", (noise(4, 2, 11, 3), noise(5, 3, 3, 2)), strides=2, padding="same")


@pytest.mark.parametrize(
    ("name", "kernel"), [("conv", (1, 1, 3, 4)), ("depthwise_conv", (3, 3, 3, 1))], ids=["conv", "depthwise"]
)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
def test_vmap_gives_what_keras_own_gives(name: str, kernel: Any, axes: Any) -> None:
    shapes = ((2, 6, 5, 3), kernel)
    arguments = [noise(6 + i, *(() if axis is None else (2,)), *shapes[i]) for i, axis in enumerate(axes)]
    ours, plain = (functools.partial(function, padding="same") for function in pair(name))

    def batched(function: Any) -> Any:
        return jax.vmap(functools.partial(first_order, function), axes)

    def outside(function: Any) -> Any:
        return lambda *arguments: second_order(jax.vmap(function, axes), *arguments)

    run = compiled(lambda *a: [(batched(ours)(*a), outside(ours)(*a)), (batched(plain)(*a), outside(plain)(*a))])
    assert_close(*run(*arguments), tolerance=1e-4)


@settings(max_examples=10)
@given(
    spatial=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    size=st.tuples(st.integers(1, 3), st.integers(2, 3)),
    strides=st.sampled_from([1, 2, (1, 3)]),
    padding=st.sampled_from(["same", "valid"]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    name=st.sampled_from(["max_pool", "average_pool"]),
)
def test_pooling_equals_keras_own(
    spatial: Any, size: Any, strides: Any, padding: str, data_format: str, name: str
) -> None:
    # Few different numbers: the gradient of a tie must go to the same element.
    shape = (2, *spatial, 3) if data_format == "channels_last" else (2, 3, *spatial)
    image = jnp.round(noise(7, *shape))
    options = {"strides": strides, "padding": padding, "data_format": data_format}
    assert_same(name, (image,), pool_size=size, **options)


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
@pytest.mark.parametrize("shape", [(2, 9, 3), (2, 5, 6, 4, 2)], ids=str)
def test_pooling_of_sequences_and_volumes_is_covered_to_the_second_order(name: str, shape: Any) -> None:
    options = {"pool_size": 2, "strides": 1, "padding": "same"}
    assert_same(name, (noise(8, *shape),), (first_order, second_order), **options)


def test_max_pooling_is_equal_to_the_last_bit_also_where_the_window_loop_of_xla_is_used(monkeypatch: Any) -> None:
    from mainstay.framework.kernels import pooling

    image = noise(9, 2, 9, 9, 3)
    ours, plain = pair("max_pool")
    expected = plain(image, 3, 2, "same")
    np.testing.assert_array_equal(ours(image, 3, 2, "same"), expected)
    monkeypatch.setattr(pooling, "_BEYOND_CACHE", 0)
    jax.clear_caches()
    assert "reduce_window_max" in operations(lambda x: ours(x, 3, 2, "same"), image)
    for name in ("max_pool", "average_pool"):
        assert_same(name, (image,), pool_size=3, strides=2, padding="same")
    jax.clear_caches()


def test_a_nan_or_an_infinity_comes_out_of_a_window_as_from_keras_own() -> None:
    image = noise(10, 1, 6, 6, 2).at[0, 1, 1, 0].set(jnp.nan).at[0, 4, 4, 1].set(jnp.inf).at[0, 0, 4, 1].set(-jnp.inf)
    for name in ("max_pool", "average_pool"):
        ours, plain = pair(name)
        np.testing.assert_allclose(ours(image, 2, 1, "same"), plain(image, 2, 1, "same"), rtol=1e-6, atol=1e-6)
    kernel = noise(11, 3, 3, 2, 1)
    ours, plain = pair("depthwise_conv")
    ours_nan, plain_nan = (jnp.isfinite(function(image, kernel)) for function in (ours, plain))
    np.testing.assert_array_equal(ours_nan, plain_nan)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
def test_max_pooling_of_short_floats_is_exact(dtype: Any) -> None:
    image = noise(12, 2, 6, 6, 3).astype(dtype)
    assert_same("max_pool", (image,), pool_size=2, strides=2, padding="valid")


@pytest.mark.parametrize(("axes", "keepdims"), [((0, 1, 2), False), ([0], True), (1, False)], ids=str)
def test_the_moments_of_a_batch_equal_keras_own(axes: Any, keepdims: bool) -> None:
    ours, plain = pair("moments")
    batch = noise(13, 3, 4, 5, 6) + 2
    # Keras' own leaves a single axis and a list alone that JAX refuses.
    plain_axes = tuple(axes) if isinstance(axes, list) else axes

    @compiled
    def both(batch: jax.Array) -> Any:
        def run(function: Any, axes: Any) -> Any:
            moments = functools.partial(function, axes=axes, keepdims=keepdims)
            return first_order(moments, batch), second_order(moments, batch)

        return run(ours, axes), run(plain, plain_axes)

    assert_close(*both(batch), tolerance=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"is_causal": True}, {"scale": 0.3, "mask": True}, {"is_causal": True, "mask": True}], ids=str
)
def test_attention_equals_keras_own(options: Any) -> None:
    mask = jnp.asarray(np.random.default_rng(16).random((2, 1, 5, 5)) < 0.7).at[0, 0, 0].set(False)
    options = options | ({"mask": mask} if "mask" in options else {})
    assert_same("dot_product_attention", tuple(noise(17 + i, 2, 5, 3, 4) for i in range(3)), **options)


def test_attention_has_second_derivatives() -> None:
    assert_same("dot_product_attention", tuple(noise(17 + i, 1, 3, 2, 2) for i in range(3)), (second_order,))


def test_attention_with_groups_a_bias_or_other_shapes_is_keras_own() -> None:
    ours, plain = pair("dot_product_attention")
    query, key, bias = noise(1, 2, 5, 4, 3), noise(2, 2, 6, 2, 3), noise(3, 2, 4, 5, 6)
    for arguments in ((query, key, key), (query, query, query, bias[..., :5]), (query.astype(jnp.bfloat16),) * 3):
        assert operations(ours, *arguments) == operations(plain, *arguments)


@settings(max_examples=10)
@given(
    values=st.lists(
        st.floats(width=32) | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan]), min_size=12, max_size=12
    )
)
def test_sorting_equals_numpy(values: list[float]) -> None:
    x = np.asarray(values, np.float32).reshape(3, 4)
    for axis in (-1, 0):
        np.testing.assert_array_equal(keras.ops.sort(x, axis), np.sort(x, axis))
    np.testing.assert_array_equal(keras.ops.sort(np.arange(5)[::-1]), np.arange(5))


def test_a_sort_has_the_derivatives_of_keras_own() -> None:
    ours = backend.numpy.sort
    x = jnp.round(noise(18, 4, 6), 1)
    for axis in (0, -1):
        one, other = (first_order(functools.partial(sort, axis=axis), x) for sort in (ours, ours.plain_kernel))
        assert_close(one, other)


def test_a_batch_without_examples_is_left_to_keras() -> None:
    empty = jnp.zeros((0, 6, 6, 3))
    for name, arguments in (("max_pool", (2, 2)), ("depthwise_conv", (noise(1, 3, 3, 3, 1),))):
        ours, plain = pair(name)
        assert ours(empty, *arguments).shape == plain(empty, *arguments).shape


def test_the_errors_of_keras_stay_keras_errors() -> None:
    image, kernel = noise(0, 1, 5, 5, 4), noise(1, 3, 3, 3, 1)
    for name in ("conv", "depthwise_conv"):
        ours, plain = pair(name)
        messages = []
        for function in (ours, plain):
            with pytest.raises(ValueError, match="channels") as caught:
                function(image, kernel)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    small = noise(0, 1, 2, 2, 3)
    with pytest.raises(ValueError, match="empty output"):
        keras.ops.conv(small, noise(1, 3, 3, 3, 1))


def test_a_kernel_works_under_remat_and_scan() -> None:
    image, kernel = noise(14, 2, 6, 6, 3), noise(15, 3, 3, 3, 1)
    ours, plain = (functools.partial(function, padding="same") for function in pair("depthwise_conv"))

    def loss(function: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            return jnp.tanh(jax.checkpoint(function)(carry, kernel)), None

        return lambda image: jnp.sum(jax.lax.scan(step, image, length=3)[0] ** 2)

    assert_close(jax.grad(loss(ours))(image), jax.grad(loss(plain))(image))


def test_an_lstm_has_derivatives_of_both_modes_and_orders(monkeypatch: Any) -> None:
    from mainstay.framework.kernels import recurrent

    monkeypatch.setattr(recurrent, "_LEAST_UNITS", 1)
    tanh, sigmoid = keras.activations.tanh, keras.activations.sigmoid
    arguments = tuple(
        noise(20 + i, *shape) for i, shape in enumerate([(2, 4, 3), (2, 2), (2, 2), (3, 8), (2, 8), (8,)])
    )

    def ours(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
        return backend.lstm(x, h, c, None, kernel, recurrent_kernel, bias, tanh, sigmoid, return_sequences=True)

    def loop(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
        def step(x: Any, states: Any) -> Any:
            enter, forget, new, leave = jnp.split(x @ kernel + states[0] @ recurrent_kernel + bias, 4, -1)
            cell = sigmoid(forget) * states[1] + sigmoid(enter) * tanh(new)
            output = sigmoid(leave) * tanh(cell)
            return output, [output, cell]

        return backend.rnn(step, x, [h, c])

    assert "custom_jvp_call" in operations(ours, *arguments)
    run = compiled(lambda *a: [(order(ours, *a), order(loop, *a)) for order in (first_order, second_order)])
    for one, other in run(*arguments):
        assert_close(one, other, tolerance=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 3, 4)], ids=str)
def test_sequences_times_a_matrix_equal_keras_own(shape: Any) -> None:
    ours, plain = backend.numpy.matmul, backend.numpy.matmul.plain_kernel
    arguments = (noise(30, *shape), noise(31, 4, 5))
    assert "reshape" in operations(ours, *arguments)
    for order in (first_order, second_order):
        assert_close(order(ours, *arguments), order(plain, *arguments))


@pytest.mark.parametrize(
    "shapes", [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4,)), ((0, 3, 4), (4, 5))], ids=str
)
def test_other_products_are_keras_own(shapes: Any) -> None:
    arguments = [jnp.ones(shape) for shape in shapes]
    plain = backend.numpy.matmul.plain_kernel
    assert operations(backend.numpy.matmul, *arguments) == operations(plain, *arguments)
    integers = [jnp.ones(shape, jnp.int8) for shape in ((2, 3, 4), (4, 5))]
    assert keras.ops.matmul(*integers).dtype == plain(*integers).dtype


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), -1), ((2, 3, 4), 2), ((6,), 0)], ids=str)
def test_the_softmax_equals_keras_own(shape: Any, axis: int) -> None:
    ours, plain = (functools.partial(one, axis=axis) for one in pair("softmax"))
    x = 3 * noise(32, *shape)
    assert "custom_jvp_call" in operations(ours, x)
    for order in (first_order, second_order):
        assert_close(order(ours, x), order(plain, x))
    assert_close(jax.vmap(ours)(x[None]), jax.vmap(plain)(x[None]))


def test_a_softmax_with_infinities_has_the_derivatives_of_keras_own() -> None:
    ours, plain = pair("softmax")
    x = jnp.array([[0.0, -jnp.inf, 2.0], [1e30, -1e30, 3.0]])
    weights = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    slopes = [jax.grad(lambda x, one=one: jnp.sum(one(x) * weights))(x) for one in (ours, plain)]
    assert bool(jnp.isfinite(slopes[0]).all())
    assert_close(*slopes)


def test_a_softmax_over_other_axes_and_of_other_dtypes_is_keras_own() -> None:
    ours, plain = pair("softmax")
    for x, axis in ((jnp.ones((2, 3)), 0), (jnp.ones((2, 3), jnp.bfloat16), -1), (jnp.ones((0, 3)), -1)):
        assert operations(lambda x: ours(x, axis), x) == operations(lambda x: plain(x, axis), x)  # noqa: B023


@pytest.mark.parametrize("window", [(3, 3), (2, 5), (4, 1)])
def test_large_convolutions_without_a_border_keep_their_numbers(window: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.normal(size=(4, 72, 64, 32)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*window, 32, 32)), jnp.float32)

    def convolved(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return keras.ops.conv(image, kernel, padding="valid", data_format="channels_last")

    def gradient(image: jax.Array, kernel: jax.Array) -> Any:
        return jax.grad(lambda *values: (convolved(*values) ** 2).mean(), (0, 1))(image, kernel)

    ours, ours_back = jax.jit(convolved)(image, kernel), jax.jit(gradient)(image, kernel)
    assert "padding=((1, 1)" in str(jax.make_jaxpr(convolved)(image, jnp.ones((3, 3, 32, 32))))
    with plain_kernels():
        plain, plain_back = jax.jit(convolved)(image, kernel), jax.jit(gradient)(image, kernel)
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-4)
    for one, other in zip(ours_back, plain_back, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
