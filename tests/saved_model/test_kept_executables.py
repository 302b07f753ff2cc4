import numpy as np
import pytest

from mainstay.core import TensorSpec, set_compilation_cache
from mainstay.saved_model import ServingFunction, kept_executables, load, save
from mainstay.saved_model.kept_executables import KeptExecutables, _Kept


class Nonsense:
    """A cache that holds something, which is no executable, under every key."""

    def get(self, key):
        return b"nothing of the kind"

    def put(self, key, value):
        pass


@pytest.fixture
def cache(tmp_path):
    set_compilation_cache(tmp_path / "cache")
    yield tmp_path / "cache"
    set_compilation_cache(None)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    random = np.random.default_rng(1)
    function = ServingFunction(
        lambda weights, values: {
            "y": values["x"] @ weights["w"] + values["n"][:, None],
            "unused": values["x"].sum(axis=1).astype("int32"),
        },
        (
            TensorSpec([None, 3], "float32", "x"),
            TensorSpec([None], "float32", "n"),
            TensorSpec([None], "int32", "ignored"),
        ),
        {"w": random.normal(size=(3, 2)).astype(np.float32), "also": np.float32(1)},
    )
    path = tmp_path_factory.mktemp("kept") / "model"
    save(function, path, tensorflow=None)
    return path


def answers(artifact, rows=5):
    random = np.random.default_rng(2)
    signature = load(artifact).signatures["serving_default"]
    values = {"x": random.normal(size=(rows, 3)), "n": random.normal(size=rows), "ignored": np.arange(rows)}
    given = {name: value.astype(np.int32 if name == "ignored" else np.float32) for name, value in values.items()}
    return signature(given), signature._batches.executables.compile(signature.buckets[0])


def test_an_executable_that_was_kept_answers_the_same_to_the_bit(artifact, cache):
    first, compiled = answers(artifact)
    again, kept = answers(artifact)
    assert not isinstance(compiled, _Kept)
    assert isinstance(kept, _Kept)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert first[name].dtype == again[name].dtype


def test_a_damaged_one_is_compiled_again(artifact, cache, monkeypatch):
    first, _ = answers(artifact)
    for file in cache.rglob("*.xla"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    again, compiled = answers(artifact)
    assert not isinstance(compiled, _Kept)
    np.testing.assert_array_equal(first["y"], again["y"])
    # What an executable cannot be made of is compiled again as well.
    monkeypatch.setattr(kept_executables, "compilation_cache", Nonsense)
    assert not isinstance(answers(artifact)[1], _Kept)


def test_what_jax_found_in_its_own_cache_is_not_kept(artifact, cache, monkeypatch):
    with monkeypatch.context() as nothing_kept:
        nothing_kept.setattr(KeptExecutables, "keep", lambda *_: None)
        first, _ = answers(artifact)
    assert not isinstance(answers(artifact)[1], _Kept)
    again, compiled = answers(artifact)
    assert not isinstance(compiled, _Kept)
    np.testing.assert_array_equal(first["y"], again["y"])


def test_nothing_is_kept_where_there_is_no_cache(artifact):
    assert not isinstance(answers(artifact)[1], _Kept)
    assert not isinstance(answers(artifact)[1], _Kept)


def test_flags_of_the_compiler_make_another_key(artifact, cache, monkeypatch):
    answers(artifact)
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=")
    assert not isinstance(answers(artifact)[1], _Kept)


def test_one_that_turns_out_not_to_run_is_compiled_again(artifact, cache, monkeypatch, caplog):
    first, _ = answers(artifact)
    run, failed = _Kept._run, []

    def fail(self, weights, arrays):
        failed.append(self)
        raise RuntimeError("NOT_FOUND: Function a_fusion not found")

    monkeypatch.setattr(_Kept, "_run", fail)
    again, kept = answers(artifact)
    assert failed.count(kept) == 1
    assert "does not run and is compiled again" in caplog.text
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    monkeypatch.setattr(_Kept, "_run", run)
    _, proven = answers(artifact)
    assert proven._instead is None
    monkeypatch.setattr(_Kept, "_run", fail)
    with pytest.raises(RuntimeError, match="NOT_FOUND"):  # what has run and fails now is no matter of its code
        proven([], [])


def test_machine_code_of_another_processor_is_not_taken(artifact, cache, monkeypatch):
    answers(artifact)
    monkeypatch.setattr(kept_executables, "_processor", lambda: "another")
    assert not isinstance(answers(artifact)[1], _Kept)
