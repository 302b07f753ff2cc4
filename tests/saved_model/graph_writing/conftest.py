"""Models written for TensorFlow, which is not needed to look at them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay.core import TensorSpec, message_class
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import ServingFunction
from mainstay.saved_model.graph_writing.saving import write_tensorflow
from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.plan import make_plan
from mainstay.saved_model.save_report import SaveReport
from mainstay.saved_model.subject import Subject


def _function_problems(function: Any, functions: Mapping[str, Any]) -> list[str]:
    """What is wrong with a function: tensors that nothing makes, calls of what is not there."""
    made = {argument.name for argument in function.signature.input_arg}
    nodes = {node.name for node in function.node_def}
    problems = [] if len(nodes) == len(function.node_def) else ["two nodes have one name"]
    for node in function.node_def:
        outputs = {argument.name for argument in definition(node.op).outputs}
        made |= {f"{node.name}:{output}" for output in outputs}
        problems += [
            f"{node.name} calls {value.func.name}"
            for value in node.attr.values()
            if value.HasField("func") and value.func.name not in functions
        ]
    taken = [(node.name, text) for node in function.node_def for text in node.input]
    for name, text in [*taken, *(("a result", text) for text in function.ret.values())]:
        source = text[1:] if text.startswith("^") else text.rsplit(":", 1)[0] if ":" in text else text
        if source not in (nodes | made if text.startswith("^") else made):
            problems.append(f"{name} takes {text}")
    return problems


def _problems(model: Any) -> list[str]:
    """What is wrong with a SavedModel message."""
    (meta,) = model.meta_graphs
    functions = {function.signature.name: function for function in meta.graph_def.library.function}
    found = [] if len(functions) == len(meta.graph_def.library.function) else ["two functions have one name"]
    for name, function in functions.items():
        found += [f"{name}: {problem}" for problem in _function_problems(function, functions)]
    made = {node.name for node in meta.graph_def.node}
    for node in meta.graph_def.node:
        found += [f"{node.name} takes {t}" for t in node.input if t.lstrip("^").split(":")[0] not in made]
        if "f" in node.attr:
            called = functions[node.attr["f"].func.name].signature
            sizes = len([t for t in node.input if not t.startswith("^")]), len(node.attr["Tout"].list.type)
            if sizes != (len(called.input_arg), len(called.output_arg)):
                found.append(f"{node.name} calls {called.name} with {sizes}")
    objects = meta.object_graph_def
    for name, concrete in objects.concrete_functions.items():
        if name not in functions or max([0, *concrete.bound_inputs]) >= len(objects.nodes):
            found.append(f"the concrete function {name} does not fit")
    return found


def _linear(**more: Any) -> ServingFunction:
    """``y = x @ w``."""
    weights = {"dense/kernel": np.ones((2, 3), np.float32)}
    spec = TensorSpec([None, 2], "float32", "x")
    return ServingFunction(lambda w, x: {"y": x["x"] @ w["dense/kernel"]}, (spec,), weights, **more)


def _with_strings() -> ServingFunction:
    """A vocabulary and an optional number in front, labels behind."""
    prefix = HostGraph(
        [
            HostInput(TensorSpec([None], "string", "word")),
            HostInput(TensorSpec([None], "float32", "size"), optional=True),
            HostInput(TensorSpec([None], "int64", "count"), optional=True),
        ],
        [
            HostNode("LookupTableFindV2", "id", ("word",), {"asset": "words.txt", "num_oov_buckets": 2}),
            HostNode("Const", "zero", (), {"dtype": "float32", "value": 0.0}),
            HostNode("FillMissing", "there", ("size", "zero")),
            HostNode("Const", "one", (), {"dtype": "int64", "value": 1}),
            HostNode("FillMissing", "counted", ("count", "one")),
        ],
        {"id": "id", "there": "there", "counted": "counted"},
        {"words.txt": b"a\nb\n"},
    )
    suffix = HostGraph(
        [HostInput(TensorSpec([None, 2], "float32", "scores"))],
        [HostNode("ArgMax", "best", ("scores",)), HostNode("Gather", "label", ("best",), {"asset": "labels.txt"})],
        {"label": "label"},
        {"labels.txt": b"no\nyes\n"},
    )
    specs = (
        TensorSpec([None], "int64", "id"),
        TensorSpec([None], "float32", "there"),
        TensorSpec([None], "int64", "counted"),
    )
    weights = {"table": np.ones((4, 2), np.float32)}

    def serve(w: Any, x: Any) -> Any:
        return {"scores": w["table"][x["id"]] * x["there"][:, None] * x["counted"][:, None]}

    return ServingFunction(serve, specs, weights, prefix, suffix)


@pytest.fixture(scope="session")
def problems() -> Callable[[Any], list[str]]:
    """Says what is wrong with a SavedModel message."""
    return _problems


@pytest.fixture(scope="session")
def linear() -> Callable[..., ServingFunction]:
    """Makes ``y = x @ w``."""
    return _linear


@pytest.fixture(scope="session")
def with_strings() -> Callable[[], ServingFunction]:
    """Makes something with a vocabulary and optional numbers in front and labels behind."""
    return _with_strings


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Any, SaveReport]]:
    """Writes signatures for TensorFlow and gives the folder, the message and the report."""

    def run(signatures: Mapping[str, ServingFunction], mode: str = "auto", **more: Any) -> tuple[Path, Any, SaveReport]:
        plan = make_plan(Subject(signatures, **more), provenance={}, tensors={}, extra={})
        folder = tmp_path_factory.mktemp("model")
        plan.write(folder)
        report = write_tensorflow(folder, plan, mode=mode)
        model = message_class("tensorflow.SavedModel").FromString((folder / "saved_model.pb").read_bytes())
        return folder, model, report

    return run
