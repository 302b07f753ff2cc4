"""What cannot be staged is refused with the user's file and line and the name of the variable."""

# ruff: noqa: RET503, SIM108 -- these are programs as users write them.

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError, ModelError
from mainstay.framework import function
from mainstay.framework.autograph import convert, do_not_convert, to_code

VECTOR = np.array([1.0, -2.0, 3.0], "float32")


def refused(program: Callable[..., Any], *arguments: Any, line: int, say: str) -> None:
    """A program is refused, and the message names its line, counted from its `def`."""
    with pytest.raises(ModelError) as caught:
        jax.jit(convert(program))(*arguments)
    assert say in caught.value.summary
    assert caught.value.where == f"{__file__}:{program.__code__.co_firstlineno + line}"


def test_branches_of_different_shapes() -> None:
    def program(x):
        if x[0] > 0:
            y = x
        else:
            y = x[:2]
        return y

    refused(program, VECTOR, line=1, say="'y' is float32[3] after the if-branch and float32[2] after the else-branch")


def test_branches_of_different_dtypes() -> None:
    def program(x):
        if x > 0:
            y = jnp.int32(1)
        else:
            y = jnp.float32(2)
        return y

    refused(program, 1.0, line=1, say="'y' is int32[] after the if-branch and float32[] after the else-branch")


def test_a_name_that_one_branch_does_not_define() -> None:
    def program(x):
        if x > 0:
            y = 1
        return y

    refused(program, 1.0, line=1, say="'y' is the Python value 1 after the if-branch and not defined after")


def test_branches_with_different_objects() -> None:
    def program(x):
        name = "up" if x > 0 else "down"
        return len(name)

    refused(program, 1.0, line=1, say="the value is the Python value 'up' after the if-branch and the Python value")


def test_branches_with_different_structures() -> None:
    def program(x):
        pair = None
        if x > 0:
            pair = (x, {"a": x})
        return pair

    refused(program, 1.0, line=2, say="'pair' is (float32[], {'a': float32[]}) after the if-branch and None after")


def test_an_attribute_is_named_with_its_object() -> None:
    class Box:
        x = None

    def program(x):
        box = Box()
        if x > 0:
            box.x = x
        return box.x

    refused(program, 1.0, line=2, say="'box.x' is float32[] after the if-branch and None after the else-branch")


def test_a_loop_that_changes_a_shape() -> None:
    def program(x):
        for _ in jnp.arange(3):
            x = jnp.concatenate([x, x])
        return x

    refused(program, VECTOR, line=1, say="'x' is float32[3] before a round of a loop over a tensor and float32[6]")


def test_a_loop_that_changes_a_dtype() -> None:
    def program(n):
        n = jnp.int32(n)
        while n < 3:
            n = n + jnp.float32(0.5)
        return n

    refused(program, 0, line=2, say="'n' is int32[] before a round of a loop over a tensor and float32[] after it")


def test_a_list_that_grows() -> None:
    def program(x):
        rows = []
        for row in x:
            rows.append(row)
        return rows

    refused(program, VECTOR, line=2, say="'rows' is [] before a round of a loop over a tensor and [float32[]] after it")


def test_a_loop_that_reads_what_it_has_not_set() -> None:
    def program(x):
        for row in x:
            if row > 0:
                best = row
            else:
                best = best + 1
        return best

    refused(program, VECTOR, line=1, say="'best' is read in a loop over a tensor before anything is assigned to it")


def test_a_condition_with_several_elements() -> None:
    def program(x):
        if x > 0:
            return 1
        return 2

    refused(program, VECTOR, line=1, say="a condition is one truth value, and this one has the shape (3,)")


def test_a_function_that_returns_a_value_only_sometimes() -> None:
    def program(x):
        for i in range(3):
            if x > i:
                return x

    refused(program, 1.0, line=1, say="the function returns a value only if a condition on a tensor holds")


def test_a_python_iterator_without_end_that_a_tensor_ends() -> None:
    def program(x):
        for i in iter(int, 1):
            if x > i:
                break
        return x

    refused(program, 1.0, line=1, say="a tensor decides when a loop over a Python iterator ends")


def test_a_range_of_a_tensor_outside_of_a_for_statement() -> None:
    with pytest.raises(ModelError, match=r"range\(\.\.\.\) of tensors has as many items as a tensor says"):
        jax.jit(convert(lambda n: [i for i in range(n)]))(3)  # noqa: C416


def test_a_loss_added_in_a_branch() -> None:
    class Adds(keras.layers.Layer):
        def call(self, x):
            if keras.ops.sum(x) > 0:
                self.add_loss(keras.ops.sum(x))
            return x

    layer = Adds()
    layer.built = True
    with pytest.raises(ModelError, match="a layer adds a loss"):
        function(lambda x: layer(x))(VECTOR)


def test_a_function_without_source_runs_and_warns_once_when_a_tensor_decides() -> None:
    namespace: dict[str, Any] = {}
    exec("def hidden(x, flag):\n    if flag:\n        return x\n    return x if x > 0 else -x\n", namespace)
    hidden = namespace["hidden"]
    run = jax.jit(convert(hidden), static_argnums=1)
    assert float(run(-2.0, True)) == -2.0
    with (
        pytest.raises(jax.errors.TracerBoolConversionError),
        pytest.warns(UserWarning, match=r"hidden \(<string>:1\) was not converted.*source not available"),
    ):
        run(-2.0, False)
    with warnings.catch_warnings(), pytest.raises(jax.errors.TracerBoolConversionError):
        warnings.simplefilter("error", UserWarning)
        run(-3.0, False)
    with pytest.raises(ArgumentError, match="source not available"):
        to_code(hidden)


def test_a_marked_function_and_a_generator_run_as_they_are() -> None:
    @do_not_convert
    def marked(x):
        return 1 if x > 0 else 2

    def counted(n):
        yield from range(n)

    assert convert(marked) is marked
    assert convert(counted) is counted
    assert list(convert(counted)(3)) == [0, 1, 2]

    class Owner:
        def method(self, x):
            return 1 if x > 0 else 2

    method = do_not_convert(Owner().method)
    assert method(1) == 1
    for program in (lambda x: marked(x), lambda x: method(x)):
        with pytest.raises(jax.errors.TracerBoolConversionError):
            jax.jit(convert(program))(1)
