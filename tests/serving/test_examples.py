import numpy as np
import pytest

from mainstay.core import PreconditionError, RequestError, Signature, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.serving.batching.chunks import DensePart
from mainstay.serving.examples import (
    CLASSIFY_METHOD,
    PREDICT_METHOD,
    REGRESS_METHOD,
    classify_results,
    example_chunk,
    find_classes,
    find_values,
    regress_results,
    takes_examples,
    with_context,
)
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.rest.decode import RequestDecoder


def endpoint(inputs, outputs=(), *, method=PREDICT_METHOD, optional=(), batched=True):
    given = [HostInput(spec, spec.name in optional) for spec in inputs]
    signature = Signature(tuple(inputs), tuple(outputs))
    return Endpoint("s", signature, RequestDecoder(given, batched=batched), None, method, batched=batched)


def spec(name, dtype="float32", *inner):
    return TensorSpec([None, *inner], dtype, name)


def example(**features):
    made = message_class("tensorflow.Example")()
    for name, values in features.items():
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(values[0])]
        getattr(made.features.feature[name], kind).value.extend(values)
    return made.SerializeToString()


STRINGS = [spec("inputs", "string")]


def test_examples_go_in_as_they_are_where_the_signature_takes_them():
    given = endpoint(STRINGS)
    assert takes_examples(given)
    chunk = example_chunk(given, [b"one", b"two"])
    assert (chunk.rows, chunk.parts[0].tolist(), chunk.whole) == (2, [b"one", b"two"], False)
    assert example_chunk(endpoint(STRINGS, batched=False), [b"one"]).whole


def test_features_become_the_inputs_of_the_signature():
    given = endpoint([spec("a", "float32", 2), spec("b", "string"), spec("c", "uint8"), spec("d", "bool")])
    sent = [example(a=[1.0, 2.0], b=[b"x"], c=[7], d=[1]), example(a=[3.0, 4.0], b=[b"\xff"], c=[8], d=[0])]
    chunk = example_chunk(given, sent)
    assert [part.tolist() for part in chunk.parts] == [[[1, 2], [3, 4]], [b"x", b"\xff"], [7, 8], [True, False]]
    assert [part.dtype for part in chunk.parts] == [np.float32, object, np.uint8, bool]
    assert (chunk.missing, chunk.place("a", 1)) == (False, "$.input[1].a")


def test_optional_features_may_be_missing():
    given = endpoint([spec("a", "float64"), spec("b", "float32", 2)], optional=("a", "b"))
    chunk = example_chunk(given, [example(a=[1.5]), example(b=[1.0, 2.0])])
    assert chunk.missing
    a, b = chunk.parts
    assert isinstance(a, DensePart)
    assert (a.values[0], a.missing.tolist(), a.values.dtype) == (1.5, [False, True], np.float64)
    assert (b.values[1].tolist(), b.missing.tolist()) == ([1, 2], [True, False])


def test_a_feature_of_any_length_is_as_long_in_every_example_of_a_request():
    given = endpoint([spec("a", "int64", None)])
    chunk = example_chunk(given, [example(a=[1, 2, 3]), example(a=[4, 5, 6])])
    assert (chunk.parts[0].tolist(), chunk.shape) == ([[1, 2, 3], [4, 5, 6]], ((3,),))
    with pytest.raises(RequestError, match="a feature has the wrong number of values") as caught:
        example_chunk(given, [example(a=[1, 2, 3]), example(a=[4])])
    assert caught.value.where == "$.input[1].a"
    pairs = endpoint([spec("a", "float32", None, 2)])
    assert example_chunk(pairs, [example(a=[1.0, 2.0, 3.0, 4.0])]).parts[0].tolist() == [[[1, 2], [3, 4]]]
    with pytest.raises(RequestError):
        example_chunk(pairs, [example(a=[1.0, 2.0, 3.0])])
    with pytest.raises(PreconditionError):
        example_chunk(endpoint([spec("a", "float32", None, None)]), [example(a=[1.0])])


@pytest.mark.parametrize(
    "sent", [[example()], [example(a=[1])], [example(a=[b"x"])], [example(a=[1.0, 2.0])], [b"\xff"], []]
)
def test_what_is_no_such_example_is_refused(sent):
    with pytest.raises(RequestError):
        example_chunk(endpoint([spec("a")]), sent)


def test_a_context_is_put_before_every_example():
    assert with_context(b"c", [b"1", b"2"]) == [b"c1", b"c2"]
    assert with_context(b"", [b"1"]) == [b"1"]


def test_classes_and_scores_have_their_names_or_a_signature_of_our_own_has_one_of_each():
    scores = [spec("scores", "float32", 2)]
    assert find_classes(endpoint(STRINGS, scores)) == (None, "scores")
    own = [spec("label", "string"), spec("p")]
    assert find_classes(endpoint([spec("a")], own, method=CLASSIFY_METHOD)) == ("label", "p")
    with pytest.raises(PreconditionError):
        find_classes(endpoint(STRINGS, own))
    with pytest.raises(RequestError, match="found 3"):
        find_classes(endpoint(STRINGS, [*own, *scores]))


def test_values_have_their_name_or_are_all_that_a_signature_of_our_own_gives():
    assert find_values(endpoint(STRINGS, [spec("outputs")])) == "outputs"
    assert find_values(endpoint([spec("a")], [spec("price")], method=REGRESS_METHOD)) == "price"
    with pytest.raises(PreconditionError):
        find_values(endpoint(STRINGS, [spec("price")]))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"classes": np.full(2, "a", object)}, r"Expected Tensor shape: \[batch_size num_classes\] but got \[2\]"),
        ({"classes": np.ones((2, 2), np.float32)}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ({"scores": np.ones((2, 2), np.float16)}, "Expected scores Tensor of DT_FLOAT. Got: DT_HALF"),
        ({"scores": np.full((2, 2), "a", object)}, "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"),
    ],
)
def test_classes_of_another_shape_or_dtype_are_refused(arrays, message):
    given = endpoint(STRINGS, [spec(name) for name in arrays])
    with pytest.raises(RequestError, match=message):
        classify_results(arrays, given)


def test_classes_and_scores_are_given_row_by_row():
    labels, scores = np.array([["a", "b"]], object), np.array([[0.25, 0.75]], np.float32)
    found = classify_results(
        {"classes": labels, "scores": scores}, endpoint(STRINGS, [spec("classes", "string", 2), spec("scores")])
    )
    assert found[0] is labels
    assert found[1] is scores
    own = endpoint([spec("a")], [spec("label", "string"), spec("p")], method=CLASSIFY_METHOD)
    found = classify_results({"label": labels[0], "p": scores[0]}, own)
    assert [array.shape for array in found] == [(2, 1), (2, 1)]


def test_values_are_given_row_by_row():
    given = endpoint(STRINGS, [spec("outputs")])
    assert regress_results({"outputs": np.ones((3, 1), np.float32)}, given).shape == (3,)
    for wrong in (np.ones((3, 2), np.float32), np.ones((), np.float32), np.ones(3)):
        with pytest.raises(RequestError):
            regress_results({"outputs": wrong}, given)


def test_a_context_is_not_multiplied_beyond_bounds():
    with pytest.raises(RequestError, match="too large for so many examples"):
        with_context(bytes(1 << 20), [b""] * 1000)
