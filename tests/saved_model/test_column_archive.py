"""The archive of golden columns: every kind of value comes back, and the bytes are the same every time."""

import io

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError
from mainstay.saved_model.column_archive import decode_values, encode_values, read_npz, write_npz

TEXT = st.text() | st.sampled_from(["", "é", "東京", "\0", "\udcff", "a\nb"])


@given(st.lists(TEXT | st.none(), min_size=1))
def test_strings_come_back_with_what_is_missing(texts: list[str | None]) -> None:
    texts = [t if t is None or _is_storable(t) else "x" for t in texts]
    values = np.array(texts, object)
    column = decode_values("s/inputs/c", read_npz(write_npz(encode_values("s/inputs/c", values))))
    missing = np.zeros(len(texts), bool) if column.missing is None else column.missing
    assert [None if gone else text for text, gone in zip(column.values, missing, strict=True)] == texts


def _is_storable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, np.nan, -0.0, np.inf]),
        np.array([2**63 - 1, -(2**63)]),
        np.array([True, False]),
        np.zeros((2, 3, 0), np.float32),
        np.array([["a", "b"], ["c", "é"]], object),
    ],
)
def test_arrays_come_back_bit_by_bit(values: np.ndarray) -> None:
    column = decode_values("c", read_npz(write_npz(encode_values("c", values))))
    assert column.values.dtype == values.dtype
    assert column.missing is None
    np.testing.assert_array_equal(column.values, values)


def test_times_and_arrow_strings_and_short_floats_have_a_form() -> None:
    times = np.array(["2020-01-01T00:00:00.000001", "1969-12-31"], "datetime64[us]")
    np.testing.assert_array_equal(decode_values("c", encode_values("c", times)).values, times)
    words = pa.array(["b", "a", None, "b"]).dictionary_encode()
    column = decode_values("c", encode_values("c", words))
    assert column.values.tolist() == ["b", "a", "", "b"]
    assert column.missing.tolist() == [False, False, True, False]
    assert decode_values("c", encode_values("c", np.ones(2, ml_dtypes.bfloat16))).values.dtype == np.float32


def test_numpy_reads_the_archive_without_pickle() -> None:
    archive = np.load(io.BytesIO(write_npz({"a/b": np.arange(3)})), allow_pickle=False)
    np.testing.assert_array_equal(archive["a/b"], np.arange(3))


def test_the_same_arrays_give_the_same_bytes() -> None:
    arrays = {"b": np.arange(3), "a": np.zeros((0,), np.uint8)}
    assert write_npz(arrays) == write_npz(dict(reversed(list(arrays.items()))))


@pytest.mark.parametrize(
    ("part", "array"),
    [
        ("offsets", np.array([0, 9])),
        ("offsets", np.array([1, 2])),
        ("offsets", np.array([], np.int64)),
        ("offsets", np.array([0.0, 2.0])),
        ("shape", np.array([2])),
        ("shape", np.array([-1])),
        ("bytes", np.array([-1, 5])),
        ("missing", np.array([True, False])),
        ("values", np.array([1])),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(part: str, array: np.ndarray) -> None:
    arrays = encode_values("c", np.array(["ab"], object))
    with pytest.raises(FormatError):
        decode_values("c", {**arrays, f"c/{part}": array})


def test_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(FormatError, match="not as specified"):
        decode_values("c", {})
