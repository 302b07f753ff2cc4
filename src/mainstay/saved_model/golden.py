"""Golden requests: sealed columns and answers that a model must reproduce before it may answer anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError, FormatError, ParityError, RequestError
from mainstay.hostops import Column, HostInput, as_column
from mainstay.saved_model.column_archive import decode_values, encode_values, read_npz, write_npz
from mainstay.saved_model.manifest import SignatureEntry

if TYPE_CHECKING:
    from mainstay.saved_model.loaded_signature import LoadedSignature

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """The sealed requests of one signature and what it answers.

    Args:
        columns: The inputs by name, as `LoadedSignature.columns` takes them.
        answers: The outputs by name, as `LoadedSignature.run` gives them; empty while they are being made.
    """

    columns: Mapping[str, Column]
    answers: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """How many rows are sealed."""
        return len(next(iter(self.columns.values() or self.answers.values()))) if self.columns or self.answers else 1

    def take(self, rows: int) -> dict[str, Column]:
        """Return that many rows of the requests by input name, the sealed ones over and over."""
        order = np.arange(rows) % self.rows
        return {name: _take(column, order) for name, column in self.columns.items()}

    def seal(self, signature: LoadedSignature) -> Golden:
        """Return the requests with the answers that `signature` gives to them.

        Raises:
            ArgumentError: It refuses one.
        """
        try:
            answers = signature.run(signature.columns(self.columns))
        except RequestError as error:
            raise ArgumentError(
                f"the model refuses a golden request: {error.summary}",
                where=f"signature {signature.name}, {error.where}",
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from error
        return Golden(self.columns, {name: _round_trip(Column(values)) for name, values in answers.items()})

    def replay(self, signature: LoadedSignature, *, tolerance: float, rows: int | None = None) -> float:
        """Ask for the sealed answers again.

        Args:
            signature: The signature to ask.
            tolerance: How large a difference may be, relative to ``max(1, |answer|)``.
            rows: How many rows to ask for at once, the sealed ones over and over; None for each one once.

        Returns:
            The largest difference.

        Raises:
            ParityError: An answer differs.
        """
        order = np.arange(self.rows if rows is None else rows) % self.rows
        try:
            answers = self._answers(signature, rows)
        except RequestError as error:
            raise ParityError(
                f"the model refuses a golden request: {error.summary}",
                where=f"signature {signature.name}, {error.where}",
                expected=error.expected,
                received=error.received,
            ) from error
        if set(answers) != set(self.answers):
            raise ParityError(
                "the outputs are not those that were sealed",
                where=f"signature {signature.name}",
                expected=", ".join(sorted(self.answers)),
                received=", ".join(sorted(answers)),
            )
        differences = [
            compare(
                f"signature {signature.name}, output {name}",
                answers[name],
                expected=_take(sealed, order),
                tolerance=tolerance,
                fix="run it with the versions that the manifest names, or save it with a larger tolerance",
            )
            for name, sealed in self.answers.items()
        ]
        return max(differences, default=0.0)

    def _answers(self, signature: LoadedSignature, rows: int | None) -> Mapping[str, Any]:
        """Return the answers to that many rows at once, or to each sealed row in as few executables as will do."""
        least = signature.buckets[0]
        if rows is not None or not signature.rows or self.rows <= least or not self.columns:
            return signature.run(signature.columns(self.take(self.rows if rows is None else rows)))
        parts = []
        for start in range(0, self.rows, least):
            order = np.arange(start, min(start + least, self.rows))
            columns = {name: _take(column, order) for name, column in self.columns.items()}
            parts.append(signature.run(signature.columns(columns)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def replay_sizes(self, signature: LoadedSignature, *, tolerance: float) -> float:
        """Replay in several batch sizes, which run in different executables; see `replay`.

        Where rows are dear, compiling is too, and two sizes must do.
        """
        sizes = (1, self.rows) if signature.buckets[0] == 1 else (1, self.rows, 2 * self.rows + 1)
        return max(self.replay(signature, tolerance=tolerance, rows=rows) for rows in sizes)


def _take(column: Column, order: Array) -> Column:
    return Column(column.values[order], None if column.missing is None else column.missing[order])


def _round_trip(column: Column) -> Column:
    return decode_values("", encode_values("", column.values, column.missing))


def golden_requests(
    inputs: tuple[HostInput, ...], values: Mapping[str, Any] | None, *, rows: bool = True, made_up: int = 4
) -> Golden:
    """Return what a caller wants to be sealed for one signature, without its answers.

    Args:
        inputs: The inputs of the signature.
        values: An array-like or `Column` by input name, other names being ignored; None to make something up.
        rows: Whether the first axis is the batch; without it, `values` are one request.
        made_up: How many rows to make up.

    Raises:
        ArgumentError: No row is given, or a required input lacks.
    """
    given = _made_up(inputs, made_up if rows else None) if values is None else values
    columns = {}
    for item in inputs:
        value = given.get(item.spec.name)
        if value is not None and not rows:
            value = np.asarray(value)[None]
        if value is not None:
            # A column of the host has one axis; what has more of them, strings as well, is an array of the device.
            plain = isinstance(value, np.ndarray) and (value.dtype.kind in "biufcV" or value.ndim > 1)
            columns[item.spec.name] = _round_trip(Column(value) if plain else as_column(value, _wanted(item)))
        elif not item.optional:
            raise ArgumentError(
                "the golden requests lack an input",
                where=f"$.{item.spec.name}",
                expected=item.spec,
                received=", ".join(map(str, given)),
            )
    golden = Golden(columns, {})
    if not rows:
        return golden
    if not columns or not golden.rows:
        raise ArgumentError("there is no golden request", expected="one row or more of raw inputs")
    return golden if golden.rows > 1 else Golden({n: _take(c, np.zeros(2, int)) for n, c in columns.items()}, {})


def _wanted(item: HostInput) -> str | None:
    return "string" if item.spec.dtype == "string" else None


def write_golden(golden: Mapping[str, Golden]) -> bytes:
    """Return the content of the file of golden requests, by signature."""
    arrays: dict[str, Array] = {}
    for signature, sealed in golden.items():
        for kind, columns in (("inputs", sealed.columns), ("outputs", sealed.answers)):
            for name, column in columns.items():
                arrays |= encode_values(f"{signature}/{kind}/{name}", column.values, column.missing)
    return write_npz(arrays)


def read_golden(data: bytes, signatures: Mapping[str, SignatureEntry]) -> dict[str, Golden]:
    """Return the golden requests of every signature.

    Raises:
        FormatError: They are malformed, or not those of the signatures.
    """
    arrays = read_npz(data)
    golden = {}
    for name, entry in signatures.items():
        inputs = [(item.spec.name, item.optional) for item in entry.inputs]
        columns = _columns(f"{name}/inputs", inputs, arrays)
        answers = _columns(f"{name}/outputs", [(spec.name, False) for spec in entry.outputs], arrays)
        if len({len(column) for column in [*columns.values(), *answers.values()]}) != 1 or (inputs and not columns):
            raise FormatError("golden requests and answers differ in length", where=f"golden.npz, signature {name}")
        golden[name] = Golden(columns, answers)
        if not golden[name].rows:
            raise FormatError("there is no golden request", where=f"golden.npz, signature {name}")
    return golden


def _columns(prefix: str, names: list[tuple[str, bool]], arrays: Mapping[str, Array]) -> dict[str, Column]:
    there = {key.rpartition("/")[0] for key in arrays}
    return {
        name: decode_values(f"{prefix}/{name}", arrays)
        for name, optional in names
        if f"{prefix}/{name}" in there or not optional
    }


def compare(where: str, received: Any, *, expected: Column, tolerance: float, fix: str) -> float:
    """Return the largest difference between an answer and its sealed one.

    Args:
        where: The signature and output, for messages.
        received: The answer.
        expected: The sealed answer.
        tolerance: How large the difference may be, relative to the largest of 1 and the sizes of the row's answers.
        fix: What to do about a larger one.

    Raises:
        ParityError: The answer differs in shape, kind or by more than the tolerance.
    """
    got = decode_values("", encode_values("", received))
    want = expected.values
    if got.values.shape != want.shape or (got.values.dtype.kind != want.dtype.kind):
        raise ParityError(
            "an answer has another form than its sealed one",
            where=where,
            expected=f"{want.dtype}{list(want.shape)}",
            received=f"{got.values.dtype}{list(got.values.shape)}",
        )
    if want.dtype.kind in "fc":
        differences = _differences(got.values, want)
    else:
        gaps = [np.zeros(want.shape, bool) if mask is None else mask for mask in (got.missing, expected.missing)]
        equal = ((got.values == want) | gaps[0]) & (gaps[0] == gaps[1])
        differences = np.where(equal, 0.0, np.inf)
    largest = float(differences.max(initial=0.0))
    if largest > tolerance:
        place = np.unravel_index(int(differences.argmax()), want.shape)
        raise ParityError(
            "an answer differs from its sealed one",
            where=f"{where}{''.join(f'[{int(axis)}]' for axis in place)}",
            expected=f"{want[place]} within {tolerance:g} relative to max(1, the largest of its row)",
            received=f"{got.values[place]}, a relative difference of {largest:.3g}",
            fix=fix,
        )
    return largest


def _scale(want: Array) -> Array:
    """Return the largest finite size of an answer in each row, which rounding errors of all its answers go by."""
    size = np.where(np.isfinite(want), np.abs(want), 0.0)
    return size if size.ndim < 2 or not size.size else size.max(axis=tuple(range(1, size.ndim)), keepdims=True)


def _differences(got: Array, want: Array) -> Array:
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    left, right = got.astype(wide), want.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(left - right) / np.maximum(1.0, _scale(right))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _made_up(inputs: tuple[HostInput, ...], rows: int | None) -> dict[str, Any]:
    """Return columns that fit `inputs`, where the caller gave none: seeded numbers, small integers, short strings.

    Raises:
        ArgumentError: A required input takes strings, for which nothing sensible can be made up.
    """
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for item in inputs:
        spec = item.spec
        shape = [3 if axis is None else axis for axis in spec.shape]
        shape[:1] = shape[:1] if rows is None else [rows]
        if spec.dtype == "string" and item.optional:
            continue
        if spec.dtype == "string":
            raise ArgumentError(
                "golden requests cannot be made up for strings",
                where=spec.name,
                fix="pass a few raw rows as `golden`",
            )
        if np.dtype(spec.dtype).kind in "iu":
            columns[spec.name] = np.asarray(random.integers(0, 2, shape)).astype(spec.dtype)
        elif spec.dtype == "bool":
            columns[spec.name] = np.asarray(random.integers(0, 2, shape)).astype(bool)
        else:
            columns[spec.name] = np.asarray(random.standard_normal(shape)).astype(spec.dtype)
    return columns
