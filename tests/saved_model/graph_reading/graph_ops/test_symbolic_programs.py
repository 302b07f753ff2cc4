"""Programs of ops are exported once with a symbolic batch (and symbolic space), and give the same at every size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 4, 6)).astype(np.float32)
DEPTHWISE = RNG.normal(size=(3, 3, 4, 1)).astype(np.float32)
FOUR = [RNG.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4)]
UNIT = {"strides": (1, 1, 1, 1), "padding": b"SAME"}
TWO = {"strides": (1, 2, 2, 1), "padding": b"SAME"}
POOL = {"ksize": (1, 3, 3, 1), **TWO}
I32 = np.dtype(np.int32)
F32 = np.dtype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int32)


def twice_as_large(run, x):
    shape = run("StridedSlice", run("Shape", x), ints(1), ints(3), ints(1))
    return run("Mul", shape, ints(2), T=I32)


def flattened(run, x):
    rows = run("StridedSlice", run("Shape", x), ints(0), ints(1), ints(1), shrink_axis_mask=1)
    return run("Reshape", x, run("Pack", rows, np.array(-1, np.int32), T=I32))


def backwards(run, x):
    """What Keras writes for a transposed convolution."""
    shape = run("Shape", x)
    batch, height, width, _ = run("Unpack", shape, num=4, T=I32)
    two = np.array(2, np.int32)
    sizes = run("Mul", height, two, T=I32), run("Mul", width, two, T=I32)
    target = run("Pack", batch, *sizes, np.array(6, np.int32), T=I32)
    return run("Conv2DBackpropInput", target, np.swapaxes(KERNEL, 2, 3), x, **TWO)


def dilated(run, x):
    moved = run("SpaceToBatchND", x, ints(2, 2), np.array([[2, 2], [2, 2]], np.int32))
    there = run("Conv2D", moved, KERNEL, strides=(1, 1, 1, 1), padding=b"VALID")
    return run("BatchToSpaceND", there, ints(2, 2), np.zeros((2, 2), np.int32))


PROGRAMS = {
    "convolution": lambda run, x: run("Conv2D", x, KERNEL, **TWO),
    "depthwise convolution": lambda run, x: run("DepthwiseConv2dNative", x, DEPTHWISE, **TWO),
    "transposed convolution": backwards,
    "dilated convolution": dilated,
    "largest of windows": lambda run, x: run("MaxPool", x, **POOL),
    "average of windows": lambda run, x: run("AvgPool", x, **POOL),
    "normalisation": lambda run, x: run("FusedBatchNormV3", x, *FOUR, is_training=False)[0],
    "bilinear": lambda run, x: run("ResizeBilinear", x, twice_as_large(run, x), half_pixel_centers=True),
    "nearest": lambda run, x: run("ResizeNearestNeighbor", x, twice_as_large(run, x), half_pixel_centers=True),
    "cubic": lambda run, x: run("ResizeBicubic", x, twice_as_large(run, x), half_pixel_centers=True),
    "space to depth": lambda run, x: run("DepthToSpace", run("SpaceToDepth", x, block_size=2), block_size=2),
    "flat": flattened,
    "mean": lambda run, x: run("Mean", x, ints(1, 2)),
    "padding": lambda run, x: run("Pad", x, np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)),
    "mirror": lambda run, x: run("MirrorPad", x, np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), mode=b"REFLECT"),
    "parts": lambda run, x: run("ConcatV2", *run("Split", np.array(3), x, num_split=2)[::-1], np.array(0), T=F32),
    "softmax": lambda run, x: run("Softmax", x),
    "top": lambda run, x: run("TopKV2", x, np.array(2, np.int32))[0],
    "largest": lambda run, x: run("ArgMax", x, np.array(3)),
    "patches": lambda run, x: run("ExtractImagePatches", x, ksizes=(1, 2, 2, 1), rates=(1, 1, 1, 1), **TWO),
    "last": lambda run, x: run(
        "StridedSlice", x, ints(0, -1), ints(0, 0), ints(1, 1), begin_mask=1, end_mask=1, shrink_axis_mask=2
    ),
    "running sums": lambda run, x: run("Cumsum", x, np.array(0), exclusive=True),
    "one hot": lambda run, x: run("OneHot", run("ArgMax", x, np.array(3)), np.array(4), np.float32(1), np.float32(0)),
    "rows": lambda run, x: run("Tile", run("BroadcastTo", FOUR[0], run("Shape", x), T=F32), ints(1, 1, 2, 1)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_exported_with_symbolic_sizes(name, run) -> None:
    def program(x):
        return PROGRAMS[name](run, x)

    spatial = name not in ("space to depth", "dilated convolution")
    (spec,) = export.symbolic_args_specs(
        (np.zeros((1, 8, 6, 4), np.float32),), "b, h, w, _" if spatial else "b, 8, 6, _"
    )
    exported = export.export(jax.jit(program))(spec)
    x = jnp.asarray(RNG.normal(size=(3, 5, 7, 4) if spatial else (3, 8, 6, 4)), jnp.float32)
    found, expected = exported.call(x), jax.jit(program)(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-4, 1e-4)
