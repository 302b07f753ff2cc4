"""Lookup tables: filled from the lines of an asset file, or from constants where TensorFlow would misread the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graphs.dtypes import Kind

_LINE, _NUMBER = -2, -1
"""What a column of a text file may be instead of a number: the whole line, and its position."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """A table of the lines of a file.

    Args:
        asset: The name of the file, of which each line is a token.
        by_token: Whether it gives the position of a token; else it gives the token at a position.
        inline: Whether it is filled from constants.
    """

    asset: str
    by_token: bool
    inline: bool = False

    @property
    def key(self) -> Kind:
        """The dtype of its keys."""
        return "string" if self.by_token else np.dtype(np.int64)

    @property
    def value(self) -> Kind:
        """The dtype of its values."""
        return np.dtype(np.int64) if self.by_token else "string"


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a file; only a line feed ends one."""
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def misread(content: bytes) -> bool:
    """Return whether TensorFlow reads other lines from a file: it drops carriage returns and takes no empty line."""
    return b"\r" in content or b"" in lines_of(content)


def fill_table(builder: FunctionBuilder, table: Ref, form: TableForm, content: bytes, *path: Ref) -> None:
    """Add the node that fills a table.

    Args:
        builder: The function that it is part of.
        table: The table.
        form: What it holds.
        content: The content of its file.
        path: The path of the file, unless it is filled from constants.
    """
    if path:
        columns = {"key_index": _LINE, "value_index": _NUMBER}
        if not form.by_token:
            columns = {"key_index": _NUMBER, "value_index": _LINE}
        builder.op("InitializeTableFromTextFileV2", [table, *path], [], attrs=columns, stateful=True)
        return
    tokens = builder.constant(np.array(lines_of(content), object))
    places = builder.constant(np.arange(len(lines_of(content)), dtype=np.int64))
    pair = [tokens, places] if form.by_token else [places, tokens]
    builder.op("InitializeTableV2", [table, *pair], [], stateful=True)
