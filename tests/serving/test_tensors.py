from dataclasses import replace

import numpy as np
import pytest

from mainstay.core import RequestError, Signature, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.serving.batching.chunks import DensePart
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.tensors import check_names, tensor_chunk


def endpoint(*specs, optional=(), free=False, batched=True):
    inputs = [HostInput(spec, spec.name in optional) for spec in specs]
    decoder = RequestDecoder(inputs, free=free, batched=batched)
    return Endpoint("s", Signature(tuple(specs), ()), decoder, None, batched=batched)


def spec(name, dtype="float32", *inner):
    return TensorSpec([None, *inner], dtype, name)


A, B = np.ones((2, 3), np.float32), np.array([b"a", b"b"], object)


def test_tensors_become_parts_in_the_order_of_the_signature():
    chunk = tensor_chunk(endpoint(spec("b", "string"), spec("a", "float32", 3)), {"a": A, "b": B})
    assert (chunk.rows, chunk.shape, chunk.missing, chunk.whole) == (2, (), False, False)
    assert chunk.parts[0] is B
    assert chunk.parts[1] is A
    assert chunk.place("a", 1) == "$.inputs.a[1]"


def test_open_axes_are_told_so_that_only_equal_shapes_share_a_batch():
    chunk = tensor_chunk(endpoint(spec("a", "float32", None), spec("b", "string")), {"a": A, "b": B})
    assert chunk.shape == ((3,),)


def test_an_optional_input_may_be_left_out():
    given = endpoint(
        spec("a", "float32", 3), spec("b", "string"), spec("c", "float32", 2), optional=("b", "c"), free=False
    )
    chunk = tensor_chunk(given, {"a": A})
    assert chunk.missing
    assert chunk.parts[1] == (None, None)
    assert isinstance(chunk.parts[2], DensePart)
    assert (chunk.parts[2].values.shape, chunk.parts[2].missing.tolist()) == ((2, 2), [True, True])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": A, "b": B[:1]}, "the inputs differ in their number of rows"),
        ({"a": A[:, :1], "b": B}, "an input has the wrong shape"),
        ({"a": A[:0], "b": B[:0]}, "an input has no rows"),
        ({"a": A.astype(np.float64), "b": B}, "to be float but double is provided"),
        ({"a": A, "b": A[:, 0]}, "to be string but float is provided"),
        ({"a": A, "b": B, "c": A}, "input size does not match signature: 3!=2"),
        ({"a": A}, "input size does not match signature: 1!=2"),
        ({"a": A, "c": A}, "Signature input alias: b"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tensors, message):
    with pytest.raises(RequestError, match=message):
        tensor_chunk(endpoint(spec("a", "float32", 3), spec("b", "string")), tensors)


def test_an_unknown_name_beside_an_optional_input_is_refused():
    given = endpoint(spec("a"), spec("b"), optional=("b",))
    check_names(given, {"a"})
    with pytest.raises(
        RequestError, match=r"Inputs contains invalid name\. Used request inputs: a, request input: a,c"
    ):
        check_names(given, {"a", "c"})
    with pytest.raises(RequestError, match=r"Signature input alias: a.*default input alias set: b"):
        check_names(given, {"b"})
    with pytest.raises(RequestError, match="a request without any input has no rows"):
        tensor_chunk(endpoint(spec("a"), optional=("a",)), {})


@pytest.mark.parametrize(
    ("array", "whole"), [(A, False), (A[:, :2], True), (A[0], True), (np.float32(1)[...], True), (A[:0], True)]
)
def test_a_graph_that_takes_any_shape_batches_what_its_signature_states(array, whole):
    chunk = tensor_chunk(endpoint(spec("a", "float32", 3), free=True), {"a": array})
    assert chunk.whole is whole
    assert chunk.parts[0] is array
    assert chunk.rows >= (0 if whole else 2)


def test_dtypes_are_checked_whatever_the_shape():
    with pytest.raises(RequestError, match="to be float but int32 is provided"):
        tensor_chunk(endpoint(spec("a", "float32", 3), free=True), {"a": np.ones(1, np.int32)})


def test_a_signature_without_rows_takes_whole_tensors():
    given = endpoint(TensorSpec([2], "float32", "a"), spec("b", "string"), batched=False)
    chunk = tensor_chunk(given, {"a": A[0, :2], "b": B})
    assert chunk.whole
    given = endpoint(spec("a"), spec("b"), optional=("b",), batched=False)
    with pytest.raises(RequestError, match="an input is not there"):
        tensor_chunk(given, {"a": A[0]})


def test_a_signatures_own_value_stands_in_for_an_input_that_is_left_out():
    definition = message_class("tensorflow.SignatureDef")()
    definition.defaults["b"].dtype = 1
    definition.defaults["b"].float_val.append(2.5)
    made = endpoint(spec("a"), spec("b"), optional=("b",), free=True, batched=False)
    chunk = tensor_chunk(replace(made, definition=definition), {"a": A[0]})
    assert chunk.whole
    assert [part.tolist() for part in chunk.parts] == [[1, 1, 1], 2.5]


@pytest.mark.parametrize(
    ("shape", "free", "message"),
    [
        ((1 << 40, 0), False, "too long for what it holds, which is nothing"),
        ((0, 1 << 40), True, "too long for what it holds, which is nothing"),
        (((1 << 20) + 1, 1), False, "1,048,577 rows; one request may have 1,048,576"),
    ],
)
def test_rows_of_nothing_and_too_many_rows_are_refused_before_they_are_counted_out(shape, free, message):
    array = np.empty(shape, np.float32) if 0 in shape else np.broadcast_to(np.float32(1), shape)
    given = endpoint(spec("a", "float32", None), spec("b", "float32"), optional=("b",), free=free)
    with pytest.raises(RequestError, match=message):
        tensor_chunk(given, {"a": array})
