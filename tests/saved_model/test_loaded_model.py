"""Loaded signatures: how they are called, padded, split and compiled."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_artifact
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ArgumentError, RequestError, TensorSpec
from mainstay.hostops import Column
from mainstay.saved_model import LoadedModel, ServingFunction, load, save

Make = Callable[..., ServingFunction]


@pytest.fixture
def single(linear: Make, tmp_path: Path) -> Any:
    save(linear(), tmp_path / "m")
    return load(tmp_path / "m", buckets=[4, 1])


def test_a_signature_says_what_it_takes_and_gives(model: LoadedModel) -> None:
    signature = model.signatures["serving_default"]
    assert [(item.spec.name, item.spec.dtype, item.optional) for item in signature.inputs] == [
        ("amount", "float64", False),
        ("age", "float64", True),
        ("city", "string", False),
    ]
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.signature.outputs] == [
        ("label", "string", (None,)),
        ("scores", "float32", (None, 3)),
    ]
    assert signature.structured_input_signature[1]["city"] == TensorSpec([None], "string", "city")
    assert list(signature.structured_outputs) == ["label", "scores"]
    assert "serving_default" in repr(model)


def test_strings_go_in_and_come_out(model: LoadedModel) -> None:
    answers = model.signatures["serving_default"](golden_artifact.rows())
    assert set(answers["label"]) <= {"no", "maybe", "çok"}
    assert answers["label"].dtype == object
    assert answers["scores"].shape == (5, 3)


def test_bytes_and_texts_of_strings_are_the_same_rows(model: LoadedModel) -> None:
    serve = model.signatures["serving_default"]
    columns = serve.columns(golden_artifact.rows())
    mixed = np.array(
        [text.encode() if row % 2 else text for row, text in enumerate(golden_artifact.rows()["city"])], object
    )
    for values in (np.array([text.encode() for text in golden_artifact.rows()["city"]], object), mixed):
        answers = serve.run([*columns[:2], Column(values)])
        assert answers["label"].tolist() == serve.run(columns)["label"].tolist()


def test_keywords_a_mapping_and_a_single_value_are_the_same_call(single: LoadedModel) -> None:
    serve = single.signatures["serving_default"]
    for answers in (serve([1.0, 2.0]), serve(x=[1.0, 2.0]), serve({"x": np.array([1, 2])})):
        np.testing.assert_array_equal(answers["y"], np.array([2, 4], np.float32))


def test_a_call_that_is_ambiguous_is_refused(single: LoadedModel, model: LoadedModel) -> None:
    serve = single.signatures["serving_default"]
    for call in (lambda: serve([1.0], [2.0]), lambda: serve([1.0], x=[1.0])):
        with pytest.raises(ArgumentError, match="one mapping, one value or keyword"):
            call()
    with pytest.raises(ArgumentError, match="by name"):
        model.signatures["serving_default"]([1.0])


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 9])
def test_any_number_of_rows_is_padded_or_split(single: LoadedModel, rows: int) -> None:
    serve = single.signatures["serving_default"]
    assert (serve.buckets, serve.max_bucket) == ((1, 4), 4)
    values = np.arange(rows, dtype=np.float32)
    np.testing.assert_array_equal(serve(values)["y"], values * 2)


def test_buckets_are_compiled_once_and_rounded_up(single: LoadedModel) -> None:
    serve = single.signatures["serving_default"]
    executables = serve.executables
    assert executables is not None
    serve.warm_up([3, 100])
    assert executables.compile(4) is executables.compile(4)
    serve.warm_up()
    assert serve([1.0])["y"] == [2.0]


def test_padded_batches_answer_as_others_do(single: LoadedModel) -> None:
    serve = single.signatures["serving_default"]
    assert serve.takes_padding
    padded = Column(np.array([1, 2, 3, 0], np.float32))
    assert serve.run_padded([padded], 3)["y"].tolist() == [2, 4, 6]
    assert serve.run_padded([padded], 4)["y"].tolist() == [2, 4, 6, 0]


def test_a_signature_with_a_host_prefix_takes_no_padded_batches(model: LoadedModel) -> None:
    serve = model.signatures["serving_default"]
    assert not serve.takes_padding
    with pytest.raises(ArgumentError, match="takes no padded batches"):
        serve.run_padded(serve.columns(golden_artifact.rows()), 5)


def test_batch_sizes_can_be_chosen_after_loading(single: LoadedModel) -> None:
    serve = single.signatures["serving_default"]
    serve.use_buckets([5, 2])
    assert (serve.buckets, serve.max_bucket) == ((2, 5), 5)
    assert serve.run_whole([np.arange(12.0)])["y"].tolist() == [2.0 * value for value in range(12)]
    with pytest.raises(ArgumentError, match="batch sizes"):
        serve.use_buckets([])


def test_a_row_has_one_answer_whatever_batch_it_comes_in(artifact: Path) -> None:
    serve = load(artifact, replay=False).signatures["serving_default"]
    rows = {name: values * 8 for name, values in golden_artifact.rows().items()}
    together = serve(rows)["scores"]
    for start, stop in ((0, 1), (3, 5), (0, 9), (5, 25)):
        part = serve({name: values[start:stop] for name, values in rows.items()})["scores"]
        assert part.tobytes() == together[start:stop].tobytes()


def test_several_threads_get_their_own_answers(single: LoadedModel) -> None:
    serve, wrong = single.signatures["serving_default"], []

    def ask(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(50):
            values = random.standard_normal(random.integers(1, 7)).astype(np.float32)
            if not np.array_equal(serve.run([Column(values)])["y"], values * 2):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_prefix_alone_is_bit_identical_to_the_host_graph(model: LoadedModel) -> None:
    rows = golden_artifact.rows()
    direct = golden_artifact.prefix().prune(["amount", "age", "city"])(rows)
    answers = model.signatures["transform_features"](rows)
    assert list(answers) == list(direct)
    assert all(answers[name].tobytes() == direct[name].tobytes() for name in direct)


def test_wrong_requests_are_refused_with_their_place(model: LoadedModel) -> None:
    serve, rows = model.signatures["serving_default"], golden_artifact.rows()
    for change, where in (
        ({"amount": None}, "$.amount"),
        ({"amount": ["a"] * 5}, "$.amount"),
        ({"amount": [1.0, None, 1.0, 1.0, 1.0]}, "$.amount[1]"),
        ({"city": ["Berlin"]}, "$.city"),
    ):
        with pytest.raises(RequestError) as failure:
            serve({**rows, **change})
        assert failure.value.where == where


def test_an_optional_input_may_be_left_out_and_other_names_are_ignored(model: LoadedModel) -> None:
    rows = golden_artifact.rows()
    del rows["age"]
    assert len(model.signatures["serving_default"]({**rows, "key": ["k"] * 5})["label"]) == 5


def test_axes_besides_the_batch_may_have_any_length(tmp_path: Path) -> None:
    tokens = TensorSpec([None, None], "int64", "tokens")
    function = ServingFunction(
        lambda w, x: {"sum": jnp.take(w["table"], x["tokens"]).sum(1), "all": x["tokens"]},
        (tokens,),
        {"table": np.arange(10, dtype=np.float32)},
    )
    save(function, tmp_path / "m")
    serve = load(tmp_path / "m", buckets=[1, 4]).signatures["serving_default"]
    serve.warm_up()
    for rows, length in ((1, 3), (3, 5), (6, 2)):
        values = np.random.default_rng(rows).integers(0, 10, (rows, length))
        answers = serve(values)
        np.testing.assert_array_equal(answers["sum"], values.sum(1).astype(np.float32))
        np.testing.assert_array_equal(answers["all"], values)


def test_assets_and_sidecars_are_there(model: LoadedModel) -> None:
    assert model.assets["cities.txt"].read_text().splitlines() == golden_artifact.CITIES[:3]
    assert model.sidecars == {"schema.pbtxt": b""}
    assert model.manifest.provenance == {"purpose": "longevity"}


def test_examples_are_golden_rows_that_the_signature_answers(model: LoadedModel) -> None:
    for signature in model.signatures.values():
        answers = signature.run(signature.example(5))
        assert {len(values) for values in answers.values()} == {5}
