"""JSON lines as datasets: types of all lines, lists, objects inside, and the line of what does not fit."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset


def rows_of(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_types_hold_for_all_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        '{"n": 1, "t": [], "s": "2020-01-01", "o": {"x": 1}}\n\n{"n": 2.5, "t": [1, 2], "s": null, "o": {"x": 2}}\n',
    )
    dataset = Dataset.from_jsonl(path)
    assert (dataset.element_spec["n"].dtype, dataset.element_spec["t"]) == ("float64", TensorSpec((None,), "int64"))
    first, second = rows_of(dataset)
    assert (first["n"], first["t"].tolist(), first["s"], first["o"]) == (1.0, [], b"2020-01-01", {"x": 1})
    assert (second["t"].tolist(), second["s"], second["o"]) == ([1, 2], b"", {"x": 2})


def test_given_types_are_kept_and_other_fields_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"a": 1, "b": [1, 2], "c": {"deep": []}}\n{"b": [3, 4]}\n')
    dataset = Dataset.from_jsonl(
        path, columns=["a", "b"], dtypes={"a": "float32", "b": TensorSpec([2], "int16")}, label="b"
    )
    assert dataset.element_spec[1] == TensorSpec((2,), "int16")
    (first, label), (second, _) = rows_of(dataset)
    assert (first["a"], label.tolist()) == (1.0, [1, 2])
    with pytest.raises(DataError, match="line 1: a list of the field 'b' has another length"):
        rows_of(Dataset.from_jsonl(path, columns=["b"], dtypes={"b": TensorSpec([3], "int16")}))
    assert math.isnan(second["a"])
    whole = Dataset.from_jsonl(path, columns=["a"], dtypes={"a": "int64"}, defaults={"a": 7})
    assert [int(row["a"]) for row in rows_of(whole)] == [1, 7]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}\n\n{"a": "x"}\n', "line 3: a value is not of its field's dtype"),
        ('{"a": 1}\n\n{"a": 1\n', "line 3: a line is no JSON"),
        ('{"a": 1}\n\n[1]\n', "line 3: a line is no object"),
        ('{"a": 1}\n\n{"b": 1}\n', "line 3: a value of the column 'a' is missing"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path / "a.jsonl", text)
    dataset = Dataset.from_jsonl(path, columns=["a"], dtypes={"a": "int64"})
    for each in (dataset, dataset.shuffle(9)):
        with pytest.raises(DataError, match=rf"a\.jsonl, {reason}"):
            rows_of(each)


def test_lines_of_different_kinds_are_refused(tmp_path: Path) -> None:
    one, two = written(tmp_path / "a.jsonl", '{"a": 1}\n'), written(tmp_path / "b.jsonl", '{"a": "x"}\n')
    with pytest.raises(DataError):
        rows_of(Dataset.from_jsonl([one, two]))
    with pytest.raises(ArgumentError, match="unknown dtype"):
        Dataset.from_jsonl(one, dtypes={"a": "complex64"})
    with pytest.raises(ArgumentError, match="'q'"):
        rows_of(Dataset.from_jsonl(one, columns=["q"]))


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "i": st.integers(-(2**63), 2**63 - 1),
                "s": st.text(max_size=5),
                "l": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
            }
        ),
        max_size=9,
    ),
    is_compressed=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], is_compressed: bool
) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = tmp_path_factory.getbasetemp() / f"any.jsonl{'.gz' if is_compressed else ''}"
    path.write_bytes(gzip.compress(text) if is_compressed else text)
    dtypes = {"i": "int64", "s": "string", "l": TensorSpec([None], "float64")}
    dataset = Dataset.from_jsonl(path, columns=list(dtypes), dtypes=dtypes)
    found = [
        {"i": int(r["i"]), "s": r["s"].decode(errors="surrogatepass"), "l": r["l"].tolist()} for r in rows_of(dataset)
    ]
    assert found == rows
    assert len(rows_of(dataset.shuffle(5, seed=1))) == len(rows)
