"""Verification: an artifact is loaded as a stranger would, and everything that can be checked is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mainstay
from mainstay.core import (
    ArtifactError,
    FormatError,
    IntegrityError,
    MainstayError,
    ParityError,
    SignatureError,
    StorageError,
)
from mainstay.saved_model.loading import open_artifact
from mainstay.saved_model.signing.trust import Trust

_ERRORS: dict[str, type[MainstayError]] = {
    error.code: error
    for error in (ArtifactError, FormatError, IntegrityError, ParityError, SignatureError, StorageError)
}


@dataclass(frozen=True)
class VerifyReport:
    """What was checked.

    Args:
        path: The artifact.
        files: The number of its files.
        bytes: Their size.
        producers: The versions of what wrote it, by name.
        rows: The number of golden rows of each signature.
        differences: The largest difference of each signature's answers from the sealed ones, over several batch
            sizes, relative to ``max(1, |answer|)``.
    """

    path: str
    files: int
    bytes: int
    producers: Mapping[str, str]
    rows: Mapping[str, int]
    differences: Mapping[str, float]

    def facts(self) -> dict[str, str]:
        """Return the report as names and texts, in the order in which to show them."""
        written = ", ".join(f"{name} {version}" for name, version in sorted(self.producers.items()))
        signatures = {
            f"signature {name}": f"{self.rows[name]:,} golden rows, largest difference {self.differences[name]:.2g}"
            for name in self.rows
        }
        return {"files": f"{self.files:,} ({self.bytes:,} bytes)", "written by": written, **signatures}


def verify(path: str | os.PathLike[str], *, trust: Trust | None = None) -> VerifyReport:
    """Check a saved model: every digest, every golden answer in several batch sizes.

    Args:
        path: The artifact's folder.
        trust: Whose signature it must have; None asks for none.

    Raises:
        ArtifactError: The artifact is refused; see `load`.
        StorageError: A file cannot be read.
    """
    _, model, golden = open_artifact(Path(path), trust=trust)
    differences = {
        name: golden[name].replay_sizes(signature, tolerance=model.tolerance(name))
        for name, signature in model.signatures.items()
    }
    return VerifyReport(
        os.fspath(path),
        len(model.manifest.files) + 2,
        sum(size for size, _ in model.manifest.files.values()),
        model.manifest.producers,
        {name: sealed.rows for name, sealed in golden.items()},
        differences,
    )


def verify_in_fresh_process(path: str | os.PathLike[str]) -> VerifyReport:
    """Check a saved model in a process of its own, which knows nothing of the one that wrote it; see `verify`.

    A file so malformed that the compiler crashes on it takes only that process along.

    Raises:
        ArtifactError: The artifact is refused, or the process died over it.
    """
    packages = Path(mainstay.__file__).parent.parent
    search = [str(packages), *filter(None, [os.environ.get("PYTHONPATH")])]
    finished = subprocess.run(
        [sys.executable, "-m", "mainstay.saved_model", "--json", os.fspath(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise ArtifactError(
            "the process that verified a saved model died",
            where=path,
            received=f"exit status {finished.returncode}: {finished.stderr[-500:]}",
        ) from error
    if "report" in answer:
        return VerifyReport(**answer["report"])
    raise _ERRORS.get(answer["code"], ArtifactError)(answer["summary"], **answer["parts"])


def answer_json(path: str) -> tuple[dict[str, Any], bool]:
    """Return what `verify_in_fresh_process` reads, and whether the artifact is sound."""
    try:
        return {"report": asdict(verify(path))}, True
    except MainstayError as error:
        parts = {name: getattr(error, name) for name in ("where", "expected", "received", "fix")}
        return {"code": error.code, "summary": error.summary, "parts": parts}, False
