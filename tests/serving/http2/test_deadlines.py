from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.http2.deadlines import Deadlines


class Call:
    def __init__(self, deadlines, deadline):
        self.deadlines, self.deadline, self.expired = deadlines, deadline, None
        self.added = deadlines._time()
        deadlines.add(self, deadline)

    def expire(self):
        self.expired = self.deadlines._time()
        self.deadlines.discard(self, self.deadline)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(-0.1, 5), st.booleans()), max_size=30))
def test_each_call_expires_once_never_early_and_soon_after(kit, steps):
    loop = kit.Loop()
    deadlines = Deadlines(loop, loop.time)
    calls, gone = [], []
    for wait, timeout, leaves in steps:
        loop.run(wait)
        call = Call(deadlines, loop.now + timeout)
        (gone if leaves else calls).append(call)
        if leaves:
            deadlines.discard(call, call.deadline)
        assert sum(not timer.cancelled for timer in loop.timers) <= 1
    loop.run(10)
    assert all(call.expired is None for call in gone)
    for call in calls:
        assert call.deadline <= call.expired <= max(call.deadline, call.added) + 0.0101
    assert len(deadlines) == 0
    assert not deadlines._slots


def test_a_slot_whose_end_rounds_down_does_not_ring_for_ever(kit):
    loop = kit.Loop()
    assert 0.29 * 100 < 29
    deadlines = Deadlines(loop, loop.time)
    call = Call(deadlines, loop.now + 0.285)
    loop.run(1)
    assert call.deadline <= call.expired <= call.deadline + 0.0101


def test_far_deadlines_are_left_to_the_connection(kit):
    loop = kit.Loop()
    deadlines = Deadlines(loop, loop.time)
    call = Call(deadlines, loop.now + 1e9)
    assert len(deadlines) == 0
    deadlines.discard(call, call.deadline)
    assert not loop.timers


def test_slots_do_not_pile_up(kit):
    loop = kit.Loop()
    deadlines = Deadlines(loop, loop.time)
    for _ in range(20_000):
        call = Call(deadlines, loop.now + 0.5)
        deadlines.discard(call, call.deadline)
        loop.run(0.001)
    assert len(deadlines._slots) <= 60


def test_a_closed_one_rings_no_more(kit):
    loop = kit.Loop()
    deadlines = Deadlines(loop, loop.time)
    call = Call(deadlines, loop.now + 0.5)
    deadlines.close()
    loop.run(2)
    assert call.expired is None
