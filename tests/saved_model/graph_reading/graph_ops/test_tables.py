"""Tables are filled from tensors and files as TensorFlow fills them; lines that do not fit are refused."""

import numpy as np
import pytest

from mainstay.core import DataError, FormatError, ModelError, RequestError
from mainstay.saved_model.graph_reading.graph_ops.values import AssetPath, Table

WHOLE, NUMBER = -2, -1
TO_NUMBERS = "string", np.dtype(np.int64)


@pytest.fixture
def filled(run, tmp_path):
    """A table that is filled from a file of these bytes."""

    def filled(content, key, value, kinds=TO_NUMBERS, **options):
        path = tmp_path / "vocabulary"
        path.write_bytes(content)
        file = np.empty((), object)
        file[()] = AssetPath(str(path).encode())
        table = Table("table", *kinds)
        run("InitializeTableFromTextFileV2", table, file, key_index=key, value_index=value, **options)
        return table

    return filled


def test_a_table_has_lines_their_numbers_and_columns(filled):
    assert filled(b"a\nb\r\n", WHOLE, NUMBER).content == {b"a": 0, b"b": 1}
    assert filled(b"a\nb", WHOLE, NUMBER, offset=10).content == {b"a": 10, b"b": 11}
    assert filled(b"a\nb\n", NUMBER, WHOLE, (np.dtype(np.int64), "string")).content == {0: b"a", 1: b"b"}
    assert filled(b"a\t1\nb\t 2\n", 0, 1).content == {b"a": 1, b"b": 2}
    assert filled(b"a,1\nb,2\n", 0, 1, delimiter=b",", vocab_size=1).content == {b"a": 1}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a\t1\nb\n", {}, "line 2 of a table has too few columns"),
        (b"a\tx\n", {}, "line 1 of a table is no number"),
        (b"a\t9999999999999999999\n", {}, "no number"),
        (b"a\t1\n\nb\t2\n", {}, "empty line"),
        (b"", {}, "empty line"),
        (b"a\t1\n", {"vocab_size": 2}, "too few lines"),
        (b"a\t1\na\t2\n", {}, "two values"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(filled, content, options, message):
    with pytest.raises(DataError, match=message):
        filled(content, 0, 1, **options)


def test_columns_and_delimiters_that_are_none_are_refused(filled):
    with pytest.raises(RequestError, match="no such column"):
        filled(b"a\n", -3, NUMBER)
    with pytest.raises(RequestError, match="delimiter"):
        filled(b"a\n", 0, NUMBER, delimiter=b"")


def test_a_file_that_is_no_asset_is_not_read(run, text, tmp_path):
    (tmp_path / "secret").write_bytes(b"a\n")
    with pytest.raises(FormatError, match="does not belong to the model"):
        run(
            "InitializeTableFromTextFileV2",
            Table("table", "string", np.dtype(np.int64)),
            text(str(tmp_path / "secret")).reshape(()),
            key_index=WHOLE,
            value_index=NUMBER,
        )


def test_keys_are_looked_up_with_one_default_or_one_for_each(run, text):
    table = Table("table", "string", np.dtype(np.int64))
    kinds = {"Tin": "string", "Tout": np.dtype(np.int64)}
    with pytest.raises(ModelError, match="before it is filled"):
        run("LookupTableFindV2", table, text("a"), np.int64(-1), **kinds)
    run("InitializeTableV2", table, text("a", "b"), np.int64([1, 2]))
    assert run("LookupTableFindV2", table, text("b", "z"), np.int64(-1), **kinds).tolist() == [2, -1]
    assert run("LookupTableFindV2", table, text("b", "z"), np.int64([7, 8]), **kinds).tolist() == [2, 8]
    with pytest.raises(RequestError, match="default does not fit"):
        run("LookupTableFindV2", table, text("b", "z"), np.int64([7]), **kinds)
    assert run("LookupTableSizeV2", table).item() == 2


def test_a_table_that_changes_may_hold_vectors(run):
    table = Table("table", np.dtype(np.int64), np.dtype(np.float32))
    table.content = {}
    kinds = {"Tin": np.dtype(np.int64), "Tout": np.dtype(np.float32)}
    assert run("LookupTableFindV2", table, np.int64([3]), np.float32([1, 2]), **kinds).shape == (1, 2)
    run("LookupTableInsertV2", table, np.int64([1, 2]), np.float32([[1, 2], [3, 4]]))
    run("LookupTableRemoveV2", table, np.int64([1, 9]))
    found = run("LookupTableFindV2", table, np.int64([[2], [1]]), np.float32([0, 0]), **kinds)
    assert found.tolist() == [[[3, 4]], [[0, 0]]]
    keys, values = run("LookupTableExportV2", table, Tkeys=np.dtype(np.int64), Tvalues=np.dtype(np.float32))
    assert (keys.tolist(), values.tolist()) == ([2], [[3, 4]])
    with pytest.raises(RequestError, match="a value for each key"):
        run("LookupTableImportV2", table, np.int64([1, 2]), np.float32([1]))
