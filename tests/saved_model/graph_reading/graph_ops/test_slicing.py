"""A strided slice is what Python's indexing gives, whatever its bounds and masks."""

from typing import Any

import jax
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

X = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


@st.composite
def selections(draw: Any) -> tuple[tuple[Any, ...], list[tuple[int, int, int]], dict[str, int]]:
    """An index as Python writes it, and the bounds and masks that a graph has for it."""
    index: list[Any] = []
    bounds: list[tuple[int, int, int]] = []
    masks = {f"{name}_mask": 0 for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    axis, ellipsis = 0, False
    for position in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["slice", "number", "new", "rest"]))
        bit = 1 << position
        if kind == "new":
            index.append(None)
            bounds.append((0, 0, 1))
            masks["new_axis_mask"] |= bit
        elif kind == "rest" and not ellipsis:
            index.append(Ellipsis)
            bounds.append((0, 0, 1))
            masks["ellipsis_mask"] |= bit
            ellipsis = True
        elif kind == "number" and axis < 3:
            number = draw(st.integers(-3, 2))
            index.append(number)
            bounds.append((number, number + 1, 1))
            masks["shrink_axis_mask"] |= bit
            axis += 1
        elif axis < 3:
            begin, end = draw(st.integers(-7, 7)), draw(st.integers(-7, 7))
            step = draw(st.sampled_from([1, 2, 3, -1, -2]))
            open_begin, open_end = draw(st.booleans()), draw(st.booleans())
            masks["begin_mask"] |= bit * open_begin
            masks["end_mask"] |= bit * open_end
            index.append(slice(None if open_begin else begin, None if open_end else end, step))
            bounds.append((begin, end, step))
            axis += 1
        else:
            break
    return tuple(index), bounds, masks


@given(selections())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_strided_slice_is_what_python_selects(run, selection) -> None:
    index, bounds, masks = selection
    begin, end, strides = np.array(bounds, np.int32).reshape(-1, 3).T
    found = run("StridedSlice", X, begin, end, strides, **masks)
    np.testing.assert_array_equal(found, X[index])
    shape = jax.eval_shape(lambda x: run("StridedSlice", x, begin, end, strides, **masks), X).shape
    assert shape == X[index].shape


@given(selections())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_slice_is_read_again(run, selection) -> None:
    index, bounds, masks = selection
    begin, end, strides = np.array(bounds, np.int32).reshape(-1, 3).T
    value = np.full(X[index].shape, -1, np.float32)
    expected = X.copy()
    expected[index] = value
    found = run("TensorStridedSliceUpdate", X, begin, end, strides, value, **masks)
    np.testing.assert_array_equal(found, expected)
