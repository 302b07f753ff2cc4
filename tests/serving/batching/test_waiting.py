from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.tickets import Piece
from mainstay.serving.batching.waiting import WaitingRoom

NOW = 10.0


def piece(rows=1, order=0.0, priority=0, deadline=None):
    return Piece(Chunk(rows, [[0] * rows]), lambda result: None, NOW, order, priority, deadline)


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(1, 3), st.integers(0, 3), st.sampled_from("ab")), max_size=30))
def test_pieces_come_out_in_their_order_and_of_equal_order_the_first_one_first(given_pieces):
    room, pieces = WaitingRoom(), []
    for order, rows, priority, key in given_pieces:
        pieces.append((order, len(pieces), key, piece(rows, order, priority)))
        room.add(pieces[-1][3], key)
    assert room.rows == sum(rows for _, rows, _, _ in given_pieces)
    found = []
    while (lane := room.first()) is not None:
        taken, late = room.take(lane, 1, now=NOW)
        assert len(taken) == 1
        assert not late
        found += taken
    assert [item.order for item in found] == sorted(order for order, *_ in given_pieces)
    for key in "ab":
        own = [item for _, _, other, item in sorted(pieces, key=lambda each: each[:2]) if other == key]
        assert [item for item in found if item in own] == own
    assert (room.rows, room.by_priority) == (0, [0, 0, 0, 0])


def test_a_piece_whose_time_is_over_is_not_taken():
    room = WaitingRoom()
    late, fine = piece(deadline=NOW), piece(deadline=NOW + 1)
    room.add(late, ())
    lane = room.add(fine, ())
    assert room.take(lane, 5, now=NOW) == ([fine], [late])
    assert room.rows == 0
    assert room.first() is None


def test_pieces_that_are_dropped_leave_no_trace_however_many():
    room = WaitingRoom()
    stay = piece(order=-1.0)
    room.add(stay, "other")
    for _ in range(1000):
        gone = piece(3)
        lane = room.add(gone, ())
        gone.cancel()
    assert room.rows == 1
    assert len(lane.pieces) < 200
    assert [lane.key for lane in room.lanes] == ["other"]
    assert room.take(room.first(), 5, now=NOW)[0] == [stay]
    assert room.first() is None


def test_room_is_made_by_the_least_critical_and_of_these_by_the_latest():
    room = WaitingRoom()
    pieces = [piece(2, order, priority) for order, priority in ((1.0, 3), (2.0, 2), (3.0, 3), (4.0, 1))]
    for item in pieces:
        room.add(item, ())
    assert room.make_room(7, 1) is None
    assert room.rows == 8
    assert room.make_room(3, 1) == [pieces[2], pieces[0]]
    assert room.make_room(1, 1) == [pieces[1]]
    assert room.make_room(1, 1) is None
    assert list(room) == [pieces[3]]


def test_room_is_made_across_queues():
    room = WaitingRoom()
    pieces = [piece(1, float(order), 3) for order in range(4)]
    for order, item in enumerate(pieces):
        room.add(item, order % 2)
    assert room.make_room(3, 0) == [pieces[3], pieces[2], pieces[1]]


def test_the_earliest_deadline_is_known():
    room = WaitingRoom()
    assert room.earliest_deadline() is None
    for deadline in (None, 7.0, 5.0):
        room.add(piece(deadline=deadline), ())
    assert room.earliest_deadline() == 5.0
    assert len(room.late(5.0)) == 1
    assert room.earliest_deadline() == 7.0
