"""What a user sees when a function fails: their own line, their own error, and words that help."""

import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError, ModelError
from mainstay.framework import RetracingWarning, function

ONES = np.ones((2, 3), "float32")


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The lines of a traceback."""
    return list(traceback.extract_tb(error.__traceback__))


def test_an_error_of_the_user_keeps_its_type_and_its_line_is_the_last_one() -> None:
    class SensorError(Exception):
        pass

    def check(x):
        raise SensorError(f"no data in {x.shape}")

    @function
    def step(x):
        return check(x * 2)

    for _ in range(2):
        with pytest.raises(SensorError, match=r"no data in \(2, 3\)") as caught:
            step(ONES)
        shown = frames(caught.value)
        assert [frame.name for frame in shown[-2:]] == ["step", "check"]
        assert "raise SensorError" in (shown[-1].line or "")
        # The test, our call, and the user's two functions: nothing of JAX and Keras.
        assert len(shown) == 4
        assert caught.value.__notes__ == ["in the function step(x: float32[2,3])"]


def test_an_error_inside_keras_ends_at_the_line_that_called_it() -> None:
    layer = keras.layers.Dense(2)
    layer.build((None, 5))

    @function
    def step(x):
        return layer(x)

    with pytest.raises(ValueError, match="expected axis") as caught:
        step(ONES)
    assert frames(caught.value)[-1].line == "return layer(x)"


def test_the_whole_traceback_is_shown_when_keras_is_told_to() -> None:
    step = function(lambda x: keras.ops.reshape(x, (7,)))
    keras.config.disable_traceback_filtering()
    try:
        with pytest.raises(TypeError) as caught:
            step(ONES)
    finally:
        keras.config.enable_traceback_filtering()
    assert len(frames(caught.value)) > 6


def test_an_error_that_is_caused_by_another_keeps_its_cause() -> None:
    @function
    def step(x):
        try:
            {}["rate"]
        except KeyError as error:
            raise RuntimeError("no rate") from error

    with pytest.raises(RuntimeError, match="no rate") as caught:
        step(ONES)
    assert isinstance(caught.value.__cause__, KeyError)


def bool_of(x):
    if x.sum() > 0:
        return x
    return -x


def index_of(x):
    return [1, 2, 3][x.sum().astype(int)]


def number_of(x):
    return float(x.sum())


def array_of(x):
    return np.asarray(x)


@pytest.mark.parametrize(
    ("wrong", "asked", "source", "fix"),
    [
        (bool_of, "a Python bool", "if x.sum() > 0:", "autograph=True"),
        (index_of, "a Python int", "[1, 2, 3]", "Python number"),
        (number_of, "a Python value", "float(x.sum())", "convert it outside"),
        (array_of, "a NumPy array", "np.asarray(x)", "mainstay.ops"),
    ],
)
def test_python_that_asks_a_traced_value_for_its_number_is_told_the_line(wrong, asked, source, fix) -> None:
    with pytest.raises(ModelError) as caught:
        function(wrong, autograph=False)(ONES)
    text = str(caught.value)
    line = wrong.__code__.co_firstlineno + 1
    assert f"{__file__}:{line}, in {wrong.__name__}: `" in text
    for part in (asked, source, fix):
        assert part in text
    assert len(text.splitlines()) <= 4
    assert frames(caught.value)[-1].name == wrong.__name__


def test_the_value_of_a_variable_is_no_constant_in_a_trace() -> None:
    v = keras.Variable(1.0)
    step = function(lambda: 1.0 if float(v) > 0 else 0.0, autograph=False)
    with pytest.raises(ModelError, match="traced value"):
        step()


def test_a_traced_value_that_is_kept_and_used_later_is_explained() -> None:
    kept = []

    @function
    def first(x):
        kept.append(x * 2)
        return x

    @function
    def second(x):
        return x + kept[0]

    first(ONES)
    with pytest.raises(ModelError, match="used after the function that made it is over") as caught:
        second(ONES)
    assert f"made at {__file__}:" in str(caught.value)
    with pytest.raises(ModelError, match="used after the function"):
        first(kept[0])


def test_the_cause_of_a_failed_run_is_said_in_one_line() -> None:
    def fail(x):
        raise OSError("disk full")

    @function
    def step(x):
        return jax.pure_callback(fail, jax.ShapeDtypeStruct((2, 3), "float32"), x)

    with pytest.raises(ModelError) as caught:
        jax.block_until_ready(step(ONES))
    assert str(caught.value).splitlines() == [
        "the compiled function step failed while it ran",
        "  received: OSError: disk full",
    ]


def test_a_variable_whose_buffer_is_gone_is_explained() -> None:
    v = keras.Variable(np.ones(3, "float32"))
    step = function(lambda: v.assign_add(np.ones(3, "float32")))
    step()
    v.value.delete()
    with pytest.raises(ModelError, match="no value any more") as caught:
        step()
    assert "checkpoint" in str(caught.value)


def test_a_function_that_is_traced_again_and_again_says_which_argument_changed() -> None:
    @function
    def scale(x, rate):
        return x * rate

    def run():
        for step in range(8):
            scale(ONES, 0.5 + step)

    with pytest.warns(RetracingWarning) as caught:
        run()
    (warning,) = caught
    assert warning.filename == __file__
    text = str(warning.message)
    assert "scale was traced again on 5 of its last 5 calls" in text
    assert "rate (4.5 → 5.5)" in text
    assert "reduce_retracing=True" in text


def test_changing_shapes_and_structures_are_named_too() -> None:
    def run(func, values):
        for value in values:
            func(value)

    total = function(lambda batch: batch["x"].sum())
    with pytest.warns(RetracingWarning, match=r"batch\['x'\] \(float32\[5\] → float32\[6\]\).*drop_remainder"):
        run(total, [{"x": np.ones(size, "float32")} for size in range(1, 8)])
    nested = [[]]
    for _ in range(7):
        nested.append([nested[-1]])
    with pytest.warns(RetracingWarning, match="structure"):
        run(function(lambda x: 0), nested)


def test_a_function_that_meets_a_few_kinds_over_many_calls_is_not_warned_about() -> None:
    total = function(lambda x: x.sum())
    for size in range(1, 9):
        for _ in range(4):
            total(np.ones(size, "float32"))


def test_reduce_retracing_traces_a_varying_number_once_more_and_then_no_more() -> None:
    kinds = []

    @function(reduce_retracing=True)
    def scale(x, rate, *, power=1):
        kinds.append(type(rate))
        return x * rate + power

    for step in range(8):
        assert float(scale(ONES, 0.5 + step)[0, 0]) == 1.5 + step
    assert kinds[0] is float
    assert scale.experimental_get_tracing_count() == 2
    assert scale(ONES.astype("float16"), 2.5).dtype == "float16"


def test_a_number_that_python_needs_stays_a_number_under_reduce_retracing() -> None:
    @function(reduce_retracing=True)
    def repeat(x, times, rate):
        return jnp.tile(x, (times,)) * rate

    assert [repeat(np.ones(2, "float32"), n, 1.0).shape for n in (1, 2, 3)] == [(2,), (4,), (6,)]
    assert float(repeat(np.ones(2, "float32"), 3, 2.0)[0]) == 2


def test_integers_that_jax_would_wrap_around_are_refused() -> None:
    ids = np.array([1, 2**40 + 5])
    for take in (function(lambda x: x + 1), lambda x: keras.ops.convert_to_tensor(x)):
        with pytest.raises(ArgumentError, match=r"64 bits do not fit(.|\n)*1099511627781"):
            take(ids)
        assert np.asarray(take(np.array([2**31 - 2, -5])))[1] in (-4, -5)
