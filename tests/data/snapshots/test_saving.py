"""Snapshots: what was saved is loaded, bit for bit, or refused with the name of the file that was changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import (
    ArgumentError,
    DataError,
    FormatError,
    IntegrityError,
    MainstayError,
    StorageError,
    TensorSpec,
    digest_json,
)
from mainstay.data import Dataset, RaggedTensorSpec
from mainstay.io import Ragged

COMPRESSIONS = [None, "LZ4", "ZSTD", "GZIP"]
DTYPES = ["bool", "int8", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64", ml_dtypes.bfloat16]


def elements(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


def same(one: Any, other: Any) -> bool:
    """Whether two elements are equal, bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Ragged):
        return same(one.to_list(), other.to_list()) and one.dtype == other.dtype
    if isinstance(one, (np.ndarray, np.generic)):
        one, other = np.asarray(one), np.asarray(other)
        if one.dtype == object:
            return one.shape == other.shape and one.tolist() == other.tolist()
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return type(one) is type(other) and one == other


def columns(rows: int) -> st.SearchStrategy[Any]:
    shape = st.lists(st.integers(0, 3), max_size=2)
    dense = st.builds(
        lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 2, (rows, *shape)).astype(dtype),
        st.sampled_from(DTYPES),
        shape,
        st.integers(0, 9),
    )
    texts = st.lists(st.binary(max_size=5), min_size=rows, max_size=rows)
    ragged = st.builds(
        lambda lengths, dtype: Ragged.from_rows([np.arange(n).astype(dtype) for n in lengths]),
        st.lists(st.integers(0, 3), min_size=rows, max_size=rows),
        st.sampled_from(["int32", "float64"]),
    )
    words = st.builds(
        lambda lengths: Ragged.from_rows([[b"w\0"] * n for n in lengths] or [[b""]]),
        st.lists(st.integers(0, 3), min_size=rows, max_size=rows),
    )
    nested = st.builds(
        lambda lengths: Ragged.from_rows([Ragged.from_rows([[1.5] * k for k in range(n)], "float32") for n in lengths]),
        st.lists(st.integers(0, 3), min_size=rows, max_size=rows),
    )
    return st.one_of(dense, texts, ragged, words, nested)


@st.composite
def structures(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(1, 7))
    leaf = columns(rows)
    inner = st.one_of(leaf, st.tuples(leaf, st.none()), st.dictionaries(st.sampled_from("abc"), leaf, min_size=1))
    return draw(st.one_of(inner, st.tuples(inner, inner), st.dictionaries(st.sampled_from("xyz"), inner, min_size=1)))


@settings(max_examples=40)
@given(structure=structures(), batch=st.sampled_from([0, 1, 2, 3]), compression=st.sampled_from(COMPRESSIONS))
def test_every_structure_and_dtype_comes_back(
    structure: Any, batch: int, compression: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("snapshot") / "s"
    dataset = Dataset.from_tensor_slices(structure)
    if batch:
        try:
            dataset = dataset.batch(batch)
            saved = elements(dataset)
        except MainstayError:
            dataset = Dataset.from_tensor_slices(structure)
    saved = elements(dataset)
    dataset.save(path, compression)
    loaded = Dataset.load(path)
    assert loaded.element_spec == dataset.element_spec
    assert len(loaded) == len(saved)
    assert all(map(same, elements(loaded), saved))


def images(count: int = 40) -> Dataset:
    return Dataset.range(count).map(lambda i: {"image": np.full((int(i) % 4, 2), i, np.uint8), "n": i})


def test_arrays_of_several_shapes_come_back(tmp_path: Path) -> None:
    images().save(tmp_path / "s")
    assert all(map(same, elements(Dataset.load(tmp_path / "s")), elements(images())))


def test_batches_of_lists_come_back(tmp_path: Path) -> None:
    dataset = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3], [], [4]])).ragged_batch(3)
    dataset.save(tmp_path / "s")
    loaded = Dataset.load(tmp_path / "s")
    assert [x.to_list() for x in loaded] == [[[1], [2, 3], []], [[4]]]
    assert isinstance(loaded.element_spec, RaggedTensorSpec)
    assert [x.to_list() for x in loaded.unbatch().ragged_batch(2)] == [[[1], [2, 3]], [[], [4]]]


def test_elements_without_leaves_and_no_elements_at_all_come_back(tmp_path: Path) -> None:
    Dataset.from_generator(lambda: iter([(), ()])).save(tmp_path / "a")
    assert elements(Dataset.load(tmp_path / "a")) == [(), ()]
    Dataset.range(0).save(tmp_path / "b")
    assert elements(Dataset.load(tmp_path / "b")) == []
    assert elements(Dataset.load(tmp_path / "b").shuffle(3).batch(2)) == []


class Point(NamedTuple):
    x: Any
    y: Any


def test_named_tuples_are_loaded_as_tuples(tmp_path: Path) -> None:
    Dataset.from_tensor_slices(Point([1], [2])).save(tmp_path / "s")
    assert Dataset.load(tmp_path / "s").element_spec == (TensorSpec((), "int32"), TensorSpec((), "int32"))
    assert elements(Dataset.load(tmp_path / "s")) == [(1, 2)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_loaded_dataset_is_shuffled_sharded_and_resumed(compression: str | None, tmp_path: Path) -> None:
    Dataset.range(5000).batch(10).unbatch().save(tmp_path / "s", compression)
    dataset = Dataset.load(tmp_path / "s").shuffle(100, seed=1).batch(64)
    iterator = dataset.iter()
    first = [next(iterator) for _ in range(20)]
    rest = [x.tolist() for x in dataset.iter(iterator.state())]
    assert rest == [x.tolist() for x in iterator]
    assert sorted([int(n) for x in first for n in x] + [n for x in rest for n in x]) == list(range(5000))


def test_rows_are_picked_from_many_files(tmp_path: Path) -> None:
    from mainstay.data.chunks import Chunk
    from mainstay.data.snapshots.reading import open_snapshot, source_of
    from mainstay.data.snapshots.writing import SnapshotWriter

    writer = SnapshotWriter(tmp_path, file_bytes=100)
    writer.add(Chunk.of({"n": np.arange(200), "s": pa.array([str(i).encode() for i in range(200)], pa.binary())}))
    writer.finish({"n": TensorSpec((), "int64"), "s": TensorSpec((), "string")})
    source: Any = source_of(open_snapshot(tmp_path))
    assert source.num_blocks > 10
    for indices in ([5], [199, 0, 7, 7, 100], list(range(50, 90))):
        chunk = source.load(np.array(indices))
        assert chunk.structure["n"].tolist() == indices
        assert chunk.structure["s"].to_pylist() == [str(i).encode() for i in indices]
        assert str(tmp_path) in chunk.address(0)
    assert source.span(3, 190).structure["n"].tolist() == list(range(3, 190))
    assert source.span(3, 3).length == 0


def test_what_is_loaded_is_mapped_and_read_only(tmp_path: Path) -> None:
    Dataset.range(10).save(tmp_path / "s")
    chunk = Dataset.load(tmp_path / "s").iterate_chunks().piece()
    assert chunk is not None
    assert not chunk.columns[0].flags.writeable
    assert not chunk.columns[0].flags.owndata


def test_shards_are_chosen_by_a_function_and_read_by_another(tmp_path: Path) -> None:
    Dataset.range(10).save(tmp_path / "s", shard_func=lambda x: np.int64(int(x) % 3))
    assert [int(x) for x in Dataset.load(tmp_path / "s")] == [0, 3, 6, 9, 1, 4, 7, 2, 5, 8]

    def read(shards: Dataset) -> Dataset:
        return shards.interleave(lambda shard: shard, cycle_length=3)

    assert [int(x) for x in Dataset.load(tmp_path / "s", reader_func=read)] == list(range(10))
    with pytest.raises(DataError, match="number of a shard"):
        Dataset.range(3).save(tmp_path / "t", shard_func=lambda x: -1)
    assert not (tmp_path / "t").exists()


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="take before save"):
        Dataset.range(3).repeat().save(tmp_path / "s")
    with pytest.raises(ArgumentError, match="LZ4, ZSTD or GZIP"):
        Dataset.range(3).save(tmp_path / "s", "SNAPPY")
    with pytest.raises(ArgumentError, match="flat_map"):
        Dataset.range(3).window(2).save(tmp_path / "s")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="something else"):
        Dataset.range(3).save(tmp_path / "file")
    with pytest.raises(StorageError, match="something else"):
        Dataset.range(3).save(tmp_path)
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failing_save_leaves_the_old_snapshot(tmp_path: Path) -> None:
    Dataset.range(3).save(tmp_path / "s")

    def fail(x: Any) -> Any:
        raise KeyError(str(x))

    with pytest.raises(KeyError):
        Dataset.from_generator(lambda: (fail(i) for i in range(3)), "int64", ()).save(tmp_path / "s")
    assert [int(x) for x in Dataset.load(tmp_path / "s")] == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    Dataset.range(4).save(tmp_path / "s")
    assert len(Dataset.load(tmp_path / "s")) == 4


def test_what_is_expected_is_compared(tmp_path: Path) -> None:
    Dataset.range(3).save(tmp_path / "s", "LZ4")
    assert len(Dataset.load(tmp_path / "s", TensorSpec((), "int64"), "LZ4")) == 3
    with pytest.raises(ArgumentError, match="other elements"):
        Dataset.load(tmp_path / "s", TensorSpec((), "int32"))
    with pytest.raises(ArgumentError, match="compressed otherwise"):
        Dataset.load(tmp_path / "s", compression="ZSTD")
    with pytest.raises(StorageError):
        Dataset.load(tmp_path / "missing")


# Damage.


def saved(tmp_path: Path) -> tuple[Path, Path]:
    Dataset.from_tensor_slices({"a": np.arange(100), "s": ["text"] * 100}).save(tmp_path / "s")
    (data,) = (tmp_path / "s" / "data").iterdir()
    return tmp_path / "s", data


def test_a_truncated_an_added_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path, data = saved(tmp_path)
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match=data.name):
        Dataset.load(path)
    data.write_bytes(content)
    (path / "data" / "extra.arrow").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"extra\.arrow"):
        Dataset.load(path)
    (path / "data" / "extra.arrow").unlink()
    data.unlink()
    with pytest.raises(IntegrityError, match=data.name):
        Dataset.load(path)


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.8, 0.999])
def test_an_edited_file_is_named_before_anything_of_it_is_given_out(place: float, tmp_path: Path) -> None:
    path, data = saved(tmp_path)
    content = bytearray(data.read_bytes())
    content[int(place * len(content))] ^= 0x10
    data.write_bytes(content)
    iterator = iter(Dataset.load(path))
    with pytest.raises(IntegrityError, match=data.name):
        next(iterator)


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"none"', '"gzip"'))
    with pytest.raises(IntegrityError, match="edited"):
        Dataset.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "unknown version"),
        ({"format": "other"}, "no manifest"),
        ({"more": 1}, "other keys"),
        ({"compression": "rar"}, "breaks its rules"),
        ({"element_spec": {"array": 1}}, "breaks its rules"),
        ({"element_spec": {"tensor": {"shape": [1], "dtype": "int3", "name": ""}}}, "breaks its rules"),
        ({"shards": [[{"path": "../x", "size": 1, "sha256": "0" * 64, "batches": []}]]}, "breaks its rules"),
        ({"shards": [[{"path": "data/0-0.arrow", "size": -1, "sha256": "0" * 64, "batches": []}]]}, "breaks its rules"),
        ({"shards": [[{"path": "data/0-0.arrow"}]]}, "breaks its rules"),
        ({"shards": 3}, "breaks its rules"),
    ],
)
def test_a_hostile_manifest_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    value = json.loads((path / "manifest.json").read_text()) | change
    value.pop("digest")
    (path / "manifest.json").write_text(json.dumps(value | {"digest": digest_json(value)}))
    with pytest.raises(FormatError, match=message):
        Dataset.load(path)
    (path / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(FormatError, match="no manifest"):
        Dataset.load(path)


def reseal(path: Path, data: Path, content: bytes) -> None:
    """Replace a file, and have the manifest agree with it."""
    from mainstay.core import digest_bytes

    data.write_bytes(content)
    value = json.loads((path / "manifest.json").read_text())
    value.pop("digest")
    value["shards"][0][0] |= {"size": len(content), "sha256": digest_bytes(content)}
    (path / "manifest.json").write_text(json.dumps(value | {"digest": digest_json(value)}))


@pytest.mark.parametrize(
    "batch",
    [
        pa.record_batch({"['a']": pa.array([1, 2])}),
        pa.record_batch({"['a']": pa.array([1, 2]), "['s']": pa.array([b"", b""])}),
        pa.record_batch(
            [pa.array(["x"]), pa.array([1])],
            pa.schema(
                [
                    pa.field(
                        "['a']", pa.string(), metadata={b"mainstay": b'{"kind":"arrays","dtype":"int64","shape":[]}'}
                    ),
                    pa.field("['s']", pa.int64(), metadata={b"mainstay": b'{"kind":"strings"}'}),
                ]
            ),
        ),
        pa.record_batch(
            [pa.array([1]), pa.array([b""])],
            pa.schema(
                [
                    pa.field(
                        "['a']", pa.int64(), metadata={b"mainstay": b'{"kind":"arrays","dtype":"int64","shape":[9]}'}
                    ),
                    pa.field("['s']", pa.binary(), metadata={b"mainstay": b'{"kind":"strings"}'}),
                ]
            ),
        ),
    ],
    ids=["a column less", "no layouts", "other types", "another shape"],
)
def test_a_file_that_does_not_hold_what_was_promised_is_refused(batch: Any, tmp_path: Path) -> None:
    path, data = saved(tmp_path)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    reseal(path, data, sink.getvalue().to_pybytes())
    with pytest.raises(FormatError, match=data.name):
        list(Dataset.load(path))
    reseal(path, data, b"ARROW1\0\0 no more")
    with pytest.raises(FormatError, match=data.name):
        list(Dataset.load(path))


# Interruption.


def test_a_killed_save_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from mainstay.data import Dataset
        from mainstay.core import TensorSpec
        def numbers():
            for number in range(1000):
                if number == 700 and os.environ.get("KILL"):
                    os.kill(os.getpid(), signal.SIGKILL)
                yield number
        dataset = Dataset.from_generator(numbers, output_signature=TensorSpec((), "int64"))
        settings = {{"directory": {os.fspath(tmp_path / "work")!r}, "checkpoint_interval": 100}}
        dataset.save({os.fspath(tmp_path / "s")!r}, checkpoint_args=settings)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    killed = subprocess.run(command, env={**os.environ, "KILL": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "s").exists()
    progress = json.loads((tmp_path / "work" / "progress.json").read_text())
    assert progress["files"]["0"]
    subprocess.run(command, check=True)
    loaded = Dataset.load(tmp_path / "s")
    assert [int(x) for x in loaded] == list(range(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_settings_of_a_checkpoint_are_checked(tmp_path: Path) -> None:
    for settings_ in ({}, {"directory": tmp_path}, {"directory": tmp_path, "checkpoint_interval": 0}, {"more": 1}):
        with pytest.raises(ArgumentError, match="checkpoint_args"):
            Dataset.range(3).save(tmp_path / "s", checkpoint_args=settings_)
    (tmp_path / "other").write_text("mine")
    with pytest.raises(StorageError, match="something else"):
        Dataset.range(3).save(tmp_path / "s", checkpoint_args={"directory": tmp_path, "checkpoint_interval": 1})
