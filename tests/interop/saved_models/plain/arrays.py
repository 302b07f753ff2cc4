"""Shapes, indices, reductions, contractions, windows, sorting and control flow, as cases for real TensorFlow."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from tests.interop.saved_models.plain.graphs import Case
from tests.interop.saved_models.plain.inputs import EDGES, INTEGERS, RNG, free, integers, normal, rows


def shapes() -> list[Case]:
    x = normal(4, 6, 3)
    return [
        rows("broadcast_rows", lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], 5, 3)), normal(4, 3)),
        free("broadcast_both", lambda x: jnp.broadcast_to(x[:, :1], x.shape) + x, x),
        rows("broadcast_of_column", lambda x: x * jnp.sum(x, axis=0, keepdims=True), normal(4, 3)),
        free("flatten", lambda x: x.reshape(-1, 3), x),
        free("flatten_all", lambda x: x.reshape(-1), x),
        free("split_axis", lambda x: x.reshape(x.shape[0], x.shape[1], 3, 1), x),
        free("merge_axes", lambda x: x.reshape(x.shape[0], x.shape[1] * 3), x),
        free("transpose", lambda x: x.transpose(2, 0, 1), x),
        free("transpose_twice", lambda x: x.transpose(2, 0, 1).transpose(1, 2, 0), x),
        free(
            "transpose_of_broadcast",
            lambda x: jnp.broadcast_to(x[:, None, :, :1], (x.shape[0], 2, x.shape[1], 3)).transpose(3, 0, 2, 1),
            x,
        ),
        free("concatenate", lambda x: jnp.concatenate([x, x * 2, jnp.ones_like(x)], axis=1), x),
        free("stack", lambda x: jnp.stack([x, -x], axis=1), x),
        free("split", lambda x: jnp.split(x, 3, axis=2), x),
        free("split_unequal", lambda x: jnp.split(x, [1], axis=2), x),
        free("tile", lambda x: jnp.tile(x, (2, 3, 1)), x),
        free("repeat", lambda x: jnp.repeat(x, 2, axis=2), x),
        free("flip", lambda x: jnp.flip(x, (1, 2)), x),
        free("pad", lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=7.0), x),
        free("pad_interior", lambda x: lax.pad(x, 0.5, ((0, 0, 0), (0, 0, 0), (1, -1, 2))), x),
        free("pad_negative", lambda x: lax.pad(x, 0.5, ((0, 0, 0), (0, 0, 0), (-1, 1, 0))), x),
        free("pad_edge", lambda x: jnp.pad(x, ((0, 0), (2, 1), (0, 0)), mode="edge"), x),
        rows("pad_reflect", lambda x: jnp.pad(x, ((0, 0), (2, 1), (0, 0)), mode="reflect"), x),
        free(
            "iota", lambda x: lax.broadcasted_iota(np.int32, x.shape, 1) + lax.broadcasted_iota(np.int32, x.shape, 0), x
        ),
        free("arange", lambda x: jnp.arange(x.shape[1], dtype=np.float32)[None] * x[:, :, 0], x),
        free("length_as_number", lambda x: jnp.sum(x) / x.shape[1] + x.shape[0] * x.shape[1] // 2, x),
        free("mean", lambda x: jnp.mean(x, axis=(0, 1)), x),
        free("squeeze", lambda x: jnp.squeeze(x[:, :, None, :1], (2, 3)), x),
        free("expand", lambda x: x[:, None, :, :, None], x),
        free("outer", lambda x: x[:, :, None, :] * x[:, None, :, :], x),
        free("slice", lambda x: x[:, 1:, :2], x),
        free("slice_from_end", lambda x: x[:, -2:], x),
        free("slice_steps", lambda x: x[:, ::2, ::-1], x),
        free("last", lambda x: x[:, -1], x),
        rows("slice_static", lambda x: lax.slice_in_dim(x, 1, 6, 2, axis=1), x),
        free("cumulated_size", lambda x: jnp.zeros((x.shape[0] * 2 + 1, 3)) + jnp.max(x, axis=(0, 1)), x),
        free("triangle", lambda x: jnp.tril(jnp.ones((x.shape[1], x.shape[1])))[None] * x[:, :, :1], x),
        free("roll", lambda x: jnp.roll(x, 1, axis=2), x),
    ]


def indexing() -> list[Case]:
    x = normal(4, 6, 3)
    table = normal(10, 5)
    ids = integers(-12, 13, 4, 6)
    good = integers(0, 10, 4, 6)
    along = integers(0, 6, 4, 2)
    found = [
        free(f"take_{mode}", lambda i, m=mode: jnp.take(jnp.asarray(table), i, axis=0, mode=m), ids)
        for mode in ("fill", "clip")
    ]
    found += [
        free("take_inside", lambda i: jnp.asarray(table)[i], good),
        free("take_axis_one", lambda i: jnp.take(jnp.asarray(table), i, axis=1, mode="clip"), good),
        free("take_bytes", lambda i: jnp.asarray(table)[i], good.astype(np.uint8)),
        free(
            "take_integers", lambda i: jnp.take(jnp.asarray(table * 10).astype(np.int32), i, axis=0, mode="fill"), ids
        ),
        free("one_hot", lambda i: jax.nn.one_hot(i, 10), ids),
        rows("take_along", lambda x, i: jnp.take_along_axis(x, i[:, :, None], axis=1), x, along),
        rows("take_along_out_of_bounds", lambda x, i: jnp.take_along_axis(x, i[:, :, None], axis=1), x, along * 4 - 9),
        rows("take_along_last", lambda x, i: jnp.take_along_axis(x[..., 0], i, axis=1), x, along),
        rows("gather_pairs", lambda x, i: jax.vmap(lambda r, k: r[k[0], k[1] % 3])(x, i), x, along),
        rows("gather_rows_of_rows", lambda x, i: x[jnp.arange(x.shape[0])[:, None], i], x, along),
        rows("gather_points", lambda x, i: x[jnp.arange(x.shape[0])[:, None], i, i % 3], x, along),
        rows(
            "gather_windows",
            lambda x, i: jax.vmap(lambda r, s: lax.dynamic_slice(r, (s, 0), (2, 3)))(x, i[:, 0] * 2 - 3),
            x,
            along,
        ),
        rows(
            "gather_windows_two",
            lambda x, i: jax.vmap(lambda r, s: lax.dynamic_slice(r, (s, s), (2, 2)))(x, i[:, 0] * 2 - 3),
            x,
            along,
        ),
        rows(
            "gather_many_windows",
            lambda x, i: jax.vmap(jax.vmap(lambda r, s: lax.dynamic_slice(r, (s, 0), (2, 2)), (None, 0)))(x, i),
            x,
            along,
        ),
        rows("boolean_where", lambda x: jnp.where(x > 0, x, 0), x),
        Case(
            "dynamic_slice",
            lambda x, s: lax.dynamic_slice(x, (0, s, s), (2, 2, 2)),
            [[x, np.int32(k)] for k in (-9, 0, 1, 3, 9)],
        ),
        Case(
            "dynamic_slice_rows",
            lambda x, s: lax.dynamic_slice_in_dim(x, s, 2, 1),
            [[x, np.int32(k)] for k in (-9, 3, 9)],
            ["batch, 6, 3", None],
        ),
        Case(
            "dynamic_update",
            lambda x, u, s: lax.dynamic_update_slice(x, u, (0, s, 0)),
            [[x, normal(4, 2, 3), np.int32(k)] for k in (-9, 3, 9)],
            ["batch, 6, 3", "batch, 2, 3", None],
        ),
        Case(
            "dynamic_update_inside",
            lambda x, u, s: lax.dynamic_update_slice(x, u, (s, s, s)),
            [[x, normal(2, 2, 2), np.int32(k)] for k in (-9, 1, 9)],
        ),
        Case(
            "dynamic_index",
            lambda x, s: lax.dynamic_index_in_dim(x, s, 1, keepdims=False),
            [[x, np.int32(k)] for k in (0, 5, -1)],
            ["batch, 6, 3", None],
        ),
        free("static_list", lambda x: x[:, :, jnp.array([2, 0])], x),
        rows("static_lists", lambda x: x[:, jnp.array([2, 0, 5]), jnp.array([1, 1, 0])], x),
        rows("searchsorted", lambda x: jnp.searchsorted(jnp.array([-1.0, 0.0, 0.5, 2.0]), x), EDGES),
        rows("digitize", lambda x: jnp.digitize(x, jnp.array([-1.0, 0.0, 0.5, 2.0])), EDGES),
    ]
    return found


def scatters() -> list[Case]:
    x = normal(4, 6, 3)
    at = integers(-8, 9, 4, 2)
    inside = integers(0, 6, 4, 2)
    found = []
    for name in ("set", "add", "min", "max"):

        def scatter(x: Any, i: Any, n: str = name) -> Any:
            return getattr(x.at[jnp.arange(x.shape[0])[:, None], i], n)(x[:, :2] * 2)

        unique = np.stack([RNG.permutation(6)[:2] for _ in range(4)]).astype(np.int32)
        found.append(rows(f"scatter_{name}", scatter, x, unique))
        found.append(rows(f"scatter_{name}_outside", scatter, x, np.where(unique > 3, unique + 50, unique)))
    found += [
        rows("scatter_add_repeated", lambda x, i: x.at[:, i[0]].add(1.0), x, inside),
        rows("scatter_product", lambda x: x.at[:, 1:3].multiply(2.0), x),
        rows("scatter_column", lambda x: x.at[:, 1].set(0.0), x),
        free("scatter_last_column", lambda x: x.at[:, -1].set(5.0), x),
        rows("scatter_block", lambda x: x.at[:, 2:4, 1:].add(1.0), x),
        rows("scatter_clip", lambda x, i: x.at[:, i[0, 0]].set(9.0, mode="clip"), x, at),
        rows(
            "scatter_flags",
            lambda x, i: jnp.zeros((x.shape[0], 6), bool).at[jnp.arange(x.shape[0])[:, None], i].set(True),
            x,
            inside,
        ),
        rows("multi_hot", lambda i: jnp.max(jax.nn.one_hot(i, 6), axis=1), inside),
        Case("segment_sum", lambda x: jax.ops.segment_sum(x, jnp.array([0, 2, 2, 1, 0, 4]), 5), [[normal(6, 3)]]),
        rows("histogram", lambda i: jnp.zeros((i.shape[0], 6)).at[jnp.arange(i.shape[0])[:, None], i].add(1.0), inside),
        rows("vmapped_scatter", lambda x, i: jax.vmap(lambda r, k: r.at[k].add(1.0))(x, i), x, inside),
        rows(
            "vmapped_block",
            lambda x, i: jax.vmap(lambda r, k: lax.dynamic_update_slice(r, jnp.ones((2, 3)), (k, 0)))(x, i[:, 0]),
            x,
            at,
        ),
    ]
    # With an empty batch there is no first index to read.
    return [
        Case(c.name, c.function, c.inputs[:1], c.shapes, c.tolerance)
        if c.name in ("scatter_add_repeated", "scatter_clip")
        else c
        for c in found
    ]


def reductions() -> list[Case]:
    x = normal(4, 6, 3)
    special = x.copy()
    special[0, 1, 2], special[1, 2, 0], special[2, 3, 1] = np.nan, np.inf, -np.inf
    found = []
    for name in ("sum", "max", "min", "prod"):
        for axis in ((1,), (2,), (1, 2)):
            found.append(
                free(
                    f"reduce_{name}_{len(axis)}{axis[0]}", lambda x, n=name, a=axis: getattr(jnp, n)(x, axis=a), special
                )
            )
        found.append(
            free(f"reduce_{name}_integers", lambda x, n=name: getattr(jnp, n)(x, axis=1), integers(-3, 4, 4, 6))
        )
    found += [
        free("reduce_all", lambda x: (jnp.all(x > 0, axis=1), jnp.any(x > 1, axis=2)), x),
        free("reduce_bool_max", lambda x: jnp.max(x > 0, axis=1), x),
        rows(
            "reduce_empty",
            lambda x: (lax.reduce_max(x[:, :0], (1,)), lax.reduce_min(x[:, :0], (1,)), lax.reduce_sum(x[:, :0], (1,))),
            x,
        ),
        rows("reduce_by_function", lambda x: lax.reduce(x, np.float32(0.5), lambda a, b: jnp.maximum(a, b), (1,)), x),
        rows("argmax", lambda x: (jnp.argmax(x, axis=1), jnp.argmin(x, axis=2)), special),
        rows("argmax_of_ties", lambda x: jnp.argmax(jnp.round(x), axis=1), x),
        rows(
            "argmax_integers",
            lambda x: (jnp.argmax(x, axis=1), jnp.argmin(x.astype(np.uint32), axis=1), jnp.argmax(x > 0, axis=1)),
            integers(-3, 4, 4, 6),
        ),
        free("variance", lambda x: (jnp.var(x, axis=-1), jnp.std(x, axis=-1)), x),
        rows(
            "layer_norm",
            lambda x: (x - jnp.mean(x, -1, keepdims=True)) * lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-3),
            x,
        ),
        rows("norm", lambda x: jnp.linalg.norm(x, axis=-1), x),
        rows("median_by_sort", lambda x: jnp.median(x, axis=1), x),
    ]
    for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
        for backward in (False, True):
            found.append(
                free(
                    f"{name}_{backward}".lower(), lambda x, n=name, r=backward: getattr(lax, n)(x, axis=1, reverse=r), x
                )
            )
    return found


def contractions() -> list[Case]:
    x, w = normal(4, 6, 3), normal(3, 5)
    cube, block = normal(6, 3, 2), normal(3, 2, 4)
    small, bytes_ = integers(-50, 50, 3, 4, dtype=np.int8), integers(0, 50, 3, 4, dtype=np.uint8)
    return [
        free("dense", lambda x: x @ jnp.asarray(w), x),
        rows("dense_rows", lambda x: x @ jnp.asarray(w) + 1, normal(4, 3)),
        rows("dense_turned", lambda x: jnp.asarray(w).T @ x.T, normal(4, 3)),
        rows("vector", lambda x: x @ jnp.asarray(w[:, 0]), normal(4, 3)),
        free("attention_scores", lambda x: jnp.einsum("bqd,bkd->bqk", x, x), x),
        free("attention_values", lambda x: jnp.einsum("bqk,bkd->bqd", jnp.einsum("bqd,bkd->bqk", x, x), x), x),
        free(
            "heads",
            lambda x: jnp.einsum("btnh,bsnh->bnts", x.reshape(*x.shape[:2], 3, 1), x.reshape(*x.shape[:2], 3, 1)),
            x,
        ),
        rows("two_sums", lambda x: jnp.einsum("bij,ijk->bk", x, jnp.asarray(cube)), x),
        rows("two_free", lambda x: jnp.einsum("bij,jkl->bikl", x, jnp.asarray(block)), x),
        rows("batch_behind", lambda x: jnp.einsum("bij,bkj->ikb", x, x), x),
        rows("outer_product", lambda x: jnp.einsum("bi,bj->bij", x[:, 0], x[:, 1]), x),
        rows("inner_product", lambda x: jnp.einsum("bi,bi->b", x[:, 0], x[:, 1]), x),
        free("gram", lambda x: jnp.einsum("bij,bik->jk", x, x), x),
        rows(
            "integers_product",
            lambda x: lax.dot(x, jnp.asarray(small), preferred_element_type=np.int32),
            integers(-50, 50, 4, 3, dtype=np.int8),
        ),
        rows("bytes_product", lambda x: lax.dot(x, jnp.asarray(bytes_)), integers(0, 50, 4, 3, dtype=np.uint8)),
        rows(
            "bfloat16_product",
            lambda x: lax.dot(x, jnp.asarray(w).astype(jnp.bfloat16), preferred_element_type=np.float32),
            normal(4, 3).astype(ml_dtypes.bfloat16),
            tolerance=2e-2,
        ),
        rows(
            "float16_product",
            lambda x: x @ jnp.asarray(w).astype(np.float16),
            normal(4, 3).astype(np.float16),
            tolerance=4e-3,
        ),
    ]


def convolutions() -> list[Case]:
    found = []
    layouts = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NHWDC", "HWDIO", "NHWDC")}
    settings: dict[str, dict[str, Any]] = {
        "valid": {"padding": "VALID"},
        "same": {"padding": "SAME"},
        "strided": {"padding": "SAME", "window_strides": 2},
        "padded": {"padding": [(2, 1)], "window_strides": 2},
        "cropped": {"padding": [(-1, 2)]},
        "holes": {"padding": "SAME", "rhs_dilation": 2},
        "grouped": {"padding": "SAME", "feature_group_count": 2},
        "depthwise": {"padding": "SAME", "feature_group_count": 4, "window_strides": 2},
        "depthwise_holes": {"padding": "SAME", "feature_group_count": 4, "rhs_dilation": 2},
        "transposed": {"padding": [(2, 1)], "lhs_dilation": 2},
        "transposed_full": {"padding": [(2, 2)], "lhs_dilation": 2},
        "transposed_wide": {"padding": [(4, 3)], "lhs_dilation": 3},
        "transposed_crop": {"padding": [(0, 1)], "lhs_dilation": 2},
        "transposed_holes": {"padding": [(4, 4)], "lhs_dilation": 2, "rhs_dilation": 2},
        "transposed_strided": {"padding": [(2, 1)], "lhs_dilation": 2, "window_strides": 3},
        "transposed_grouped": {"padding": [(2, 1)], "lhs_dilation": 2, "feature_group_count": 2},
    }
    for rank, layout in layouts.items():
        for label, given in settings.items():
            options = {
                key: (value,) * rank if isinstance(value, int) and key != "feature_group_count" else value
                for key, value in given.items()
            }
            if isinstance(options["padding"], list):
                options["padding"] = options["padding"] * rank
            options.setdefault("window_strides", (1,) * rank)
            groups = options.get("feature_group_count", 1)
            kernel = normal(*((3,) * rank), 4 // groups, 8)
            found.append(
                rows(
                    f"conv{rank}_{label}",
                    lambda x, k=kernel, o=options, n=layout: lax.conv_general_dilated(
                        x, jnp.asarray(k), dimension_numbers=n, **o
                    ),
                    normal(2, *((8, 7, 6)[:rank]), 4),
                )
            )
    kernel, square = normal(3, 2, 4, 5), normal(3, 3, 5, 4)
    found.append(
        rows(
            "conv2_channels_first",
            lambda x: lax.conv(x, jnp.asarray(kernel.transpose(3, 2, 0, 1)), (1, 1), "SAME"),
            normal(2, 4, 8, 7),
        )
    )
    found.append(
        rows(
            "conv2_uneven",
            lambda x: lax.conv_general_dilated(x, jnp.asarray(kernel), (2, 1), "SAME", dimension_numbers=layouts[2]),
            normal(2, 8, 7, 4),
        )
    )
    found.append(
        rows(
            "conv2_depthwise_uneven",
            lambda x: lax.conv_general_dilated(
                x,
                jnp.asarray(kernel[:, :, :1, :4]),
                (2, 1),
                "SAME",
                dimension_numbers=layouts[2],
                feature_group_count=4,
            ),
            normal(2, 8, 7, 4),
        )
    )
    found.append(
        Case(
            "conv2_free_size",
            lambda x: lax.conv_general_dilated(x, jnp.asarray(kernel), (1, 1), "SAME", dimension_numbers=layouts[2]),
            [[normal(2, 8, 7, 4)], [normal(1, 5, 6, 4)]],
            ["b, h, w, 4"],
        )
    )
    found.append(
        Case(
            "conv2_free_size_strided",
            lambda x: lax.conv_general_dilated(x, jnp.asarray(kernel), (2, 2), "SAME", dimension_numbers=layouts[2]),
            [[normal(2, 8, 7, 4)], [normal(1, 5, 6, 4)]],
            ["b, h, w, 4"],
        )
    )
    found.append(
        rows(
            "conv2_bfloat16",
            lambda x: lax.conv_general_dilated(
                x, jnp.asarray(kernel).astype(jnp.bfloat16), (1, 1), "SAME", dimension_numbers=layouts[2]
            ),
            normal(2, 8, 7, 4).astype(ml_dtypes.bfloat16),
            tolerance=3e-2,
        )
    )
    found.append(
        rows(
            "conv2_bias",
            lambda x: jax.nn.relu(
                lax.conv_general_dilated(x, jnp.asarray(kernel), (1, 1), "SAME", dimension_numbers=layouts[2])
                + jnp.arange(5.0)
            ),
            normal(2, 8, 7, 4),
        )
    )
    found.append(
        rows(
            "conv_transpose_same",
            lambda x: lax.conv_transpose(x, jnp.asarray(kernel), (2, 2), "SAME"),
            normal(2, 8, 7, 4),
        )
    )
    found.append(
        rows(
            "conv_transpose_kernel",
            lambda x: lax.conv_transpose(x, jnp.asarray(square), (2, 2), "VALID", transpose_kernel=True),
            normal(2, 8, 7, 4),
        )
    )
    return found


def pooling() -> list[Case]:
    found = []
    operators: dict[str, tuple[Any, Any]] = {
        "max": (np.float32(-np.inf), lax.max),
        "min": (np.float32(np.inf), lax.min),
        "sum": (np.float32(0.0), lax.add),
    }
    for name, (start, function) in operators.items():
        for rank in (1, 2, 3):
            for label, step, padding in (("valid", 1, "VALID"), ("same", 2, "SAME"), ("padded", 2, None)):
                size = (1, *(2,) * rank, 1)
                strides = (1, *(step,) * rank, 1)
                pads = padding or [(0, 0), *((1, 0),) * rank, (0, 0)]
                found.append(
                    rows(
                        f"pool{rank}_{name}_{label}",
                        lambda x, s=start, f=function, w=size, t=strides, p=pads: lax.reduce_window(x, s, f, w, t, p),
                        normal(2, *((7, 6, 5)[:rank]), 3),
                    )
                )
        found.append(
            rows(
                f"pool_channels_first_{name}",
                lambda x, s=start, f=function: lax.reduce_window(x, s, f, (1, 1, 2, 3), (1, 1, 2, 1), "SAME"),
                normal(2, 3, 7, 6),
            )
        )
        found.append(
            rows(
                f"pool_holes_{name}",
                lambda x, s=start, f=function: lax.reduce_window(
                    x, s, f, (1, 2, 2, 1), (1, 2, 1, 1), "VALID", window_dilation=(1, 2, 1, 1)
                ),
                normal(2, 7, 6, 3),
            )
        )
        found.append(
            rows(
                f"pool_spread_{name}",
                lambda x, s=start, f=function: lax.reduce_window(
                    x, s, f, (1, 2, 2, 1), (1, 2, 1, 1), "VALID", base_dilation=(1, 2, 1, 1)
                ),
                normal(2, 7, 6, 3),
            )
        )
    found += [
        rows(
            "pool_integers",
            lambda x: lax.reduce_window(x, np.int32(0), lax.add, (1, 3), (1, 1), "SAME"),
            integers(-9, 9, 4, 6),
        ),
        rows(
            "pool_integers_max",
            lambda x: lax.reduce_window(x, np.int32(-(2**31)), lax.max, (1, 3), (1, 2), "SAME"),
            integers(-9, 9, 4, 6),
        ),
        rows(
            "pool_product", lambda x: lax.reduce_window(x, np.float32(1), lax.mul, (1, 3), (1, 1), "SAME"), normal(4, 6)
        ),
        rows(
            "pool_flags",
            lambda x: lax.reduce_window(x > 0, False, lax.bitwise_or, (1, 3), (1, 1), "SAME"),
            normal(4, 6),
        ),
        rows(
            "pool_mean",
            lambda x: lax.reduce_window(x, np.float32(0), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4.0,
            normal(2, 8, 6, 3),
        ),
        rows(
            "pool_mean_same",
            lambda x: (
                lax.reduce_window(x, np.float32(0), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
                / lax.reduce_window(
                    jnp.ones((1, *x.shape[1:])), np.float32(0), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "SAME"
                )
            ),
            normal(2, 7, 5, 3),
        ),
        rows(
            "pool_all_axes",
            lambda x: lax.reduce_window(x, np.float32(-np.inf), lax.max, (1, 2, 2, 2), (1, 1, 1, 1), "VALID"),
            normal(2, 7, 5, 3),
        ),
        Case(
            "pool_free_size",
            lambda x: lax.reduce_window(x, np.float32(-np.inf), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            [[normal(2, 8, 7, 4)], [normal(1, 5, 6, 4)]],
            ["b, h, w, 4"],
        ),
    ]
    return found


def sorting() -> list[Case]:
    x = normal(4, 9)
    special = np.concatenate(
        [x, np.tile(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1.0, np.nan], np.float32), (4, 1))], 1
    )
    found = [
        rows("sort", lambda x: jnp.sort(x, axis=-1), special),
        rows("argsort", lambda x: jnp.argsort(x, axis=-1), special),
        rows("sort_descending", lambda x: jnp.sort(x, axis=-1, descending=True), x),
        Case("sort_first_axis", lambda x: jnp.sort(x, axis=0), [[x]], ["batch, 9"]),
        free("sort_free", lambda x: jnp.sort(x, axis=1), x),
        rows("sort_pairs", lambda x, y: lax.sort((x, y), dimension=1, num_keys=1), np.round(x), x),
        rows(
            "sort_two_keys",
            lambda x, y, z: lax.sort((x, y, z), dimension=1, num_keys=2),
            integers(0, 3, 4, 9),
            np.round(x),
            x,
        ),
        rows("top_k", lambda x: lax.top_k(x, 3), x),
        rows("top_k_of_ties", lambda x: lax.top_k(x, 5), integers(0, 3, 4, 9).astype(np.float32)),
        rows("top_k_infinite", lambda x: lax.top_k(x, 4), np.where(np.isnan(special), -np.inf, special)),
        rows("top_k_integers", lambda x: lax.top_k(x, 3), integers(-9, 9, 4, 6)),
        rows("top_k_other_axis", lambda x: lax.top_k(x.reshape(-1, 3, 3), 2, axis=1), x),
        rows("approximate_least", lambda x: lax.approx_min_k(x, 3, recall_target=1.0), x),
        rows("top_k_bytes", lambda x: lax.top_k(x, 3), integers(0, 255, 4, 6, dtype=np.uint8)),
        rows("ranks", lambda x: jnp.argsort(jnp.argsort(x, axis=-1), axis=-1), x),
    ]
    for label, dtype in {**INTEGERS, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "bool": np.bool_}.items():
        values = (
            (RNG.integers(0, 2**31, (4, 9)) * RNG.choice([1, -1], (4, 9))).astype(dtype)
            if label in INTEGERS
            else normal(4, 9).astype(dtype)
        )
        found.append(rows(f"sort_{label}", lambda x: (jnp.sort(x, axis=-1), jnp.argsort(x, axis=-1)), values))
    return found


def control() -> list[Case]:
    x, square = normal(4, 6, 3), normal(3, 3)

    def step(state: Any, row: Any) -> Any:
        state = jnp.tanh(state + row)
        return state, (state * 2, jnp.sum(state, -1))

    def many(x: Any, i: Any) -> Any:
        return lax.switch(i, [lambda x: x + 1, lambda x: x * x, lambda x: jnp.zeros_like(x)], x)

    def doubling(x: Any) -> Any:
        return lax.while_loop(lambda s: jnp.sum(jnp.abs(s[1])) < 100 + s[0], lambda s: (s[0] + 1, s[1] * 2 + x), (0, x))

    return [
        free("scan", lambda x: lax.scan(step, jnp.zeros((x.shape[0], 3)), x.transpose(1, 0, 2)), x),
        free(
            "scan_backwards",
            lambda x: lax.scan(step, jnp.zeros((x.shape[0], 3)), x.transpose(1, 0, 2), reverse=True),
            x,
        ),
        free("scan_last_only", lambda x: lax.scan(step, jnp.zeros((x.shape[0], 3)), x.transpose(1, 0, 2))[0], x),
        rows(
            "scan_with_weights",
            lambda x, w=square: lax.scan(
                lambda c, r: (jnp.tanh(r + c @ jnp.asarray(w)),) * 2, jnp.zeros((x.shape[0], 3)), x.transpose(1, 0, 2)
            ),
            x,
        ),
        rows("scan_of_nothing", lambda x: lax.scan(step, x[:, 0], x[:, :0].transpose(1, 0, 2)), x),
        rows("scan_numbers", lambda x: lax.scan(lambda c, i: (c + x * i, i), x, jnp.arange(5.0)), x),
        rows(
            "scan_nested",
            lambda x: lax.scan(
                lambda c, r: lax.scan(lambda d, s: (d + s, d), c, r), jnp.zeros(x.shape[0]), jnp.transpose(x, (1, 2, 0))
            ),
            x,
        ),
        rows("scan_without_inputs", lambda x: lax.scan(lambda c, _: (c * 0.5, c), x, None, length=4), x),
        rows("map", lambda x: lax.map(lambda r: r * 2 + 1, x.transpose(1, 0, 2)), x),
        rows("fori", lambda x: lax.fori_loop(0, 5, lambda i, c: c * 0.5 + i, x), x),
        Case("while", doubling, [[x], [x[:2]]], ["batch, 6, 3"]),
        Case(
            "cond",
            lambda x: lax.cond(jnp.sum(x) > 0, lambda x: x * 2, lambda x: -x, x),
            [[np.abs(x)], [-np.abs(x)]],
            ["batch, n1, 3"],
        ),
        Case(
            "cond_of_lengths",
            lambda x: lax.cond(jnp.sum(x) > 0, lambda x: x * x.shape[1], lambda x: x - x.shape[0], x),
            [[np.abs(x)], [-np.abs(x)]],
            ["batch, n1, 3"],
        ),
        Case("switch", many, [[x, np.int32(k)] for k in (-4, 0, 1, 2, 9)], ["batch, n1, 3", None]),
        rows(
            "scan_with_cond",
            lambda x: lax.scan(
                lambda c, r: (lax.cond(jnp.sum(r) > 0, lambda: c + 1, lambda: c - 1), c),
                jnp.float32(0),
                x.transpose(1, 0, 2),
            ),
            x,
        ),
        rows("associative_scan", lambda x: lax.associative_scan(jnp.add, x, axis=1), x),
        rows(
            "vmapped_while",
            lambda x: jax.vmap(lambda r: lax.while_loop(lambda s: s < 3, lambda s: s * 1.5 + 0.1, r))(
                jnp.abs(x[:, 0, 0])
            ),
            x,
        ),
    ]


def calls() -> list[Case]:
    x = normal(4, 6, 3)

    @jax.custom_vjp
    def doubled(x: Any) -> Any:
        return x * 2

    doubled.defvjp(lambda x: (doubled(x), None), lambda _, g: (g,))

    @jax.custom_jvp
    def tripled(x: Any) -> Any:
        return x * 3

    tripled.defjvps(lambda g, _, x: g * 3)

    squared = lax.composite(lambda x: x * x, "mainstay.square")

    return [
        free("call_custom_vjp", doubled, x),
        free("call_custom_jvp", lambda x: tripled(x) + 1, x),
        free("call_composite", squared, x),
        free("call_checkpoint", jax.checkpoint(lambda x: jnp.sin(x) * 2), x),
        free("call_jit", jax.jit(lambda x: jnp.cos(x)), x),
        free("call_of_a_platform", lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos), x),
        free("call_unused", lambda x: jax.jit(lambda x: (x + 1, jax.random.normal(jax.random.key(0), (3,))))(x)[0], x),
        free("stop_gradient", lambda x: lax.stop_gradient(x) + lax.optimization_barrier(x), x),
        free("constant_result", lambda x: (jnp.ones((2, 3)), x), x),
        free("identity_result", lambda x: (x, x), x),
    ]


def wide() -> list[Case]:
    x, i = normal(4, 6, dtype=np.float64), integers(-(2**40), 2**40, 4, 6, dtype=np.int64)
    return [
        rows(
            "float64",
            lambda x: (jnp.sin(x), jnp.exp(x), x @ x.T, jnp.sum(x), jnp.sort(x), lax.top_k(x, 2)[0]),
            x,
            x64=True,
        ),
        rows(
            "int64",
            lambda i: (i * 3, i // 7, i % 7, jnp.sort(i), jnp.sum(i), jnp.argmax(i, axis=1), i >> 3, jnp.cumsum(i, 1)),
            i,
            x64=True,
        ),
        rows("uint64", lambda i: (jnp.sort(i), i // 7, i % 7, jnp.argmax(i, axis=1)), i.astype(np.uint64), x64=True),
        rows("wide_indices", lambda i: jnp.take(jnp.arange(10.0), i, mode="clip"), i, x64=True),
        rows("to_int64", lambda x: (x * 1e30).astype(np.int64), x, x64=True),
    ]


def images() -> list[Case]:
    x = normal(2, 8, 6, 3)
    found = []
    for method in ("nearest", "bilinear", "bicubic", "lanczos3"):
        for shape in ((5, 9), (16, 12)):
            found.append(
                rows(
                    f"resize_{method}_{shape[0]}",
                    lambda x, m=method, s=shape: jax.image.resize(x, (x.shape[0], *s, 3), m),
                    x,
                )
            )
        found.append(
            Case(
                f"resize_{method}_free",
                lambda x, m=method: jax.image.resize(x, (x.shape[0], 7, 5, 3), m),
                [[x], [x[:1, :5, :4]]],
                ["b, h, w, 3"],
            )
        )
    signal = normal(3, 32)
    found += [
        rows("fft", lambda x: jnp.abs(jnp.fft.fft(x)), signal),
        rows("rfft", lambda x: jnp.abs(jnp.fft.rfft(x)), signal),
        rows("irfft", lambda x: jnp.fft.irfft(jnp.fft.rfft(x)[:, :9]), signal),
        rows("fft2", lambda x: jnp.real(jnp.fft.ifft2(jnp.fft.fft2(x) * 2)), normal(3, 8, 8)),
        rows("frames", lambda x: x[:, jnp.arange(5)[:, None] * 4 + jnp.arange(8)], signal),
    ]
    return found
