"""JAX functions as graphs of plain ops, to be run by real TensorFlow."""

import os
import re
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
from jax import export

from mainstay.core import message_class
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library
from mainstay.saved_model.graphs.dtypes import number_of_kind
from mainstay.saved_model.plain_ops.graph import stored_shape
from mainstay.saved_model.plain_ops.programs import emit, unsupported

RUNNER = Path(__file__).with_name("run_graphs.py")


@dataclass
class Case:
    """A function, and inputs on which both worlds are to agree.

    Args:
        name: What it is called, as a file may be.
        function: Takes arrays, gives an array or several.
        inputs: One list of arrays for each time it is run.
        shapes: The shapes it is traced at, as text for `jax.export.symbolic_shape`, or None for those of the inputs.
        tolerance: How far results may differ, relative to the largest of them.
        x64: Whether JAX has 64 bits.
        parts: The cases that it is made of, see `together`.
        counts: How many results each part has.
        expected: What JAX gives for each of the inputs.
        traced: The traced function, once it is.
    """

    name: str
    function: Callable[..., Any]
    inputs: list[list[np.ndarray]]
    shapes: Sequence[str | None] = ()
    tolerance: float = 1e-5
    x64: bool = False
    parts: list["Case"] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    expected: list[list[np.ndarray]] = field(default_factory=list)
    traced: Any = None

    def trace(self) -> Any:
        """The traced function."""
        if self.traced is None:
            self.traced = self._trace()
        return self.traced

    def _trace(self) -> Any:
        scope = export.SymbolicScope()
        texts = list(self.shapes) or [None] * len(self.inputs[0])
        specs = [
            jax.ShapeDtypeStruct(array.shape if text is None else export.symbolic_shape(text, scope=scope), array.dtype)
            for text, array in zip(texts, self.inputs[0], strict=True)
        ]
        with jax.enable_x64(self.x64):
            return jax.make_jaxpr(self.function)(*specs)

    def evaluate(self) -> None:
        """Compute what JAX gives."""
        # Compiling quickly matters more here than running fast.
        options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
        with jax.enable_x64(self.x64):
            for arrays in self.inputs:
                results = jax.jit(self.function, compiler_options=options)(*arrays)
                self.expected.append([np.asarray(each) for each in jax.tree.leaves(results)])


def together(name: str, cases: Sequence[Case]) -> Case:
    """Several cases as one, which is compiled in a fraction of the time: its results are all of theirs, in order."""

    def function(*arrays: Any) -> Any:
        given = iter(arrays)
        results = [case.function(*(next(given) for _ in case.inputs[0])) for case in cases]
        counts[:] = [len(jax.tree.leaves(each)) for each in results]
        return results

    counts: list[int] = []

    times = max(len(case.inputs) for case in cases)
    inputs = [[array for case in cases for array in case.inputs[min(k, len(case.inputs) - 1)]] for k in range(times)]
    shapes = [
        None if text is None else re.sub(r"[a-z]\w*", lambda symbol, n=number: f"{symbol[0]}_{n}", text)
        for number, case in enumerate(cases)
        for text in (case.shapes or [None] * len(case.inputs[0]))
    ]
    return Case(name, function, inputs, shapes, x64=cases[0].x64, parts=list(cases), counts=counts)


def graph_of(closed: Any) -> Any:
    """A GraphDef that calls a traced program."""
    library = Library()
    builder = FunctionBuilder(library.unique("program"))
    shapes = [stored_shape(tuple(aval.shape)) for aval in closed.in_avals]
    arguments = [
        builder.argument(f"x{index}", aval.dtype, shape)
        for index, (aval, shape) in enumerate(zip(closed.in_avals, shapes, strict=True))
    ]
    refs = emit(builder, library, closed, arguments)
    name = library.add(builder.finish({f"y{index}": ref for index, ref in enumerate(refs)}))
    graph = message_class("tensorflow.GraphDef")()
    graph.versions.producer = 2000
    for function in library.functions:
        graph.library.function.append(function)
    call = message_class("tensorflow.NodeDef")(name="main", op="PartitionedCall")
    call.attr["f"].func.name = name
    for index, (aval, shape) in enumerate(zip(closed.in_avals, shapes, strict=True)):
        node = graph.node.add(name=f"input_{index}", op="Placeholder")
        node.attr["dtype"].type = number_of_kind(np.dtype(aval.dtype))
        for size in shape:
            node.attr["shape"].shape.dim.add(size=-1 if size is None else size)
        call.input.append(f"input_{index}:0")
        call.attr["Tin"].list.type.append(number_of_kind(np.dtype(aval.dtype)))
    for ref in refs:
        call.attr["Tout"].list.type.append(number_of_kind(ref.dtype))
    graph.node.append(call)
    return graph


def save(file: Path, arrays: Sequence[np.ndarray]) -> None:
    """Write arrays as `run_graphs` reads them."""
    plain = [array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array for array in arrays]
    np.savez(file, dtypes=np.array([str(array.dtype) for array in arrays]), **{f"a{i}": a for i, a in enumerate(plain)})


def load(file: Path) -> list[np.ndarray]:
    """Read arrays as `run_graphs` writes them."""
    with np.load(file) as arrays:
        dtypes = [str(each) for each in arrays["dtypes"]]
        return [
            arrays[f"a{index}"].view(ml_dtypes.bfloat16) if dtype == "bfloat16" else arrays[f"a{index}"]
            for index, dtype in enumerate(dtypes)
        ]


def write(folder: Path, case: Case) -> None:
    """Write a case's graph and inputs."""
    closed = case.trace()
    missing = unsupported(closed)
    if missing:
        raise AssertionError(f"{case.name} has no plain form: {missing}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = graph_of(closed)
    (folder / f"{case.name}.pb").write_bytes(graph.SerializeToString(deterministic=True))
    for number, arrays in enumerate(case.inputs):
        save(folder / f"{case.name}.{number}.npz", arrays)


def run(python: Path, folder: Path) -> None:
    """Run all graphs of a folder in TensorFlow."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [str(python), str(RUNNER), str(folder)]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]


def differences(folder: Path, case: Case) -> dict[str, float]:
    """How far TensorFlow's results are from JAX's, relative to the largest, by output: infinite where they differ in
    dtype or shape, or in a number that has no tolerance."""
    error = folder / f"{case.name}.error"
    if error.exists():
        raise AssertionError(error.read_text()[:1500])
    found: dict[str, float] = {}
    for number, expected in enumerate(case.expected):
        results = load(folder / f"{case.name}.{number}.out.npz")
        assert len(results) == len(expected)
        for index, (wanted, made) in enumerate(zip(expected, results, strict=True)):
            gap = _distance(wanted, made) if _alike(wanted, made) else float("inf")
            found[f"{index}"] = max(gap, found.get(f"{index}", 0.0))
    return found


def beyond(folder: Path, case: Case) -> dict[str, float]:
    """The differences that are larger than they may be."""
    found = differences(folder, case)
    if not case.parts:
        return {index: gap for index, gap in found.items() if not gap <= case.tolerance}
    pairs = zip(case.parts, case.counts, strict=True)
    names = [(part.name, part.tolerance) for part, count in pairs for _ in range(count)]
    assert len(names) == len(found)
    return {
        f"{name} ({index})": gap
        for (name, tolerance), (index, gap) in zip(names, found.items(), strict=True)
        if not gap <= tolerance
    }


def _alike(wanted: np.ndarray, made: np.ndarray) -> bool:
    return wanted.shape == made.shape and wanted.dtype == made.dtype


def _distance(wanted: np.ndarray, made: np.ndarray) -> float:
    if wanted.dtype.kind in "biu":
        return 0.0 if np.array_equal(wanted, made) else float("inf")
    wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
    one, other = wanted.astype(wide), made.astype(wide)
    special = ~np.isfinite(one) | ~np.isfinite(other)
    if not np.array_equal(one[special], other[special], equal_nan=True):
        return float("inf")
    gaps, sizes = np.abs(one[~special] - other[~special]), np.abs(one[~special])
    # Beside huge numbers, as the edges have, each is compared with itself.
    scale = np.maximum(sizes if sizes.max(initial=0.0) > 1e6 else sizes.max(initial=0.0), 1.0)
    return float((gaps / scale).max(initial=0.0))
