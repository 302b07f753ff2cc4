"""Keeping what a dataset gives: in memory, in a cache on file, in a snapshot."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mainstay.data.operations.caching import Cache
from mainstay.data.plan import Operation
from mainstay.data.snapshots.saving import Saving, checkpoint_settings, save
from mainstay.data.snapshots.writing import compression_of

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Storage:
    """The methods of `Dataset` that keep elements."""

    _plan: Operation

    if TYPE_CHECKING:

        def _with(self, plan: Operation, label: str | None = None) -> Dataset: ...

    def cache(
        self, filename: str | os.PathLike[str] = "", name: str | None = None, *, key: str | None = None
    ) -> Dataset:
        """Return the elements, each made once and kept: later passes, and shuffles above, take them from there.

        In memory, elements of a source with addresses are kept one by one, so that a pass that ends early loses
        nothing and a shuffle above is global. What has no addresses is kept once a whole pass has given it. Every
        dataset that is derived from this one shares the elements.

        On file, they are kept for other processes too, in a folder named by a key: the plan, its parameters and seeds,
        what its source holds, and the code of its functions with everything that it refers to. Elements of another
        plan, or of an earlier state of the code, are never served. The folder appears when it is whole.

        What is below a cache runs as in one and the same pass, so random choices there are made once.

        Args:
            filename: A folder to keep the elements in; empty for memory.
            name: What reports call it.
            key: What tells the elements from others in the folder, in place of looking at the data and the code; give
                another one whenever they would differ.

        Raises:
            ArgumentError: The dataset has no end. When a pass begins: something that a function refers to cannot be
                told from another such thing, and no `key` was given.
            IntegrityError: A file of the cache was changed.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.range(3).map(lambda x: x * 2).cache().shuffle(3, seed=1)
            >>> [sorted(int(x) for x in dataset) for _ in range(2)]
            [[0, 2, 4], [0, 2, 4]]
        """
        return self._with(Cache(self._plan, filename, key=key), name)

    def snapshot(
        self, path: str | os.PathLike[str], compression: str | None = "AUTO", name: str | None = None
    ) -> Dataset:
        """Return the elements, kept in a folder as by `cache`, compressed if wanted.

        Args:
            path: The folder.
            compression: ``"LZ4"``, ``"ZSTD"``, ``"GZIP"``; None and ``"AUTO"`` keep them as they are, which is read
                fastest and has addresses.
            name: What reports call it.

        Raises:
            ArgumentError: As for `cache`, and for another compression.
        """
        return self._with(Cache(self._plan, path, compression=compression), name)

    def save(
        self,
        path: str | os.PathLike[str],
        compression: str | None = None,
        shard_func: Callable[..., Any] | None = None,
        checkpoint_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the elements of a pass into a folder, which appears when it is whole; `Dataset.load` reads it.

        Args:
            path: The folder; a snapshot that is there is replaced, anything else is left alone.
            compression: ``"LZ4"``, ``"ZSTD"`` or ``"GZIP"``; None writes what can be mapped into memory.
            shard_func: Is given each element and returns the number of its shard.
            checkpoint_args: ``{"directory": …, "checkpoint_interval": …}``: what is written is kept in that folder, on
                the same file system as `path`, and made safe after every so many elements; called again after an
                interruption, `save` goes on from there.

        Raises:
            ArgumentError: The dataset has no end, or its elements are datasets; or the compression is unknown.
            StorageError: The file system refused, or something else is at `path`.
        """
        folder, interval = checkpoint_settings(checkpoint_args)
        saving = Saving(compression_of(compression), shard_func, folder, interval)
        save(self, path, saving)  # type: ignore[arg-type]
