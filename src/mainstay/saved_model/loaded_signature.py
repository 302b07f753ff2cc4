"""Loaded signatures: functions of a loaded model, ready to answer from several threads at once."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mainstay.core import ArgumentError, RequestError, Signature, TensorSpec, TransformError
from mainstay.hostops import Column, HostGraph, HostInput
from mainstay.saved_model.manifest import SignatureEntry
from mainstay.saved_model.raw_inputs import as_bytes, as_text, exact_columns, raw_columns

if TYPE_CHECKING:
    from mainstay.saved_model.engines import Runnable
    from mainstay.saved_model.golden import Golden

Array = np.ndarray[Any, Any]

BUCKETS = tuple(2**power for power in range(3, 11))
"""The batch sizes that are compiled unless the caller says otherwise. Smaller batches are padded to 8 rows: a matrix
product of fewer rows takes another kernel on a CPU, and the same row would get another answer in the last bits."""


def checked_buckets(buckets: Iterable[int]) -> tuple[int, ...]:
    """Return batch sizes ascending and without repetitions.

    Raises:
        ArgumentError: There are none, or one is no size.
    """
    sizes = tuple(sorted(set(buckets)))
    if not sizes or sizes[0] < 1:
        raise ArgumentError("buckets are batch sizes", expected="one integer or more, each at least 1", received=sizes)
    return sizes


class Step(Protocol):
    """One stage of an imported signature."""

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values that the stage makes, by name."""


class Batches:
    """Runs an executable on batches of any length: padded to a bucket, or split where they are too large.

    Args:
        executables: The executables.
        buckets: The batch sizes that are compiled, ascending.
    """

    def __init__(self, executables: Runnable, buckets: tuple[int, ...]) -> None:
        self.executables = executables
        self.buckets = buckets

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name."""
        executables, most = self.executables, self.buckets[-1]
        rows = len(next(iter(values.values())))
        names = executables.output_names
        if rows <= most:
            bucket = self.buckets[bisect_left(self.buckets, rows)]
            return dict(zip(names, executables.run(values, 0, rows, bucket), strict=True))
        parts = []
        for start in range(0, rows, most):
            part = min(most, rows - start)
            parts.append(executables.run(values, start, part, self.buckets[bisect_left(self.buckets, part)]))
        return {name: np.concatenate(pieces) for name, pieces in zip(names, zip(*parts, strict=True), strict=True)}


class LoadedSignature:
    """One function of a loaded model: host prefix, executable for the batch size, host suffix.

    It is made by `load`.

    Attributes:
        name: Its name.
        signature: What it takes and gives.
        method: What TensorFlow Serving uses it for: ``predict``, ``classify`` or ``regress``.
        inputs: What a request carries, in the order in which `run` takes it.
        rows: Whether the first axis of every input and output is the batch. Without it the function runs on just the
            arrays that it is given.
        buckets: The batch sizes that are compiled, ascending; a batch is padded with zeros to the next one, and
            a larger one than the last is split.

    Example:
        >>> model = load("out/model")  # doctest: +SKIP
        >>> model.signatures["serving_default"]({"fare": [12.5], "company": ["Yellow Cab"]})  # doctest: +SKIP
        {'prediction': array([[2.1]], dtype=float32)}
    """

    def __init__(
        self,
        name: str,
        entry: SignatureEntry,
        *,
        executables: Runnable | None,
        graphs: tuple[HostGraph | None, HostGraph | None] = (None, None),
        steps: Sequence[Step] = (),
        buckets: tuple[int, ...],
    ) -> None:
        self.name = name
        self.signature: Signature = entry.signature
        self.method = entry.method
        self.inputs: tuple[HostInput, ...] = entry.inputs
        self.rows = entry.rows
        self.buckets = buckets
        self._batches = None if executables is None else Batches(executables, buckets)
        self._prefix, self._suffix = graphs
        self._steps = tuple(steps)
        self._golden: Golden | None = None
        self._input_names = [item.spec.name for item in self.inputs]
        self._string_inputs = [index for index, item in enumerate(self.inputs) if item.spec.dtype == "string"]
        suffix = self._suffix
        self._suffix_inputs = [(item.spec.name, np.dtype(item.spec.dtype)) for item in suffix.inputs] if suffix else []

    @property
    def executables(self) -> Runnable | None:
        """What runs its program, or None for a signature without one of its own."""
        return None if self._batches is None else self._batches.executables

    def use(self, executables: Runnable) -> None:
        """Let other executables of the same program answer from now on."""
        self._batches = Batches(executables, self.buckets)

    @property
    def max_bucket(self) -> int:
        """The largest batch that runs as one."""
        return self.buckets[-1]

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, TensorSpec]]:
        """The inputs as `tf.function` gives them: no positional ones, and the specs by name."""
        return (), {item.spec.name: item.spec for item in self.inputs}

    @property
    def structured_outputs(self) -> dict[str, TensorSpec]:
        """The outputs as `tf.function` gives them: the specs by name."""
        return {spec.name: spec for spec in self.signature.outputs}

    def __call__(self, *values: Any, **inputs: Any) -> dict[str, Array]:
        """Answer a batch.

        Args:
            values: One mapping of array-likes by input name, or the one input of a signature that has just one.
            inputs: The inputs by keyword, instead.

        Returns:
            The outputs by name, each `[batch, ...]`; strings as object arrays of `str`.

        Raises:
            RequestError: An input lacks or is wrong; `where` says which.
        """
        if len(values) > 1 or (values and inputs):
            raise ArgumentError(
                "a signature takes one mapping, one value or keyword arguments",
                received=f"{len(values)} positional and {len(inputs)} keyword arguments",
            )
        if values and isinstance(values[0], Mapping):
            inputs = dict(values[0])
        elif values and len(self.inputs) != 1:
            names = ", ".join(item.spec.name for item in self.inputs)
            raise ArgumentError(
                "a signature of several inputs takes them by name", where=self.name, expected=f"values for {names}"
            )
        elif values:
            inputs = {self.inputs[0].spec.name: values[0]}
        if self.rows:
            return self.run(self.columns(inputs))
        specs = [item.spec for item in self.inputs]
        columns = exact_columns(specs, inputs)
        return self._once({spec.name: column.values[0] for spec, column in zip(specs, columns, strict=True)})

    def columns(self, values: Mapping[str, Any]) -> list[Column]:
        """Return a request's inputs as checked columns in the order of `inputs`, as `run` takes them.

        Args:
            values: An array-like or `Column` by name; an optional input may be left out, other names are ignored.
                Where there are no rows, each has one further axis in front: several requests, one after the other.

        Raises:
            RequestError: An input lacks, or has the wrong dtype, shape or number of rows.
        """
        if not self.rows:
            specs = [TensorSpec([None, *item.spec.shape], item.spec.dtype, item.spec.name) for item in self.inputs]
            return raw_columns(specs, values)
        if self._prefix is None:
            return raw_columns([item.spec for item in self.inputs], values)
        try:
            return self._prefix.columns(values)
        except TransformError as error:
            raise _request_error(error) from error

    def remember(self, golden: Golden) -> None:
        """Keep the golden requests of the artifact for `example`."""
        self._golden = golden

    def example(self, rows: int) -> list[Column]:
        """Return rows that the signature answers, in the order of `inputs`: its golden requests, over and over.

        Args:
            rows: How many rows.

        Raises:
            ArgumentError: The signature was not loaded from an artifact, so it has none.
        """
        if self._golden is None:
            raise ArgumentError("the signature has no golden requests", where=self.name)
        return self.columns(self._golden.take(rows))

    def run(self, columns: list[Column]) -> dict[str, Array]:
        """Answer a batch of columns that the caller has checked already; see `columns`.

        Args:
            columns: The inputs in the order of `inputs`, all of one length; strings as `str` or as `bytes`.

        Returns:
            The outputs by name, each `[batch, ...]`; strings as object arrays of `str`. Where there are no rows, the
            first axis counts the requests.

        Raises:
            RequestError: A host operation refuses a value, or an integer does not fit the program's 32 bits.
        """
        if self._string_inputs:
            columns = self._with_strings(columns)
        try:
            if not self.rows:
                names = [item.spec.name for item in self.inputs]
                count = len(columns[0]) if columns else 1
                values = ({n: c.values[i] for n, c in zip(names, columns, strict=True)} for i in range(count))
                answers = [self._once(one) for one in values]
                return {name: np.stack([answer[name] for answer in answers]) for name in self.structured_outputs}
            if self._prefix is None:
                given = {item.spec.name: column.values for item, column in zip(self.inputs, columns, strict=True)}
            else:
                given = self._prefix.run(columns)
            if self._steps:
                return self._walk(given)
            if self._batches is None:
                return given
            outputs = self._batches.run(given)
            if self._suffix is None:
                return outputs
            return self._suffix.run([Column(outputs[n].astype(d, copy=False)) for n, d in self._suffix_inputs])
        except TransformError as error:
            raise _request_error(error) from error

    @property
    def takes_padding(self) -> bool:
        """Whether `run_padded` answers: the inputs go straight to an executable."""
        return self.rows and self._batches is not None and self._prefix is None and not self._steps

    def run_padded(self, columns: list[Column], rows: int) -> dict[str, Array]:
        """Answer a batch of columns that are padded already to one of `buckets`; see `run`.

        Args:
            columns: The inputs in the order of `inputs`, each as long as the bucket.
            rows: How many rows count.

        Returns:
            The outputs by name, each `[rows, ...]`.

        Raises:
            RequestError: An integer does not fit the program's 32 bits.
        """
        batches = self._batches
        if batches is None or not self.takes_padding:
            raise ArgumentError("a signature takes no padded batches", where=self.name)
        values = {name: column.values for name, column in zip(self._input_names, columns, strict=True)}
        executables = batches.executables
        results = executables.run(values, 0, len(columns[0].values), len(columns[0].values))
        outputs = dict(zip(executables.output_names, results, strict=True))
        if len(columns[0].values) != rows:
            outputs = {name: array[:rows] for name, array in outputs.items()}
        if self._suffix is None:
            return outputs
        try:
            return self._suffix.run([Column(outputs[n].astype(d, copy=False)) for n, d in self._suffix_inputs])
        except TransformError as error:
            raise _request_error(error) from error

    def run_whole(self, tensors: Sequence[Any]) -> dict[str, Array]:
        """Answer the tensors of one request, just as they are.

        Args:
            tensors: The inputs in the order of `inputs`; where there are rows, all have the same number.

        Returns:
            The outputs by name.

        Raises:
            RequestError: A tensor has the wrong dtype or shape.
        """
        return self(dict(zip(self._input_names, tensors, strict=True)))

    def use_buckets(self, buckets: Sequence[int]) -> None:
        """Pad batches to these sizes from now on.

        Args:
            buckets: The sizes, ascending.
        """
        self.buckets = checked_buckets(buckets)
        if self._batches is not None:
            self._batches = Batches(self._batches.executables, self.buckets)

    def _with_strings(self, columns: list[Column]) -> list[Column]:
        """Return the columns with strings as they are taken further on: text by host graphs, bytes by other steps."""
        columns = list(columns)
        convert = as_bytes if self._prefix is None else as_text
        for index in self._string_inputs:
            column = columns[index]
            if isinstance(column.values, np.ndarray):
                columns[index] = Column(convert(column.values), column.missing)
        return columns

    def _once(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Answer one request of a signature without rows."""
        if self._steps or self._batches is None:
            return self._walk(values)
        executables = self._batches.executables
        return dict(zip(executables.output_names, executables.run_exactly(values), strict=True))

    def _walk(self, values: Mapping[str, Any]) -> dict[str, Array]:
        known = dict(values)
        for step in self._steps:
            known.update(step.run(known))
        return {spec.name: np.asarray(known[spec.name]) for spec in self.signature.outputs}

    def warm_up(self, buckets: Iterable[int] | None = None) -> None:
        """Compile for batch sizes, so that no request waits for the compiler.

        Axes other than the batch that may have any length are compiled when a request brings one.

        Args:
            buckets: The sizes, of which each is rounded up to one of `buckets`; None for all of these.
        """
        if self._batches is None or not self.rows or self._batches.executables.feeds.has_free_axes:
            return
        last = len(self.buckets) - 1
        wanted = self.buckets if buckets is None else buckets
        sizes = sorted({self.buckets[min(bisect_left(self.buckets, size), last)] for size in wanted})
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), "mainstay-compile") as pool:
            list(pool.map(self._batches.executables.compile, sizes))


def _request_error(error: TransformError) -> RequestError:
    return RequestError(
        error.summary, where=error.where, expected=error.expected, received=error.received, fix=error.fix
    )
