"""Loaded models: what `load` returns, ready to answer from several threads at once."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError, RequestError, Signature, TensorSpec, TransformError
from mainstay.hostops import Column, HostGraph, HostInput
from mainstay.saved_model.manifest import Manifest, SignatureEntry
from mainstay.saved_model.raw_inputs import raw_columns

if TYPE_CHECKING:
    from mainstay.saved_model.executables import Executables
    from mainstay.saved_model.golden import Golden

Array = np.ndarray[Any, Any]

BUCKETS = tuple(2**power for power in range(3, 11))
"""The batch sizes that are compiled unless the caller says otherwise. Smaller batches are padded to 8 rows: a matrix
product of fewer rows takes another kernel on a CPU, and the same row would get another answer in the last bits."""

ELSEWHERE = 1e-2
"""The least tolerance on a platform other than the one that the answers were sealed on."""


class LoadedSignature:
    """One function of a loaded model: host prefix, executable for the batch size, host suffix.

    It is made by `load`.

    Attributes:
        name: Its name.
        signature: What it takes and gives.
        inputs: What a request carries, in the order in which `run` takes it.
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
        executables: Executables | None,
        prefix: HostGraph | None,
        suffix: HostGraph | None,
        buckets: tuple[int, ...],
    ) -> None:
        self.name = name
        self.signature: Signature = entry.signature
        self.inputs: tuple[HostInput, ...] = entry.inputs
        self.buckets = buckets
        self._executables = executables
        self._prefix = prefix
        self._suffix = suffix
        self._golden: Golden | None = None
        self._suffix_inputs = [(item.spec.name, np.dtype(item.spec.dtype)) for item in suffix.inputs] if suffix else []

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
        return self.run(self.columns(inputs))

    def columns(self, values: Mapping[str, Any]) -> list[Column]:
        """Return a request's inputs as checked columns in the order of `inputs`, as `run` takes them.

        Args:
            values: An array-like or `Column` by name; an optional input may be left out, other names are ignored.

        Raises:
            RequestError: An input lacks, or has the wrong dtype, shape or number of rows.
        """
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
            columns: The inputs in the order of `inputs`, all of one length.

        Returns:
            The outputs by name, each `[batch, ...]`; strings as object arrays of `str`.

        Raises:
            RequestError: A host operation refuses a value, or an integer does not fit the program's 32 bits.
        """
        try:
            if self._prefix is None:
                values = {item.spec.name: column.values for item, column in zip(self.inputs, columns, strict=True)}
            else:
                values = self._prefix.run(columns)
            if self._executables is None:
                return values
            outputs = self._device(self._executables, values)
            if self._suffix is None:
                return outputs
            return self._suffix.run([Column(outputs[n].astype(d, copy=False)) for n, d in self._suffix_inputs])
        except TransformError as error:
            raise _request_error(error) from error

    def _device(self, executables: Executables, values: Mapping[str, Array]) -> dict[str, Array]:
        rows = len(next(iter(values.values())))
        names, most = executables.output_names, self.buckets[-1]
        if rows <= most:
            bucket = self.buckets[bisect_left(self.buckets, rows)]
            return dict(zip(names, executables.run(values, 0, rows, bucket), strict=True))
        parts = []
        for start in range(0, rows, most):
            part = min(most, rows - start)
            parts.append(executables.run(values, start, part, self.buckets[bisect_left(self.buckets, part)]))
        return {name: np.concatenate(pieces) for name, pieces in zip(names, zip(*parts, strict=True), strict=True)}

    def warm_up(self, buckets: Iterable[int] | None = None) -> None:
        """Compile for batch sizes, so that no request waits for the compiler.

        Axes other than the batch that may have any length are compiled when a request brings one.

        Args:
            buckets: The sizes, of which each is rounded up to one of `buckets`; None for all of these.
        """
        if self._executables is None or self._executables.feeds.has_free_axes:
            return
        last = len(self.buckets) - 1
        wanted = self.buckets if buckets is None else buckets
        sizes = sorted({self.buckets[min(bisect_left(self.buckets, size), last)] for size in wanted})
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), "mainstay-compile") as pool:
            list(pool.map(self._executables.compile, sizes))


def _request_error(error: TransformError) -> RequestError:
    return RequestError(
        error.summary, where=error.where, expected=error.expected, received=error.received, fix=error.fix
    )


class LoadedModel:
    """A verified model in memory.

    It is made by `load`.

    Attributes:
        path: The artifact.
        signatures: Its functions by name.
        manifest: What the artifact says about itself.
        assets: The paths of the files that its host graphs read, by name.
        sidecars: The content of its further files by name, such as ``schema.pbtxt``.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        signatures: Mapping[str, LoadedSignature],
        assets: Mapping[str, Path],
        sidecars: Mapping[str, bytes],
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.signatures = signatures
        self.assets = assets
        self.sidecars = sidecars

    def tolerance(self, signature: str) -> float:
        """Return how far an answer may be from its sealed one, relative to ``max(1, |answer|)``.

        It is what the manifest states on the platform where the answers were sealed. Accelerators round matrix
        products to fewer bits, so elsewhere it is at least 1e-2.
        """
        stated = self.manifest.signatures[signature].tolerance
        if self.manifest.signatures[signature].program is None:
            return stated
        from mainstay.saved_model.executables import platform

        return stated if platform() == self.manifest.sealed_on else max(stated, ELSEWHERE)

    def __repr__(self) -> str:
        return f"LoadedModel({str(self.path)!r}, signatures={sorted(self.signatures)})"
