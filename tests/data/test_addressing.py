"""Views are arithmetic: any order of slices, strides and shuffles is that of lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainstay.data.addressing import Shuffle, Slice, Step, Stride, View, key

steps = st.lists(
    st.one_of(
        st.builds(Slice, st.integers(0, 5), st.integers(5, 30)),
        st.integers(1, 4).flatmap(lambda step: st.builds(Stride, st.integers(0, step - 1), st.just(step))),
        st.builds(Shuffle, st.integers(0, 3), st.booleans()),
    ),
    max_size=4,
)


def applied(rows: list[int], step: Step, view: View, epoch: tuple[int, ...]) -> list[int]:
    if isinstance(step, Slice):
        return rows[step.start : step.stop]
    if isinstance(step, Stride):
        return rows[step.start :: step.step]
    order = View(len(rows)).then(step).indices(0, len(rows), epoch)
    return [rows[index] for index in order]


@given(st.integers(0, 40), steps)
def test_views_do_what_lists_do(length: int, chosen: list[Step]) -> None:
    view, rows = View(length), list(range(length))
    for step in chosen:
        rows = applied(rows, step, view, (2,))
        view = view.then(step)
    assert len(view) == len(rows)
    assert view.indices(0, len(view), (2,)).tolist() == rows
    middle = len(view) // 2
    assert view.indices(middle, len(view), (2,)).tolist() == rows[middle:]
    span = view.span(middle, len(view))
    assert span is None or list(range(*span)) == rows[middle:]


def test_only_shuffles_of_every_pass_depend_on_it() -> None:
    fresh, same = (View(50).then(Shuffle(1, every_epoch)) for every_epoch in (True, False))
    assert not np.array_equal(fresh.indices(0, 50, (0,)), fresh.indices(0, 50, (1,)))
    assert np.array_equal(same.indices(0, 50, (0,)), same.indices(0, 50, (1,)))


def test_keys_are_the_same_on_every_machine() -> None:
    assert key(1, (0, 2), "first") == 4035655233397760236
