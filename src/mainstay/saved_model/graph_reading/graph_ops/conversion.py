"""Dtypes and bits: casts, reinterpreted bytes, and operations that hand their inputs on."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from mainstay.core import DataError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import backend_of, is_symbolic

_WIDER = {"int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}
"""A float becomes one of these dtypes by way of a wider one, whose low bits are kept."""


def cast_to(x: Any, dtype: Any) -> Any:
    """Return a value with another dtype, converted as TensorFlow does.

    Floats lose their fraction. What a float outside of the range of 32-bit integers (or NaN) becomes is left open by
    TensorFlow; here it is the nearest value there is, and zero for NaN, under XLA, and what C gives under NumPy.
    Complex numbers lose their imaginary part.
    """
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return x != np.zeros((), x.dtype)
    if jnp.issubdtype(x.dtype, jnp.complexfloating) and not jnp.issubdtype(dtype, jnp.complexfloating):
        x = x.real
    with np.errstate(all="ignore"):
        if jnp.issubdtype(x.dtype, jnp.floating) and dtype.name in _WIDER:
            x = x.astype(_WIDER[dtype.name])
        return x.astype(dtype)


@graph_op("Cast")
def cast(node: OpNode, x: Any) -> Any:
    """Convert to another dtype; tensors of symbolic sizes stay what they are among integers."""
    dtype = node.dtype("DstT")
    if is_symbolic(x):
        if jnp.issubdtype(dtype, jnp.integer):
            return x
        x = on_device(x, node.attr("SrcT"))
    if node.attr("Truncate") and jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < np.dtype(x.dtype).itemsize:
        x = _without_low_bits(x, dtype)
    return cast_to(np.asarray(x) if backend_of(x) is np else x, dtype)


def _without_low_bits(x: Any, dtype: np.dtype[Any]) -> Any:
    """Clear the bits of the fraction that a narrower dtype has no place for, so that nothing is rounded."""
    kept = float_facts(dtype).nmant
    unsigned = {4: jnp.uint32, 8: jnp.uint64, 2: jnp.uint16}[np.dtype(x.dtype).itemsize]
    mask = np.asarray(-1, np.int64).astype(unsigned) << np.asarray(float_facts(x.dtype).nmant - kept, unsigned)
    bits = lax.bitcast_convert_type(jnp.asarray(x), unsigned)
    return lax.bitcast_convert_type(bits & mask, x.dtype)


def float_facts(dtype: Any) -> Any:
    """Return the limits of a dtype of floats, narrow ones included, as `numpy.finfo` does."""
    finfo: Any = ml_dtypes.finfo
    return finfo(dtype)


@graph_op("Bitcast")
def bitcast(node: OpNode, x: Any) -> Any:
    """Read the same bytes as another dtype; the last axis appears or disappears where the sizes differ."""
    dtype = np.dtype(node.attr("type"))
    if jnp.issubdtype(dtype, jnp.complexfloating) or jnp.issubdtype(x.dtype, jnp.complexfloating):
        return _complex_bitcast(jnp.asarray(x), dtype)
    return lax.bitcast_convert_type(jnp.asarray(x), dtype)


def _complex_bitcast(x: Any, dtype: np.dtype[Any]) -> Any:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        parts = jnp.stack([x.real, x.imag], -1)
        if dtype == x.dtype:
            return x
        if dtype.itemsize == parts.dtype.itemsize:
            return lax.bitcast_convert_type(parts, dtype)
        raise ModelError("complex numbers are read as a dtype of the same size", where="Bitcast", received=dtype)
    part = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
    if x.dtype.itemsize > part.itemsize:
        x = lax.bitcast_convert_type(x, part)
    elif x.dtype.itemsize < part.itemsize:
        x = lax.bitcast_convert_type(x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2), part)
    else:
        x = lax.bitcast_convert_type(x, part)
    return lax.complex(x[..., 0], x[..., 1])


@graph_op("DeepCopy", "Copy", "CopyHost", "DebugGradientIdentity", "DebugIdentityV3", kind="either")
def copy(_node: OpNode, x: Any) -> Any:
    """Hand a value on: values do not change here, so that a copy is the value itself."""
    return x


@graph_op("EnsureShape", kind="either")
def ensure_shape(node: OpNode, x: Any) -> Any:
    """Hand a value on whose shape is as the graph says.

    Raises:
        DataError: It is another one.
    """
    expected = node.attr("shape")
    if expected is not None:
        shape = np.shape(x)
        pairs = zip(expected, shape, strict=False)
        fits = len(expected) == len(shape) and all(
            want in (None, -1) or not isinstance(have, int) or want == have for want, have in pairs
        )
        if not fits:
            raise DataError(
                "a tensor does not have the shape that the graph states",
                where=node.name,
                expected=tuple(expected),
                received=shape,
            )
    return x
