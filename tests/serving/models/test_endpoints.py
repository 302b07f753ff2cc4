import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import FLOAT, const, node
from simulated_batching import Device, Loop

from mainstay.core import ArgumentError, TensorSpec
from mainstay.saved_model import ServingFunction, load, save
from mainstay.serving import BatchingOptions
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.models.endpoints import batch_sizes, make_endpoint, make_endpoints


def endpoint(signature, **options):
    return make_endpoint("serving_default", signature, BatchingOptions(**options), executor=Device(), loop=Loop())


def policy_of(signature, **options):
    return endpoint(signature, **options).batcher.policy


def is_inline(signature, rows, **options):
    return endpoint(signature, **options).batcher.costs.is_inline((), rows)


def answer(signature, chunk, **options):
    """Return what a signature answers, in a simulated world."""
    loop, device, told = Loop(), Device(), []
    made = make_endpoint("serving_default", signature, BatchingOptions(**options), executor=device, loop=loop)
    made.batcher.submit(chunk, told.append)
    while not told:
        loop.turn()
        device.step()
    if isinstance(told[0], Exception):
        raise told[0]
    return {name: array.tolist() for name, array in told[0].arrays.items()}


def test_every_batch_size_is_compiled_before_the_model_answers(fakes):
    signature = fakes.Signature([fakes.input("x")], buckets=(1, 4, 16, 64))
    assert policy_of(signature, max_batch_size=20).max_rows == 20
    assert signature.warm == (1, 4, 16, 20)


def test_no_batch_exceeds_the_largest_compiled_size(fakes):
    assert policy_of(fakes.Signature([fakes.input("x")], buckets=(1, 4))).max_rows == 4


def test_the_policy_is_what_the_options_say(fakes):
    signature = fakes.Signature([fakes.input("x")])
    policy = policy_of(
        signature,
        max_batch_size=40,
        max_execution_batch_size=20,
        batch_timeout_seconds=0.5,
        max_enqueued_batches=7,
        aging_seconds=3.0,
        pad_variable_length_inputs=True,
    )
    assert (policy.max_rows, policy.max_request_rows, policy.timeout_seconds) == (20, 40, 0.5)
    assert (policy.max_enqueued_batches, policy.aging_seconds, policy.mixed_shapes) == (7, 3.0, True)
    policy = policy_of(signature, enabled=False, batch_timeout_seconds=0.5)
    assert (policy.alone, policy.timeout_seconds) == (True, 0.0)


def test_allowed_sizes_are_those_that_a_model_is_compiled_for(fakes):
    signature = fakes.Signature([fakes.input("x")], buckets=(8, 16))
    signature.use_buckets = lambda sizes: setattr(signature, "buckets", tuple(sizes))
    assert policy_of(signature, max_batch_size=10, allowed_batch_sizes=(2, 10)).max_rows == 10
    assert signature.warm == signature.buckets == (2, 10)


def test_sizes_that_a_model_does_not_have_are_refused(fakes):
    signature = fakes.Signature([fakes.input("x")], buckets=(8, 16))
    assert batch_sizes(signature, BatchingOptions(max_batch_size=8, allowed_batch_sizes=(8,))) == [8]
    with pytest.raises(ArgumentError, match="cannot be changed"):
        endpoint(signature, max_batch_size=10, allowed_batch_sizes=(2, 10))


def test_the_place_of_execution_can_be_chosen(fakes):
    def signature():
        return fakes.Signature([fakes.input("x")])

    assert not is_inline(signature(), 1, execution="thread")
    assert is_inline(signature(), 32, execution="inline")
    assert is_inline(signature(), 32, inline_below_seconds=1000.0)
    assert not is_inline(signature(), 1, inline_below_seconds=0)


def test_a_model_that_refuses_blank_rows_is_served_on_the_device(fakes):
    def refuse(columns):
        raise ValueError("nothing is there")

    assert not is_inline(fakes.Signature([fakes.input("x")], body=refuse), 1, inline_below_seconds=1000.0)


def test_measuring_uses_inputs_of_every_kind(fakes):
    inputs = [
        fakes.input("x", "float32", 2, 1),
        fakes.input("s", "string"),
        fakes.input("t", "string", 2),
        fakes.input("n", "int64", optional=True),
        fakes.input("b", "bool"),
    ]
    seen = []

    def remember(columns):
        seen.append([(column.values.shape, column.values.dtype, column.missing is None) for column in columns])
        return {"total": np.zeros(len(columns[0]))}

    endpoint(fakes.Signature(inputs, body=remember, buckets=(3,)), max_batch_size=3)
    assert seen[-1][0] == ((3, 2, 1), np.float32, True)
    assert seen[-1][1:3] == [((3,), object, True), ((3, 2), object, True)]
    assert seen[-1][3:] == [((3,), np.int64, False), ((3,), bool, True)]


def test_every_signature_of_a_model_can_be_called(fakes):
    whole = fakes.Signature([fakes.input("x")])
    whole.rows, whole.method = False, "classify"
    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")]), whole=whole)
    made = make_endpoints(model, BatchingOptions(), executor=Device(), loop=Loop())
    assert {name: each.batched for name, each in made.items()} == {"serving_default": True, "whole": False}
    assert whole.warm == ()
    assert [each.method for each in made.values()] == ["tensorflow/serving/predict", "tensorflow/serving/classify"]


def test_a_signature_without_rows_answers_tensors_of_its_shapes(tmp_path):
    spec = TensorSpec([2, 3], "float32", "x")
    save(ServingFunction(lambda w, x: {"y": x["x"].sum()}, (spec,), rows=False), tmp_path / "m")
    signature = load(tmp_path / "m").signatures["serving_default"]
    tensor = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert answer(signature, Chunk(2, [tensor], whole=True)) == {"y": 15.0}
    with pytest.raises(Exception, match="wrong shape"):
        answer(signature, Chunk(2, [tensor.T], whole=True))


def half_plus_two(shape):
    """Return a signature of TensorFlow that states a shape, whatever it takes."""
    nodes = [
        node("x", "Placeholder", dtype=FLOAT),
        const("half", np.float32(0.5)),
        const("two", np.float32(2.0)),
        node("product", "Mul", "x", "half", T=FLOAT),
        node("y", "AddV2", "product", "two", T=FLOAT),
    ]
    signature = make.signature({"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)})
    for info in (signature.inputs["x"], signature.outputs["y"]):
        info.tensor_shape.Clear()
        make.write_shape(info.tensor_shape, shape)
    return make.meta_graph(nodes, {"serving_default": signature})


@pytest.mark.parametrize(("shape", "batched"), [((None, 1), True), ((3,), False), ((), False)])
def test_tensors_of_any_shape_run_in_imported_graphs(tmp_path, shape, batched):
    make.write(tmp_path / "m", half_plus_two(shape), tensors={})
    signature = load(tmp_path / "m").signatures["serving_default"]
    assert endpoint(signature).batched is batched
    assert answer(signature, Chunk(3, [np.float32([1, 2, 5])], whole=True)) == {"y": [2.5, 3.0, 4.5]}
    assert answer(signature, Chunk(1, [np.float32(4)], whole=True)) == {"y": 4.0}


def test_imported_graphs_are_compiled_for_allowed_sizes(tmp_path):
    make.write(tmp_path / "m", half_plus_two((None, 1)), tensors={})
    signature = load(tmp_path / "m").signatures["serving_default"]
    rows = Chunk(3, [np.float32([[1], [2], [5]])])
    assert answer(signature, rows, max_batch_size=6, allowed_batch_sizes=[2, 6]) == {"y": [[2.5], [3.0], [4.5]]}
    assert signature.buckets == (2, 6)
