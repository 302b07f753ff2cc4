"""Models, weights and stages whose messages were mutated field by field: refused or read, and nothing else."""

import contextlib
import random
import shutil
from pathlib import Path

import model_seeds
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_mutation import mutate_message

from mainstay.core import MainstayError, message_class
from mainstay.saved_model import load, unsupported_ops
from mainstay.saved_model.bundle import INDEX_FILE
from mainstay.saved_model.graph_reading.host_stage import HostStage
from mainstay.saved_model.tables import decode_table, encode_table

SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module", params=["loops", "numbers", "restored", "texts"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_seeds.FOREIGN[request.param](tmp_path_factory.mktemp("seeds") / request.param)


@settings(max_examples=60)
@given(seed=SEEDS, changes=st.integers(1, 3))
def test_a_mutated_graph_is_refused_or_loaded(folder: Path, seed: int, changes: int) -> None:
    whole = (folder / "saved_model.pb").read_bytes()
    copy = mutate_message(model_seeds.read_model(folder), random.Random(seed), changes=changes)
    (folder / "saved_model.pb").write_bytes(copy.SerializeToString())
    try:
        with contextlib.suppress(MainstayError):
            unsupported_ops(folder)
        with contextlib.suppress(MainstayError):
            for signature in load(folder).signatures.values():
                _ = signature.program
    finally:
        (folder / "saved_model.pb").write_bytes(whole)


@settings(max_examples=100)
@given(seed=SEEDS)
def test_a_mutated_index_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    folder = model_seeds.restored(tmp_path_factory.mktemp("index") / "model")
    table = decode_table((folder / INDEX_FILE).read_bytes())
    key = chance.choice(sorted(table))
    kind = "tensorflow.BundleEntryProto" if key else "tensorflow.BundleHeaderProto"
    message = message_class(kind).FromString(table[key])
    table[key] = mutate_message(message, chance, changes=2).SerializeToString()
    (folder / INDEX_FILE).write_bytes(encode_table(sorted(table.items())))
    with contextlib.suppress(MainstayError):
        for variable in load(folder).variables:
            variable.numpy()
    shutil.rmtree(folder)


@settings(max_examples=100)
@given(seed=SEEDS, changes=st.integers(1, 3))
def test_a_mutated_host_stage_is_refused_or_answers(seed: int, changes: int) -> None:
    copy = mutate_message(model_seeds.host_stage(), random.Random(seed), changes=changes)
    with contextlib.suppress(MainstayError):
        HostStage(copy.SerializeToString(), {}).run({"x": np.array([b"a", b"c"], object)})


def test_the_host_stage_answers_unless_it_was_mutated() -> None:
    stage = HostStage(model_seeds.host_stage().SerializeToString(), {})
    assert stage.run({"x": np.array([b"b", b"c"], object)})["y"].tolist() == [6, -1]
