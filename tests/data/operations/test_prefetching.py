import pytest

from mainstay.core import ArgumentError
from mainstay.data import AUTOTUNE, Dataset
from mainstay.data.execution.engine import Engine
from mainstay.data.operations.prefetching import ReadAhead
from mainstay.data.plan import Pipe, Planner


@pytest.mark.parametrize("size", [0, 1, 3, 1000, AUTOTUNE, None])
def test_what_is_prefetched_is_the_same_and_resumes_at_every_element(size: int | None) -> None:
    dataset = Dataset.range(50).shuffle(50, seed=2).batch(4).prefetch(size)
    first = [batch.tolist() for batch in dataset]
    iterator = dataset.iter()
    whole, states = [], [iterator.state()]
    for batch in iterator:
        whole.append(batch.tolist())
        states.append(iterator.state())
    assert first != whole
    for count, state in enumerate(states):
        assert [batch.tolist() for batch in dataset.iter(state)] == whole[count:]


def lowered(dataset: Dataset) -> object:
    return Planner(Engine()).lower(dataset.plan)


def test_a_stage_that_works_ahead_anyway_is_left_alone() -> None:
    assert isinstance(lowered(Dataset.range(9).map(lambda x: x + 1).prefetch(2)), Pipe)
    assert isinstance(lowered(Dataset.range(9).batch(2).prefetch(2)), ReadAhead)
    assert not isinstance(lowered(Dataset.range(9).batch(2).prefetch(0)), ReadAhead)


@pytest.mark.parametrize("size", [-2, 1.5, "two"])
def test_what_is_no_number_of_elements_is_refused(size: object) -> None:
    with pytest.raises(ArgumentError, match="buffer_size"):
        Dataset.range(3).prefetch(size)  # type: ignore[arg-type]


def test_a_failure_ahead_comes_after_what_was_read_before_it() -> None:
    def fails(number):
        if int(number) == 7:
            raise ZeroDivisionError("seven")
        return number

    seen = []
    with pytest.raises(ZeroDivisionError, match="seven"):
        for batch in Dataset.range(100).map(fails).batch(1).prefetch(4):
            seen.append(int(batch[0]))
    assert seen == list(range(len(seen)))
