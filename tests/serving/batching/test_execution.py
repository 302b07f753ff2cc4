import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArtifactError, RequestError, TensorSpec
from mainstay.saved_model import ServingFunction, load, save
from mainstay.serving.batching.chunks import Chunk, padded_to_longest
from mainstay.serving.batching.execution import Execution
from mainstay.serving.plans import InputPlan


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A signature with an input of two values a row and one of a single value, compiled for 4 and 8 rows."""
    inputs = (TensorSpec([None, 2], "float32", "x"), TensorSpec([None], "int32", "n"))
    folder = tmp_path_factory.mktemp("execution") / "m"
    save(ServingFunction(lambda w, x: {"y": x["x"].sum(1) + x["n"]}, inputs), folder)
    return load(folder, buckets=[4, 8]).signatures["serving_default"]


def plans_of(signature):
    return tuple(InputPlan.of(item) for item in signature.inputs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_rows_of_several_requests_run_as_one_padded_batch(loaded, sizes):
    execution = Execution(loaded, plans_of(loaded))
    rows, chunks, expected = 0, [], []
    for size in sizes:
        x = np.arange(rows * 2, (rows + size) * 2, dtype=np.float32).reshape(size, 2)
        numbers = np.arange(size, dtype=np.int32)
        chunks.append(Chunk(size, [x, numbers if rows % 2 else tuple(numbers.tolist())]))
        expected += (x.sum(1) + numbers).tolist()
        rows += size
    outputs = execution(chunks)
    assert outputs.arrays["y"].tolist() == expected
    assert (outputs.run.rows, outputs.run.padded_rows) == (rows, 4 if rows <= 4 else 8 if rows <= 8 else rows)
    assert outputs.run.ended >= outputs.run.started > 0


def test_a_refusal_of_one_request_names_its_place_in_it(fakes):
    def refuse(columns):
        raise RequestError("too large", where="$.x[1]", expected="less")

    execution = Execution(fakes.Signature([fakes.input("x")], body=refuse), [InputPlan("x", "float64", False, ())])
    chunk = Chunk(5, [(1.0,) * 5], place=lambda name, row: f"$.instances[{row}].{name}").slice(2, 4)
    with pytest.raises(RequestError) as refused:
        execution([chunk])
    assert (refused.value.where, refused.value.expected) == ("$.instances[3].x", "less")
    with pytest.raises(RequestError) as refused:
        execution([chunk, chunk])
    assert refused.value.where == "$.x[1]"


@pytest.mark.parametrize("array", [np.float32(1), np.zeros(3)])
def test_outputs_without_a_row_for_each_row_are_refused(fakes, array):
    signature = fakes.Signature([fakes.input("x")], body=lambda columns: {"y": np.asarray(array)})
    with pytest.raises(ArtifactError, match="Tensor name: y has inconsistent batch size"):
        Execution(signature, [InputPlan("x", "float64", False, ())])([Chunk(2, [(1.0, 2.0)])])


def test_whole_tensors_are_refused_by_a_signature_of_rows_alone(fakes):
    execution = Execution(fakes.Signature([fakes.input("x")]), [InputPlan("x", "float64", False, ())])
    with pytest.raises(ArtifactError):
        execution([Chunk(1, [np.zeros(1)], whole=True)])


OPEN = (InputPlan("x", "float32", False, (None, 2)), InputPlan("n", "int64", False, ()))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4))
def test_rows_of_different_lengths_are_padded_with_the_first_value_of_their_request(sizes):
    chunks = []
    for rows, length in sizes:
        x = np.arange(rows * length * 2, dtype=np.float32).reshape(rows, length, 2) + 5
        chunks.append(Chunk(rows, [x, (1,) * rows], shape=((length, 2),)))
    longest = max(length for _, length in sizes)
    for chunk, padded in zip(chunks, padded_to_longest(chunks, OPEN), strict=True):
        x, before = padded.parts[0], chunk.parts[0]
        assert x.shape == (chunk.rows, longest, 2)
        np.testing.assert_array_equal(x[:, : before.shape[1]], before)
        assert (x[:, before.shape[1] :] == before.flat[0]).all()
        assert padded.parts[1] is chunk.parts[1]


def test_strings_are_padded_too_and_nothing_cannot_be():
    plans = (InputPlan("s", "string", False, (None,)),)
    short, long = np.array([["a"]], object), np.array([["b", "c"]], object)
    chunks = [Chunk(1, [array], shape=(array.shape[1:],)) for array in (short, long)]
    assert padded_to_longest(chunks, plans)[0].parts[0].tolist() == [["a", "a"]]
    empty = np.zeros((1, 0), object)
    with pytest.raises(RequestError, match="Got empty tensor in batch of non-empty tensors"):
        padded_to_longest([Chunk(1, [empty], shape=((0,),)), chunks[1]], plans)
    deep = [Chunk(1, [np.zeros((1,) * 6 + (n,))], shape=((1,) * 5 + (n,),)) for n in (1, 2)]
    with pytest.raises(RequestError, match="Only tensors with rank from 1 to 6 can be padded"):
        padded_to_longest(deep, (InputPlan("x", "float64", False, (None,) * 6),))


def test_mixed_shapes_run_as_one_batch(fakes):
    plan = InputPlan("x", "float64", False, (None,))
    seen = []

    def total(columns):
        seen.append(columns[0].values.tolist())
        return {"total": columns[0].values.sum(1)}

    signature = fakes.Signature([fakes.input("x", "float64", None)], body=total)
    execution = Execution(signature, [plan], mixed_shapes=True)
    arrays = [np.array([[1.0]]), np.array([[2.0, 3.0]])]
    outputs = execution([Chunk(1, [array], shape=(array.shape[1:],)) for array in arrays])
    assert seen == [[[1.0, 1.0], [2.0, 3.0]]]
    assert outputs.arrays["total"].tolist() == [2.0, 5.0]
