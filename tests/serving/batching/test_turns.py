from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.batching.turns import Share, Turns


def share():
    return Share(lambda: None, lambda result: None)


def test_nobody_is_served_when_nobody_asks():
    turns = Turns()
    assert turns.next() is None
    one = share()
    turns.ask(one)
    turns.ask(one)
    assert len(turns) == 1
    assert turns.next() is one
    assert turns.next() is None


def test_the_one_that_has_used_the_device_least_is_next_and_of_equals_the_first():
    turns, users = Turns(), [share() for _ in range(3)]
    for user in users:
        turns.ask(user)
    turns.charge(users[0], 1.0)
    assert [turns.next() for _ in range(3)] == [users[1], users[2], users[0]]


def test_who_was_away_starts_level_with_the_others():
    turns, busy, away = Turns(), share(), share()
    for _ in range(100):
        turns.ask(busy)
        assert turns.next() is busy
        turns.charge(busy, 1.0)
    turns.ask(away)
    turns.ask(busy)
    assert turns.next() is away
    turns.charge(away, 2.0)
    turns.ask(away)
    assert turns.next() is busy


def test_who_leaves_is_forgotten():
    turns, one = Turns(), share()
    turns.leave(one)
    turns.ask(one)
    turns.leave(one)
    assert turns.next() is None


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 1.0)), min_size=1, max_size=60))
def test_whoever_asks_is_served_before_others_have_used_more_than_one_batch_more(events):
    """However the users come and go, the wait is bounded by the time that one more batch of each other user takes."""
    turns, users = Turns(), [share() for _ in range(4)]
    waited = dict.fromkeys(users, 0.0)
    longest = max(seconds for _, seconds in events)
    for index, seconds in events:
        turns.ask(users[index])
        user = turns.next()
        if user is None:
            continue
        turns.charge(user, seconds)
        waited[user] = 0.0
        for other in users:
            if other.asking:
                waited[other] += seconds
                assert waited[other] <= 2 * longest * len(users)
