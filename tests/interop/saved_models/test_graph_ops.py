"""Every numeric op of TensorFlow's graphs gives what the real TensorFlow gives, in NumPy and inside of a program."""

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interop_env
import jax
import numpy as np
import pytest

from mainstay.core import MainstayError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, implementation
from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.graphs.dtypes import kind_of_name

FOLDER = Path(__file__).parent / "graph_ops"


def _load() -> tuple[list[Any], Any]:
    sys.path.insert(0, str(FOLDER))
    try:
        import derived
        from run import load

        return load(), derived
    finally:
        sys.path.remove(str(FOLDER))


CASES, DERIVED = _load()
PYTHON_NAMES = {
    "reduction_indices": "axis",
    "split_dim": "axis",
    "dim": "axis",
    "input": "condition",
    "squeeze_dims": "axis",
    "t": "x",
    "e": "y",
}
"""Inputs and attributes that the Python of `tf.raw_ops` names otherwise than the graph."""
OPS = sorted({case.op for case in CASES})


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory, missing) -> dict[str, Any]:
    """What TensorFlow gives for every case."""
    if sys.version_info >= (3, 14):
        pytest.skip("TensorFlow has no build for this Python")
    if not interop_env.is_current("tensorflow"):
        missing(".interop/tensorflow", "python tools/interop_env.py tensorflow")
    out = tmp_path_factory.mktemp("graph_ops") / "answers.npz"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [interop_env.python_of("tensorflow"), FOLDER / "run.py", out]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out, allow_pickle=False) as found:
        return dict(found)


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit numbers, as graphs are computed."""
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def node_and_inputs(case: Any) -> tuple[OpNode, list[tuple[str, Any]]]:
    """The node of a case, and its inputs in order with their names."""
    facts = definition(case.op)
    assert facts is not None, f"{case.op} has no definition"
    given_as = {name: name if name in case.values else PYTHON_NAMES.get(name, name) for name in facts.attributes}
    attrs = {name: _attribute(case.values[given]) for name, given in given_as.items() if given in case.values}
    inputs: list[tuple[str, Any]] = []
    for argument in facts.inputs:
        name = argument.name if argument.name in case.values else PYTHON_NAMES.get(argument.name, argument.name)
        given = case.values[name]
        values = given if isinstance(given, list) else [given]
        inputs += [(name, value) for value in values]
        if argument.number_attr is not None:
            attrs[argument.number_attr] = len(values)
        if argument.type_attr is not None:
            attrs[argument.type_attr] = _kind(values[0].dtype)
        if argument.type_list_attr is not None:
            attrs[argument.type_list_attr] = tuple(_kind(value.dtype) for value in values)
    attrs = {**facts.defaults, **attrs}
    return OpNode("node", case.op, attrs, facts.output_kinds(attrs)), inputs


def _attribute(value: Any) -> Any:
    if isinstance(value, str) and value in ("qint8", "quint8", "qint32"):
        return kind_of_name(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return tuple(map(_attribute, value))
    return _kind(np.dtype(value)) if isinstance(value, type) else value


def _kind(dtype: np.dtype) -> Any:
    return "string" if dtype.kind == "O" else dtype


def _results(op: Any, node: OpNode, values: list[Any]) -> tuple[Any, ...]:
    results = op.run(node, *values)
    return results if isinstance(results, tuple) else (results,)


def computed(case: Any) -> tuple[np.ndarray, ...]:
    """What Mainstay gives for a case outside of a program."""
    node, inputs = node_and_inputs(case)
    op = implementation(case.op)
    assert op is not None, f"{case.op} is not read"
    return tuple(np.asarray(each) for each in _results(op, node, [value for _, value in inputs]))


def compiled(cases: list[Any]) -> dict[tuple[int, str], Any]:
    """What Mainstay gives for cases inside of one program.

    Results in mode ``jit`` are computed from traced inputs. Those in mode ``numpy`` are what comes of inputs that are
    known while a program is traced: arrays of NumPy, or no more than shapes and dtypes of what XLA would compute.
    Cases that cannot be traced are left out.
    """
    prepared = [node_and_inputs(case) for case in cases]
    arguments = [
        [value for name, value in inputs if name not in case.known] if "jit" in modes_of(case) else []
        for case, (_, inputs) in zip(cases, prepared, strict=True)
    ]
    found: dict[tuple[int, str], Any] = {}

    def program(traced: list[list[Any]]) -> dict[int, Any]:
        computed = {}
        for index, (case, (node, inputs)) in enumerate(zip(cases, prepared, strict=True)):
            if "jit" in modes_of(case):
                rest = iter(traced[index])
                values = [value if name in case.known else next(rest) for name, value in inputs]
                with contextlib.suppress(Exception):
                    computed[index] = _results(implementation(case.op), node, values)
        return computed

    def folded() -> None:
        for index, (case, (node, inputs)) in enumerate(zip(cases, prepared, strict=True)):
            if "numpy" in modes_of(case) and not case.fails:
                with contextlib.suppress(Exception):
                    results = _results(implementation(case.op), node, [value for _, value in inputs])
                    known = [each if isinstance(each, np.ndarray) else jax.typeof(each) for each in results]
                    found[index, "numpy"] = tuple(known)

    jax.eval_shape(folded)
    for index, results in jax.jit(program)(arguments).items():
        found[index, "jit"] = tuple(np.asarray(each) for each in results)
    return found


def check(case: Any, number: int, answers: dict[str, Any], results: Any) -> None:
    """Compare what a program gave for a case, or what Mainstay gives outside of one."""
    expected = []
    while f"{number}/{len(expected)}" in answers:
        expected.append(answers[f"{number}/{len(expected)}"])
    if case.fails:
        assert f"{number}/error" in answers, "TensorFlow takes it"
        with pytest.raises(MainstayError):
            computed(case)
        return
    assert f"{number}/error" not in answers, answers[f"{number}/error"]
    found = computed(case) if results is None else results
    assert len(found) == len(expected)
    dtypes = [str(answers[f"{number}/{output}/dtype"]) for output in range(len(expected))]
    assert [each.dtype.name for each in found] == dtypes
    if not all(isinstance(each, np.ndarray) for each in found):
        assert case.derive or [each.shape for each in found] == [each.shape for each in expected]
        return
    if case.derive is not None:
        derive = getattr(DERIVED, case.derive)
        expected, found = derive(*expected), derive(*found)
    for theirs, ours in zip(expected, found, strict=True):
        assert theirs.shape == ours.shape
        if ours.dtype == object:
            assert [text.hex() for text in ours.ravel().tolist()] == theirs.ravel().tolist()
            continue
        wide = ours.astype(theirs.dtype)
        if theirs.dtype.kind in "fc":
            np.testing.assert_allclose(wide, theirs, case.rtol, case.atol, equal_nan=True)
        else:
            np.testing.assert_array_equal(wide, theirs)


@pytest.mark.parametrize("op", OPS)
def test_an_op_gives_what_tensorflow_gives(op: str, answers: dict[str, Any]) -> None:
    assert not (found := problems_of(op, answers)), "\n\n".join(found)


def problems_of(op: str, answers: dict[str, Any]) -> list[str]:
    """The differences in all cases of an op."""
    mine = [(number, case) for number, case in enumerate(CASES) if case.op == op]
    host = implementation(op) is not None and implementation(op).kind == "host"
    programs = {} if host else compiled([case for _, case in mine])
    problems = []
    for index, (number, case) in enumerate(mine):
        for mode in modes_of(case):
            try:
                check(case, number, answers, programs.get((index, mode)))
            except Exception as error:
                problems.append(f"case {number} {describe(case)} in {mode}: {type(error).__name__}: {error}")
    return problems


def modes_of(case: Any) -> tuple[str, ...]:
    """Where a case is computed: what runs on the host alone, strings above all, is not traced."""
    op = implementation(case.op)
    host = (op is not None and op.kind == "host") or any(map(_has_text, case.values.values()))
    return tuple(mode for mode in case.modes if mode == "numpy") if host else case.modes


def _has_text(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return any(isinstance(part, np.ndarray) and part.dtype == object for part in parts)


def describe(case: Any) -> str:
    """The inputs and attributes of a case in one line."""
    parts = [
        f"{name}={value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else f"{name}={value}"
        for name, value in case.values.items()
        if not isinstance(value, list) or len(value) < 9
    ]
    return " ".join(parts)[:300]
