"""The shards of a snapshot as the elements of a dataset, for those who want to read them in an order of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array, Loose
from mainstay.data.snapshots.reading import Snapshot, source_of
from mainstay.data.sources.source import RandomAccess
from mainstay.data.specs import DatasetSpec
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Shards(RandomAccess):
    """One dataset per shard.

    Args:
        snapshot: The snapshot.
    """

    name = "shards"

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._datasets: list[Dataset] = []

    @property
    def _shards(self) -> list[Dataset]:
        from mainstay.data.operations.reading import of_source

        if not self._datasets:
            snapshot = self._snapshot
            self._datasets = [
                of_source(source_of(Snapshot(snapshot.folder, snapshot.manifest, list(files))))
                for files in snapshot.manifest.shards
            ]
        return self._datasets

    @property
    def spec(self) -> Structure:
        """A dataset of what was saved."""
        return DatasetSpec(self._snapshot.manifest.spec)

    def __len__(self) -> int:
        return len(self._snapshot.manifest.shards)

    @property
    def row_bytes(self) -> int:
        """Nothing that counts."""
        return 1

    def load(self, indices: Array) -> Chunk:
        """Return the shards at some indices."""
        return Chunk(0, (Loose([self._shards[index] for index in indices.tolist()]),), len(indices))

    def fingerprint(self) -> Any:
        """The digests of all files."""
        return ["shards", [[file.sha256 for file in files] for files in self._snapshot.manifest.shards]]
