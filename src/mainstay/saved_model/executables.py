"""Executables: a stored program compiled for each batch size that is asked for, its weights shared by all.

`jax.export` describes an exported function by a class whose fields change between versions of JAX. Only its public
ones are named here: the others come from exporting a blank function with the same arguments and results.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from mainstay.core import FormatError, SetupError
from mainstay.saved_model.export import array_spec, symbolic_shape
from mainstay.saved_model.feeds import Feeds, exact
from mainstay.saved_model.jax_internals import without_linear_algebra
from mainstay.saved_model.kept_executables import Fresh, KeptExecutables
from mainstay.saved_model.modules import check_module
from mainstay.saved_model.program import Program

_DIMENSION = re.compile(r"[A-Za-z0-9_+\-*(), ]{1,500}")
_MOST_EXECUTABLES = 256

ONE_KERNEL = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Leaves every matrix product on a CPU to the same kernel, which sums in the same order for any batch of eight rows
or more; the fused kernels that it switches off are chosen by size and differ in the last bits."""

Lengths: TypeAlias = tuple[tuple[str, int], ...]
Specs: TypeAlias = Sequence[tuple[tuple[int, ...], Any]]
Form: TypeAlias = tuple[Specs, Callable[..., Mapping[str, Any]]]
"""The arrays that an executable takes, and what turns them into its inputs by name."""

Key: TypeAlias = tuple[Any, ...]
"""What an executable is compiled for: a bucket with the lengths of free axes, or the shapes of all inputs."""


def platform() -> str:
    """Return the platform that programs run on here, one of `program.PLATFORMS` or another name of JAX."""
    name = jax.default_backend()
    return "cuda" if name == "gpu" else name


class Executables:
    """The compiled forms of one program; several threads may run it at once.

    Args:
        program: The stored program.
        weights: The weights on the device, in the order in which the program takes them.

    Raises:
        FormatError: The program's module is malformed, holds something unstable, is not as described or not for this
            platform.
        SetupError: This version of JAX cannot run it.
    """

    def __init__(self, program: Program, weights: list[jax.Array]) -> None:
        self.feeds = Feeds([tensor for tensor in program.arguments if not tensor.weight])
        self.output_names = tuple(tensor.name for tensor in program.results)
        self._program = program
        self._weights = weights
        self._call = _read_program(program)
        self._kept = KeptExecutables.of(program, weights, ONE_KERNEL)
        self._compiled: dict[Key, Callable[..., Any]] = {}
        self._turns: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def compile(self, bucket: int, lengths: Lengths = ()) -> Callable[..., Any]:
        """Return the executable for batches of `bucket` rows, compiled at the first call.

        Args:
            bucket: The number of rows.
            lengths: The length of every other axis that may have any.

        Raises:
            FormatError: The program cannot be compiled.
        """
        compiled = self._compiled.get((bucket, lengths))
        if compiled is not None:
            return compiled
        specs = self.feeds.specs
        return self._found((bucket, lengths), lambda: (specs(bucket, dict(lengths)), self.feeds.take_apart))

    def _found(self, key: Key, describe: Callable[[], Form]) -> Callable[..., Any]:
        """Return the executable of a key; of several threads that want it one compiles and the others wait."""
        compiled = self._compiled.get(key)
        if compiled is not None:
            return compiled
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            compiled = self._compiled.get(key) or self._compile(key, *describe())
        with self._lock:
            self._turns.pop(key, None)
            self._compiled[key] = compiled
            while len(self._compiled) > _MOST_EXECUTABLES:
                del self._compiled[next(iter(self._compiled))]
        return compiled

    def _compile(self, key: Key, specs: Specs, take_apart: Callable[..., Mapping[str, Any]]) -> Callable[..., Any]:
        if self._kept is not None:
            found = self._kept.find(specs, lambda: self._compile_anew(key, specs, take_apart))
            if found is not None:
                return found
        return self._compile_anew(key, specs, take_apart)

    def _compile_anew(self, key: Key, specs: Specs, take_apart: Callable[..., Mapping[str, Any]]) -> Callable[..., Any]:
        arguments = self._program.arguments

        def served(weights: list[jax.Array], arrays: list[jax.Array]) -> tuple[jax.Array, ...]:
            inputs, stored = take_apart(arrays), iter(weights)
            return self._call(*[next(stored) if tensor.weight else inputs[tensor.name] for tensor in arguments])

        try:
            with jax.enable_x64(self._program.x64), without_linear_algebra(), Fresh() as fresh:
                arrays = [array_spec(shape, dtype) for shape, dtype in specs]
                compiled = _compile_lowered(jax.jit(served, keep_unused=True).lower(self._weights, arrays))
        except Exception as error:
            raise FormatError(
                "a program cannot be compiled",
                where=f"batch size {key[0]}" if isinstance(key[0], int) else f"shapes {[list(shape) for shape in key]}",
                received=f"{type(error).__name__}: {error}",
                fix="load it on a platform and with a version of JAX that the manifest names",
            ) from error
        if self._kept is not None and fresh.is_sure:
            self._kept.keep(specs, compiled)
        return compiled

    def run(self, values: Mapping[str, np.ndarray[Any, Any]], start: int, rows: int, bucket: int) -> list[Any]:
        """Return the outputs for `rows` rows of `values` from `start` on, each `[rows, ...]`, in order.

        Raises:
            RequestError: A value does not fit into the dtype that the program takes.
        """
        compiled = self.compile(bucket, self.feeds.lengths(values))
        outputs = self._launch(compiled, self.feeds.fill(values, start, rows, bucket))
        if rows == bucket:
            return [np.asarray(output) for output in outputs]
        return [np.asarray(output)[:rows] for output in outputs]

    def run_exactly(self, values: Mapping[str, np.ndarray[Any, Any]]) -> list[Any]:
        """Return the outputs for just these values, for whose shapes an executable is compiled once.

        Raises:
            RequestError: A value does not fit into the dtype that the program takes, or the shapes contradict.
        """
        inputs = self.feeds.inputs
        self.feeds.check(values)
        key: Key = tuple(values[tensor.name].shape for tensor in inputs) or ((),)
        arrays = [exact(values[tensor.name], tensor) for tensor in inputs]

        def by_name(arrays: Sequence[Any]) -> Mapping[str, Any]:
            return {tensor.name: array for tensor, array in zip(inputs, arrays, strict=True)}

        compiled = self._found(key, lambda: ([(array.shape, array.dtype) for array in arrays], by_name))
        return [np.asarray(output) for output in self._launch(compiled, arrays)]

    def _launch(self, compiled: Callable[..., Any], arrays: list[Any]) -> Any:
        if self._program.x64:
            with jax.enable_x64(True):
                return compiled(self._weights, arrays)
        return compiled(self._weights, arrays)


def _compile_lowered(lowered: Any) -> Callable[..., Any]:
    """Compile so that a row's answer does not depend on how many rows are with it, where this JAX has the option."""
    if platform() == "cpu":
        try:
            return cast("Callable[..., Any]", lowered.compile(compiler_options=ONE_KERNEL))
        except jax.errors.JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
    return cast("Callable[..., Any]", lowered.compile())


def _read_program(program: Program) -> Callable[..., tuple[jax.Array, ...]]:
    if platform() not in program.platforms:
        raise FormatError(
            "a program was not saved for this platform",
            expected=" or ".join(program.platforms),
            received=platform(),
            fix=f"save it with platforms=(..., {platform()!r})",
        )
    check_module(program)
    known = export.minimum_supported_calling_convention_version, export.maximum_supported_calling_convention_version
    if not known[0] <= program.calling_convention <= known[1]:
        raise FormatError(
            "unknown calling convention of a program",
            expected=f"{known[0]} to {known[1]}, which jax {jax.__version__} knows",
            received=program.calling_convention,
            fix="load it with the versions that the manifest names",
        )
    try:
        with jax.enable_x64(program.x64):
            return dataclasses.replace(_template(program), mlir_module_serialized=program.module).call
    except (ValueError, KeyError) as error:
        raise FormatError("the description of a program is malformed", received=error) from error
    except (TypeError, AttributeError) as error:
        raise SetupError(
            "this version of JAX cannot run saved models",
            expected="a version that this Mainstay is tested with",
            received=f"jax {jax.__version__}: {error}",
            fix="install the versions of constraints.txt",
        ) from error


def _template(program: Program) -> export.Exported:
    """Return the export of a blank function that takes and gives what the program does, to carry its module."""
    scope = export.SymbolicScope()
    for tensor in (*program.arguments, *program.results):
        if any(isinstance(axis, str) and not _DIMENSION.fullmatch(axis) for axis in tensor.shape):
            raise ValueError(f"{tensor.name} has the shape {list(tensor.shape)}")
    arguments = [array_spec(symbolic_shape(t.shape, scope), t.dtype) for t in program.arguments]
    shapes = [symbolic_shape(t.shape, scope) for t in program.results]

    def blank(*_: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(jnp.zeros(shape, t.dtype) for shape, t in zip(shapes, program.results, strict=True))

    blank.__name__ = "program"
    exported = export.export(jax.jit(blank, keep_unused=True), platforms=program.platforms)(*arguments)
    return dataclasses.replace(exported, calling_convention_version=program.calling_convention)
