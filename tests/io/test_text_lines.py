"""Blocks of lines: every line once and whole, whatever the size of the blocks."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.io import gather, line_number, read_line_blocks


def lines_of(path: Path, codec: str | None = None, **settings: int) -> list[bytes]:
    return [
        line
        for block in read_line_blocks(path, codec, **settings)  # type: ignore[arg-type]
        for line in gather(block.data, *block.spans()).to_pylist()
    ]


@given(
    lines=st.lists(st.sampled_from([b"", b"a", b"bc\r", b"long " * 20, b"\xff\x00"]), max_size=10),
    last=st.sampled_from([b"", b"end", b"end\r"]),
    block_bytes=st.integers(1, 50),
    codec=st.sampled_from([None, "gzip"]),
)
def test_lines_are_cut_as_python_cuts_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], last: bytes, block_bytes: int, codec: str | None
) -> None:
    text = b"".join(line + b"\n" for line in lines) + last
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(gzip.compress(text) if codec else text)
    expected = [line.removesuffix(b"\r") for line in [*lines, *([last] if last else [])]]
    assert lines_of(path, codec, block_bytes=block_bytes) == expected


def test_reading_goes_on_at_a_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\nthree")
    assert lines_of(tmp_path / "a", start=4) == [b"two", b"three"]
    assert line_number(tmp_path / "a", None, 4) == 2
    assert line_number(tmp_path / "a", None, 0) == 1


def test_a_truncated_compressed_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"one\ntwo\n")[:-4])
    with pytest.raises(DataError, match="damaged or truncated"):
        lines_of(tmp_path / "a", "gzip")
