import pytest

from mainstay.serving.batching.costs import Costs

LIMIT = 0.001


def test_a_cheap_size_runs_inline_and_an_unknown_one_does_not():
    costs = Costs((1, 8, 32), inline_below_seconds=LIMIT)
    costs.start(1, LIMIT / 2)
    costs.start(8, LIMIT)
    assert [costs.is_inline((), rows) for rows in (1, 2, 8, 9, 100)] == [True, False, False, False, False]
    assert costs.seconds((), 5) == LIMIT
    assert costs.seconds((), 32) is None


def test_a_batch_costs_what_its_padded_size_costs():
    costs = Costs((4, 16), inline_below_seconds=LIMIT)
    assert [costs.size(rows) for rows in (1, 4, 5, 16, 17)] == [4, 4, 16, 16, 16]
    assert Costs((), inline_below_seconds=LIMIT).size(7) == 7


@pytest.mark.parametrize(("execution", "inline"), [("inline", True), ("thread", False)])
def test_the_place_can_be_fixed(execution, inline):
    costs = Costs((1,), execution=execution, inline_below_seconds=LIMIT)
    costs.start(1, 0.0)
    for kind in ((), None, ((2,),)):
        assert costs.is_inline(kind, 1) is inline


def test_one_pause_moves_no_model_but_a_lasting_change_does():
    costs = Costs((1,), inline_below_seconds=LIMIT)
    costs.start(1, LIMIT / 5)
    costs.note((), 1, 60.0)
    assert costs.is_inline((), 1)
    for _ in range(3):
        costs.note((), 1, 60.0)
    assert not costs.is_inline((), 1)
    for _ in range(30):
        costs.note((), 1, LIMIT / 5)
    assert costs.is_inline((), 1)


def test_the_first_batch_of_a_shape_was_compiled_and_does_not_count():
    costs = Costs((8,), inline_below_seconds=LIMIT)
    shape = ((3,),)
    costs.note(shape, 8, 5.0)
    assert not costs.is_inline(shape, 8)
    assert costs.seconds(shape, 8) is None
    costs.note(shape, 8, LIMIT / 2)
    assert costs.is_inline(shape, 8)
    assert not costs.is_inline(((4,),), 8)


def test_a_full_batch_and_a_small_one_may_take_less_than_a_padded_one():
    costs = Costs((1, 8, 32, 128), inline_below_seconds=LIMIT)
    for rows, seconds in ((1, 1.0), (8, 3.0), (32, 10.0)):
        costs.start(rows, seconds)
    assert costs.full_rows((), 33) == 0
    costs.start(128, 30.0)
    assert costs.full_rows((), 33) == 32
    assert costs.full_rows((), 9) == 8
    assert costs.full_rows((), 12) == 8
    assert costs.full_rows((), 30) == 0
    assert [costs.full_rows((), rows) for rows in (1, 8, 32, 128, 200)] == [0] * 5
    assert costs.full_rows(((2,),), 33) == 0
    for rows in (1, 32, 128):
        costs.note("a shape", rows, 1.0)
    assert costs.full_rows("a shape", 33) == 0


def test_a_heavy_model_is_known_as_it_is():
    costs = Costs((8,), inline_below_seconds=LIMIT)
    costs.start(8, 0.05)
    for _ in range(60):
        costs.note((), 8, 0.5)
    assert costs.seconds((), 8) == pytest.approx(0.5, rel=0.1)


def test_batches_of_mixed_shapes_are_never_known():
    costs = Costs((8,), inline_below_seconds=LIMIT)
    for _ in range(3):
        costs.note(None, 8, 0.0)
    assert not costs.is_inline(None, 8)


def test_shapes_without_end_take_no_memory_without_end():
    costs = Costs((), inline_below_seconds=LIMIT)
    for length in range(3000):
        costs.note(((length,),), 1, 0.0)
        costs.note(((length,),), 1, 0.0)
    assert costs.is_inline(((2999,),), 1)
    assert not costs.is_inline(((0,),), 1)
