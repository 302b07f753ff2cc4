import pickle
import threading

import pytest

from mainstay.data.sources.shared_work import SharedWork


def ranges_of(shared, count):
    found = []
    shared.run(lambda start, stop: found.append((start, stop, threading.current_thread().name)), count)
    return sorted(found)


def test_work_that_is_alone_is_done_in_two_halves_on_two_threads():
    (first, middle, here), (again, last, there) = ranges_of(SharedWork(), 65)
    assert (first, middle, again, last) == (0, 32, 32, 65)
    assert here != there


def test_few_rows_and_rows_beside_other_work_stay_whole():
    shared = SharedWork()
    assert [item[:2] for item in ranges_of(shared, 7)] == [(0, 7)]
    found = []
    shared.run(lambda start, stop: found.extend(item[:2] for item in ranges_of(shared, 64)), 7)
    assert found == [(0, 64)]
    assert len(ranges_of(shared, 64)) == 2


@pytest.mark.parametrize("bad", [0, 32])
def test_what_a_half_raises_is_raised_once_both_are_done(bad):
    done = []

    def work(start, stop):
        if start == bad:
            raise ValueError(start)
        done.append((start, stop))

    with pytest.raises(ValueError, match=str(bad)):
        SharedWork().run(work, 64)
    assert len(done) == 1


def test_a_copy_begins_anew():
    shared = SharedWork()
    copies = []
    shared.run(lambda start, stop: copies.append(pickle.loads(pickle.dumps(shared))), 1)
    assert len(ranges_of(copies[0], 64)) == 2
