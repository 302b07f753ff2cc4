"""The laws of a split: weights are kept, clients stay, and only versions that are AVAILABLE answer."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.serving.models.snapshot import State, VersionStatus
from mainstay.serving.traffic.split import Split, resolve

CLIENTS = [f"client {number}".encode() for number in range(4000)]


def split(traffic, weights, seed=1, **keys):
    servables = [traffic.servable(version) for version in weights]
    return Split.of("m", weights, traffic.snapshot(*servables, **keys), Random(seed).random)


def within(count, total, share):
    """Whether a count lies within five standard deviations of what a share leads to expect."""
    return abs(count - total * share) <= 5 * (total * share * (1 - share)) ** 0.5 + 1


weights = st.dictionaries(st.integers(1, 9), st.floats(0.01, 100), min_size=1, max_size=5)


@pytest.mark.parametrize("keys", [False, True])
def test_weights_are_kept_with_and_without_clients(traffic, keys):
    shares = {1: 70.0, 2: 25.0, 3: 5.0}
    chosen = split(traffic, shares)
    counts = Counter(chosen.choose(client if keys else None).version for client in CLIENTS)
    assert all(within(counts[version], len(CLIENTS), share / 100) for version, share in shares.items())


@settings(max_examples=25)
@given(weights, st.integers(0, 2**32))
def test_any_weights_are_kept(traffic_blocks, shares, seed):
    chosen = split(traffic_blocks, shares, seed)
    counts = Counter(chosen.choose(None).version for _ in range(1000))
    total = sum(shares.values())
    assert all(within(counts[version], 1000, share / total) for version, share in shares.items())


@settings(max_examples=25)
@given(weights, st.binary(min_size=1, max_size=40))
def test_a_client_stays_with_its_version_in_every_process(traffic_blocks, shares, client):
    versions = {split(traffic_blocks, shares, seed).choose(client).version for seed in range(3)}
    assert len(versions) == 1


@settings(max_examples=25)
@given(weights, st.integers(1, 9), st.floats(0.01, 100))
def test_a_changed_weight_moves_clients_to_or_from_that_version_only(traffic_blocks, shares, version, weight):
    before, after = split(traffic_blocks, shares), split(traffic_blocks, {**shares, version: weight})
    for client in CLIENTS[:100]:
        one, two = before.choose(client).version, after.choose(client).version
        assert one == two or version in (one, two)


def test_few_clients_move_when_weights_change_little(traffic):
    before, after = split(traffic, {1: 90, 2: 10}), split(traffic, {1: 89, 2: 11})
    moved = sum(before.choose(client).version != after.choose(client).version for client in CLIENTS)
    assert moved > 0
    assert within(moved, len(CLIENTS), 0.01)


@settings(max_examples=25)
@given(weights.filter(lambda shares: len(shares) > 1), st.data())
def test_clients_of_a_vanished_version_are_spread_and_no_others_move(traffic_blocks, shares, data):
    gone = data.draw(st.sampled_from(sorted(shares)))
    before = split(traffic_blocks, shares)
    left = [traffic_blocks.servable(version) for version in shares if version != gone]
    after = Split.of("m", shares, traffic_blocks.snapshot(*left), Random(1).random)
    for client in CLIENTS[:100]:
        one, two = before.choose(client).version, after.choose(client).version
        assert two != gone
        assert one in (two, gone)


@pytest.mark.parametrize("state", [state for state in State if state is not State.AVAILABLE])
def test_a_version_that_is_not_available_never_answers(traffic, state):
    there = [traffic.servable(version) for version in (1, 2)]
    snapshot = traffic.snapshot(*there, statuses={2: VersionStatus(state)})
    chosen = Split.of("m", {1: 1.0, 2: 1e9}, snapshot, Random(1).random)
    assert {chosen.choose(client).version for client in [None, *CLIENTS[:100]]} == {1}


def test_a_weight_of_zero_is_no_share(traffic):
    chosen = split(traffic, {1: 0.0, 2: 1.0})
    assert {chosen.choose(client).version for client in [None, *CLIENTS[:100]]} == {2}


def test_there_is_no_split_over_nothing(traffic):
    assert split(traffic, {}) is None
    assert Split.of("m", {1: 1.0}, traffic.snapshot(), Random(1).random) is None


def test_targets_are_numbers_or_labels(traffic):
    snapshot = traffic.snapshot(traffic.servable(3), labels={"stable": 3, "lost": 4})
    assert [resolve(target, "m", snapshot) is not None for target in (3, "stable", "lost", "none", 5)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert resolve(3, "other", snapshot) is None


def test_known_clients_are_forgotten_before_they_fill_the_memory(traffic, monkeypatch):
    monkeypatch.setattr("mainstay.serving.traffic.split._MOST_KNOWN_CLIENTS", 10)
    chosen = split(traffic, {1: 1.0, 2: 1.0})
    first = [chosen.choose(client).version for client in CLIENTS[:50]]
    assert [chosen.choose(client).version for client in CLIENTS[:50]] == first
    assert len(chosen._known) <= 10


def test_keys_of_any_length_keep_their_version_and_only_short_ones_are_remembered(traffic):
    made = split(traffic, {1: 1, 2: 1})
    long = [bytes([65 + number]) * 5000 for number in range(8)]
    assert [made.choose(key).version for key in long] == [made.choose(key).version for key in long]
    made.choose(b"short")
    assert set(made._known) == {b"short"}
