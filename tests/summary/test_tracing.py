"""Summaries inside compiled functions: one for each run, under every transformation."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import summary
from mainstay.summary.state import current_state


@pytest.fixture
def writer(tmp_path: Path):
    writer = summary.create_file_writer(tmp_path / "first")
    with writer.as_default():
        yield writer
    writer.close()


def points(found: list) -> list[tuple[str, int, float]]:
    return sorted((tag, step, float(array)) for tag, step, _, array in found)


def test_each_run_of_a_compiled_function_is_recorded(writer, tmp_path: Path, read_values) -> None:
    traces = []

    @jax.jit
    def step(x, number):
        traces.append(1)
        assert summary.scalar("sum", x.sum(), step=number)
        assert summary.scalar("constant", 2.5, step=number)
        return x + 1

    for number in range(3):
        step(jnp.full(2, number, "float32"), number)
    writer.flush()
    assert len(traces) == 1
    expected = [("constant", n, 2.5) for n in range(3)] + [("sum", n, 2.0 * n) for n in range(3)]
    assert points(read_values(tmp_path / "first")) == expected


def test_the_default_step_and_writer_are_those_of_the_run(writer, tmp_path: Path, read_values) -> None:
    @jax.jit
    def step(x):
        summary.scalar("python value", 1.0)
        summary.scalar("x", x)

    with writer.as_default(step=1):
        step(1.0)
    second = summary.create_file_writer(tmp_path / "second")
    with second.as_default(step=7):
        step(2.0)
    second.close()
    writer.flush()
    assert points(read_values(tmp_path / "first")) == [("python value", 1, 1.0), ("x", 1, 1.0)]
    assert points(read_values(tmp_path / "second")) == [("python value", 7, 1.0), ("x", 7, 2.0)]


def test_a_run_without_a_writer_records_nothing(tmp_path: Path, read_values) -> None:
    writer = summary.create_file_writer(tmp_path)

    @jax.jit
    def step(x):
        return summary.scalar("x", x, step=0)

    with writer.as_default():
        step(1.0)
    step(2.0)
    writer.close()
    assert points(read_values(tmp_path)) == [("x", 0, 1.0)]


def test_what_was_traced_without_a_writer_has_no_summaries() -> None:
    program = jax.make_jaxpr(lambda x: (summary.scalar("x", x, step=0), x)[1])(1.0)
    assert program.eqns == []


def test_a_traced_condition_decides_on_each_run(writer, tmp_path: Path, read_values) -> None:
    @jax.jit
    def step(number):
        with summary.record_if(number % 2 == 0):
            summary.scalar("x", number, step=number)

    for number in range(4):
        step(number)
    with summary.record_if(False):
        jax.jit(lambda x: summary.scalar("never", x, step=0) and x)(1.0)
    writer.flush()
    assert points(read_values(tmp_path / "first")) == [("x", 0, 0.0), ("x", 2, 2.0)]


def test_summaries_pass_through_gradients_loops_and_maps(writer, tmp_path: Path, read_values) -> None:
    def loss(x):
        summary.scalar("loss", (x**2).sum(), step=0)
        return (x**2).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(loss))(jnp.array([1.0, 2.0])), [2.0, 4.0])
    jax.lax.scan(lambda c, i: (c + 1, summary.scalar("scan", c, step=i) and None), 0.0, jnp.arange(3))
    jax.vmap(lambda x: summary.scalar("map", x, step=0) and x)(jnp.arange(2.0))
    writer.flush()
    expected = [("loss", 0, 5.0), ("map", 0, 0.0), ("map", 0, 1.0), *[("scan", n, float(n)) for n in range(3)]]
    assert points(read_values(tmp_path / "first")) == expected


def test_histograms_images_and_texts_work_inside(writer, tmp_path: Path, read_values) -> None:
    @jax.jit
    def step(x):
        summary.histogram("h", x, step=1, buckets=2)
        summary.image("i", x.reshape(1, 2, 2, 1), step=1)
        summary.text("t", "note", step=1)

    step(jnp.array([0.0, 0.0, 1.0, 1.0]))
    writer.flush()
    found = {tag: array for tag, _, _, array in read_values(tmp_path / "first")}
    np.testing.assert_array_equal(found["h"], [[0, 0.5, 2], [0.5, 1, 2]])
    assert found["i"].shape == (3,)
    assert found["t"].item() == b"note"


def test_an_eager_gradient_records_at_once(writer, tmp_path: Path, read_values) -> None:
    jax.grad(lambda x: (summary.scalar("python value", 3.0, step=0), x)[1])(1.0)
    writer.flush()
    assert points(read_values(tmp_path / "first")) == [("python value", 0, 3.0)]


def test_a_training_step_in_tensorflows_style_records_each_call(writer, tmp_path: Path, read_values) -> None:
    import mainstay as tf

    weight = tf.Variable(2.0)
    count = tf.Variable(0, dtype="int32", trainable=False)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = weight * weight * x
            tf.summary.scalar("loss", loss, step=count)
        gradient = tape.gradient(loss, weight)
        tf.summary.scalar("gradient", gradient)
        weight.assign_sub(0.25 * gradient)
        count.assign_add(1)
        return loss

    with writer.as_default(step=5):
        assert [float(step(np.float32(1.0))) for _ in range(3)] == [4.0, 1.0, 0.25]
    writer.flush()
    expected = [("gradient", 5, 1.0), ("gradient", 5, 2.0), ("gradient", 5, 4.0)]
    assert points(read_values(tmp_path / "first")) == [*expected, ("loss", 0, 4.0), ("loss", 1, 1.0), ("loss", 2, 0.25)]


def test_a_tape_records_at_once(writer, tmp_path: Path, read_values) -> None:
    import mainstay as tf

    weight = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        loss = weight * weight
        assert tf.summary.scalar("loss", loss, step=0)
    assert float(tape.gradient(loss, weight)) == 4.0
    writer.flush()
    assert points(read_values(tmp_path / "first")) == [("loss", 0, 4.0)]


def test_a_default_step_that_is_not_computed_yet_is_an_error_and_no_deadlock(writer, monkeypatch) -> None:
    class Pending:
        def is_ready(self) -> bool:
            return False

    @jax.jit
    def step(x):
        summary.scalar("x", x)
        return x

    with writer.as_default(step=0):
        step(1.0)
        jax.effects_barrier()
        monkeypatch.setattr(current_state(), "step", Pending())
        with pytest.raises(Exception, match="still being computed"):
            step(2.0)
            jax.effects_barrier()
