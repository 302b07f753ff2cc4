import pyarrow as pa
import pyarrow.csv as pc_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.io.csv_records import count_lines, find_cut, records, unquote


def test_a_cut_is_after_the_last_line_end_outside_quotes():
    assert find_cut(b'a,b\n1,"x\ny"\n2,"z\n', b",") == (12, 14)
    assert find_cut(b"a,b\n1,2\n3", b",") == (8, None)
    assert find_cut(b"no line end", b",") == (0, None)
    assert find_cut(b'"a\nb\nc', b",") == (0, 0)
    assert find_cut(b"", b",") == (0, None)


def test_quotes_inside_a_field_are_ordinary_characters():
    assert find_cut(b'5" pipe,1\n3" pipe,2\n', b",") == (20, None)
    assert find_cut(b'5" pipe,"a\nb"\n7" pipe,"open\n', b",") == (14, 22)


def test_doubled_quotes_do_not_close_a_field():
    assert find_cut(b'"say ""hi""\n",1\n"a""\n', b",") == (16, 16)


def test_a_long_open_field_of_doubled_quotes_and_lines_is_passed_at_once():
    assert find_cut(b'a\n"' + b'""\n' * 1_000_000, b",") == (2, 2)


def test_files_with_only_carriage_returns_are_cut_before_the_last_byte():
    assert find_cut(b"a,b\r1,2\r3", b",") == (8, None)
    assert find_cut(b"a,b\r1,2\r", b",") == (4, None)  # the next byte may be the line feed that belongs to it


def test_lines_are_counted_as_an_editor_counts_them():
    assert count_lines(b"a\nb\r\nc\rd") == 3


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", b"plain"),
        (b'"quoted"', b"quoted"),
        (b'"say ""hi"""', b'say "hi"'),
        (b'"a"b"c', b'ab"c'),
        (b'5"', b'5"'),
        (b'""', b""),
        (b'"open', b"open"),
    ],
)
def test_raw_fields_say_what_the_parser_reads(raw, text):
    assert unquote(raw) == text


PIECES = st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"x", b"yz", b' "', b'",', b',"'])


def parsed(data):
    """The records that pyarrow reads, or None where it refuses the text."""
    columns = max((len(fields) for _, fields in records(data, b",")), default=1)
    names = [str(index) for index in range(columns)]
    try:
        return pc_csv.read_csv(
            pa.BufferReader(data),
            read_options=pc_csv.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
            convert_options=pc_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:
        return None


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=30).map(b"".join))
def test_records_are_those_that_the_parser_sees(data):
    cut, open_quote = find_cut(data, b",")
    table = parsed(data) if open_quote is None else None
    if table is not None:
        found = [[unquote(field).decode() for field in fields] for _, fields in records(data, b",")]
        assert found == [list(row.values()) for row in table.to_pylist()]
    if cut:
        assert find_cut(data[:cut], b",")[0] in (cut, len(data[:cut].rstrip(b"\r")))
        starts = [start for start, _ in records(data[:cut], b",")]
        if open_quote is None:
            assert starts == [start for start, _ in records(data, b",") if start < cut]


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=30).map(b"".join))
def test_the_parser_reads_the_same_from_two_halves_as_from_the_whole(data):
    cut, open_quote = find_cut(data, b",")
    whole = parsed(data) if open_quote is None else None
    if whole is None or cut in (0, len(data)):
        return
    names = whole.column_names
    rows = []
    for part in (data[:cut], data[cut:]):
        rows += pc_csv.read_csv(
            pa.BufferReader(part),
            read_options=pc_csv.ReadOptions(column_names=names, block_size=len(part) + 1, use_threads=False),
            convert_options=pc_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        ).to_pylist()
    assert rows == whole.to_pylist()
