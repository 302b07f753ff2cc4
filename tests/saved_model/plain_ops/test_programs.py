"""What programs look like as plain ops, and what is refused before anything is written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mainstay.core import ModelError
from mainstay.saved_model.plain_ops.programs import supported_primitives, unsupported


def test_a_layer_is_a_product_a_bias_and_an_activation(written):
    graph = written(lambda x, w, b: jax.nn.relu(x @ w + b), "batch, 3", "3, 4", "4,")
    assert graph.ops == {"MatMul": 1, "BiasAdd": 1, "Relu": 1}


def test_results_have_open_lengths_where_they_are_symbolic(written):
    graph = written(lambda x: (x.T, x[:, :1]), "batch, 3")
    assert [ref.shape for ref in graph.results] == [(3, None), (None, 1)]


def test_a_bias_is_not_written_out_for_every_row(written):
    graph = written(lambda x, b: x * jnp.broadcast_to(b, x.shape) + 1, "batch, n1, 3", "3,")
    assert graph.ops == {"Mul": 1, "AddV2": 1}


def test_a_result_that_is_a_broadcast_is_written_out(written):
    graph = written(lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], 5, 3)), "batch, 3")
    assert graph.ops["BroadcastTo"] == 1


def test_one_open_length_is_reshaped_to_without_computing_it(written):
    graph = written(lambda x: x.reshape(x.shape[0], 6), "batch, 2, 3")
    assert graph.ops == {"Reshape": 1}


def test_two_open_lengths_are_computed_from_the_shape(written):
    graph = written(lambda x: x.reshape(x.shape[0], x.shape[1], 2, 3), "batch, n1, 6")
    assert graph.ops == {"Shape": 1, "StridedSlice": 2, "Pack": 1, "Reshape": 1}


def test_axes_of_length_one_come_and_go_without_computing_lengths(written):
    graph = written(lambda x: x[:, None, :, :, None] * 2, "batch, n1, 3")
    assert "Shape" not in graph.ops


def test_six_is_the_limit_of_relu6(written):
    assert written(jax.nn.relu6, "batch, 3").ops["Relu6"] == 1


def test_a_gelu_needs_no_erfc(written):
    ops = written(lambda x: jax.nn.gelu(x, approximate=False), "batch, 3").ops
    assert (ops["Erf"], ops["Erfc"]) == (1, 0)


def test_elsewhere_erfc_keeps_its_digits(written):
    assert written(lambda x: jnp.log(lax.erfc(x)), "batch, 3").ops["Erfc"] == 1


def test_a_mean_over_windows_is_one_op(written):
    def mean(x):
        return lax.reduce_window(x, np.float32(0), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4.0

    results = written(mean, "batch, 8, 8, 3").results
    assert results[0].text.startswith("AvgPool:")


def test_a_convolution_names_its_padding(written):
    kernel = np.ones((3, 3, 2, 4), np.float32)

    def convolve(x):
        return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    graph = written(convolve, "batch, 8, 8, 2")
    assert graph.ops == {"Conv2D": 1}
    assert graph.node("Conv2D").attr["padding"].s == b"SAME"
    assert list(graph.node("Conv2D").attr["strides"].list.i) == [1, 2, 2, 1]


def test_a_kernel_that_jax_turns_for_a_transposed_convolution_is_not_turned_back(written):
    def convolve(x, kernel):
        return lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)

    assert written(convolve, "batch, 8, 8, 2", "3, 3, 4, 2").ops == {
        "Shape": 1,
        "StridedSlice": 1,
        "Pack": 1,
        "Conv2DBackpropInput": 1,
    }


def test_an_embedding_reads_rows_and_guards_against_ids_outside(written):
    ops = written(lambda table, ids: jnp.take(table, ids, axis=0), "10, 4", ("batch, n1", "int32")).ops
    assert ops["GatherV2"] == 1
    assert ops["SelectV2"] == 2


def test_a_slice_with_fixed_limits_is_a_slice(written):
    assert written(lambda x: x[:, 1:-1], "batch, n1, 3").ops["Slice"] == 1
    assert written(lambda x: x[:, 2], "batch, 5, 3").ops == {"Slice": 1, "Reshape": 1}


def test_what_depends_on_no_input_is_a_constant(written):
    graph = written(lambda x: x * jnp.sin(jnp.arange(3.0)).reshape(1, 3), "batch, 3")
    assert graph.ops == {"Mul": 1}


def test_a_scan_is_a_loop_over_lists(written):
    graph = written(lambda x: lax.scan(lambda c, r: (c + r, c), jnp.zeros(x.shape[0]), x.T), "batch, n1")
    assert graph.ops["StatelessWhile"] == 1
    names = {function.signature.name for function in graph.library.functions}
    loop = graph.node("StatelessWhile")
    assert {loop.attr["cond"].func.name, loop.attr["body"].func.name} <= names
    body = next(f for f in graph.library.functions if f.signature.name == loop.attr["body"].func.name)
    assert len(body.signature.input_arg) == len(body.signature.output_arg) == len(loop.input)


def test_outputs_of_a_scan_that_nothing_reads_are_not_collected(written):
    graph = written(lambda x: lax.scan(lambda c, r: (c + r, c), jnp.zeros(x.shape[0]), x.T)[0], "batch, n1")
    assert graph.ops["TensorListReserve"] == 0


def test_a_branch_is_an_if(written):
    graph = written(lambda x: lax.cond(x.sum() > 0, lambda x: x, lambda x: -x, x), "batch, 3")
    assert graph.ops["StatelessIf"] == 1


def test_several_branches_are_a_case(written):
    branches = [lambda x: x, lambda x: -x, lambda x: x * 2]
    graph = (
        written(lambda x, i: lax.switch(i, branches, x), "batch, 3", ("1,", "int32"))
        if False
        else written(lambda x: lax.switch(x.shape[0], branches, x), "batch, 3")
    )
    assert graph.ops["StatelessCase"] == 1
    assert len(graph.node("StatelessCase").attr["branches"].list.func) == 3


def test_of_a_program_for_several_platforms_the_form_for_cpus_is_written(written):
    graph = written(lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos), "batch, 3")
    assert graph.ops == {"Sin": 1}


def test_the_same_program_is_written_to_the_same_bytes(written):
    def program(x):
        return lax.scan(lambda c, r: (jnp.tanh(c + r), c), jnp.zeros(x.shape[0]), jax.nn.softmax(x).T)

    first, second = (written(program, "batch, n1") for _ in range(2))
    assert first.function.SerializeToString(deterministic=True) == second.function.SerializeToString(deterministic=True)


def test_a_program_without_gaps_has_nothing_unsupported():
    assert unsupported(jax.make_jaxpr(lambda x: jax.nn.softmax(x @ x.T))(np.ones((2, 2), np.float32))) == ()


def test_every_gap_is_named_with_its_reason():
    def program(x):
        noise = jax.random.normal(jax.random.key(0), x.shape)
        return jnp.linalg.qr(x + noise)[0], lax.scan(lambda c, r: (c, jnp.linalg.inv(c)), x, x)[1]

    found = unsupported(jax.make_jaxpr(program)(np.ones((2, 2), np.float32)))
    assert {each.split(":")[0] for each in found} >= {"random_bits", "qr", "lu"}
    assert all(": " in each for each in found)


def test_gaps_that_no_result_depends_on_do_not_count():
    def program(x):
        jnp.linalg.qr(x)
        return jax.jit(lambda x: (x + 1, jnp.linalg.inv(x)))(x)[0]

    assert unsupported(jax.make_jaxpr(program)(np.ones((2, 2), np.float32))) == ()


def test_dtypes_that_tensorflow_has_no_kernels_for_are_named():
    found = unsupported(jax.make_jaxpr(lambda x: x + x)(jnp.ones(2, jnp.float8_e4m3fn)))
    assert "float8_e4m3fn" in found[0]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.at[jnp.array([0, 1])].multiply(2.0), "multiplies"),
        (lambda x: lax.reduce_xor(x.astype(np.int32), (1,)), "no plain ops"),
        (lambda x: lax.reduce_or(x.astype(np.int32), (1,)), "bits of integers"),
    ],
)
def test_forms_of_a_primitive_that_have_no_ops_are_named(function, reason):
    from jax import export

    (batch,) = export.symbolic_shape("batch")
    found = unsupported(jax.make_jaxpr(function)(jax.ShapeDtypeStruct((batch, 3), np.float32)))
    assert len(found) == 1
    assert reason in found[0]


def test_writing_what_is_unsupported_is_an_error_that_names_it(written):
    with pytest.raises(ModelError, match="there are no plain ops"):
        written(jnp.linalg.inv, "3, 3")


def test_the_primitives_that_are_supported_are_listed():
    assert {"dot_general", "scan", "gather", "sort"} <= set(supported_primitives())
    assert "random_bits" not in supported_primitives()
