"""Snapshots that earlier versions wrote still load, and give the same elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import golden_snapshot
import numpy as np
import pytest

from mainstay.data import Dataset
from mainstay.data.snapshots.manifest import VERSION
from mainstay.io import Ragged

SNAPSHOTS = sorted(golden_snapshot.FOLDER.glob("v*/*"))


def listed(value: Any) -> Any:
    """An element as Python's own values, with the dtype beside each array."""
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(listed, value))
    if isinstance(value, Ragged):
        return value.to_list()
    if isinstance(value, (np.ndarray, np.generic)):
        return str(value.dtype), np.shape(value), np.asarray(value).tolist()
    return value


def test_there_are_snapshots_of_every_format_version() -> None:
    assert {path.parent.name for path in SNAPSHOTS} == {f"v{version}" for version in range(1, VERSION + 1)}


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_old_snapshot_gives_the_elements_that_were_saved(path: Path) -> None:
    expected = golden_snapshot.datasets()[path.name.split("-")[0]]
    loaded = Dataset.load(path)
    assert loaded.element_spec == expected.element_spec
    assert list(map(listed, loaded.as_numpy_iterator())) == list(map(listed, expected.as_numpy_iterator()))


def test_the_first_format_gives_what_it_held_on_the_day_it_was_written() -> None:
    elements = list(Dataset.load(golden_snapshot.FOLDER / "v1" / "rows-plain").as_numpy_iterator())
    assert [int(e["number"]) for e in elements] == [0, -1, 2**62, 3, 4, 5]
    assert [e["text"] for e in elements] == [b"", "ä".encode(), b"\x00\xff", b"four", b"five", b"six"]
    assert [e["lists"][0].tolist() for e in elements] == [[1], [], [2, 3], [4], [], [5]]
