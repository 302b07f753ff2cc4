"""Scalars: whatever holds a number, and what is no number."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import summary
from mainstay.core import ArgumentError


@pytest.fixture
def record(tmp_path: Path, read_values):
    def call(value: object, step: object = 0):
        writer = summary.create_file_writer(tmp_path)
        with writer.as_default():
            assert summary.scalar("loss", value, step=step, description="*loss*")
        writer.close()
        [found] = read_values(tmp_path)
        return found

    return call


KINDS = ("float", "float32", "float64 array", "jax", "bfloat16", "ml_dtypes", "variable")


def values() -> dict[str, object]:
    import jax.numpy as jnp

    from mainstay import keras

    return {
        "float": 1.5,
        "float32": np.float32(1.5),
        "float64 array": np.array(1.5),
        "jax": jnp.array(1.5),
        "bfloat16": jnp.array(1.5, "bfloat16"),
        "ml_dtypes": np.array(1.5, ml_dtypes.float8_e5m2),
        "variable": keras.Variable(1.5),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_any_kind_is_recorded(record, kind: str) -> None:
    tag, step, plugin, array = record(values()[kind], step=np.int64(3))
    assert (tag, step, plugin, array.shape, float(array)) == ("loss", 3, "scalars", (), 1.5)


@pytest.mark.parametrize(("value", "expected"), [(7, 7.0), (True, 1.0), (np.uint8(200), 200.0), (1e300, np.inf)])
def test_integers_bools_and_huge_numbers_become_float32(record, value: object, expected: float) -> None:
    assert float(record(value)[3]) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_nan_and_infinity_are_recorded(record, value: float) -> None:
    np.testing.assert_equal(float(record(value)[3]), float(value))


@pytest.mark.parametrize("value", ["1.5", None, [1.0], np.zeros(1), np.zeros((2, 2)), 1j, object(), {}])
def test_what_is_no_scalar_is_refused(tmp_path: Path, value: object) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(), pytest.raises(ArgumentError, match=r"loss: the value of a"):
        summary.scalar("loss", value, step=0)
    writer.close()


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.floats(width=32), st.integers(0, 2**63 - 1)), max_size=20)
)
def test_what_is_written_is_read_back(tmp_path_factory, read_values, points: list[tuple[str, float, int]]) -> None:
    folder = tmp_path_factory.mktemp("logs")
    points = [point for point in points if point[0].encode("utf-8", "ignore").decode() == point[0]]
    writer = summary.create_file_writer(folder)
    with writer.as_default():
        for tag, value, step in points:
            summary.scalar(tag, value, step=step)
    writer.close()
    found = read_values(folder)
    assert [(tag, step) for tag, step, *_ in found] == [(tag, step) for tag, _, step in points]
    np.testing.assert_equal([float(array) for *_, array in found], [value for _, value, _ in points])


def test_the_description_and_the_class_of_data_are_in_the_metadata(tmp_path: Path, read_events) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default():
        summary.scalar("loss", 1.0, step=0, description="*loss*")
    writer.close()
    [event] = read_events(tmp_path)
    metadata = event.summary.value[0].metadata
    assert (metadata.summary_description, metadata.data_class) == ("*loss*", 1)
