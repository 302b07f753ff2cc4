from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.rest.answers import Answer
from mainstay.serving.rest.routes import Route


def servable(version):
    return Servable("m", version, {})


def test_the_latest_version_is_the_highest_that_is_loaded():
    snapshot = Snapshot({"m": {2: servable(2), 10: servable(10), 11: None}})
    assert snapshot.find(Route("predict", "m")).version == 10
    assert snapshot.find(Route("predict", "m", 2)).version == 2
    assert not snapshot.ready


def test_a_version_that_loads_is_told_apart_from_one_that_is_not_there():
    snapshot = Snapshot({"m": {1: None}})
    for route, status in (
        (Route("predict", "m"), 503),
        (Route("predict", "m", 1), 503),
        (Route("predict", "m", 2), 404),
    ):
        answer = snapshot.find(route)
        assert isinstance(answer, Answer)
        assert answer.status == status


def test_a_snapshot_is_ready_when_nothing_loads_any_more():
    assert Snapshot({"a": {1: servable(1)}, "b": {1: servable(1)}}).ready
    assert not Snapshot({"a": {1: servable(1)}, "b": {1: None}}).ready
