import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_batching import Device, Loop, World

from mainstay.core import DeadlineError, RequestError, UnavailableError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.costs import Costs
from mainstay.serving.batching.outputs import Outputs


@given(
    st.lists(st.one_of(st.lists(st.integers(-1, 50), min_size=1, max_size=11), st.sampled_from("tsw"))),
    st.integers(1, 5),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.5]),
    st.integers(1, 3),
    st.data(),
)
def test_every_request_is_answered_once_with_its_own_rows_in_order(events, most, inline, timeout, threads, data):
    """The laws: never more than the maximum, order kept, nothing mixed, one answer each, faults stay alone."""
    world = World(max_rows=most, inline=inline, timeout_seconds=timeout, device=Device(threads))
    sent = []
    for event in events:
        if event == "t":
            world.loop.turn()
        elif event == "w":
            world.loop.wait(0.3)
        elif event == "s":
            world.device.step()
        else:
            sent.append(event)
            world.send(event, priority=data.draw(st.integers(0, 3)))
    world.finish()
    assert all(len(batch) <= most for batch in world.batches)
    for number, rows in enumerate(sent):
        (answer,) = world.answers[number]
        if min(rows) < 0:
            assert isinstance(answer, ValueError)
        else:
            assert answer.arrays["y"].tolist() == rows


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=11), min_size=1),
    st.sets(st.integers(0, 10)),
    st.integers(0, 4),
)
def test_requests_that_were_given_up_are_neither_run_nor_answered(requests, gone, inline):
    world = World(inline=inline)
    for number, rows in enumerate(requests):
        world.send([100 * number + row for row in rows])
    for number in gone & set(range(len(requests))):
        world.tickets[number].cancel()
    world.finish()
    run = {row // 100 for batch in world.batches for row in batch}
    assert run == set(range(len(requests))) - gone
    assert [len(answer) for answer in world.answers.values()] == [number not in gone for number in range(len(requests))]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.none() | st.floats(0.001, 3.0), st.integers(0, 3)), max_size=30),
    st.data(),
)
def test_a_deadline_is_kept_and_rows_never_run_after_it(requests, data):
    world, deadlines, told = World(), {}, {}
    for number, (rows, seconds, priority) in enumerate(requests):
        deadlines[number] = None if seconds is None else world.loop.now + seconds

        def done(answer, number=number):
            world.answers[number].append(answer)
            told[number] = world.loop.now

        world.send([number] * rows, done=done, deadline=deadlines[number], priority=priority)
        for _ in range(data.draw(st.integers(0, 2))):
            world.loop.wait(data.draw(st.floats(0.0, 1.0)))
            before = len(world.batches)
            world.device.step()
            assert len(world.batches) - before <= 1
    world.loop.wait(4.0)
    world.finish()
    for number, deadline in deadlines.items():
        (answer,) = world.answers[number]
        if isinstance(answer, DeadlineError):
            assert deadline is not None
            assert told[number] <= deadline + 0.0021
        else:
            assert answer.arrays["y"].tolist() == [number] * requests[number][0]
            assert deadline is None or told[number] <= deadline + 0.0021


def test_what_arrives_in_one_pass_of_the_loop_is_one_batch():
    world = World(inline=4)
    for row in (1, 2, 3):
        world.send([row])
    assert not world.batches
    world.loop.turn()
    assert world.batches == [[1, 2, 3]]
    assert [world.rows_of(number) for number in range(3)] == [[1], [2], [3]]


def test_what_arrives_while_the_device_is_busy_is_the_next_batch():
    world = World(max_rows=8)
    world.send([1])
    world.loop.turn()
    world.send([2])
    world.loop.turn()
    world.send([3])
    world.device.step()
    world.loop.turn()
    world.device.step()
    assert world.batches == [[1], [2, 3]]


def test_a_batch_grows_while_others_have_their_turn():
    loop, device = Loop(), Device()
    busy, other = (World(loop=loop, device=device, max_rows=8) for _ in range(2))
    busy.send([1])
    loop.turn()
    for row in (2, 3):
        other.send([row])
        loop.turn()
    device.step()
    other.send([4])
    device.step()
    loop.turn()
    device.step()
    assert (busy.batches, other.batches) == ([[1]], [[2, 3], [4]])


def costs_of(**seconds):
    costs = Costs([int(name[1:]) for name in seconds], execution="thread", inline_below_seconds=0.001)
    for name, value in seconds.items():
        costs.start(int(name[1:]), value)
    return costs


def test_rows_are_not_padded_where_a_full_batch_and_a_small_one_take_less():
    world = World(max_rows=8, costs=costs_of(_1=1.0, _2=1.0, _8=5.0))
    for row in range(3):
        world.send([row])
    world.finish()
    assert world.batches == [[0, 1], [2]]
    world.send([3, 4, 5])
    world.finish()
    assert world.batches[2:] == [[3, 4, 5]]


def test_a_large_request_is_split_and_put_together_again():
    world = World(max_rows=4)
    world.send(list(range(10)))
    world.finish()
    assert world.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert world.rows_of(0) == list(range(10))


def test_a_request_that_is_too_large_to_be_split_is_refused_in_tensorflows_words():
    world = World(max_rows=4, max_request_rows=6)
    world.send(list(range(6)))
    with pytest.raises(RequestError, match="Task size 7 is larger than maximum input batch size 6"):
        world.send(list(range(7)))


def test_a_failing_batch_is_tried_again_in_halves():
    world = World(max_rows=8)
    for rows in ([1], [-1, 2], [3], [4]):
        world.send(rows)
    world.finish()
    assert world.batches == [[1, -1, 2, 3, 4], [1, -1, 2], [1], [-1, 2], [3, 4]]
    assert [type(answer[0]) for answer in world.answers.values()] == [Outputs, ValueError, Outputs, Outputs]


def test_the_rest_of_a_split_request_is_dropped_once_a_piece_has_failed():
    world = World(max_rows=2)
    world.send([-1, 1, 2, 3, 4, 5])
    world.finish()
    assert world.batches == [[-1, 1]]
    assert len(world.answers[0]) == 1


def test_with_a_timeout_a_batch_waits_until_it_is_full_or_time_is_up():
    world = World(max_rows=3, inline=3, timeout_seconds=0.01)
    world.send([1])
    world.send([2])
    world.loop.turn()
    assert not world.batches
    world.send([3])
    world.loop.turn()
    assert world.batches == [[1, 2, 3]]
    world.send([4])
    world.loop.wait(0.009)
    assert world.batches == [[1, 2, 3]]
    world.loop.wait(0.002)
    assert world.batches == [[1, 2, 3], [4]]


def test_with_a_timeout_what_waited_for_the_device_long_enough_waits_no_more():
    world = World(max_rows=3, timeout_seconds=0.01)
    world.send([1, 1, 1])
    world.loop.turn()
    world.send([2])
    world.loop.wait(0.02)
    world.device.step()
    world.loop.turn()
    world.device.step()
    assert world.batches == [[1, 1, 1], [2]]


def test_rows_of_different_shape_do_not_share_a_batch_and_the_oldest_goes_first():
    world = World(max_rows=8)
    for row, shape in ((1, ((2,),)), (2, ((2,),)), (3, ((3,),)), (4, ((2,),))):
        world.send([row], shape=shape)
        world.loop.now += 0.001
    world.finish()
    assert world.batches == [[1, 2, 4], [3]]


def test_rows_of_different_shape_share_a_batch_where_they_are_padded():
    world = World(max_rows=8, mixed_shapes=True)
    for row, shape in ((1, ((2,),)), (2, ((3,),))):
        world.send([row], shape=shape)
    world.finish()
    assert world.batches == [[1, 2]]


def test_whole_tensors_run_alone_however_many_rows_they_have():
    world = World(max_rows=4, inline=4)
    for rows in ([1], [2, 3], [4, 5, 6, 7, 8]):
        world.send(rows, whole=True)
    world.send([9])
    world.finish()
    assert world.batches == [[1], [2, 3], [4, 5, 6, 7, 8], [9]]


def test_without_batching_every_request_runs_alone():
    world = World(max_rows=4, alone=True)
    for rows in ([1], [2, 3], [4, 5, 6, 7, 8]):
        world.send(rows)
    world.finish()
    assert world.batches == [[1], [2, 3], [4, 5, 6, 7], [8]]
    assert world.rows_of(2) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(("rows", "inline"), [(2, True), (3, False)])
def test_only_cheap_batches_run_on_the_event_loop(rows, inline):
    world = World(inline=2)
    world.send(list(range(rows)))
    world.loop.turn()
    assert bool(world.answers[0]) is inline


def test_a_model_that_has_become_slow_moves_to_the_device_and_back():
    world = World(costs=Costs((1,), inline_below_seconds=0.001))
    world.batcher.costs.start(1, 0.0)

    def runs_inline():
        number = world.send([1])
        world.loop.turn()
        inline = bool(world.answers[number])
        world.device.step()
        return inline

    assert runs_inline()
    world.seconds = 5.0
    assert [runs_inline() for _ in range(10)].count(True) < 5
    world.seconds = 0.0001
    assert [runs_inline() for _ in range(60)][-1]


def test_nothing_runs_on_the_event_loop_while_an_accelerator_is_in_use():
    loop, device = Loop(), Device()
    heavy = World(loop=loop, device=device)
    light = World(loop=loop, device=device, inline=4, exclusive=True)
    light.send([1])
    loop.turn()
    assert light.batches == [[1]]
    heavy.send([1])
    loop.turn()
    light.send([2])
    loop.turn()
    assert light.batches == [[1]]
    device.step()
    device.step()
    assert light.batches == [[1], [2]]


def test_the_more_urgent_goes_first():
    world = World(max_rows=1)
    world.send([0])
    world.loop.turn()
    for priority in (3, 1, 0, 2, 1):
        world.send([10 + priority], priority=priority)
    world.finish()
    assert world.batches == [[0], [10], [11], [11], [12], [13]]


def test_pieces_of_a_request_stay_in_order_among_more_urgent_ones():
    world = World(max_rows=2)
    world.send([1, 2, 3, 4, 5], priority=3)
    world.send([6], priority=0)
    world.finish()
    assert world.batches == [[6, 1], [2, 3], [4, 5]] or world.batches == [[6], [1, 2], [3, 4], [5]]
    assert world.rows_of(0) == [1, 2, 3, 4, 5]


@given(st.integers(0, 3), st.integers(1, 3), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=80))
def test_nobody_starves_under_any_pattern_of_arrivals(priority, rows, others):
    """A request waits for those before it, and for those that come within its time of grace; never for later ones."""
    world = World(max_rows=3, aging_seconds=1.0, max_enqueued_batches=1000)
    number = world.send([0] * rows, priority=priority)
    came = world.loop.now
    ahead = rows
    for other, size in others:
        world.send([1] * size, priority=other)
        ahead += size if world.loop.now + other <= came + priority else 0
        world.loop.wait(0.1)
        world.device.step()
    for _ in range(ahead):
        if world.answers[number]:
            break
        world.loop.wait(0.0)
        world.device.step()
    assert world.answers[number]


def full_world(**policy):
    """A world whose device is busy and whose queue of four rows is full of sheddable requests."""
    world = World(max_rows=2, max_enqueued_batches=2, **policy)
    world.send([0])
    world.loop.turn()
    for row in range(1, 5):
        world.send([row], priority=3)
    return world


def test_a_full_queue_refuses_in_tensorflows_words():
    world = full_world()
    message = (
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
        "max_enqueued_batches is 2"
    )
    with pytest.raises(UnavailableError) as refused:
        world.send([5], priority=3)
    assert refused.value.summary == message
    assert refused.value.retry_after is not None
    world.finish()
    assert world.batches == [[0], [1, 2], [3, 4]]


def test_under_pressure_the_least_critical_that_came_last_gives_way():
    world = full_world()
    world.send([5], priority=1)
    world.loop.turn()
    assert isinstance(world.answers[4][0], UnavailableError)
    world.finish()
    assert [bool(answer) for answer in world.answers.values()] == [True] * 6
    assert world.batches == [[0], [5, 1], [2, 3]]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=40))
def test_nobody_is_refused_while_a_less_critical_one_waits(requests):
    world, waiting = World(max_rows=2, max_enqueued_batches=3), {}
    world.send([0])
    world.loop.turn()
    for priority, rows in requests:
        try:
            number = world.send([1] * rows, priority=priority)
        except UnavailableError:
            less_critical = sum(size for level, size in waiting.values() if level > priority)
            assert less_critical < rows
            continue
        waiting[number] = (priority, rows)
        world.loop.turn()
        for other, (level, _) in list(waiting.items()):
            if world.answers[other]:
                assert isinstance(world.answers[other][0], UnavailableError)
                assert level > priority
                del waiting[other]
        assert world.batcher.waiting_rows == sum(rows for _, rows in waiting.values())
        assert world.batcher.waiting_rows <= 6
    world.finish()
    assert all(len(answer) <= 1 for answer in world.answers.values())


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits():
    world = World(max_rows=2, max_enqueued_batches=1)
    number = world.send(list(range(7)))
    world.finish()
    assert world.rows_of(number) == list(range(7))


def test_a_request_whose_time_is_over_is_refused_at_once():
    world = World()
    for deadline in (world.loop.now, world.loop.now - 1.0):
        with pytest.raises(DeadlineError):
            world.send([1], deadline=deadline)


def test_a_request_whose_time_runs_out_in_the_queue_is_told_at_once_and_never_run():
    world = World(max_rows=1)
    world.send([0])
    world.loop.turn()
    world.send([1], deadline=world.loop.now + 0.5)
    world.send([2], deadline=world.loop.now + 60.0)
    world.loop.wait(0.49)
    assert not world.answers[1]
    world.loop.wait(0.02)
    assert isinstance(world.answers[1][0], DeadlineError)
    world.finish()
    assert world.batches == [[0], [2]]


def test_a_request_whose_time_runs_out_while_it_runs_is_told_at_once():
    world = World()
    world.send([0], deadline=world.loop.now + 0.5)
    world.loop.wait(0.6)
    assert isinstance(world.answers[0][0], DeadlineError)
    world.finish()
    assert len(world.answers[0]) == 1


def test_one_alarm_serves_all_deadlines():
    world = World(max_rows=1)
    world.send([0])
    world.loop.turn()
    for step in range(50):
        world.send([1], deadline=world.loop.now + 30.0 + step)
    assert sum(not handle.cancelled() for _, _, handle in world.loop.later) == 1


def test_a_batcher_is_not_kept_alive_by_the_deadlines_of_requests_that_are_answered():
    world = World(inline=4)
    world.send([0], deadline=world.loop.now + 3600.0)
    world.finish()
    batcher = weakref.ref(world.batcher)
    del world.batcher
    world.tickets.clear()
    gc.collect()
    assert batcher() is None
    world.loop.wait(4000.0)


def test_a_closed_batcher_refuses_what_waits_and_what_comes():
    world = World()
    world.send([0])
    world.loop.turn()
    world.send([1], deadline=world.loop.now + 1.0)
    world.batcher.close()
    world.batcher.close()
    with pytest.raises(UnavailableError):
        world.send([2])
    world.device.step()
    world.loop.wait(5.0)
    assert world.batches == [[0]]
    assert isinstance(world.answers[1][0], UnavailableError)
    assert world.rows_of(0) == [0]


def test_an_answer_that_cannot_be_given_keeps_back_no_other():
    world = World(inline=4)

    def broken(answer):
        raise RuntimeError("the socket is gone")

    world.send([1], done=broken)
    number = world.send([2])
    world.loop.turn()
    assert world.rows_of(number) == [2]
    assert isinstance(world.loop.failures[0]["exception"], RuntimeError)


def test_a_request_that_is_sent_from_within_an_answer_is_the_next_batch():
    world = World(inline=4)
    first = []

    def again(answer):
        first.append(answer)
        world.send([2])

    world.send([1], done=again)
    world.loop.turn()
    assert world.batches == [[1]]
    assert len(world.loop.soon) == 1
    world.loop.turn()
    assert world.batches == [[1], [2]]


@settings(max_examples=25)
@given(st.lists(st.floats(0.001, 0.1), min_size=2, max_size=4), st.data())
def test_a_heavy_model_cannot_starve_a_light_one(seconds, data):
    """While all have work, what each has used of the device differs by no more than two of their longest batches."""
    loop, device = Loop(), Device()
    worlds = [World(loop=loop, device=device, max_rows=1, max_enqueued_batches=10_000) for _ in seconds]
    used = dict.fromkeys(range(len(worlds)), 0.0)
    for world in worlds:
        for _ in range(40):
            world.send([1])
    loop.turn()
    for _ in range(30):
        ((share, _),) = device.running
        index = next(i for i, world in enumerate(worlds) if world.batcher._share is share)
        spent = seconds[index] * data.draw(st.sampled_from([0.5, 1.0]))
        used[index] += spent
        device.step(spent)
        loop.turn()
    assert max(used.values()) - min(used.values()) <= 2 * max(seconds)
    assert np.isfinite(list(used.values())).all()


def test_an_answer_that_fails_keeps_back_no_other_one(caplog):
    world = World(max_rows=1, max_enqueued_batches=9)
    world.send([0])
    world.loop.turn()
    for row in (1, 2):
        world.send([row], deadline=world.loop.now + 1)
    world.tickets[1].done = lambda result: 1 // 0
    world.loop.wait(2)
    world.loop.turn()
    assert isinstance(world.answers[2][0], DeadlineError)
    assert "cannot be answered" in caplog.text


def test_a_request_of_too_many_rows_is_refused_before_it_is_split():
    world = World()
    many = Chunk((1 << 20) + 1, [np.broadcast_to(np.int64(1), (1 << 20) + 1)])
    with pytest.raises(RequestError, match="1,048,577 rows; one request may have 1,048,576"):
        world.batcher.submit(many, lambda result: None)
    assert world.batcher.idle
