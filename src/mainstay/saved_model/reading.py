"""Reading the parts of an artifact: weights, programs, graphs and stages become signatures and functions.

Everything here works on files whose digests are right. What is shared is read once: a weight that several programs
take, a program that a signature and a function of the module have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, FormatError
from mainstay.saved_model.bundle import INDEX_FILE, read_index, read_tensor
from mainstay.saved_model.engines import XLA, Engine, Runnable, engines
from mainstay.saved_model.folder import ASSETS, HOST_GRAPH_FILE, needed
from mainstay.saved_model.host_graphs import check_graphs, read_host_graphs
from mainstay.saved_model.loaded_functions import LoadedVariable
from mainstay.saved_model.loaded_signature import BUCKETS, Batches, LoadedSignature, Step
from mainstay.saved_model.manifest import FunctionEntry, Manifest, ProgramEntry, SignatureEntry, Stage
from mainstay.saved_model.program import BATCH, Program
from mainstay.saved_model.tensor_names import by_name

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Options:
    """How a model is loaded.

    Args:
        buckets: The batch sizes to compile for, ascending; empty for those that the writer or the reader chose.
        by_signature: Those of some signatures, which have their own.
        engine: The engine to run programs; None takes XLA until others have been measured.
    """

    buckets: tuple[int, ...] = ()
    by_signature: Mapping[str, tuple[int, ...]] | None = None
    engine: str | None = None

    def buckets_of(self, signature: str, entry: SignatureEntry) -> tuple[int, ...]:
        """Return the batch sizes of a signature: the caller's, else the writer's, else the reader's own."""
        return (self.by_signature or {}).get(signature) or self.buckets or entry.buckets or BUCKETS


DEFAULT = Options()


class Reading:
    """The parts of one artifact while it is loaded.

    Args:
        manifest: Its manifest.
        files: The content of its files by path.
        options: How it is loaded.
    """

    def __init__(self, manifest: Manifest, files: Mapping[str, memoryview], options: Options) -> None:
        self._manifest = manifest
        self.files = files
        self._options = options
        self._weights: dict[str, Any] = {}
        self._ready: dict[tuple[Any, ...], Runnable] = {}
        unknown = set(options.by_signature or ()) - set(manifest.signatures)
        if unknown:
            raise ArgumentError(
                "buckets are given for a signature that is not there",
                expected=", ".join(manifest.signatures),
                received=", ".join(sorted(unknown)),
            )

    @cached_property
    def _assets(self) -> dict[str, bytes]:
        return {name: bytes(self.files[f"{ASSETS}/{name}"]) for name in self._manifest.assets}

    @cached_property
    def _graphs(self) -> Mapping[str, Any]:
        return read_host_graphs(bytes(needed(self.files, HOST_GRAPH_FILE)), self._manifest.signatures, self._assets)

    @cached_property
    def _index(self) -> Mapping[str, Any]:
        return by_name(read_index(bytes(needed(self.files, INDEX_FILE))))

    def signature(self, name: str, entry: SignatureEntry) -> LoadedSignature:
        """Return a signature.

        Raises:
            FormatError: A part of it is malformed or not as the manifest says.
            SetupError: Its program does not run here.
        """
        prefix, suffix = self._graphs[name]
        check_graphs(name, entry, prefix, suffix)
        return self._loaded(name, entry, (prefix, suffix))

    def function(self, path: str, form: FunctionEntry) -> LoadedSignature:
        """Return a form of a function, as a signature without a name of its own."""
        return self._loaded(path, form.entry, (None, None))

    def _loaded(self, name: str, entry: SignatureEntry, graphs: Any) -> LoadedSignature:
        buckets = self._options.buckets_of(name, entry)
        return LoadedSignature(
            name,
            entry,
            executables=None if entry.program is None else self.executables(entry.program),
            graphs=graphs,
            steps=[self._step(stage, entry.rows, buckets) for stage in entry.stages],
            buckets=buckets,
        )

    def _step(self, stage: Stage, rows: bool, buckets: tuple[int, ...]) -> Step:
        if stage.program is None:
            from mainstay.saved_model.graph_reading.host_stage import HostStage

            stage_graph: Step = HostStage(bytes(needed(self.files, stage.file or "")), self._assets)
            return stage_graph
        taken = [tensor for tensor in stage.program.arguments if not tensor.weight]
        batched = rows and bool(taken) and all(t.shape[:1] == (BATCH,) for t in (*taken, *stage.program.results))
        return _ProgramStep(self.executables(stage.program), stage.inputs, buckets if batched else None)

    def digest(self, file: str) -> str:
        """Return the sha256 of a file."""
        return self._manifest.files[file][1]

    def program(self, entry: ProgramEntry) -> Program:
        """Return a program with its module."""
        return Program(
            bytes(needed(self.files, entry.file)),
            entry.arguments,
            entry.results,
            self._manifest.platforms,
            entry.calling_convention,
            entry.x64,
        )

    def executables(self, entry: ProgramEntry, engine: Engine | None = None) -> Runnable:
        """Return what runs a program: an engine, or without one that of the options, or XLA."""
        engine = engine or engines(self._options.engine or XLA)[0]
        key = (engine.name, entry.file, entry.tensors, entry.x64)
        if key not in self._ready:
            program = self.program(entry)
            if not engine.can_run(program):
                raise ArgumentError("this engine cannot run the program", where=entry.file, received=engine.name)
            self._ready[key] = engine.executables(program, self._device_weights(entry))
        return self._ready[key]

    def _device_weights(self, entry: ProgramEntry) -> list[Any]:
        """Return the weights of a program on the device; on a CPU they stay where they are mapped."""
        import jax

        names = [name for name in entry.tensors if name is not None]
        for argument, name in zip(entry.arguments, entry.tensors, strict=True):
            found = None if name is None else self._index.get(name)
            if name is not None and (
                found is None or found.shape != argument.shape or str(found.dtype) != argument.dtype
            ):
                raise FormatError(
                    "a weight is not stored as the manifest says",
                    where=name,
                    expected=f"{argument.dtype}{list(argument.shape)}",
                    received="nothing" if found is None else f"{found.dtype}{list(found.shape)}",
                )
        new = [name for name in dict.fromkeys(names) if name not in self._weights]
        with jax.enable_x64(entry.x64):
            placed = jax.device_put([self._tensor(name) for name in new])
        self._weights.update(zip(new, placed, strict=True))
        return [self._weights[name] for name in names]

    def _tensor(self, name: str) -> Array:
        entry = self._index[name]
        return read_tensor(name, entry, needed(self.files, entry.file))

    def variables(self) -> tuple[LoadedVariable, ...]:
        """Return the variables of the saved object.

        Raises:
            FormatError: One is not stored.
        """
        variables = []
        for item in self._manifest.variables:
            if item.name not in self._index:
                raise FormatError("a variable is not stored", where=item.name)
            variables.append(LoadedVariable(item.name, self._tensor(item.name), trainable=item.trainable))
        return tuple(variables)


class _ProgramStep:
    """A stage that a program does: in batches, or without buckets at just the shapes of its values."""

    def __init__(self, executables: Runnable, inputs: tuple[str, ...], buckets: tuple[int, ...] | None) -> None:
        self._executables = executables
        self._inputs = inputs
        self._batches = None if buckets is None else Batches(executables, buckets)

    def run(self, values: Mapping[str, Any]) -> dict[str, Array]:
        taken = {name: np.asarray(values[name]) for name in self._inputs}
        if self._batches is not None:
            return self._batches.run(taken)
        outputs: Sequence[Array] = self._executables.run_exactly(taken)
        return dict(zip(self._executables.output_names, outputs, strict=True))
