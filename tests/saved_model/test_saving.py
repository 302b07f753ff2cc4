"""Saving: what becomes an artifact, how it proves itself, and that it appears whole or not at all."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_artifact
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ArgumentError, ModelError, ParityError, StorageError, TensorSpec
from mainstay.hostops import Column, HostGraph, HostInput, HostNode
from mainstay.saved_model import ServingFunction, load, read_contents, save, verify
from mainstay.saved_model.bundle import DATA_FILE, INDEX_FILE, read_index
from mainstay.saved_model.tensor_names import by_name

Make = Callable[..., ServingFunction]


def test_the_same_functions_give_the_same_files(artifact: Path, tmp_path: Path) -> None:
    golden_artifact.write(tmp_path / "again")
    files = sorted(path.relative_to(artifact) for path in artifact.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    assert [file for file in files if (artifact / file).read_bytes() != (tmp_path / "again" / file).read_bytes()] == []


def test_the_layout_is_the_one_that_is_documented(artifact: Path) -> None:
    assert sorted(str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()) == [
        "assets.extra/mainstay/golden.npz",
        "assets.extra/mainstay/host_graph.json",
        "assets.extra/mainstay/manifest.json",
        "assets.extra/mainstay/manifest.sha256",
        "assets.extra/mainstay/schema.pbtxt",
        "assets.extra/mainstay/serving_default.stablehlo",
        "assets/cities.txt",
        "assets/classes.txt",
        "fingerprint.pb",
        "saved_model.pb",
        DATA_FILE,
        INDEX_FILE,
    ]


def test_a_process_with_64_bit_jax_writes_and_reads_the_same(artifact: Path, tmp_path: Path) -> None:
    with jax.enable_x64(True):
        golden_artifact.write(tmp_path / "m")
        assert load(tmp_path / "m").signatures
    assert verify(artifact).rows == verify(tmp_path / "m").rows
    manifest = "assets.extra/mainstay/manifest.json"
    assert (artifact / manifest).read_bytes() == (tmp_path / "m" / manifest).read_bytes()


def test_weights_are_stored_once_and_only_if_they_are_used(linear: Make, tmp_path: Path) -> None:
    shared = np.float32(2.0)
    functions = {"a": linear(weight=shared), "b": linear(weight=shared), "c": linear(weight=np.float32(3.0))}
    save(functions, tmp_path / "m")
    assert list(by_name(read_index((tmp_path / "m" / INDEX_FILE).read_bytes()))) == ["c/w", "w"]
    signatures = load(tmp_path / "m", buckets=[1, 2]).signatures
    assert [float(signatures[name]([1.0])["y"][0]) for name in "abc"] == [2.0, 2.0, 3.0]


def test_64_bit_weights_are_narrowed_and_large_integers_refused(linear: Make, tmp_path: Path) -> None:
    save(linear(weight=np.float64(0.1)), tmp_path / "m")
    assert str(by_name(read_index((tmp_path / "m" / INDEX_FILE).read_bytes()))["w"].dtype) == "float32"
    with pytest.raises(ModelError, match="w: a weight has integers beyond 32 bits"):
        save(linear(weight=np.int64(2**40)), tmp_path / "n")
    with pytest.raises(ModelError, match="w: a weight is no array of numbers"):
        save(linear(weight=np.array(["a"])), tmp_path / "n")


def test_golden_requests_may_be_columns_with_missing_values(tmp_path: Path) -> None:
    rows = golden_artifact.rows()
    rows["age"] = Column(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([False, True, False, False, True]))
    function = golden_artifact.functions()["transform_features"]
    save(function, tmp_path / "m", golden=rows)
    model = load(tmp_path / "m")
    assert model.signatures["serving_default"]({**rows})["age"].tolist() == [1.0, 40.0, 3.0, 4.0, 40.0]


def test_golden_requests_are_made_up_for_numbers_only(linear: Make, tmp_path: Path) -> None:
    save(linear(TensorSpec([None, 2], "int32", "x"), np.int32(3)), tmp_path / "m")
    with pytest.raises(ArgumentError, match="cannot be made up for strings"):
        save(golden_artifact.functions(), tmp_path / "n")
    with pytest.raises(ArgumentError, match="lack an input"):
        save(golden_artifact.functions(), tmp_path / "n", golden={"amount": [1.0]})
    with pytest.raises(ArgumentError, match=r"refuses a golden request: .*\n?"):
        save(linear(), tmp_path / "n", golden={"x": ["one"]})
    with pytest.raises(ArgumentError, match="no golden request"):
        save(linear(), tmp_path / "n", golden={"x": []})
    assert not (tmp_path / "n").exists()


def test_a_function_whose_answer_depends_on_the_batch_size_is_refused(tmp_path: Path) -> None:
    centred = ServingFunction(lambda w, x: {"y": x["x"] - x["x"].mean()}, (TensorSpec([None], "float32", "x"),))
    with pytest.raises(ParityError, match="signature serving_default, output y"):
        save(centred, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_stated_tolerance_is_written_down_and_used(linear: Make, tmp_path: Path) -> None:
    save(linear(tolerance=0.5), tmp_path / "m")
    assert load(tmp_path / "m", buckets=[4]).manifest.signatures["serving_default"].tolerance == 0.5
    with pytest.raises(ArgumentError, match="tolerance"):
        linear(tolerance=float("nan"))


def test_no_number_is_an_answer_too(tmp_path: Path) -> None:
    save(
        ServingFunction(lambda w, x: {"y": jnp.log(x["x"])}, (TensorSpec([None], "float32", "x"),)),
        tmp_path / "m",
        golden={"x": [-1.0, 0.0, np.nan, 1.0]},
    )
    answers = load(tmp_path / "m", buckets=[4]).signatures["serving_default"]([-1.0, 0.0])["y"]
    assert np.isnan(answers[0])
    assert answers[1] == -np.inf


@pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/", "a//b", "a/../b", "a/.", "a\\b", "-a", "ä", "x" * 200])
def test_names_that_cannot_be_files_are_refused(linear: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be a file's"):
        save({name: linear()}, tmp_path / "m")
    with pytest.raises(ArgumentError, match="cannot be a file's"):
        save(linear(), tmp_path / "m", sidecars={name: b""})


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "golden.npz", "host_graph.json", "a.stablehlo"])
def test_a_sidecar_cannot_take_the_place_of_a_file_of_the_artifact(linear: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match="taken by the artifact"):
        save(linear(), tmp_path / "m", sidecars={name: b""})


@pytest.mark.parametrize("provenance", [{"loss": float("nan")}, {"when": object()}, {1: {2, 3}}])
def test_provenance_that_is_not_json_is_refused(linear: Make, tmp_path: Path, provenance: Any) -> None:
    with pytest.raises(ArgumentError, match="provenance is not JSON"):
        save(linear(), tmp_path / "m", provenance=provenance)


@pytest.mark.parametrize("thing", [{}, {"a": 1}, 3, None, lambda x: x])
def test_a_thing_that_is_no_model_is_refused(thing: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be saved"):
        save(thing, tmp_path / "m")


def test_preprocessing_is_for_keras_models(linear: Make, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="its own prefix"):
        save(linear(), tmp_path / "m", preprocessing=golden_artifact.prefix())


def test_parts_that_do_not_fit_are_refused_before_anything_is_written(linear: Make, tmp_path: Path) -> None:
    for make, message in (
        (lambda: linear(prefix=golden_artifact.prefix()), "does not make an input"),
        (lambda: linear(TensorSpec([None], "int32", "amount"), prefix=golden_artifact.prefix()), "in another form"),
        (lambda: linear(TensorSpec([None, 2], "float32", "amount"), prefix=golden_artifact.prefix()), "another form"),
        (lambda: linear(TensorSpec([3], "float32", "x")), "cannot go to the device"),
        (lambda: linear(TensorSpec([None], "string", "x")), "cannot go to the device"),
        (lambda: ServingFunction(None), "a host prefix alone"),
        (lambda: ServingFunction(lambda w, x: {}), "unique names"),
    ):
        with pytest.raises(ArgumentError, match=message):
            make()
    with pytest.raises(ArgumentError, match="does not make what the host suffix takes"):
        save(linear(suffix=golden_artifact.suffix()), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_two_assets_of_one_name_are_refused(linear: Make, tmp_path: Path) -> None:
    def lookup(content: bytes) -> ServingFunction:
        node = HostNode("LookupTableFindV2", "id", ("word",), {"asset": "words.txt"})
        word = HostInput(TensorSpec([None], "string", "word"))
        return ServingFunction(None, prefix=HostGraph([word], [node], {"id": "id"}, {"words.txt": content}))

    with pytest.raises(ArgumentError, match="different assets of one name"):
        save({"a": lookup(b"a\n"), "b": lookup(b"b\n")}, tmp_path / "m", golden={"word": ["a"]})


def test_a_path_that_is_taken_is_refused_and_left_alone(linear: Make, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine").write_text("x")
    with pytest.raises(StorageError, match="exists already"):
        save(linear(), tmp_path / "m")
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("code", "fails_at"), [(errno.ENOSPC, 0), (errno.ENOSPC, 4), (errno.ENOSPC, 9), (errno.EDQUOT, 1), (errno.EIO, 2)]
)
def test_a_disk_that_refuses_any_write_leaves_nothing_behind(
    linear: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails_at: int
) -> None:
    real, calls = os.fsync, iter(range(1000))

    def full(handle: int) -> None:
        if next(calls) == fails_at:
            raise OSError(code, os.strerror(code))
        real(handle)

    function = linear()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=os.strerror(code)) as failure:
        save(function, tmp_path / "m")
    assert failure.value.where == str(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    program = """if True:
        import resource, sys
        import numpy as np
        from mainstay.core import StorageError, TensorSpec
        from mainstay.saved_model import ServingFunction, save
        weights = {"w": np.ones(300_000, np.float32)}
        spec = TensorSpec([None], "float32", "x")
        function = ServingFunction(lambda w, x: {"y": x["x"] * w["w"].sum()}, (spec,), weights)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            save(function, sys.argv[1])
        except StorageError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "m")], capture_output=True, text=True)
    assert "File too large" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_to_one_path_one_wins_whole(linear: Make, tmp_path: Path) -> None:
    barrier = threading.Barrier(2)
    results: list[object] = []

    def write(weight: float) -> None:
        function = linear(weight=np.float32(weight))
        barrier.wait()
        try:
            results.append(save(function, tmp_path / "m", tensorflow=None))
        except StorageError as error:
            results.append(error)

    threads = [threading.Thread(target=write, args=(weight,)) for weight in (2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (failure,) = [result for result in results if isinstance(result, StorageError)]
    assert failure.where == str(tmp_path / "m")
    assert failure.fix == "choose a path that is not taken"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert float(load(tmp_path / "m", buckets=[4]).signatures["serving_default"]([1.0])["y"][0]) in (2.0, 3.0)


def test_a_process_that_is_killed_while_it_writes_leaves_no_artifact(tmp_path: Path) -> None:
    program = """if True:
        import os, signal, sys
        import numpy as np
        from mainstay.core import TensorSpec
        from mainstay.saved_model import ServingFunction, save
        real, calls = os.fsync, iter(range(1000))
        def killed(handle):
            if next(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            real(handle)
        os.fsync = killed
        x = TensorSpec([None], "float32", "x")
        save(ServingFunction(lambda w, x: {"y": x["x"] * w["w"]}, (x,), {"w": np.float32(2)}), sys.argv[1])
    """
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "m")], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "m").exists()


def test_a_model_is_for_the_platforms_that_it_was_saved_for(linear: Make, tmp_path: Path) -> None:
    save(linear(), tmp_path / "m", platforms=("cpu",))
    loaded = load(tmp_path / "m", buckets=[4])
    assert loaded.manifest.platforms == ("cpu",)
    assert loaded.signatures["serving_default"]([1.0])["y"] == 2.0
    with pytest.raises(ArgumentError, match="'cpu' among them"):
        save(linear(), tmp_path / "n", platforms=("tpu",))


def test_the_form_for_tensorflow_is_reported_and_in_the_manifest(linear: Make, tmp_path: Path) -> None:
    report = save(linear(), tmp_path / "m")
    assert report.signatures["serving_default"].form == "ops"
    assert load(tmp_path / "m", buckets=[4]).manifest.tensorflow == report
    assert (tmp_path / "m" / "saved_model.pb").is_file()
    assert save(linear(), tmp_path / "x", tensorflow="xla").signatures["serving_default"].form == "xla"
    assert not save(linear(), tmp_path / "n", tensorflow=None).signatures
    assert not (tmp_path / "n" / "saved_model.pb").exists()
    with pytest.raises(ArgumentError, match="unknown form for TensorFlow"):
        save(linear(), tmp_path / "o", tensorflow="lite")


def test_a_method_is_kept_and_another_one_refused(linear: Make, tmp_path: Path) -> None:
    save(linear(method="regress"), tmp_path / "m")
    assert load(tmp_path / "m", buckets=[4]).signatures["serving_default"].method == "regress"
    with pytest.raises(ArgumentError, match="unknown method"):
        linear(method="guess")


def test_a_module_gives_the_same_files_every_time(tmp_path: Path) -> None:
    import mainstay as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable([1.0, 2.0])

        @tf.function(input_signature=[TensorSpec([None, 2])])
        def serve(self, x: Any) -> Any:
            return {"b": x * self.weight, "a": x}

    for name in ("one", "two"):
        save(Model(), tmp_path / name)
    files = [sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("one", "two")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_weights_in_several_files_are_read_where_they_lie(
    linear: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainstay.saved_model import plan

    real = plan.write_bundle
    monkeypatch.setattr(plan, "write_bundle", lambda folder, tensors: real(folder, tensors, most=64))
    tensors = {"further": np.arange(64, dtype=np.float32)}
    save(linear(), tmp_path / "m", tensors=tensors)
    assert len(list((tmp_path / "m" / "variables").glob("*.data-*"))) == 2
    assert load(tmp_path / "m", buckets=[4]).signatures["serving_default"]([1.0])["y"] == 2.0
    np.testing.assert_array_equal(read_contents(tmp_path / "m").tensors["further"], tensors["further"])


def test_a_signature_has_buckets_of_its_own(linear: Make, tmp_path: Path) -> None:
    save({"a": linear(), "b": linear()}, tmp_path / "m", tensorflow=None)
    signatures = load(tmp_path / "m", buckets={"a": [3, 1]}).signatures
    assert signatures["a"].buckets == (1, 3)
    assert signatures["b"].buckets[0] == 8
    with pytest.raises(ArgumentError, match="a signature that is not there"):
        load(tmp_path / "m", buckets={"c": [1]})


def test_rows_that_are_dear_are_not_padded(tmp_path: Path) -> None:
    weight = np.ones((8192, 2560), np.float32)
    inputs = (TensorSpec([None, 8192], "float32", "x"),)
    function = ServingFunction(lambda w, x: {"y": (x["x"] @ w["w"])[:, :1]}, inputs, {"w": weight}, tolerance=1e-3)
    save(function, tmp_path / "m", tensorflow=None)
    assert load(tmp_path / "m", replay=False).signatures["serving_default"].buckets[0] == 1


def test_names_that_differ_in_case_alone_are_refused_since_some_file_systems_hold_them_for_one(
    linear: Make, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="hold for one"):
        save(linear(), tmp_path / "m", sidecars={"Notes": b"", "notes": b""}, tensorflow=None)
    assert list(tmp_path.iterdir()) == []


def test_a_module_may_hold_nothing_but_variables_and_something_it_must_hold(tmp_path: Path) -> None:
    from mainstay.framework import Module, Variable

    module = Module()
    with pytest.raises(ArgumentError, match="nothing to save"):
        save(module, tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
    module.scale = Variable(np.float32([1.0, 2.0]))
    save(module, tmp_path / "module")
    loaded: Any = load(tmp_path / "module")
    assert not loaded.signatures
    np.testing.assert_array_equal(np.asarray(loaded.scale), [1.0, 2.0])


def test_signatures_may_have_the_names_that_tools_of_tensorflow_gave_them(linear: Make, tmp_path: Path) -> None:
    names = {"tensorflow/serving/regress": 2.0, "tensorflow.serving.regress": 3.0, "a/b": 4.0, "a.b": 5.0}
    save({name: linear(weight=np.float32(weight)) for name, weight in names.items()}, tmp_path / "m")
    signatures = load(tmp_path / "m", buckets=[1, 2]).signatures
    assert {name: float(signatures[name]([1.0])["y"][0]) for name in names} == names
    assert len(list((tmp_path / "m" / "assets.extra" / "mainstay").glob("*.stablehlo"))) == 4
