"""Imported models: stages run one after the other, in 64 bits where they say so, and are proven like any other."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from mainstay.core import ArgumentError, FormatError, IntegrityError, TensorSpec
from mainstay.saved_model import load, verify
from mainstay.saved_model.folder import seal_of
from mainstay.saved_model.imports import ImportedModel, ImportedSignature, ProgramStage, save_imported
from mainstay.saved_model.modules import portable
from mainstay.saved_model.program import PLATFORMS, Program, ProgramTensor

MANIFEST = "assets.extra/mainstay/manifest.json"


def stage(function: Any, arguments: list[ProgramTensor], results: list[ProgramTensor]) -> ProgramStage:
    with jax.enable_x64(True):
        scope = export.SymbolicScope()
        specs = []
        for tensor in arguments:
            text = ", ".join(map(str, tensor.shape)) + ("," if len(tensor.shape) == 1 else "")
            specs.append(jax.ShapeDtypeStruct(export.symbolic_shape(text, scope=scope), tensor.dtype))
        exported = export.export(jax.jit(function, keep_unused=True), platforms=PLATFORMS)(*specs)
    module = portable(exported.mlir_module_serialized)
    version = exported.calling_convention_version
    return ProgramStage(Program(module, tuple(arguments), tuple(results), PLATFORMS, version, x64=True))


def model(*, rows: bool = False) -> ImportedModel:
    first = "batch" if rows else "n0"
    weight = ProgramTensor("table/value", "int64", (), weight=True)
    x = ProgramTensor("x", "int64", (first,))
    hidden = ProgramTensor("hidden", "int64", (first,))
    answer = ProgramTensor("y", "int64", (first,))
    stages = [
        stage(lambda w, a: a * w, [weight, x], [hidden]),
        stage(lambda h: h + 1 if rows else h.sum() * jnp.ones_like(h), [hidden], [answer]),
    ]
    signature = ImportedSignature(
        (TensorSpec([None], "int64", "x"),), (TensorSpec([None], "int64", "y"),), stages, rows=rows
    )
    tensors = {"table/value": np.asarray(2**40, np.int64), "left/over": np.zeros(3, np.float32)}
    return ImportedModel({"serving_default": signature}, tensors, {"words.txt": b"a\n"}, ("table/value",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "m"
    save_imported(model(), path, golden={"x": [1, 2, 3]}, provenance={"from": "elsewhere"})
    return path


def test_stages_run_one_after_the_other_with_64_bit_integers(folder: Path) -> None:
    loaded = load(folder)
    answer = loaded.signatures["serving_default"]([1, 2, 3, 4])["y"]
    assert answer.dtype == np.int64
    assert answer.tolist() == [10 * 2**40] * 4
    assert [(v.name, v.shape) for v in loaded.variables] == [("table/value", ())]
    assert loaded.assets["words.txt"].read_bytes() == b"a\n"
    assert verify(folder).rows == {"serving_default": 1}


def test_stages_over_rows_run_in_batches(tmp_path: Path) -> None:
    save_imported(model(rows=True), tmp_path / "m")
    serve = load(tmp_path / "m", buckets=[2]).signatures["serving_default"]
    assert serve([1, 2, 3])["y"].tolist() == [2**40 + 1, 2**41 + 1, 3 * 2**40 + 1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s["stages"].reverse(), "takes a value that no input is"),
        (lambda s: s["stages"][1].update(outputs=["hidden"]), "there already"),
        (lambda s: s["stages"][1].update(inputs=[]), "does not take and make"),
        (lambda s: s["stages"][1].update(file="assets.extra/mainstay/a.graph.pb"), "null for a program"),
        (lambda s: s["stages"][1].update(program=None, file="assets/a.graph.pb"), "graph.pb"),
        (lambda s: s["stages"][1].update(program=None, file="assets.extra/mainstay/../a.graph.pb"), "graph.pb"),
        (lambda s: s["outputs"][0].update(name="z"), "made by no stage"),
        (lambda s: s.update(prefix=True), "a host graph as well"),
        (lambda s: s["stages"][0]["program"].update(x64=1), "x64"),
        (lambda s: s["stages"][0]["program"].update(x64=False), "."),
        (lambda s: s.update(method="guess"), "method"),
        (lambda s: s.update(buckets=[0]), "buckets"),
        (lambda s: s.update(rows="no"), "rows"),
    ],
)
def test_stages_that_contradict_each_other_are_refused(folder: Path, tmp_path: Path, edit: Any, message: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    manifest = json.loads((copy / MANIFEST).read_text())
    edit(manifest["signatures"]["serving_default"])
    data = json.dumps(manifest).encode()
    (copy / MANIFEST).write_bytes(data)
    (copy / "assets.extra/mainstay/manifest.sha256").write_bytes(seal_of(data))
    with pytest.raises((FormatError, IntegrityError), match=message):
        load(copy)


def test_stages_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    wrong = model()
    signature = wrong.signatures["serving_default"]
    backwards = ImportedSignature(signature.inputs, signature.outputs, list(signature.stages)[::-1])
    with pytest.raises(FormatError, match="takes a value"):
        save_imported(ImportedModel({"a": backwards}, wrong.tensors), tmp_path / "m")
    with pytest.raises(ArgumentError, match="cannot be a file's"):
        save_imported(ImportedModel({"a//b": signature}, wrong.tensors), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
