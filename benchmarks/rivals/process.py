"""Starts the workers of the engines, in the environments of their own, and speaks with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
RIVALS = ("grain", "tensorflow", "torch")


def python_of(engine: str) -> str:
    """Return the Python that has the framework of an engine."""
    rival = engine.split("-")[0]
    return str(FOLDER.parent / f".venv-{rival}" / "bin" / "python") if rival in RIVALS else sys.executable


def require_environments(engines: Iterable[str]) -> None:
    """End with the command that makes what is missing, if anything is."""
    missing = sorted({engine.split("-")[0] for engine in engines if not Path(python_of(engine)).exists()})
    if missing:
        raise SystemExit(
            f"no environment for: {', '.join(missing)}. Make it: python tools/rival_env.py {' '.join(missing)}\n"
            "Or measure the others alone, with --engines"
        )


class EngineFailedError(Exception):
    """What a worker answered instead of a result."""


class Process:
    """The worker of one engine and one case, with as many batches an epoch as `options` may say."""

    def __init__(
        self,
        engine: str,
        case: str,
        options: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        *,
        python: str | None = None,
        module: str = "rivals.worker",
    ) -> None:
        self.engine = engine
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
        backend = {"KERAS_BACKEND": "tensorflow"} if engine.startswith("tensorflow") else {}
        self.process = subprocess.Popen(
            [python or python_of(engine), "-m", module, engine, case, *options],
            cwd=FOLDER,
            # Several processes share an accelerator: none may take all of its memory at once.
            env=os.environ
            | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
            | backend
            | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.log.seek(0)
            raise EngineFailedError("the process ended: " + " / ".join(self.log.read().splitlines()[-3:]))
        answer = dict(json.loads(line))
        if "error" in answer:
            raise EngineFailedError(str(answer["error"]))
        return answer

    def ask(self, *command: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(command) + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()
        self.log.close()
