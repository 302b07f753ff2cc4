"""Feeds: how the columns of a request become the few padded arrays that an executable takes, and come apart again.

A call costs the more the more arrays cross to the device, so inputs of one dtype with one value per row travel
as the rows of one array ``[inputs, bucket]``, filled row by row; the program slices them apart inside XLA.
This is a matter of the loader alone: the stored program takes every input by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import RequestError
from mainstay.saved_model.program import ProgramTensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class _Pack:
    """Inputs that travel together: their names, and the dtypes in which they are collected and sent."""

    names: tuple[str, ...]
    collect: np.dtype[Any]
    send: np.dtype[Any]


class Feeds:
    """The arrays in which the inputs of a program travel.

    Args:
        inputs: The arguments of the program that take inputs.
    """

    def __init__(self, inputs: Sequence[ProgramTensor]) -> None:
        self.inputs = tuple(inputs)
        by_dtype: dict[str, list[str]] = {}
        for tensor in inputs:
            if len(tensor.shape) == 1:
                by_dtype.setdefault(tensor.dtype, []).append(tensor.name)
        self._packs = [_Pack(tuple(names), _collect_dtype(name), np.dtype(name)) for name, names in by_dtype.items()]
        self._alone = [(tensor.name, np.dtype(tensor.dtype)) for tensor in inputs if len(tensor.shape) > 1]
        self._free = [
            (tensor.name, axis, symbol)
            for tensor in inputs
            for axis, symbol in enumerate(tensor.shape[1:], 1)
            if isinstance(symbol, str)
        ]

    @property
    def has_free_axes(self) -> bool:
        """Whether an input has an axis of any length besides the batch."""
        return bool(self._free)

    def lengths(self, values: Mapping[str, Array]) -> tuple[tuple[str, int], ...]:
        """Return the length that each symbol other than the batch has in `values`.

        Raises:
            RequestError: Two inputs that must agree on a length do not.
        """
        if not self._free:
            return ()
        found: dict[str, int] = {}
        for name, axis, symbol in self._free:
            length = values[name].shape[axis]
            if found.setdefault(symbol, length) != length:
                raise RequestError(
                    "two inputs differ in a length in which they must agree",
                    where=f"$.{name}",
                    expected=f"{found[symbol]} values along axis {axis}",
                    received=length,
                )
        return tuple(found.items())

    def check(self, values: Mapping[str, Array]) -> None:
        """Refuse values whose shapes are not those of the inputs, or of which two must agree on a length and do not.

        Raises:
            RequestError: They are not.
        """
        known: dict[str, int] = {}
        for tensor in self.inputs:
            shape = values[tensor.name].shape
            for want, have in zip(tensor.shape, shape, strict=False):
                if isinstance(want, str) and want.isidentifier():
                    want = known.setdefault(want, have)
                if isinstance(want, int) and want != have:
                    break
            else:
                if len(shape) == len(tensor.shape):
                    continue
            raise RequestError(
                "an input has a shape that the program does not take",
                where=f"$.{tensor.name}",
                expected=[known.get(axis, axis) if isinstance(axis, str) else axis for axis in tensor.shape],
                received=list(shape),
            )

    def specs(self, bucket: int, lengths: Mapping[str, int]) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return the shape and dtype of each array that travels."""
        packed = [((len(pack.names), bucket), pack.send) for pack in self._packs]
        by_name = {tensor.name: tensor for tensor in self.inputs}
        alone = [
            ((bucket, *(lengths[a] if isinstance(a, str) else a for a in by_name[name].shape[1:])), dtype)
            for name, dtype in self._alone
        ]
        return packed + alone

    def fill(self, values: Mapping[str, Array], start: int, rows: int, bucket: int) -> list[Array]:
        """Return the arrays that travel for `rows` rows from `start` on, padded with zeros up to `bucket`.

        Raises:
            RequestError: An integer does not fit into the dtype that the program takes.
        """
        arrays = []
        stop = start + rows
        for pack in self._packs:
            array = np.zeros((len(pack.names), bucket), pack.collect)
            with np.errstate(over="ignore"):
                for row, name in enumerate(pack.names):
                    array[row, :rows] = values[name][start:stop]
            arrays.append(array if pack.send is pack.collect else _narrow(array, pack, start))
        for name, dtype in self._alone:
            part = values[name][start:stop]
            if rows != bucket:
                whole = np.zeros((bucket, *part.shape[1:]), part.dtype)
                whole[:rows] = part
                part = whole
            if part.dtype != dtype:
                part = _narrow(part[None], _Pack((name,), part.dtype, dtype), start)[0]
            arrays.append(part)
        return arrays

    def take_apart(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """Return each input by name from the arrays that travelled; traced inside the executable."""
        taken = {}
        for pack, array in zip(self._packs, arrays, strict=False):
            for row, name in enumerate(pack.names):
                taken[name] = array[row]
        for (name, _), array in zip(self._alone, arrays[len(self._packs) :], strict=True):
            taken[name] = array
        return taken


def exact(value: Array, tensor: ProgramTensor) -> Array:
    """Return one input in the dtype that the program takes.

    Raises:
        RequestError: An integer does not fit into it.
    """
    dtype = np.dtype(tensor.dtype)
    if value.dtype == dtype:
        return value
    wide = np.atleast_1d(value)
    narrow: Array = _narrow(wide[None], _Pack((tensor.name,), wide.dtype, dtype), 0)[0]
    return narrow.reshape(value.shape)


def _collect_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype in which values are collected: integers at 64 bits, so that their range can be checked."""
    return np.dtype(np.int64) if np.dtype(name).kind in "iu" else np.dtype(name)


def _narrow(array: Array, pack: _Pack, start: int) -> Array:
    """Return `array`, one row per input of the pack, in the dtype that is sent."""
    with np.errstate(over="ignore"):
        narrow = array.astype(pack.send)
    if pack.send.kind in "iu" and not np.array_equal(narrow, array):
        place = tuple(int(axis) for axis in np.argwhere(narrow != array)[0])
        info = np.iinfo(pack.send)
        raise RequestError(
            "an integer is out of range",
            where=f"$.{pack.names[place[0]]}[{place[1] + start}]",
            expected=f"{info.min} to {info.max}, an {pack.send}",
            received=array[place],
            fix="hash or look up larger ids in the host prefix",
        )
    return narrow
