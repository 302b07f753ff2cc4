"""Ops without a kernel of the real TensorFlow for CPUs, and what it leaves open."""

import jax
import numpy as np
import pytest

from mainstay.core import ModelError

X = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
IDS = np.array([0, 0, 2], np.int32)
THREE = np.array(3, np.int32)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("SegmentSumV2", [[4, 6], [0, 0], [5, 6]]),
        ("SegmentProdV2", [[3, 8], [1, 1], [5, 6]]),
        ("SegmentMaxV2", [[3, 4], [-3.4028235e38] * 2, [5, 6]]),
        ("SegmentMinV2", [[1, 2], [3.4028235e38] * 2, [5, 6]]),
    ],
)
def test_segments_of_a_known_number(op, expected, run) -> None:
    np.testing.assert_allclose(run(op, X, IDS, THREE), np.array(expected, np.float32))


def test_the_largest_elements_of_an_old_graph(run) -> None:
    values, indices = run("TopK", X, k=1)
    assert values.tolist() == [[2], [4], [6]]
    assert indices.tolist() == [[1]] * 3
    assert indices.dtype == np.int32


def test_the_approximate_largest_are_the_largest(run) -> None:
    values, indices = run("ApproxTopK", X, k=2, reduction_dimension=0)
    assert np.asarray(values).tolist() == [[5, 6], [3, 4]]
    assert np.asarray(indices).tolist() == [[2, 2], [1, 1]]
    assert np.asarray(run("ApproxTopK", X, k=1, is_max_k=False)[0]).tolist() == [[1], [3], [5]]


def test_integers_are_rounded_to_themselves(run) -> None:
    assert run("Round", np.array([3, -2], np.int32)).tolist() == [3, -2]


def test_a_cast_without_rounding_cuts_the_fraction_off(run) -> None:
    import ml_dtypes

    kinds = {"SrcT": np.dtype(np.float32), "DstT": np.dtype(ml_dtypes.bfloat16)}
    x = np.array([1.00579833984375], np.float32)
    assert np.asarray(run("Cast", x, **kinds, Truncate=True)).tolist() == [1.0]
    assert np.asarray(run("Cast", x, **kinds)).tolist() == [1.0078125]


def test_images_with_channels_first_are_what_they_are_with_channels_last(run) -> None:
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(2, 7, 8, 4)).astype(np.float32), rng.normal(size=(3, 2, 4, 4)).astype(np.float32)
    first = image.transpose(0, 3, 1, 2)
    cases = {
        "Conv2D": {"strides": ((1, 2, 1, 1), (1, 1, 2, 1))},
        "DepthwiseConv2dNative": {"strides": ((1, 2, 2, 1), (1, 1, 2, 2))},
        "MaxPool": {"strides": ((1, 2, 1, 1), (1, 1, 2, 1)), "ksize": ((1, 3, 2, 1), (1, 1, 3, 2))},
        "AvgPool": {"strides": ((1, 2, 1, 1), (1, 1, 2, 1)), "ksize": ((1, 3, 2, 1), (1, 1, 3, 2))},
    }

    def program(x: jax.Array, index: int, **layout: bytes) -> list[jax.Array]:
        results = []
        for op, more in cases.items():
            inputs = (kernel,) if "Conv" in op else ()
            attrs = {name: pair[index] for name, pair in more.items()}
            results.append(run(op, x, *inputs, padding=b"SAME", **attrs, **layout))
        even = x[:, :, :6] if layout else x[:, :6]
        return [*results, run("SpaceToDepth", even, block_size=2, **layout)]

    last = jax.jit(lambda x: program(x, 0))(image)
    found = jax.jit(lambda x: program(x, 1, data_format=b"NCHW"))(first)
    for one, other in zip(found, last, strict=True):
        np.testing.assert_allclose(np.asarray(one).transpose(0, 2, 3, 1), other, 1e-4, 1e-5)


def test_depthwise_convolutions_give_the_same_with_and_without_the_cpu_kernel(run) -> None:
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(2, 9, 8, 4)).astype(np.float32), rng.normal(size=(3, 3, 4, 2)).astype(np.float32)
    for strides in (1, 2):
        attrs = {"strides": (1, strides, strides, 1), "padding": b"SAME"}
        program = jax.jit(lambda x, attrs=attrs: run("DepthwiseConv2dNative", x, kernel, **attrs))
        assert "convolution" not in program.lower(image).as_text()
        other = jax.jit(lambda x, attrs=attrs: run("DepthwiseConv2dNative", x, kernel.astype(np.float16), **attrs))
        exact = other(image.astype(np.float16))
        np.testing.assert_allclose(program(image), exact.astype(np.float32), 2e-2, 2e-2)


def test_seeded_numbers_are_the_same_on_every_call_and_others_are_not(run) -> None:
    shape, kind = np.array([4], np.int32), {"dtype": np.dtype(np.float32)}
    for op in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"):
        once, again = (run(op, shape, seed=3, seed2=4, **kind) for _ in range(2))
        assert once.tolist() == again.tolist()
        assert once.dtype == np.float32
        assert run(op, shape, **kind).tolist() != run(op, shape, **kind).tolist()
    many = run("TruncatedNormal", np.array([1000], np.int32), seed=1, **kind)
    assert np.abs(many).max() <= 2
    whole = run(
        "RandomUniformInt", np.array([100], np.int32), np.int32(2), np.int32(5), seed=1, Tout=np.dtype(np.int32)
    )
    assert set(whole.tolist()) == {2, 3, 4}


def test_random_numbers_of_another_algorithm_are_refused(run) -> None:
    key, counter = np.array([1], np.uint64), np.array([1, 2], np.uint64)
    with pytest.raises(ModelError, match="Philox"):
        shape, threefry = np.array([2], np.int32), np.array(2, np.int32)
        run("StatelessRandomUniformV2", shape, key, counter, threefry, dtype=np.dtype(np.float32))
    assert run("StatelessRandomGetAlg") == 1
    assert run("StatelessRandomGetKeyCounterAlg", np.array([1, 2], np.int32))[2] == 1


def test_old_names_of_an_op_are_the_same_op(run) -> None:
    x = np.array([[4, 1], [1, 3]], np.float32)
    for old, new in {
        "BatchMatrixInverse": "MatrixInverse",
        "BatchCholesky": "Cholesky",
        "BatchMatrixDeterminant": "MatrixDeterminant",
        "BatchMatrixDiagPart": "MatrixDiagPart",
    }.items():
        assert np.asarray(run(old, x)).tolist() == np.asarray(run(new, x)).tolist()
    both = np.asarray(run("SelfAdjointEig", x))
    assert both.shape == (3, 2)
    waves = np.array([1, 2, 3], np.complex64)
    assert np.asarray(run("BatchFFT", waves)).tolist() == np.asarray(run("FFT", waves)).tolist()
    axes = (np.array([3], np.int32), np.array([0], np.int32))
    assert np.asarray(run("FFTND", waves, *axes)).tolist() == np.asarray(run("FFT", waves)).tolist()
