"""Shapes stay NumPy's, and expressions of symbolic dimensions, through all the arithmetic that graphs do on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from mainstay.core import DataError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.values import ValueNeededError

I32 = np.int32


def shape_of(*sizes):
    array = np.empty(len(sizes), object)
    array[:] = sizes
    return array


@pytest.fixture
def batch():
    (symbol,) = export.symbolic_shape("b")
    return symbol


@pytest.mark.parametrize(
    ("op", "expected"),
    [("AddV2", 9), ("Sub", 5), ("Mul", 14), ("FloorDiv", 3), ("FloorMod", 1), ("Maximum", 7), ("Minimum", 2)],
)
def test_integers_stay_with_numpy(op, expected, run) -> None:
    result = run(op, np.array(7, I32), np.array(2, I32))
    assert isinstance(result, np.ndarray)
    assert result.dtype == I32
    assert result == expected


def test_a_shape_goes_through_the_ops_that_take_it_apart_and_put_it_together(run) -> None:
    shape = run("Shape", np.zeros((2, 3, 4)), out_type=np.dtype(I32))
    first = run("StridedSlice", shape, np.array([0], I32), np.array([1], I32), np.array([1], I32), shrink_axis_mask=1)
    rest = run("GatherV2", shape, np.array([1, 2], I32), np.array(0, I32))
    area = run("Prod", rest, np.array([0], I32))
    target = run("Pack", first, area, T=np.dtype(I32))
    assert all(isinstance(each, np.ndarray) for each in (shape, first, rest, area, target))
    assert target.tolist() == [2, 12]


def test_a_symbolic_shape_goes_through_the_same_ops(run, batch) -> None:
    first = run("StridedSlice", shape_of(batch, 3), np.array([0]), np.array([1]), np.array([1]), shrink_axis_mask=1)
    double = run("Mul", first, np.array(2, I32), T=np.dtype(I32))
    target = run("Pack", double, np.array(-1, I32), T=np.dtype(I32))
    assert target.tolist() == [2 * batch, -1]
    joined = run("ConcatV2", target, np.array([5], I32), np.array(0, I32), T=np.dtype(I32))
    assert joined.tolist() == [2 * batch, -1, 5]
    product = run("Prod", shape_of(batch, 3), np.array([0], I32), T=np.dtype(I32))
    assert product.item() == 3 * batch
    assert run("Cast", product, SrcT=np.dtype(I32), DstT=np.dtype(np.int64)).item() == 3 * batch


def test_a_program_with_a_symbolic_batch_reshapes_by_its_own_shape(run, batch) -> None:
    def program(x):
        rows = run("StridedSlice", run("Shape", x), np.array([0]), np.array([1]), np.array([1]), shrink_axis_mask=1)
        flat = run("Reshape", x, run("Pack", rows, np.array(-1, I32), T=np.dtype(I32)))
        filled = run("Fill", run("Pack", rows, np.array(2, I32), T=np.dtype(I32)), np.array(7, np.float32))
        return run("ConcatV2", flat, filled, np.array(1, I32), T=np.dtype(np.float32))

    argument = jax.ShapeDtypeStruct((batch, 2, 3), np.float32)
    exported = export.export(jax.jit(program))(argument)
    assert exported.out_avals[0].shape == (batch, 8)
    assert np.asarray(exported.call(jnp.ones((4, 2, 3), jnp.float32)))[3].tolist() == [1] * 6 + [7] * 2


def test_a_symbolic_size_becomes_a_value_where_it_meets_data(run, batch) -> None:
    def program(x):
        count = run("Cast", run("Size", x), SrcT=np.dtype(I32), DstT=np.dtype(np.float32))
        return run("RealDiv", run("Sum", x, np.array([0, 1], I32)), count)

    exported = export.export(jax.jit(program))(jax.ShapeDtypeStruct((batch, 2), np.float32))
    assert exported.call(jnp.full((3, 2), 5, jnp.float32)) == 5


def test_a_range_may_end_at_a_symbolic_size(run, batch) -> None:
    def program(x):
        size = run("StridedSlice", run("Shape", x), np.array([0]), np.array([1]), np.array([1]), shrink_axis_mask=1)
        return run("Range", np.array(0, I32), size, np.array(1, I32), Tidx=np.dtype(I32))

    exported = export.export(jax.jit(program))(jax.ShapeDtypeStruct((batch,), np.float32))
    assert exported.call(jnp.zeros(3, jnp.float32)).tolist() == [0, 1, 2]


def test_a_shape_that_is_computed_from_data_is_asked_for(run) -> None:
    with pytest.raises(ValueNeededError):
        jax.jit(lambda sizes: run("Reshape", jnp.zeros(4), sizes))(np.array([2, 2], I32))


def test_dividing_integers_by_zero_is_an_error(run) -> None:
    with pytest.raises(DataError, match="divided by zero"):
        run("FloorDiv", np.array([1], I32), np.array([0], I32))


def test_an_axis_that_cannot_be_split_is_an_error(run) -> None:
    with pytest.raises(ModelError, match="equal parts"):
        run("Split", np.array(0, I32), np.zeros(5), num_split=2)


def test_minus_one_beside_an_empty_axis_leaves_that_axis_out(run) -> None:
    assert run("Reshape", np.zeros((0, 3)), np.array([0, -1], I32)).shape == (0, 3)


def test_strings_are_reshaped_gathered_and_joined(run) -> None:
    words = np.array([b"a", b"b", b"c"], object)
    assert run("Reshape", words, np.array([3, 1], I32)).tolist() == [[b"a"], [b"b"], [b"c"]]
    assert run("GatherV2", words, np.array([2, 0], I32), np.array(0, I32)).tolist() == [b"c", b"a"]
    assert run("ConcatV2", words, words, np.array(0, I32), T="string").tolist() == [b"a", b"b", b"c"] * 2
    assert run("Equal", words, np.array(b"b", object), T="string").tolist() == [False, True, False]
    assert run("SelectV2", np.array([True, False, True]), words, np.array(b"-", object)).tolist() == [b"a", b"-", b"c"]
    assert run("Tile", words, np.array([2], I32)).tolist() == [b"a", b"b", b"c"] * 2
    assert run("Pad", words, np.array([[1, 0]], I32)).tolist() == [b"", b"a", b"b", b"c"]


def test_more_ops_that_move_strings(run) -> None:
    words = np.array([[b"a", b"b"], [b"c", b"d"]], object)
    assert run("Fill", np.array([2], I32), np.array(b"x", object)).tolist() == [b"x", b"x"]
    assert run("Pack", words, words, T="string", axis=1).shape == (2, 2, 2)
    assert [part.tolist() for part in run("Unpack", words, num=2, T="string")] == [[b"a", b"b"], [b"c", b"d"]]
    left, right = run("Split", np.array(1), words, num_split=2)
    assert (left.tolist(), right.tolist()) == ([[b"a"], [b"c"]], [[b"b"], [b"d"]])
    assert run("Transpose", words, np.array([1, 0], I32)).tolist() == [[b"a", b"c"], [b"b", b"d"]]
    assert run("ExpandDims", words, np.array(0, I32)).shape == (1, 2, 2)
    assert run("Squeeze", words[None]).shape == (2, 2)
    assert run("Slice", words, np.array([0, 1], I32), np.array([2, 1], I32)).tolist() == [[b"b"], [b"d"]]
    assert run("GatherNd", words, np.array([[1, 0]], I32)).tolist() == [b"c"]
    assert run("ReverseV2", words, np.array([0], I32)).tolist() == [[b"c", b"d"], [b"a", b"b"]]
    assert run("BroadcastTo", words[0], np.array([2, 2], I32), T="string").tolist() == [[b"a", b"b"]] * 2
    assert run("Roll", words[0], np.array(1, I32), np.array(0, I32)).tolist() == [b"b", b"a"]
    assert run("NotEqual", words, words[:1], T="string").tolist() == [[False, False], [True, True]]
    assert run("Shape", words).tolist() == [2, 2]
    chosen = run("OneHot", np.array([1], I32), np.array(2, I32), np.array(b"on", object), np.array(b"off", object))
    assert chosen.tolist() == [[b"off", b"on"]]
