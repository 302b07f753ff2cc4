import pytest

from mainstay.serving.models.sources import Source
from mainstay.serving.models.transitions import Act, Phase, Standing, next_action

NEW, WAITING, LOADING, READY, UNLOADING, FAILED = Phase


def versions(*standings):
    return [Standing(Source("m", number), phase, wanted) for number, phase, wanted in standings]


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ((), None),
        (((1, NEW, True),), (Act.LOAD, 1)),
        (((1, NEW, True), (2, NEW, True)), (Act.LOAD, 2)),
        (((1, READY, False), (2, NEW, True)), (Act.LOAD, 2)),
        (((1, READY, False), (2, LOADING, True)), None),
        (((1, READY, False), (2, READY, True)), (Act.UNLOAD, 1)),
        (((1, READY, False), (2, FAILED, True)), None),
        (((1, READY, False), (2, READY, False), (3, NEW, True)), (Act.UNLOAD, 1)),
        (((1, READY, False),), (Act.UNLOAD, 1)),
        (((1, UNLOADING, False), (2, NEW, True)), (Act.LOAD, 2)),
        (((1, READY, True), (2, READY, True)), None),
    ],
)
def test_availability_keeps_a_version_until_another_one_answers(standings, expected):
    action = next_action(versions(*standings), "availability")
    assert (action and (action[0], action[1].version)) == expected


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        (((1, NEW, True), (2, NEW, True)), (Act.LOAD, 2)),
        (((1, READY, False), (2, NEW, True)), (Act.UNLOAD, 1)),
        (((1, UNLOADING, False), (2, NEW, True)), None),
        (((1, LOADING, False), (2, NEW, True)), None),
        (((1, FAILED, False), (2, NEW, True)), (Act.LOAD, 2)),
        (((1, READY, True), (2, NEW, True)), (Act.LOAD, 2)),
    ],
)
def test_resources_never_has_an_old_version_beside_a_new_one(standings, expected):
    action = next_action(versions(*standings), "resources")
    assert (action and (action[0], action[1].version)) == expected
