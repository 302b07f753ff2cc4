"""Special functions: error, gamma, beta, zeta and Bessel functions, and integrals without a closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import special

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op


def _register(names: str, function: Callable[..., Any]) -> None:
    def implementation(_node: OpNode, *values: Any) -> Any:
        return function(*jnp.broadcast_arrays(*map(jnp.asarray, values)))

    graph_op(*names.split())(implementation)


def _ndtri(p: Any) -> Any:
    """Return the quantile of the normal distribution, which is infinite at zero and one."""
    return special.ndtri(p)


def _polygamma(order: Any, x: Any) -> Any:
    """Return the derivative of an order of the digamma function; orders that are no whole numbers have none."""
    whole = (order >= 0) & (order == jnp.floor(order))
    value = jnp.where(order == 0, lax.digamma(x), lax.polygamma(jnp.where(whole, order, 1), x))
    return jnp.where(whole, value, jnp.asarray(np.nan, x.dtype))


_register("Erf", lax.erf)
_register("Erfc", lax.erfc)
_register("Erfinv", lax.erf_inv)
_register("Ndtri", _ndtri)
_register("Lgamma", lax.lgamma)
_register("Digamma", lax.digamma)
_register("Igamma", lax.igamma)
_register("Igammac", lax.igammac)
_register("IgammaGradA", lax.igamma_grad_a)
_register("Betainc", special.betainc)
_register("Zeta", lax.zeta)
_register("Polygamma", _polygamma)
_register("BesselI0", special.i0)
_register("BesselI0e", lax.bessel_i0e)
_register("BesselI1", special.i1)
_register("BesselI1e", lax.bessel_i1e)
_register("Expint", special.expi)
_register("Spence", special.spence)
_register("FresnelSin", lambda x: special.fresnel(x)[0])
_register("FresnelCos", lambda x: special.fresnel(x)[1])
