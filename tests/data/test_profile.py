import re

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.data import Dataset, Options, Profile, StageProfile
from mainstay.data.profile import _advice


def text_length(number):
    return np.int64(len(str(int(number))))


def test_a_profile_shows_every_stage_from_the_source_on() -> None:
    profile = Dataset.range(600).map(text_length, name="digits").batch(20, name="twenties").prefetch(2).profile()
    assert [stage.name for stage in profile.stages] == ["read range → map text_length", "twenties", "prefetch"]
    assert [stage.workers for stage in profile.stages] == ["threads", "in turn", "ahead"]
    assert [stage.elements for stage in profile.stages] == [600, 30, 30]
    assert profile.stages[0].is_row_bound
    assert (profile.elements, profile.num_bytes) == (30, 4800)
    assert 0 < profile.first_seconds <= profile.first_seconds + profile.seconds


def test_options_are_no_stage() -> None:
    profile = Dataset.range(8).batch(2).with_options(Options()).profile()
    assert [stage.name for stage in profile.stages] == ["read range", "batch"]


def test_a_profile_ends_at_its_limit() -> None:
    endless = Dataset.range(100_000).repeat().batch(10)
    assert endless.profile(seconds=0.05).elements > 0
    assert 1000 <= endless.profile(seconds=60, elements=1000).elements < 200_000


def test_a_profile_leaves_the_passes_alone() -> None:
    dataset, other = (Dataset.range(50).shuffle(50, seed=3) for _ in range(2))
    dataset.profile()
    assert [int(x) for x in dataset] == [int(x) for x in other]


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"seconds": -1.0}, {"elements": 0}])
def test_a_profile_of_nothing_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(limits))):
        Dataset.range(5).profile(**limits)


def test_the_profile_of_an_empty_dataset_has_no_bottleneck() -> None:
    profile = Dataset.range(0).batch(2).profile()
    assert profile.elements == 0
    assert "0 elements/s" in str(profile)


def stage(name: str = "map parse", **changes: object) -> StageProfile:
    values = {
        "workers": "threads",
        "limit": 2,
        "elements": 1000,
        "num_bytes": 8000,
        "busy_seconds": 2.0,
        "cpu_seconds": 1.0,
        "wait_seconds": 1.0,
        "depth": 8,
        "occupancy": 1.0,
        **changes,
    }
    return StageProfile(name, **values)


def test_the_table_names_the_bottleneck_and_what_would_help() -> None:
    stages = (stage("read arrays", occupancy=0.1), stage(is_row_bound=True, note="threads: a reason"))
    text = str(Profile(1.0, 0.25, 1000, 8000, 0, stages))
    assert "1,000 elements/s, 1,000 in 1.00 s, the first after 250 ms" in text
    assert re.search(r"map parse\s+│ 2 threads\s+│\s+1,000 │\s+100% │\s+1.00 s │\s+8 │\s+0.0 │", text)
    assert "Bottleneck: map parse (a row function, 2.0 ms per element) keeps the Python interpreter busy" in text
    assert "map parse: threads: a reason" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"workers": "in turn"}, r"\.prefetch\(\)"),
        ({"occupancy": 0.2}, "nothing is working to capacity"),
        ({"cpu_seconds": 0.01}, "disk or a network"),
        ({"workers": "processes", "limit": 2, "is_row_bound": True}, "keeps 2 processes busy"),
        ({"is_row_bound": True}, "Python interpreter busy"),
        ({}, "keeps 2 threads busy"),
    ],
)
def test_advice_fits_what_holds_a_stage_up(changes: dict[str, object], advice: str) -> None:
    assert re.search(advice, _advice(stage(**changes)))


def test_iterators_count_what_was_taken_and_how_long_it_was_waited_for() -> None:
    chunks = Dataset.range(100).batch(10).iterate_chunks()
    while chunks.piece() is not None:
        pass
    assert (chunks.meter.elements, chunks.meter.num_bytes) == (10, 800)
    assert chunks.meter.wait_seconds > 0
