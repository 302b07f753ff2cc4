"""Bilinear maps of an image and a kernel whose three directions are computed each in the way that suits it best.

The maps ``output(image, kernel)``, ``image(cotangent, kernel)`` and ``kernel(image, cotangent)`` of a convolution are
bilinear, and the transposes of each are the other two. `bilinear_map` makes them one primitive of JAX, so that
derivatives of any order, forward and backward, are these maps again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Directions = dict[str, Callable[..., jax.Array]]
"""For ``output``, ``image`` and ``kernel``: a function of two arrays, the geometry and both shapes."""


def bilinear_map(name: str, fast: Directions, plain: Directions) -> Callable[..., jax.Array]:
    """Return ``output(image, kernel, geometry)`` as a function that JAX can transform in every way.

    Args:
        name: The name of the primitive in programs.
        fast: How each direction is computed.
        plain: The same three maps in operations that JAX itself can batch and differentiate; used under `jax.vmap`.
    """
    primitive: Any = Primitive(name)

    def evaluate(left: jax.Array, right: jax.Array, *, kind: str, geometry: Any, shapes: Any) -> jax.Array:
        return fast[kind](left, right, geometry, shapes)

    def batched(args: Any, dims: Any, *, kind: str, geometry: Any, shapes: Any) -> tuple[jax.Array, int]:
        direction = functools.partial(plain[kind], geometry=geometry, shapes=shapes)
        return jax.vmap(lambda left, right: direction(left, right), in_axes=dims)(*args), 0

    def abstract(left: Any, right: Any, **parameters: Any) -> Any:
        result = jax.eval_shape(functools.partial(evaluate, **parameters), left, right)
        return jax.core.ShapedArray(result.shape, result.dtype)

    def left_transpose(cotangent: Any, _left: Any, right: Any, *, kind: str, **same: Any) -> Any:
        if kind == "kernel":
            return primitive.bind(right, cotangent, kind="image", **same)
        return primitive.bind(cotangent, right, kind="image" if kind == "output" else "output", **same)

    def right_transpose(cotangent: Any, left: Any, _right: Any, *, kind: str, **same: Any) -> Any:
        if kind == "image":
            return primitive.bind(cotangent, left, kind="kernel", **same)
        return primitive.bind(left, cotangent, kind="kernel" if kind == "output" else "output", **same)

    primitive.def_impl(jax.jit(evaluate, static_argnames=("kind", "geometry", "shapes")))
    primitive.def_abstract_eval(abstract)
    ad.defbilinear(primitive, left_transpose, right_transpose)  # type: ignore[no-untyped-call]
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(evaluate, multiple_results=False))

    def output(image: jax.Array, kernel: jax.Array, geometry: Any) -> jax.Array:
        result: jax.Array = primitive.bind(
            image, kernel, kind="output", geometry=geometry, shapes=(image.shape, kernel.shape)
        )
        return result

    return output


def transposes(output: Callable[..., jax.Array]) -> Directions:
    """Return the three directions of a map that is given in operations that JAX can transpose."""

    def image(cotangent: jax.Array, kernel: jax.Array, geometry: Any, shapes: Any) -> jax.Array:
        example = jnp.zeros(shapes[0], cotangent.dtype)
        (result,) = jax.linear_transpose(lambda image: output(image, kernel, geometry), example)(cotangent)
        return jnp.asarray(result)

    def kernel(image: jax.Array, cotangent: jax.Array, geometry: Any, shapes: Any) -> jax.Array:
        example = jnp.zeros(shapes[1], image.dtype)
        (result,) = jax.linear_transpose(lambda kernel: output(image, kernel, geometry), example)(cotangent)
        return jnp.asarray(result)

    return {
        "output": lambda image, kernel, geometry, shapes: output(image, kernel, geometry),
        "image": image,
        "kernel": kernel,
    }


def varies_over_a_mesh(*arrays: Any) -> bool:
    """Return whether an array belongs to a `jax.shard_map`, whose axes only JAX's own primitives keep track of."""
    return any(getattr(jax.typeof(array), "vma", None) for array in arrays)
