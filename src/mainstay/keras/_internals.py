"""Everything that this room takes from inside Keras, in one file: how it walks the state of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
from keras.src.saving import saving_lib
from keras.src.saving.serialization_lib import ObjectSharingScope

State = dict[str, dict[str, Any]]
"""By the place of an object in its model: what it keeps, variables or arrays, by its own key."""


class _Store(saving_lib.NpzIOStore):
    """Keras' store of states, kept in memory."""

    def __init__(self, contents: State) -> None:
        self.contents = contents

    def make(self, path: str, metadata: Any = None) -> dict[str, Any]:
        return self.contents.setdefault(path, {})

    def get(self, path: str) -> dict[str, Any]:
        return dict(self.contents.get(path, {}))

    def close(self) -> None:
        pass


def sharing_scope() -> AbstractContextManager[Any]:
    """Within it, an object that a model holds in two places is one object again after (de)serialisation."""
    scope: AbstractContextManager[Any] = ObjectSharingScope()
    return scope


def save_state(model: keras.Model, *, leave_out: tuple[Any, ...] = ()) -> tuple[State, dict[str, bytes]]:
    """Return what a model and everything in it keeps: variables and arrays by place and key, and files by path.

    Args:
        model: The model.
        leave_out: Objects within it that are not wanted, such as its optimizer.
    """
    state: State = {}
    assets = saving_lib.DiskIOStore("assets", mode="w")
    try:
        visited = {id(item) for item in leave_out}
        saving_lib._save_state(model, _Store(state), assets, inner_path="", visited_saveables=visited)
        root = Path(assets.working_dir)
        files = {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}
    finally:
        assets.close()
    return {path: values for path, values in state.items() if values}, files


def load_state(model: keras.Model, state: Mapping[str, Mapping[str, Any]], assets: str | os.PathLike[str]) -> list[str]:
    """Put what `save_state` returned back into a model of the same architecture.

    Args:
        model: The model.
        state: The arrays by place and key.
        assets: A folder with the files by path.

    Returns:
        A message for each object whose state does not fit; empty if all is well.
    """
    errors: dict[int, tuple[Any, Exception]] = {}
    saving_lib._load_state(
        model,
        weights_store=_Store({path: dict(values) for path, values in state.items()}),
        assets_store=saving_lib.DiskIOStore(os.fspath(assets), mode="r"),
        inner_path="",
        visited_saveables=set(),
        failed_saveables=set(),
        error_msgs=errors,
    )
    return [f"{getattr(item, 'name', type(item).__name__)}: {error}" for item, error in errors.values()]
