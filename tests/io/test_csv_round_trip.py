"""Whatever the csv module writes is read as the documented rules say, wherever the file is cut into blocks."""

import csv
import datetime
import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.io.csv_table import CsvTable
from mainstay.io.csv_values import ANY_KIND, convert, narrow, settled

MISSING = {"", "#n/a", "-nan", "<na>", "n/a", "na", "nan", "none", "null"}
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
CODE = re.compile(r"[+-]?0[0-9]+|\+[0-9]+")
FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)", re.IGNORECASE)
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?")


def is_int(text):
    return INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63


def is_float(text):
    if not FLOAT.fullmatch(text) or CODE.fullmatch(text):
        return False
    if re.fullmatch(r"-?[0-9]+", text) and not is_int(text) and text != "-0":
        return False
    return "inf" in text.lower() or abs(float(text)) != float("inf")


def moment(text):
    """The instant of a timestamp and whether it has a zone, or None."""
    match = TIMESTAMP.fullmatch(text)
    if not match or (match[4] and not match[3]) or (match[5] and not match[2]):
        return None
    day, minute, second, fraction, zone = match.groups()
    text = f"{day}T{minute or '00:00'}{second or ':00'}{(fraction or '.0')[:7].ljust(7, '0')}{zone or ''}"
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if zone is None else value.astimezone(datetime.UTC)


def expected(texts):
    """The type and the values of a column, by the rules of docs/formats/csv.md, one text at a time."""
    plain = [text.strip(" \t") for text in texts]
    present = [text for text in plain if text.lower() not in MISSING]
    nulled = [None if text.lower() in MISSING else text for text in plain]

    def made(kind, convert):
        return kind, [None if text is None else convert(text) for text in nulled]

    if not present:
        return pa.null(), [None] * len(texts)
    if all(map(is_int, present)):
        return made(pa.int64(), int)
    if all(map(is_float, present)):
        return made(pa.float64(), float)
    if all(text.lower() in ("true", "false") for text in present):
        return made(pa.bool_(), lambda text: text.lower() == "true")
    moments = [moment(text) for text in present]
    if None not in moments and len({value.tzinfo for value in moments}) == 1:
        zone = "UTC" if moments[0].tzinfo else None
        return made(pa.timestamp("us", zone), moment)
    return pa.string(), [text or None for text in texts]


ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(-(2**66), 2**66).map(str) | st.integers(-99, 99).map(str) | st.floats(allow_nan=False).map(repr)
NUMBER_LIKE = ["007", "-0", "+5", "+1.5", "0.10", "00.5", "1e5", "5.", ".5", "inf", "1e400", "0x1F", "1,5", " 12\t"]
LARGE = ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "9007199254740993"]
TIMES = ["2024-02-29", "2023-02-29", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00.123456789"]
OTHERS = ["", "NA", "null", "NaN", " ", "TRUE", 'say "hi"', "a\nb", "a\r\nb"]
TRICKY = st.sampled_from([*NUMBER_LIKE, *LARGE, *TIMES, *OTHERS])
MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1)).map(str)
ZONED = st.datetimes(datetime.datetime(1900, 1, 1)).map(lambda value: value.isoformat() + "+02:00")
TEXTS = [
    st.integers(-(2**62), 2**62).map(str),
    st.integers(0, 120).map(str),
    NUMBERS,
    st.sampled_from(["true", "False", "TRUE"]),
    MOMENTS,
    ZONED,
    ANY_TEXT,
    TRICKY,
    st.sampled_from(["", "NA"]),
]


@st.composite
def columns(draw):
    """Columns whose texts are mostly of one kind, with some missing, and sometimes one late text of another kind."""
    rows = draw(st.integers(0, 25))
    result = []
    for _ in range(draw(st.integers(1, 4))):
        cells = draw(st.sampled_from(TEXTS)) | st.just("")
        texts = draw(st.lists(cells, min_size=rows, max_size=rows))
        if rows and draw(st.booleans()):
            texts[draw(st.integers(0, rows - 1))] = draw(TRICKY | draw(st.sampled_from(TEXTS)))
        result.append(texts)
    return result


@settings(max_examples=600, deadline=None)
@given(columns(), st.integers(0, 25))
def test_texts_are_told_apart_as_the_rules_say_wherever_they_are_cut(cells, cut):
    for texts in cells:
        array = pa.array([text or None for text in texts], pa.string())
        kinds = ANY_KIND
        for part in (array[:cut], array[cut:]):
            kinds = narrow(kinds, part)
        kind, values = expected(texts)
        assert settled(kinds).type == kind
        assert convert(array, settled(kinds)).to_pylist() == values


class Collected:
    def __init__(self, schema):
        self.schema, self.batches = schema, []

    def write(self, batch):
        assert batch.schema.equals(self.schema)
        self.batches.append(batch)

    def close(self):
        return pa.Table.from_batches(self.batches, self.schema)

    def abort(self):
        self.batches = None


STYLES = [("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL)]


@settings(max_examples=80, deadline=None)
@given(
    columns(),
    st.sampled_from(STYLES),
    st.sampled_from([",", ";", "\t", "|"]),
    st.lists(st.integers(1, 300), min_size=2, max_size=2) | st.just([1 << 20]),
)
def test_a_written_table_is_read_as_the_rules_say(tmp_path_factory, cells, style, delimiter, block_sizes):
    path = tmp_path_factory.getbasetemp() / ("written.tsv" if delimiter == "\t" else "written.csv")
    names = [f"column {index}" for index in range(len(cells))]
    quoting = style[1] if len(names) > 1 else csv.QUOTE_ALL  # a single column shows nobody its delimiter
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=style[0], quoting=quoting)
        writer.writerow(names)
        writer.writerows(zip(*cells, strict=True))
    wanted = dict(zip(names, map(expected, cells), strict=True))
    for block_bytes in block_sizes:
        table = CsvTable([path], dtypes={}, exclude=(), batch_rows=7, block_bytes=block_bytes)
        scanned = table.scan(Collected)
        assert {field.name: field.type for field in scanned.schema} == {
            name: kind for name, (kind, _) in wanted.items()
        }
        assert scanned.to_pydict() == {name: values for name, (_, values) in wanted.items()}
        again = CsvTable([path], dtypes={}, exclude=(), batch_rows=7, block_bytes=block_bytes)
        assert pa.Table.from_batches(again.batches(), again.schema).equals(scanned)
        assert pa.Table.from_batches(table.batches(), table.schema).equals(scanned)


@settings(max_examples=25, deadline=None)
@given(columns(), st.integers(1, 100))
def test_a_column_asked_for_as_string_keeps_every_text(tmp_path_factory, cells, block_bytes):
    path = tmp_path_factory.getbasetemp() / "strings.csv"
    names = [f"column {index}" for index in range(len(cells))]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([names, *zip(*cells, strict=True)])
    dtypes = dict.fromkeys(names, "string")
    table = CsvTable([path], dtypes=dtypes, exclude=(), batch_rows=100, block_bytes=block_bytes)
    read = pa.Table.from_batches(table.batches(), table.schema)
    assert read.to_pydict() == {
        name: [text or None for text in texts] for name, texts in zip(names, cells, strict=True)
    }
