"""The router: explicit requests win, weights and sticky clients decide the rest, guards may change the weights."""

import asyncio
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, NotFoundError, RequestError
from mainstay.serving.calls import Call
from mainstay.serving.models.snapshot import Snapshot
from mainstay.serving.status import Code
from mainstay.serving.traffic.config import ModelTraffic, Shadow, TrafficConfig
from mainstay.serving.traffic.router import TrafficRouter


def rules(**keys):
    return TrafficConfig({"m": ModelTraffic(**keys)})


def router(config, seed=1):
    return TrafficRouter(config, loop=None, random=Random(seed))


def call(model="m", *, headers=None, peer="", identity="", method="Predict", **asked):
    made = Call("REST", method, model, asked.get("version"), asked.get("label"), received=0.0)
    made.headers = headers or {}
    made.peer, made.identity = peer, identity
    return made


@pytest.fixture
def snapshot(traffic):
    return traffic.snapshot(*map(traffic.servable, (1, 2, 3)), labels={"stable": 1, "canary": 2})


def test_an_explicit_version_or_label_always_wins(snapshot):
    chosen = router(rules(weights={3: 1}))
    assert chosen.find(call(version=1), snapshot).version == 1
    assert chosen.find(call(label="canary"), snapshot).version == 2
    with pytest.raises(NotFoundError, match=r"Specific\(m, 9\)"):
        chosen.find(call(version=9), snapshot)
    with pytest.raises(RequestError, match="Unrecognized servable version label: none"):
        chosen.find(call(label="none"), snapshot)


def test_requests_are_split_by_weight(snapshot):
    chosen = router(rules(weights={"stable": 3, "canary": 1}))
    counts = Counter(chosen.find(call(), snapshot).version for _ in range(2000))
    assert set(counts) == {1, 2}
    assert 1400 < counts[1] < 1600


def test_models_without_rules_and_questions_get_the_highest_version(snapshot):
    chosen = router(rules(weights={1: 1}))
    other = Snapshot({"other": snapshot.servables["m"]})
    assert chosen.find(call("other"), other).version == 3
    assert chosen.find(call(method="GetModelMetadata"), snapshot).version == 3
    assert router(rules()).find(call(), snapshot).version == 3


@pytest.mark.parametrize(
    ("sticky", "known"),
    [
        (("x-mainstay-session",), {"headers": {b"x-mainstay-session": b"me"}}),
        (("x-user", "x-device"), {"headers": {b"x-device": b"me"}}),
        (("x-user", "client"), {"peer": "10.0.0.1:4321"}),
        (("client",), {"identity": "me", "peer": "10.0.0.1:4321"}),
    ],
)
def test_a_client_stays_with_its_version(snapshot, sticky, known):
    chosen = router(rules(weights={1: 1, 2: 1, 3: 1}, sticky=sticky))
    assert len({chosen.find(call(**known), snapshot).version for _ in range(100)}) == 1


def test_another_port_is_no_other_client(snapshot):
    chosen = router(rules(weights={1: 1, 2: 1, 3: 1}, sticky=("client",)))
    assert len({chosen.find(call(peer=f"[::1]:{port}"), snapshot).version for port in range(100)}) == 1
    assert len({chosen.find(call(peer="unix"), snapshot).version for _ in range(100)}) == 3


def test_without_a_key_every_request_is_on_its_own(snapshot):
    for sticky in ((), ("x-mainstay-session",)):
        chosen = router(rules(weights={1: 1, 2: 1}, sticky=sticky))
        assert len({chosen.find(call(), snapshot).version for _ in range(100)}) == 2


def test_a_new_snapshot_is_looked_at_at_once(snapshot, traffic):
    chosen = router(rules(weights={"stable": 1}))
    assert chosen.find(call(), snapshot).version == 1
    moved = traffic.snapshot(*map(traffic.servable, (1, 2)), labels={"stable": 2})
    assert chosen.find(call(), moved).version == 2


def test_when_all_weighted_versions_are_gone_the_highest_that_nobody_excluded_answers(traffic):
    chosen = router(rules(weights={1: 1, 4: 0}))
    there = traffic.snapshot(*map(traffic.servable, (2, 3, 4)))
    assert chosen.find(call(), there).version == 3
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Latest\(m\)"):
        chosen.find(call(), traffic.snapshot(traffic.servable(4)))
    assert chosen.find(call(version=4), there).version == 4


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(1, 6), st.sampled_from([0.0, 1.0, 5.0]), min_size=1, max_size=6),
    st.sets(st.integers(1, 6), min_size=1),
    st.integers(0, 1000),
)
def test_never_a_version_that_is_not_there_or_has_no_weight(traffic_blocks, weights, there, seed):
    if not any(weights.values()):
        return
    snapshot = traffic_blocks.snapshot(*map(traffic_blocks.servable, there))
    chosen = router(rules(weights=weights), seed)
    for number in range(20):
        try:
            version = chosen.find(call(headers={b"x-mainstay-session": b"%d" % number}), snapshot).version
        except NotFoundError:
            assert all(weights.get(version) == 0 for version in there)
        else:
            assert version in there
            assert weights.get(version) != 0
            assert version in weights or not any(weights.get(one) for one in there)


def test_weights_can_be_set_and_the_rest_stays(snapshot):
    chosen = router(rules(weights={1: 1}, sticky=("x-user",), shadows=(Shadow(to=2),)))
    chosen.set_weights("m", {"canary": 1})
    assert chosen.find(call(), snapshot).version == 2
    assert chosen.config.models["m"].sticky == ("x-user",)
    assert chosen.config.models["m"].shadows == (Shadow(to=2),)
    chosen.set_weights("new", {1: 1})
    assert set(chosen.config.models) == {"m", "new"}
    with pytest.raises(ArgumentError):
        chosen.set_weights("m", {"canary": -1})


def test_a_guard_sees_the_counts_and_may_take_weights_back(traffic):
    class Guard:
        def weights(self, model, rules, statistics):
            counts = statistics.version(2)
            return {1: 1, 2: 0} if counts.failures > 2 else None

    def answer(chunk):
        raise ValueError("broken")

    async def run():
        loop = asyncio.get_running_loop()
        road = traffic.road(loop, rules(weights={1: 0, 2: 1}))
        road.router.guards = (Guard(),)
        road.engine.snapshot = traffic.snapshot(traffic.servable(1, loop), traffic.servable(2, loop, answer))
        for _ in range(2):
            await road.predict()
        road.router.tick()
        assert await road.predict() == 2
        road.router.tick()
        assert await road.predict() == 1
        return road.router.report(road.engine.snapshot)["models"]["m"]

    report = asyncio.run(run())
    assert report["weights"] == {"1": {"weight": 1, "version": 1}, "2": {"weight": 0, "version": 2}}
    assert (report["versions"]["2"]["requests"], report["versions"]["2"]["failures"]) == (3, 3)


def test_faults_of_requests_are_no_failures_of_a_version(traffic):
    async def run():
        loop = asyncio.get_running_loop()
        road = traffic.road(loop, rules(weights={1: 1}))
        road.engine.snapshot = traffic.snapshot(traffic.servable(1, loop))
        for code in (Code.OK, Code.INVALID_ARGUMENT, Code.CANCELLED, Code.UNAVAILABLE):
            await road.predict(code=code)
        return road.router.statistics["m"].version(1)

    counts = asyncio.run(run())
    assert (counts.requests, counts.failures) == (4, 1)
    assert counts.seconds > 0
