"""Where variables and batches go: variables onto every device, the rows of a batch over the devices."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental.sparse import JAXSparse
from jax.sharding import NamedSharding, PartitionSpec

from mainstay.core import DataError
from mainstay.distribute.devices import name_of


class BatchParallel(keras.distribution.DataParallel):
    """Keras' data parallelism over given devices, for batches of any number of rows.

    Variables are kept on every device. A batch is split over as many devices as divide its rows, at most all of them;
    devices beyond that number compute copies of the same parts. So no row is padded, dropped or counted twice, and
    every sum and mean over the batch is the one that a single device gives.

    The mesh has one axis per prime factor of the number of devices: some of the axes together have any size that
    divides that number, and arrays can meet in one program only if they are laid out on one mesh.
    """

    def __init__(self, devices: Sequence[jax.Device]) -> None:
        self.devices = tuple(devices)
        self._sizes = prime_factors(len(self.devices)) or [1]
        self._axes = [f"batch{number}" for number in range(len(self._sizes))]
        grid = np.empty(len(self.devices), dtype=object)
        grid[:] = self.devices
        mesh = keras.distribution.DeviceMesh(tuple(self._sizes), self._axes, devices=grid)
        # Not the initialisation of `DataParallel`, which takes meshes of more than one axis for a mistake.
        super(keras.distribution.DataParallel, self).__init__(mesh, self._axes[0], auto_shard_dataset=False)
        self._everywhere = self._sharding()
        self._by_parts: dict[int, NamedSharding] = {}
        # Set as Keras' distribution inside of `run`: a function that is traced in `run` and in a scope, where it may
        # read another number of replicas, needs a program for each, and the distribution tells them apart.
        self.as_replica = copy.copy(self)

    def __repr__(self) -> str:
        return f"BatchParallel({[name_of(device) for device in self.devices]})"

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Return Keras' layout of an array whose first axis is the batch; an array without axes goes everywhere."""
        sharding = self._rows_over_devices(data_shape[0]) if data_shape else self._everywhere
        return _Layout(sharding, [None] * len(data_shape), self.device_mesh)

    def place_batch(self, batch: Any, where: str | None = None) -> Any:
        """Return a batch on the devices.

        Args:
            batch: A structure of arrays, each with the batch as its first axis; None stays None.
            where: What the batch is called in an error.

        Raises:
            DataError: An array has no batch axis, or the arrays differ in their number of rows.
        """
        sharding = self._rows_over_devices(check_rows(batch, where))
        leaves, structure = jax.tree.flatten(batch, is_leaf=_is_sparse)
        # The parts of a sparse array have no batch axis, so it goes to every device as a whole.
        shardings = [self._everywhere if _is_sparse(leaf) else sharding for leaf in leaves]
        return jax.tree.unflatten(structure, jax.device_put(leaves, shardings))

    def bring(self, values: Any) -> Any:
        """Return a structure whose arrays of other devices are copied to every device; all else stays as it is."""
        if not any(map(self._is_elsewhere, jax.tree.leaves(values))):
            return values
        return jax.tree.map(
            lambda leaf: jax.device_put(leaf, self._everywhere) if self._is_elsewhere(leaf) else leaf, values
        )

    def _is_elsewhere(self, leaf: Any) -> bool:
        is_concrete = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
        return is_concrete and leaf.sharding.device_set != self._everywhere.device_set

    def replicate(self, values: Any) -> Any:
        """Return a structure of arrays with each array whole on every device."""
        return jax.tree.map(lambda leaf: jax.device_put(leaf, self._everywhere), values)

    def holds(self, variable: Any) -> bool:
        """Return whether a Keras variable was laid out for these devices when it was created."""
        mesh = getattr(getattr(variable, "_layout", None), "device_mesh", None)
        return mesh is not None and tuple(mesh.devices.flat) == self.devices

    def _rows_over_devices(self, rows: int) -> NamedSharding:
        parts = math.gcd(rows, len(self.devices))
        if parts not in self._by_parts:
            axes, rest = [], parts
            for axis, size in zip(self._axes, self._sizes, strict=True):
                if rest % size == 0:
                    axes.append(axis)
                    rest //= size
            self._by_parts[parts] = self._sharding(tuple(axes)) if axes else self._everywhere
        return self._by_parts[parts]

    def _sharding(self, *spec: tuple[str, ...]) -> NamedSharding:
        return NamedSharding(self.device_mesh.backend_mesh, PartitionSpec(*spec))  # type: ignore[no-untyped-call]


class _Layout(keras.distribution.TensorLayout):
    """A layout whose batch axis is split over several axes of the mesh, which Keras' own cannot say."""

    def __init__(self, sharding: NamedSharding, axes: list[None], device_mesh: Any) -> None:
        super().__init__(axes, device_mesh)
        self._sharding = sharding

    @property
    def backend_layout(self) -> NamedSharding:
        return self._sharding


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a positive number, each as often as it divides.

    >>> prime_factors(12)
    [2, 2, 3]
    """
    factors, candidate = [], 2
    while number > 1:
        while number % candidate == 0:
            factors.append(candidate)
            number //= candidate
        candidate += 1
    return factors


def check_rows(batch: Any, where: str | None = None) -> int:
    """Return the number of rows that all arrays of a batch share.

    Raises:
        DataError: The batch is empty, an array has no batch axis, or the arrays differ in their number of rows.
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch, is_leaf=_is_sparse)]
    if shapes and all(shapes) and len({shape[0] for shape in shapes}) == 1:
        return int(shapes[0][0])
    raise _unfit(batch, "batch" if where is None else where)


def _unfit(batch: Any, where: str) -> DataError:
    """Return the error that says why a batch has no number of rows."""
    leaves = jax.tree_util.tree_leaves_with_path(batch, is_leaf=_is_sparse)
    shapes = {f"${jax.tree_util.keystr(path)}": np.shape(leaf) for path, leaf in leaves}
    if not shapes:
        return DataError("a batch has no arrays", where=where, expected="a structure of arrays", received=repr(batch))
    for name, shape in shapes.items():
        if not shape:
            return DataError(
                "a value of the batch has no batch axis",
                where=f"{where}: {name}",
                expected="an array whose first axis is the batch",
                received="a scalar",
                fix="give the dataset batches, not single examples",
            )
    return DataError(
        "the arrays of a batch differ in their number of rows",
        where=where,
        expected="the same first axis in all of them",
        received=", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()),
    )


def _is_sparse(leaf: Any) -> bool:
    return isinstance(leaf, JAXSparse)
