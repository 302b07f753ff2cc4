"""A user's functions keep their meaning, whether JAX runs them for many elements or Python for one."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.data import Dataset
from mainstay.data.functions.chain import Chain
from mainstay.data.functions.rows import RowFilter, RowMap
from mainstay.data.functions.traced import TracedSteps

ROWS = 100
X = np.linspace(-3, 3, ROWS * 3, dtype=np.float32).reshape(ROWS, 3)
Y = np.arange(ROWS)


def chain_of(dataset: Dataset) -> Chain:
    """The chain that ends in the last function of a dataset."""
    from mainstay.data.execution.engine import Engine
    from mainstay.data.plan import Pipe, Planner

    lowered = dataset.plan.lower(Planner(Engine()))
    assert isinstance(lowered, Pipe)
    chain = lowered.functions[-1]
    assert isinstance(chain, Chain)
    return chain


def kinds(dataset: Dataset) -> list[str]:
    names = {TracedSteps: "traced", RowMap: "row", RowFilter: "row"}
    return [names[type(function)] for function in chain_of(dataset).functions]


def same(got: Any, wanted: Any) -> None:
    if not isinstance(got, bytes):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def values(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


def pairs() -> Dataset:
    return Dataset.from_tensor_slices((X, Y))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (x * 2 + 1, y),
        lambda x, y: jnp.log1p(jnp.abs(x)),
        lambda x, y: {"mean": x.mean(), "y": y * 3, "const": 1, "half": 0.5, "text": "a"},
        lambda x, y: (jnp.where(x > 0, x, -x), [y, y + 1]),
        lambda x, y: ([x[0], x[1]], y),
        lambda x, y: (x.astype("int32") // 2, y % 7, y > 3),
        lambda x, y: (jax.nn.one_hot(y % 4, 4), None, x),
    ],
)
def test_what_jax_can_trace_runs_for_many_elements_and_means_the_same(function: Callable[..., Any]) -> None:
    dataset = pairs().map(function)
    assert kinds(dataset) == ["traced"]
    with jax.enable_x64(True):
        expected = [function(x, y) for x, y in zip(X, Y, strict=True)]
    for got, wanted in zip(values(dataset), expected, strict=True):
        jax.tree.map(same, got, wanted)


def counted() -> Callable[[Any], Any]:
    seen: list[int] = []

    def count(x: Any) -> Any:
        seen.append(0)
        return x + len(seen)

    return count


@pytest.mark.parametrize(
    "function",
    [
        lambda x: len(str(x)),
        lambda x: x + np.random.rand(),
        lambda x: x + random.random(),
        lambda x: x if x > 50 else -x,
        lambda x: int(x) + 1,
        lambda x: "odd" if x % 2 else "even",
        lambda x: np.arange(x),
        counted(),
    ],
)
def test_what_only_python_can_do_is_called_for_each_element(function: Callable[..., Any]) -> None:
    dataset = Dataset.range(ROWS).map(function)
    assert kinds(dataset) == ["row"]
    assert "because" in chain_of(dataset).report()[0]
    assert len(values(dataset)) == ROWS


def test_tracing_alone_proves_nothing() -> None:
    assert values(Dataset.range(100, 200).map(lambda x: len(str(x)))) == [3] * 100
    assert values(Dataset.range(60).map(lambda x: x if x > 50 else -x))[49:53] == [-49, -50, 51, 52]


def test_a_closure_counts_as_it_is_when_the_function_is_first_needed() -> None:
    scale = [2.0]
    dataset = Dataset.from_tensor_slices(X).map(lambda x: x * scale[0])
    np.testing.assert_array_equal(values(dataset), X * 2)


def test_side_effects_of_a_traced_function_happen_for_the_first_elements_only() -> None:
    seen: list[int] = []
    dataset = Dataset.range(1000).map(lambda x: (seen.append(1), x + 1)[1])
    assert values(dataset)[-1] == 1000
    assert 0 < len(seen) < 20


def test_64_bits_stay_64_bits() -> None:
    big = 2**40 + np.arange(10)
    dataset = Dataset.from_tensor_slices((big, big / 3, np.arange(10, dtype=np.uint64))).map(
        lambda a, b, c: (a + 1, b * 2, c + np.uint64(1))
    )
    assert kinds(dataset) == ["traced"]
    for index, (a, b, c) in enumerate(values(dataset)):
        assert (a, a.dtype) == (big[index] + 1, "int64")
        assert (b, b.dtype) == (big[index] / 3 * 2, "float64")
        assert (c, c.dtype) == (index + 1, "uint64")


def test_64_bits_of_one_result_do_not_widen_the_others() -> None:
    dataset = Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x * jnp.array(0.5) + jnp.zeros(3), y + 1))
    assert [spec.dtype for spec in dataset.element_spec] == ["float32", "int64"]
    assert kinds(dataset) == ["traced"]


def test_a_narrow_number_stays_narrow_as_in_tensorflow() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 12)
    got = values(Dataset.from_tensor_slices(images).map(lambda x: x / 255))
    assert got[0].dtype == "float32"
    np.testing.assert_allclose(got, images / 255, rtol=1e-6)


def test_untouched_columns_keep_their_bits_and_their_memory() -> None:
    big = np.array([2**62, -(2**62), 7])
    strings = ["a", "b", "c"]
    dataset = Dataset.from_tensor_slices((big, strings, np.float32([1, 2, 3]))).map(lambda a, s, x: (x * 2, s, a))
    assert kinds(dataset) == ["traced"]
    assert [a for _, _, a in values(dataset)] == big.tolist()
    assert [s for _, s, _ in values(dataset)] == [b"a", b"b", b"c"]
    chunk = dataset.iterate_chunks().piece()
    assert chunk is not None
    assert np.shares_memory(chunk.columns[2], big)


def test_functions_that_follow_each_other_are_one_program_and_filters_end_it() -> None:
    dataset = pairs().map(lambda x, y: (x * 2, y)).map(lambda x, y: (x + 1, y)).filter(lambda x, y: y % 2 == 0)
    dataset = dataset.map(lambda x, y: x.sum() + y.astype("float32"))
    assert kinds(dataset) == ["traced", "traced"]
    expected = [(X[y] * 2 + 1).sum() + y for y in Y if y % 2 == 0]
    np.testing.assert_allclose(values(dataset), expected, rtol=1e-5)


def test_a_row_function_in_the_middle_leaves_the_others_traced() -> None:
    dataset = Dataset.range(20).map(lambda x: x + 1).map(lambda x: len(str(x))).map(lambda x: x * 2)
    assert kinds(dataset) == ["traced", "row", "traced"]
    assert values(dataset) == [2] * 9 + [4] * 11


@pytest.mark.parametrize("predicate", [lambda x: x > 90, lambda x: bool(x > 90), lambda x: len(str(x)) > 1 and x > 90])
def test_a_filter_keeps_what_its_predicate_says(predicate: Callable[..., Any]) -> None:
    assert values(Dataset.range(100).filter(predicate)) == list(range(91, 100))


def test_a_filter_that_lets_none_of_the_first_elements_through_is_decided_by_later_ones() -> None:
    dataset = Dataset.range(3000).filter(lambda x: x >= 2000).map(lambda x: x + 1)
    assert values(dataset) == list(range(2001, 3001))


@pytest.mark.parametrize("answer", [np.array([True, False]), "yes", None])
def test_a_filter_that_gives_no_single_answer_is_refused(answer: Any) -> None:
    with pytest.raises(DataError, match="no single number or boolean"):
        values(Dataset.range(3).filter(lambda x: answer))


def test_an_exception_says_which_element_it_was() -> None:
    def check(x: Any) -> Any:
        if x == 77:
            raise ZeroDivisionError("seventy-seven")
        return x

    with pytest.raises(ZeroDivisionError, match="seventy-seven") as caught:
        values(Dataset.from_tensor_slices(np.arange(100)).map(check))
    assert any("check" in note and "row 77 of the arrays" in note for note in caught.value.__notes__)


def test_a_dtype_that_changes_between_elements_is_refused_with_its_place() -> None:
    dataset = Dataset.from_tensor_slices(np.arange(100)).map(lambda x: int(x) if x < 60 else float(x))
    with pytest.raises(DataError, match="dtype changes") as caught:
        values(dataset)
    assert caught.value.expected is not None
    assert "int32" in str(caught.value.expected)
    assert caught.value.received == "float32"
    assert "row 6" in str(caught.value.where)


def test_a_structure_that_changes_between_elements_is_refused_with_its_place() -> None:
    dataset = Dataset.from_tensor_slices(np.arange(10)).map(lambda x: {"a": int(x)} if x < 6 else {"b": int(x)})
    with pytest.raises(DataError, match="structure changes") as caught:
        values(dataset)
    assert "row 6 of the arrays" in str(caught.value.where)


def test_results_of_different_shapes_are_elements() -> None:
    assert [x.shape for x in values(Dataset.range(4).map(lambda x: np.zeros(int(x))))] == [(0,), (1,), (2,), (3,)]


class Pair(NamedTuple):
    left: Any
    right: Any


def test_named_tuples_are_one_argument_and_tuples_are_several() -> None:
    dataset = Dataset.range(3).map(lambda x: Pair(x, x + 1)).map(lambda pair: (pair.left, pair.right))
    assert values(dataset.map(lambda a, b: a + b)) == [1, 3, 5]


@pytest.mark.parametrize("batch", [7, 64])
def test_an_element_has_the_same_bits_wherever_it_lies(batch: int) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)

    def function(x: Any, y: Any) -> Any:
        return jnp.tanh(jnp.exp(x) @ weights) / jnp.sum(jnp.sin(x)), y * 3

    whole = values(pairs().map(function))
    assert kinds(pairs().map(function)) == ["traced"]
    parts = values(pairs().shuffle(100, seed=batch).map(function).batch(batch))
    again = {int(y): x for xs, ys in parts for x, y in zip(xs, ys, strict=True)}
    resumed = pairs().map(function)
    iterator = resumed.iter()
    for _ in range(batch):
        next(iterator)
    rest = list(resumed.iter(iterator.state()))
    for x, y in [*rest, *whole]:
        reference = whole[int(y) // 3]
        assert np.asarray(x).tobytes() == reference[0].tobytes() == again[int(y)].tobytes()


def test_functions_of_batches_take_the_short_last_one() -> None:
    dataset = pairs().batch(32).map(lambda x, y: (x - x.mean(axis=1, keepdims=True), y))
    sizes = [len(x) for x, _ in values(dataset)]
    assert sizes == [32, 32, 32, 4]
    assert dataset.element_spec[0].shape == (None, 3)


def test_the_spec_of_a_function_is_found_without_reading_the_data() -> None:
    dataset = Dataset.from_tensor_slices({"x": X, "s": ["a"] * ROWS}).map(lambda e: (e["x"][:2], e["s"], 1))
    specs = [(spec.shape, spec.dtype) for spec in dataset.element_spec]
    assert specs == [((2,), "float32"), ((), "string"), ((), "int32")]


def test_a_generator_is_not_read_twice_to_decide_on_a_function() -> None:
    made: list[int] = []

    def numbers() -> Any:
        for index in range(10):
            made.append(index)
            yield np.float32(index)

    dataset = Dataset.from_generator(numbers).map(lambda x: x * 2)
    assert values(dataset) == [2 * index for index in range(10)]
    assert made == list(range(10))


def test_a_function_is_decided_once_for_all_passes_and_datasets() -> None:
    calls: list[int] = []
    mapped = Dataset.range(10).map(lambda x: (calls.append(1), x * 2)[1])
    values(mapped)
    before = len(calls)
    values(mapped)
    values(mapped.batch(3))
    values(mapped.take(2))
    assert len(calls) == before


def test_a_chain_is_handed_to_another_process_with_what_was_decided() -> None:
    import pickle

    chain = chain_of(Dataset.range(10).map(abs).map(str))
    copy = pickle.loads(pickle.dumps(chain))
    chunk = Dataset.range(-3, 3).iterate_chunks().piece()
    assert chunk is not None
    assert list(copy(chunk).rows()) == list(chain(chunk).rows())


LEAVES = st.sampled_from(["x", "y", "1", "0.5", "x[0]", "x.sum()"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda e: f"jnp.tanh({e})"),
        inner.map(lambda e: f"jnp.where({e} > 0, {e}, 1)"),
        inner.map(lambda e: f"jnp.maximum({e}, 0)"),
    ),
    max_leaves=5,
)


@settings(max_examples=10)
@given(EXPRESSIONS, st.integers(1, 9))
def test_any_expression_gives_in_the_dataset_what_it_gives_for_each_element(expression: str, batch: int) -> None:
    function = eval(f"lambda x, y: ({expression}, y)", {"jnp": jnp})
    x, y = X[:9], Y[:9].astype(np.int32)
    dataset = Dataset.from_tensor_slices((x, y)).map(function)
    got = values(dataset)
    expected = [np.asarray(function(a, b)[0]) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose([a for a, _ in got], expected, rtol=1e-4, atol=1e-4)
    rows = [row for block, _ in values(dataset.batch(batch)) for row in block]
    assert [np.asarray(row).tobytes() for row in rows] == [np.asarray(a).tobytes() for a, _ in got]


def test_a_list_that_a_function_returns_is_a_tuple_as_in_tensorflow() -> None:
    dataset = Dataset.range(3).map(lambda x: [x, x + 1])
    assert [tuple(map(int, element)) for element in dataset] == [(0, 1), (1, 2), (2, 3)]
    assert isinstance(dataset.element_spec, tuple)


def test_small_integers_wrap_around_without_a_warning() -> None:
    dataset = Dataset.from_tensor_slices(np.array([200, 3], np.uint8)).map(lambda x: x + x)
    assert [int(x) for x in dataset] == [144, 6]
