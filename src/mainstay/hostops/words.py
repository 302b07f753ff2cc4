"""Words: how strings flow between host operations, each distinct one held once in a long column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

SHORT = 64
"""Up to this many rows a column is taken row by row: finding its distinct strings would cost more than it saves."""

Array = np.ndarray[Any, Any]


class Words:
    """A column of strings as a list of tokens and, in a long column, the token of each row.

    Operations work on the tokens, so that a long column costs as much as its distinct strings. Bytes that are no
    valid UTF-8 are held as Python's ``surrogateescape`` characters.

    Args:
        tokens: The strings.
        codes: The position in `tokens` of each row's string, `[rows]`; None where row i holds token i.
    """

    __slots__ = ("codes", "tokens")

    def __init__(self, tokens: list[str], codes: Array | None = None) -> None:
        self.tokens = tokens
        self.codes = codes

    def __len__(self) -> int:
        return len(self.tokens) if self.codes is None else len(self.codes)

    def map(self, function: Callable[[str], str]) -> Words:
        """Return the column with `function` applied to every string."""
        return Words([function(token) for token in self.tokens], self.codes)

    def pick(self, per_token: Array) -> Array:
        """Return for every row what `per_token`, `[tokens]`, holds for its string."""
        return per_token if self.codes is None else per_token.take(self.codes)

    def rows(self) -> list[str]:
        """Return the string of every row."""
        tokens = self.tokens
        return tokens if self.codes is None else [tokens[code] for code in self.codes.tolist()]

    def coded(self, rows: int) -> Array:
        """Return the position in `tokens` of each of `rows` rows' string; a constant has one for all."""
        if self.codes is not None:
            return self.codes
        if len(self.tokens) == rows:
            return np.arange(rows)
        return np.zeros(rows, np.int64)

    def to_numpy(self) -> Array:
        """Return the strings as an object array `[rows]`."""
        return self.pick(object_array(self.tokens))

    def to_arrow(self) -> pa.Array | Array:
        """Return the strings as an Arrow array, a long one with unique values as its dictionary.

        Where Arrow cannot hold them, for lone surrogates, it is an object array.
        """
        codes, tokens = self.codes, self.tokens
        if codes is not None:
            positions = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
            if len(positions) < len(tokens):
                codes = np.array([positions[token] for token in tokens], np.int64).take(codes)
                tokens = list(positions)
        try:
            strings = pa.array(tokens, pa.string())
        except UnicodeEncodeError:
            return self.to_numpy()
        return strings if codes is None else pa.DictionaryArray.from_arrays(pa.array(codes), strings)


def row_count(columns: Sequence[Words | Array]) -> int:
    """Return the number of rows of columns of which some may be constants of one row."""
    lengths = [len(column) for column in columns]
    return 0 if 0 in lengths else max(lengths)


def object_array(tokens: list[str]) -> Array:
    """Return strings as an object array."""
    array = np.empty(len(tokens), object)
    array[:] = tokens
    return array


def to_bytes(token: str) -> bytes:
    """Return the UTF-8 bytes of a string; escaped bytes become themselves again, other lone surrogates three bytes."""
    try:
        return token.encode()
    except UnicodeEncodeError:
        pass
    try:
        return token.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return token.encode("utf-8", "surrogatepass")


def from_bytes(data: bytes) -> str:
    """Return the string of UTF-8 bytes; what is not valid becomes escaped bytes, see `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def as_words(values: Any) -> Words:
    """Return the strings of a column's values; where a row is missing, its string is unspecified."""
    if isinstance(values, pa.Array):
        return _from_arrow(values)
    if len(values) <= SHORT:
        return Words(values.tolist())
    try:
        return _from_arrow(pa.array(values, pa.string()))
    except UnicodeEncodeError:
        return _from_rows(values.tolist())


def _from_rows(rows: list[str]) -> Words:
    positions: dict[str, int] = {}
    codes = np.fromiter((positions.setdefault(row, len(positions)) for row in rows), np.int64, len(rows))
    return Words(list(positions), codes)


def _from_arrow(array: pa.Array) -> Words:
    if pa.types.is_dictionary(array.type):
        if len(array.dictionary) > len(array):
            array = array.dictionary_decode()
    elif len(array) > SHORT:
        array = array.dictionary_encode()
    if not pa.types.is_dictionary(array.type):
        return Words(_tokens(array))
    tokens = _tokens(array.dictionary)
    indices = array.indices
    if indices.null_count:
        indices = indices.cast(pa.int64()).fill_null(len(tokens))
        tokens = [*tokens, ""]
    codes = indices.to_numpy(zero_copy_only=False)
    return Words(tokens, codes if codes.dtype in (np.int32, np.int64) else codes.astype(np.int64))


def _tokens(array: pa.Array) -> list[str]:
    try:
        tokens = array.to_pylist()
    except UnicodeDecodeError:
        binary = pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()
        tokens = [None if data is None else from_bytes(data) for data in array.view(binary).to_pylist()]
    return ["" if token is None else token for token in tokens] if array.null_count else tokens
