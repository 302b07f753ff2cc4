"""Pruning: outputs that only old runs used give their space back; what was recorded about them stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mainstay.core import ArgumentError, PipelineError, storage_errors
from mainstay.pipeline.layout import Layout
from mainstay.pipeline.lock import folder_lock

_ALL = 2**31


def prune(folder: str | os.PathLike[str], *, keep: int = 3) -> list[Path]:
    """Delete the outputs in a pipeline's folder that none of the latest runs made or reused.

    A step whose output was deleted runs again when its result is needed. The lineage store keeps every record.

    Args:
        folder: What `Pipeline.run` was given.
        keep: How many of the latest runs of each pipeline keep their outputs, at least 1; failed runs count.

    Returns:
        What was deleted.

    Raises:
        ArgumentError: `keep` is less than 1.
        PipelineError: The folder is none of a pipeline, or a run is using it.
    """
    from mainstay.metadata import MetadataStore

    if keep < 1:
        raise ArgumentError("at least one run keeps its outputs", where="keep", expected="1 or more", received=keep)
    layout = Layout(Path(folder).absolute())
    if not layout.store.is_file():
        raise PipelineError("no pipeline has run in this folder", where=layout.folder, fix="check the path")
    with folder_lock(layout), MetadataStore(layout.store) as store:
        numbers: dict[str, int] = {}
        live: set[str] = set()
        for run in store.contexts(type_name="run", limit=_ALL):
            pipeline = run.name.rsplit("/", 1)[0]
            numbers[pipeline] = numbers.get(pipeline, 0) + 1
            if numbers[pipeline] <= keep:
                executions = store.executions(context=run, limit=_ALL)
                outputs = [artifacts for execution in executions for artifacts in execution.outputs.values()]
                live |= {artifact.uri for artifacts in outputs for artifact in artifacts}
        with storage_errors(layout.artifacts, "prune"):
            dead = [path for path in sorted(layout.artifacts.glob("*/*/*")) if layout.uri(path) not in live]
            for path in dead:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    return dead
