import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.batching.chunks import Chunk, DensePart, merge
from mainstay.serving.plans import InputPlan

PLANS = (InputPlan("n", "int64", True, ()), InputPlan("s", "string", True, ()), InputPlan("x", "float32", True, (2,)))


def chunk_of(rows):
    dense = np.array([[0, 0] if x is None else x for _, _, x in rows], np.float32).reshape(len(rows), 2)
    gone = np.array([x is None for _, _, x in rows])
    parts = [[n for n, _, _ in rows], [s for _, s, _ in rows], DensePart(dense, gone) if gone.any() else dense]
    return Chunk(len(rows), parts, missing=True)


ROW = st.tuples(
    st.none() | st.integers(-5, 5), st.none() | st.text(max_size=2), st.none() | st.tuples(st.just(1.5), st.just(2.5))
)


@given(st.lists(st.lists(ROW, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_merged_chunks_hold_every_row_in_order(requests, data):
    chunks = []
    for rows in requests:
        whole, cut = chunk_of(rows), data.draw(st.integers(0, len(rows)))
        chunks += [piece for piece in (whole.slice(0, cut), whole.slice(cut, len(rows))) if piece.rows]
    columns = merge(chunks, PLANS)
    assert [column.values.dtype for column in columns] == [np.int64, object, np.float32]
    for index, expected in enumerate(zip(*[row for rows in requests for row in rows], strict=True)):
        missing = columns[index].missing
        got = [
            None if missing is not None and missing[i] else value
            for i, value in enumerate(columns[index].values.tolist())
        ]
        assert got == [list(v) if isinstance(v, tuple) else v for v in expected]


@given(st.lists(st.lists(ROW, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_arrays_and_lists_of_values_share_a_batch(requests, data):
    """Front ends differ in what they hand over; their rows are the same."""
    chunks, others = [chunk_of(rows) for rows in requests], []
    for chunk in chunks:
        parts = list(chunk.parts)
        for index, (dtype, filler) in enumerate(((np.int64, 0), (object, ""))):
            values = parts[index]
            gone = np.array([value is None for value in values])
            if not data.draw(st.booleans()):
                continue
            array = np.empty(len(values), dtype)
            array[:] = [filler if value is None else value for value in values]
            parts[index] = DensePart(array, gone) if gone.any() else array
        others.append(Chunk(chunk.rows, parts, chunk.missing))
    for one, other in zip(merge(chunks, PLANS), merge(others, PLANS), strict=True):
        gone = np.zeros(len(one), bool) if one.missing is None else one.missing
        gone_too = np.zeros(len(one), bool) if other.missing is None else other.missing
        assert gone.tolist() == gone_too.tolist()
        assert one.values[~gone].tolist() == other.values[~gone].tolist()
        assert one.values.dtype == other.values.dtype


def test_the_only_array_is_not_copied():
    values = np.arange(6.0).reshape(3, 2)
    (column,) = merge([Chunk(3, [values])], PLANS[2:])
    assert column.values is values


def test_nothing_is_marked_missing_where_nothing_is():
    columns = merge([chunk_of([(1, "a", (1.0, 2.0))]), chunk_of([(2, "b", (3.0, 4.0))])], PLANS)
    assert [column.missing for column in columns] == [None, None, None]
