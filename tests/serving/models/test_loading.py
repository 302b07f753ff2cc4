import asyncio

import numpy as np
import pytest

from mainstay.core import SetupError
from mainstay.serving import ServerOptions
from mainstay.serving.models.loading import Source, find_source, make_servable


def artifact(folder):
    (folder / "assets.extra" / "mainstay").mkdir(parents=True)
    (folder / "assets.extra" / "mainstay" / "manifest.json").touch()
    return folder


def test_an_artifact_is_served_as_version_1(tmp_path):
    folder = artifact(tmp_path / "model")
    assert find_source("m", folder) == Source("m", 1, folder)
    assert find_source("m", str(folder)) == Source("m", 1, folder)


def test_an_artifact_in_a_numbered_folder_has_that_version(tmp_path):
    assert find_source("m", artifact(tmp_path / "0017")).version == 17


def test_of_numbered_folders_the_highest_is_served(tmp_path):
    for name in ("1", "2", "010", "x", ".11.partial"):
        artifact(tmp_path / name)
    (tmp_path / "99").touch()
    assert find_source("m", tmp_path) == Source("m", 10, tmp_path / "010")


def test_a_saved_model_of_tensorflow_is_recognised(tmp_path):
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "saved_model.pb").touch()
    assert find_source("m", tmp_path).version == 3


def test_a_path_without_a_model_is_refused_by_name(tmp_path):
    for path, received in ((tmp_path / "absent", "nothing"), (tmp_path, "no such files")):
        with pytest.raises(SetupError, match="there is no model to serve as 'm'") as caught:
            find_source("m", path)
        assert caught.value.received == received
        assert str(path) in str(caught.value)
    (tmp_path / "5").mkdir()
    with pytest.raises(SetupError, match="version 5 of model 'm' is no saved model"):
        find_source("m", tmp_path)


class Nowhere:
    def submit(self, work, done):
        raise AssertionError("nothing is executed here")


def servable(model, tmp_path, **options):
    loop = asyncio.new_event_loop()
    try:
        source = find_source("m", model)
        return make_servable(source, model, options=ServerOptions(**options), executor=Nowhere(), loop=loop)
    finally:
        loop.close()


def policy_of(model, tmp_path, **options):
    return servable(model, tmp_path, **options).endpoints["serving_default"].batcher._policy


def test_every_batch_size_is_compiled_before_the_model_answers(fakes, tmp_path):
    signature = fakes.Signature([fakes.input("x")], buckets=(1, 4, 16, 64))
    policy = policy_of(fakes.Model(serving_default=signature), tmp_path, max_batch_size=20)
    assert signature.warm == (1, 4, 16, 20)
    assert policy.max_rows == 20


def test_no_batch_exceeds_the_largest_compiled_size(fakes, tmp_path):
    signature = fakes.Signature([fakes.input("x")], buckets=(1, 4))
    assert policy_of(fakes.Model(serving_default=signature), tmp_path).max_rows == 4


def test_the_place_of_execution_can_be_chosen(fakes, tmp_path):
    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")]))
    assert policy_of(model, tmp_path, execution="thread").max_inline_rows == 0
    assert policy_of(model, tmp_path, execution="inline").max_inline_rows == 32
    assert policy_of(model, tmp_path, inline_below_seconds=1000.0).max_inline_rows == 32
    assert policy_of(model, tmp_path, inline_below_seconds=0).max_inline_rows == 0


def test_a_model_that_refuses_blank_rows_is_served_on_the_executor(fakes, tmp_path):
    def refuse(columns):
        raise ValueError("nothing is there")

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], body=refuse))
    assert policy_of(model, tmp_path, inline_below_seconds=1000.0).max_inline_rows == 0


def test_measuring_uses_inputs_of_every_kind(fakes, tmp_path):
    inputs = [
        fakes.input("x", "float32", 2, None),
        fakes.input("s", "string"),
        fakes.input("t", "string", 2),
        fakes.input("n", "int64", optional=True),
        fakes.input("b", "bool"),
    ]
    seen = []

    def remember(columns):
        seen.append([(column.values.shape, column.values.dtype, column.missing is None) for column in columns])
        return {"total": np.zeros(len(columns[0]))}

    servable(
        fakes.Model(serving_default=fakes.Signature(inputs, body=remember, buckets=(3,))), tmp_path, max_batch_size=3
    )
    assert seen[-1][0] == ((3, 2, 1), np.float32, True)
    assert seen[-1][1:3] == [((3,), object, True), ((3, 2), object, True)]
    assert seen[-1][3:] == [((3,), np.int64, False), ((3,), bool, True)]


def test_a_signature_that_does_not_work_on_rows_is_left_out(fakes, tmp_path):
    whole = fakes.Signature([fakes.input("x")])
    whole.rows = False
    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")]), whole=whole)
    assert list(servable(model, tmp_path).endpoints) == ["serving_default"]
    assert whole.warm == ()
