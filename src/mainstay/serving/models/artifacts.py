"""Loading saved models for the fleet: verified, compiled, warmed up, and without slowing down those that serve."""

from __future__ import annotations

import asyncio

from mainstay.core import ArtifactError, compilation_cache_folder
from mainstay.serving.batching.executor import Executor
from mainstay.serving.contract import ServedModel
from mainstay.serving.models import memory
from mainstay.serving.models.apart import ChildProcesses, job_for
from mainstay.serving.models.loading import make_servable
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.models.sources import ARTIFACT_FILES, Source, is_artifact, memory_estimate
from mainstay.serving.models.workers import frequent_switches
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import logger


class ArtifactLoader:
    """Loads saved models from folders, and takes models that are in memory as they are.

    Args:
        options: How the server batches, and how versions are loaded.
        executor: Where executions run that are too long for the event loop.
        loop: The event loop of the server.
    """

    def __init__(self, options: ServerOptions, *, executor: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._executor = executor
        self._loop = loop
        self._children = ChildProcesses()

    def memory(self, source: Source) -> int:
        """Return how many bytes of memory a version may need; a model in memory needs no more than it has."""
        return 0 if source.model is not None else memory_estimate(source.path)

    def load(self, source: Source, *, quiet: bool) -> Servable:
        """Return a version that answers.

        Raises:
            MainstayError: It cannot be loaded.
        """
        with frequent_switches():
            apart = source.model is None and self._prepared_apart(source, quiet)
            model = source.model if source.model is not None else self._read(source, replay=not apart)
            return make_servable(
                source,
                model,
                options=self._options,
                executor=self._executor,
                loop=self._loop,
                is_compiled=apart,
            )

    def _prepared_apart(self, source: Source, quiet: bool) -> bool:
        """Verify and compile a version in a process of its own, where that is the way; return whether it was."""
        _check_folder(source)
        if not self._compiles_apart(quiet):
            return False
        if self._options.trust is not None:
            from mainstay.saved_model import verify_signature  # imported late: it brings the compiler along

            verify_signature(source.path, self._options.trust)
        report = self._children.run(job_for(source, self._options))
        logger.info("%s is verified and compiled after %.1f s", source.path, report["seconds"])
        return True

    def _read(self, source: Source, *, replay: bool) -> ServedModel:
        from mainstay.saved_model import load  # imported late: it brings the compiler along

        # What a child process has replayed need not be replayed again; the digests are compared here as well.
        tags = self._options.versions.saved_model_tags or None
        return load(source.path, trust=self._options.trust, replay=replay, tags=tags)

    def _compiles_apart(self, quiet: bool) -> bool:
        choice = self._options.versions.compile_apart
        if choice != "auto":
            return choice == "always"
        if not quiet or compilation_cache_folder() is None:
            return False
        import jax

        # A device that is not shared between processes belongs to this one.
        return bool(jax.default_backend() == "cpu" and jax.config.values["jax_compilation_cache_dir"])

    def unloaded(self, source: Source) -> None:
        """Give back the memory of a version that nothing refers to any more."""
        del source
        memory.give_back()

    def close(self) -> None:
        """End what is being compiled in processes of its own."""
        self._children.close()


def _check_folder(source: Source) -> None:
    if not is_artifact(source.path):
        raise ArtifactError(
            f"version {source.version} of model {source.name!r} is no saved model",
            where=source.path,
            expected=" or ".join(ARTIFACT_FILES),
            fix="remove the folder or save the model again",
        )
