"""Whole artifacts by a forger whose digests are all right: refused by what they say, hold or answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from mainstay.core import FormatError, IntegrityError, ParityError
from mainstay.saved_model import load
from mainstay.saved_model.bundle import DATA_FILE, write_bundle
from mainstay.saved_model.column_archive import read_npz, write_npz
from mainstay.saved_model.modules import portable

EXTRA = "assets.extra/mainstay"
PROGRAM = f"{EXTRA}/serving_default.stablehlo"
GOLDEN = f"{EXTRA}/golden.npz"
GRAPHS = f"{EXTRA}/host_graph.json"

Forge = Callable[..., Path]


def refused(folder: Path, message: str, error: type[Exception] = FormatError) -> None:
    with pytest.raises(error, match=message):
        load(folder, buckets=[1, 8])


def test_the_forger_can_make_a_sound_artifact(forge: Forge) -> None:
    assert load(forge(), buckets=[8]).signatures


def serving(manifest: dict[str, Any]) -> Any:
    return manifest["signatures"]["serving_default"]


def program(manifest: dict[str, Any]) -> Any:
    return serving(manifest)["program"]


def argument(manifest: dict[str, Any], name: str) -> Any:
    return next(item for item in program(manifest)["arguments"] if item["name"] == name)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(format_version=3), "unknown format version"),
        (lambda m: m.update(format_version=True), "unknown format version"),
        (lambda m: m.update(format_version="1"), "unknown format version"),
        (lambda m: m.update(format="other"), "no manifest of a saved model"),
        (lambda m: m.update(extra=1), "the keys"),
        (lambda m: m.pop("sealed_on"), "the keys"),
        (lambda m: m.update(signatures={}, functions={}, variables=[]), "one signature or more"),
        (lambda m: m["signatures"].update({"../x": serving(m)}), "name of a signature"),
        (lambda m: serving(m).update(tolerance=5), "tolerance"),
        (lambda m: serving(m).update(tolerance=True), "tolerance"),
        (lambda m: serving(m).update(prefix=False), "host graphs are not those"),
        (lambda m: serving(m).update(suffix=False), "host graphs are not those"),
        (lambda m: serving(m).update(inputs=[]), "no inputs or no outputs"),
        (lambda m: serving(m).update(program=None), "suffix or device inputs, and no program"),
        (lambda m: serving(m)["inputs"][0].update(dtype="object_"), "unknown dtype"),
        (lambda m: serving(m)["inputs"][0].update(optional=1), "optional"),
        (lambda m: serving(m)["inputs"][0].update(name="renamed"), "prefix does not turn its inputs"),
        (lambda m: serving(m)["outputs"][0].update(name="renamed"), "suffix does not turn"),
        (lambda m: serving(m)["outputs"].append(serving(m)["outputs"][0]), "unique names"),
        (lambda m: program(m).update(file=f"{EXTRA}/transform_features.stablehlo"), "does not list a file"),
        (lambda m: program(m).update(file="../../etc/passwd"), "program.file"),
        (lambda m: program(m)["arguments"].pop(), "does not take and give"),
        (lambda m: argument(m, "dense/kernel").update(tensor="gone"), "not stored as the manifest says"),
        (lambda m: argument(m, "dense/kernel").update(tensor="dense/bias"), "not stored as the manifest says"),
        (lambda m: argument(m, "dense/kernel").update(tensor=None), "tensor"),
        (lambda m: argument(m, "dense/kernel").update(dtype="int32"), "not stored as the manifest says"),
        (lambda m: argument(m, "amount").update(dtype="int32"), "does not take and give"),
        (lambda m: argument(m, "amount").update(dtype="O"), "dtype"),
        (lambda m: argument(m, "amount").update(shape=[]), "no batch axis"),
        (lambda m: argument(m, "amount").update(shape=[10**12]), "does not take and give"),
        (lambda m: argument(m, "amount").update(shape=["batch;import os"]), "description of a program"),
        (lambda m: argument(m, "amount").update(shape=["((((("]), "description of a program"),
        (lambda m: argument(m, "amount").update(name="unknown"), "not among the device inputs"),
        (lambda m: program(m)["results"][0].update(shape=["batch", "batch"]), "does not take and give"),
        (lambda m: program(m)["results"][-1].update(name="renamed"), "suffix does not turn"),
        (lambda m: program(m).update(calling_convention=99), "unknown calling convention"),
        (lambda m: m.update(platforms=["cpu"]), "does not take and give"),
        (lambda m: m.update(platforms=["abacus"]), "not saved for this platform"),
        (lambda m: m["files"].pop(DATA_FILE), "added"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(forge: Forge, edit: Any, message: str) -> None:
    refused(forge(edit=edit), message, (FormatError, IntegrityError))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/passwd", "a/../../outside", "a//b", "./a", "a\\b", "C:/x", "a\0b", ""]
)
def test_a_path_that_leads_out_of_the_folder_is_refused(forge: Forge, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_bytes(b"")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    folder = forge(edit=lambda m: m["files"].update({path: {"size": 0, "sha256": digest}}))
    refused(folder, "path")


@pytest.mark.parametrize("value", [{"size": -1}, {"size": 1.5}, {"size": True}, {"sha256": "A" * 64}, {"sha256": None}])
def test_a_file_entry_that_is_malformed_is_refused(forge: Forge, value: dict[str, Any]) -> None:
    refused(forge(edit=lambda m: m["files"][DATA_FILE].update(value)), "not as specified")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"format": NaN}',
        b'{"format": Infinity}',
        b'{"a": 1, "a": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
    ],
)
def test_a_manifest_that_is_no_strict_json_is_refused(forge_manifest: Callable[[bytes], Path], text: bytes) -> None:
    refused(forge_manifest(text), "malformed JSON|no manifest")


def test_a_duplicate_key_is_refused_even_deep_inside(forge_manifest: Callable[[bytes], Path], sound: Path) -> None:
    manifest = (sound / EXTRA / "manifest.json").read_bytes()
    refused(forge_manifest(manifest.replace(b'"purpose"', b'"a": 1, "a": 2, "purpose"')), "key twice")


def stablehlo(function: Any, *specs: Any) -> bytes:
    exported = export.export(jax.jit(function, keep_unused=True), platforms=("cpu", "cuda", "tpu"))(*specs)
    return portable(exported.mlir_module_serialized)


def test_another_program_in_its_place_is_refused(forge: Forge) -> None:
    module = stablehlo(lambda x: x, jax.ShapeDtypeStruct((2,), jnp.float32))
    refused(forge({PROGRAM: module}), "does not take and give what the manifest says")


def test_a_program_with_a_custom_call_is_refused_though_it_fits(sound: Path, forge: Forge) -> None:
    """A custom call would run whatever native code the process has under its name."""
    manifest = json.loads((sound / EXTRA / "manifest.json").read_text())
    scope = export.SymbolicScope()
    specs = [
        jax.ShapeDtypeStruct(export.symbolic_shape(",".join(map(str, t["shape"])) + ",", scope=scope), t["dtype"])
        for t in program(manifest)["arguments"]
    ]

    def hostile(*arguments: Any) -> Any:
        rows = arguments[-1].shape[0]
        factor = jnp.linalg.cholesky(jnp.ones((rows, 3, 3)) + jnp.eye(3))
        return jnp.zeros(rows), factor[:, 0]

    exported = export.export(jax.jit(hostile, keep_unused=True), platforms=("cpu", "cuda", "tpu"))(*specs)
    refused(forge({PROGRAM: exported.mlir_module_serialized}), "outside the stable set")


@pytest.mark.parametrize("module", [b"", b"ML\xefR", b"module {}", b"ML\xefR\rStableHLO_v9.9.9\x00\x01"])
def test_a_program_that_is_no_module_is_refused(forge: Forge, module: bytes) -> None:
    refused(forge({PROGRAM: module}), "not a StableHLO module")


def test_swapped_weights_are_found_by_the_golden_answers(forge: Forge, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    shapes = {"city/table": (5, 4), "dense/kernel": (6, 3), "dense/bias": (3,)}
    weights = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    write_bundle(tmp_path, weights)
    files = {f"variables/{file.name}": file.read_bytes() for file in (tmp_path / "variables").iterdir()}
    refused(forge(files), "differs from its sealed one", ParityError)


def test_a_swapped_vocabulary_is_found_by_the_golden_answers(forge: Forge) -> None:
    refused(forge({"assets/cities.txt": "東京\nBerlin\nZürich\n".encode()}), "differs from its sealed one", ParityError)


def test_swapped_labels_are_found_by_the_golden_answers(forge: Forge) -> None:
    refused(forge({"assets/classes.txt": "maybe\nno\nçok\n".encode()}), "output label", ParityError)


def golden(sound: Path, change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    arrays = read_npz((sound / GOLDEN).read_bytes())
    change(arrays)
    return {GOLDEN: write_npz(arrays)}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.clear(),
        lambda a: a.pop("serving_default/inputs/amount/values"),
        lambda a: a.pop("serving_default/outputs/scores/values"),
        lambda a: a.update({"serving_default/inputs/amount/values": np.zeros(3)}),
        lambda a: a.update({"serving_default/outputs/scores/values": np.float32(1).reshape(())}),
        lambda a: a.update({name: array[:0] for name, array in a.items() if "/outputs/" not in name}),
    ],
)
def test_golden_requests_that_do_not_fit_are_refused(sound: Path, forge: Forge, change: Any) -> None:
    refused(forge(golden(sound, change)), ".")


@pytest.mark.parametrize("changed", [1e-3, -1e-3, np.nan, np.inf])
def test_a_changed_golden_answer_is_not_reproduced(sound: Path, forge: Forge, changed: float) -> None:
    def change(arrays: dict[str, Any]) -> None:
        scores = arrays["serving_default/outputs/scores/values"].copy()
        scores[1, 1] += changed
        arrays["serving_default/outputs/scores/values"] = scores

    refused(forge(golden(sound, change)), r"output scores\[1\]\[1\]", ParityError)


def test_golden_requests_that_the_model_refuses_are_not_swallowed(sound: Path, forge: Forge) -> None:
    def change(arrays: dict[str, Any]) -> None:
        arrays["serving_default/inputs/amount/missing"] = np.array([False, True, False, False, False])

    refused(forge(golden(sound, change)), "required input has a missing value", ParityError)


def graphs(sound: Path, change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    value = json.loads((sound / GRAPHS).read_text())
    change(value)
    return {GRAPHS: json.dumps(value).encode()}


def node(value: dict[str, Any], op: str) -> Any:
    return next(n for n in value["signatures"]["serving_default"]["prefix"]["nodes"] if n["op"] == op)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.update(format_version=2),
        lambda g: g.update(more=1),
        lambda g: g["signatures"].pop("transform_features"),
        lambda g: g["signatures"]["serving_default"].pop("suffix"),
        lambda g: g["signatures"]["transform_features"].update(suffix=g["signatures"]["serving_default"]["suffix"]),
        lambda g: g["signatures"].update(serving_default=[]),
        lambda g: node(g, "Cast").update(op="PyFunc"),
        lambda g: node(g, "Cast").update(version=99),
        lambda g: node(g, "Cast").update(attrs={"dtype": "float32", "code": "import os"}),
        lambda g: node(g, "LookupTableFindV2")["attrs"].update(asset="../../../../etc/passwd"),
        lambda g: node(g, "LookupTableFindV2")["attrs"].update(asset="/etc/passwd"),
        lambda g: node(g, "LookupTableFindV2")["attrs"].update(asset="missing.txt"),
        lambda g: node(g, "LookupTableFindV2").update(inputs=["city_id"]),
    ],
)
def test_a_host_graph_that_is_not_as_specified_is_refused(sound: Path, forge: Forge, change: Any) -> None:
    refused(forge(graphs(sound, change)), ".")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"format_version": 1, "signatures": []}']
)
def test_host_graphs_that_are_no_json_are_refused(forge: Forge, text: bytes) -> None:
    refused(forge({GRAPHS: text}), ".")
