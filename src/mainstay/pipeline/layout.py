"""Where things lie in the folder of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_DIGITS = 16


@dataclass(frozen=True)
class Layout:
    """The places in a pipeline's folder.

    ::

        metadata.sqlite                               the lineage store
        artifacts/<step>/<output>/<digest><suffix>    outputs, named by the first 16 digits of their content's digest
        .partial/                                     what a running step writes; of no worth to anybody else
        .lock                                         held during a run

    Args:
        folder: The folder, absolute.
    """

    folder: Path

    @property
    def store(self) -> Path:
        """The lineage store's file."""
        return self.folder / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        """The folder of all outputs."""
        return self.folder / "artifacts"

    @property
    def partial(self) -> Path:
        """The folder in which steps write."""
        return self.folder / ".partial"

    @property
    def lock(self) -> Path:
        """The file that is locked."""
        return self.folder / ".lock"

    def place(self, step: str, output: str, digest: str, *, suffix: str) -> Path:
        """Return where an output with this content lies."""
        return self.artifacts / step / output / f"{digest[:_DIGITS]}{suffix}"

    def uri(self, path: Path) -> str:
        """Return the place of an output as the lineage store names it, relative, so that the folder may move."""
        return path.relative_to(self.folder).as_posix()
