"""`print` shows values when a program runs, not while it is traced."""

import io
import sys

import jax
import numpy as np
import pytest

import mainstay as tf


def test_values_go_to_the_stream_of_errors(capsys: pytest.CaptureFixture[str]) -> None:
    tf.print("loss", tf.constant(1.5), tf.Variable([1, 2]), 3, None, sep=", ", end="!\n")
    assert capsys.readouterr() == ("", "loss, 1.5, [1 2], 3, None!\n")


def test_long_arrays_show_their_ends() -> None:
    stream = io.StringIO()
    tf.print(tf.ops.arange(9), np.arange(6), output_stream=stream)
    tf.print(tf.ops.arange(9), output_stream=stream, summarize=1)
    tf.print(tf.ops.arange(9), output_stream=stream, summarize=-1)
    assert stream.getvalue().splitlines() == [
        "[0 1 2 ... 6 7 8] [0 1 2 3 4 5]",
        "[0 ... 8]",
        "[0 1 2 3 4 5 6 7 8]",
    ]


def test_a_structure_is_shown_with_the_values_of_its_arrays() -> None:
    stream = io.StringIO()
    tf.print({"a": [tf.constant(1), "text"]}, (tf.Variable(2.5), b"x"), output_stream=stream)
    assert stream.getvalue() == "{'a': [1, 'text']} (2.5, b'x')\n"


def test_a_compiled_function_prints_in_every_call(capsys: pytest.CaptureFixture[str]) -> None:
    v = tf.Variable(10.0)

    @tf.function
    def step(x):
        tf.print("only text")
        if tf.ops.sum(x) > 2:
            tf.print("large", [x, v], output_stream=sys.stdout)
        with tf.GradientTape() as tape:
            y = v * tf.ops.sum(x)
            tf.print("y =", y, output_stream=sys.stdout)
        return tape.gradient(y, v)

    assert float(step(tf.constant([1.0, 2.0]))) == 3.0
    assert float(step(tf.constant([0.0, 1.0]))) == 1.0
    jax.effects_barrier()
    out, err = capsys.readouterr()
    assert err == "only text\n" * 2
    assert sorted(out.splitlines()) == ["large [[1. 2.], 10.0]", "y = 10.0", "y = 30.0"]


def test_a_tape_outside_of_functions_prints_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = v * v
        tf.print(y)
        assert capsys.readouterr().err == "4.0\n"
    assert float(tape.gradient(y, v)) == 4.0


def test_transformations_of_jax_print_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x):
        tf.print("x", x)
        return x * x

    jax.grad(f)(3.0)
    jax.vmap(f)(np.float32([1, 2]))
    jax.effects_barrier()
    assert sorted(capsys.readouterr().err.splitlines()) == ["x 1.0", "x 2.0", "x 3.0"]
