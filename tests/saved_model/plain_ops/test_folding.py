"""What depends on no input is computed when a program is written, and gives what JAX gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mainstay.saved_model.plain_ops.folding import MOST_FOLDED, fold
from mainstay.saved_model.plain_ops.values import Value, constant

X = np.array([[1.5, -2.0, 0.0], [3.25, 7.0, -1.0]], np.float32)


@pytest.mark.parametrize(
    "function",
    [
        lambda: lax.broadcasted_iota(np.float32, (3, 4), 1),
        lambda x: lax.add(x, x),
        lambda x: lax.div(x, x + 4),
        lambda x: lax.convert_element_type(x, np.int8),
        lambda x: lax.convert_element_type(x * 1e20, np.int8),
        lambda x: lax.select_n(x > 0, x, -x),
        lambda x: lax.bitwise_not(x > 0),
        lambda x: lax.transpose(x, (1, 0)),
        lambda x: lax.rev(x, (1,)),
        lambda x: lax.slice(x, (0, 0), (2, 3), (1, 2)),
        lambda x: lax.concatenate([x, x], 1),
        lambda x: lax.reshape(x, (3, 2)),
        lambda x: lax.squeeze(lax.reshape(x, (2, 1, 3)), (1,)),
        lambda x: lax.sin(x),
        lambda x: jnp.sum(x, axis=1),
        lambda x: lax.sqrt(lax.abs(x)),
        lambda x: lax.max(x, x * 2),
    ],
)
def test_a_folded_equation_gives_what_jax_gives(function):
    arrays = [X] if function.__code__.co_argcount else []
    jaxpr = jax.make_jaxpr(function)(*arrays).jaxpr
    values = {variable: constant(X) for variable in jaxpr.invars}
    for equation in jaxpr.eqns:
        inputs = [
            constant(np.asarray(atom.val, atom.aval.dtype)) if hasattr(atom, "val") else values[atom]
            for atom in equation.invars
        ]
        results = fold(equation, inputs)
        assert results is not None
        values.update(zip(equation.outvars, results, strict=True))
    wanted = np.asarray(function(*arrays))
    made = values[jaxpr.outvars[0]].known
    assert made.dtype == wanted.dtype
    np.testing.assert_array_equal(made, wanted)


def equation_of(function, *specs):
    return jax.make_jaxpr(function)(*specs).jaxpr.eqns[-1]


def test_an_input_that_is_not_known_is_not_folded():
    unknown = Value(np.dtype(np.float32), (2, 3), (2, 3), None)
    assert fold(equation_of(lambda x: lax.sin(x), X), [unknown]) is None


def test_large_arrays_are_left_to_the_program():
    size = MOST_FOLDED + 1
    spec = jax.ShapeDtypeStruct((size,), np.float32)
    assert fold(equation_of(lambda x: lax.neg(x), spec), [constant(np.float32(1), (size,))]) is None


def test_broadcasts_stay_small():
    assert fold(equation_of(lambda x: lax.broadcast(x, (5,)), X), [constant(X)]) is None


def test_programs_within_are_not_folded():
    scan = equation_of(lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x), X)
    assert fold(scan, [constant(X[0]), constant(X)]) is None
