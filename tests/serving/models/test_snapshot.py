import pytest

from mainstay.core import NotFoundError, RequestError
from mainstay.serving.models.snapshot import Servable, Snapshot, State, VersionStatus
from mainstay.serving.status import Code


def servable(version):
    return Servable("m", version, {})


def test_the_latest_version_is_the_highest_that_answers():
    snapshot = Snapshot({"m": {2: servable(2), 10: servable(10)}}, {"m": {11: VersionStatus(State.LOADING)}})
    assert snapshot.find("m").version == 10
    assert snapshot.find("m", 2).version == 2
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(m, 11\)"):
        snapshot.find("m", 11)
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Latest\(n\)"):
        snapshot.find("n")


def test_labels_are_looked_up_at_each_request():
    snapshot = Snapshot({"m": {2: servable(2), 10: servable(10)}}, labels={"m": {"stable": 2, "gone": 1}})
    assert snapshot.find("m", label="stable").version == 2
    with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
        snapshot.find("m", label="canary")
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(m, 1\)"):
        snapshot.find("m", label="gone")


def test_the_states_of_versions_are_told_also_of_those_that_do_not_answer():
    failed = VersionStatus(State.END, Code.DATA_LOSS, "damaged")
    snapshot = Snapshot({"m": {2: servable(2)}}, {"m": {3: failed}})
    assert snapshot.versions("m") == {2: VersionStatus(State.AVAILABLE), 3: failed}
    assert snapshot.versions("m", 3) == {3: failed}
    with pytest.raises(NotFoundError, match="Could not find version 4 of model m"):
        snapshot.versions("m", 4)
    with pytest.raises(NotFoundError, match="Could not find any versions of model n"):
        snapshot.versions("n")


def test_a_version_tells_when_its_last_call_is_over():
    version, told = servable(1), []
    version.on_idle = lambda: told.append(version.users)
    version.users = 2
    version.release()
    assert told == []
    version.release()
    assert told == [0]
