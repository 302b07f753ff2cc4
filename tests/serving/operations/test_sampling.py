"""Which traces are kept."""

import random

import pytest

from mainstay.core import ArgumentError
from mainstay.serving.operations.sampling import SAMPLERS, Sampler
from mainstay.serving.operations.trace_context import Parent

KEPT, NOT_KEPT = Parent("1" * 32, "1" * 16, True), Parent("1" * 32, "1" * 16, False)


@pytest.mark.parametrize(
    ("name", "alone", "kept", "not_kept"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", True, True, False),
        ("traceidratio", True, True, True),
    ],
)
def test_samplers_follow_the_client_or_not(name, alone, kept, not_kept):
    sampler = Sampler(name, 1.0)
    assert (sampler.keeps(1, None), sampler.keeps(1, KEPT), sampler.keeps(1, NOT_KEPT)) == (alone, kept, not_kept)
    assert name in SAMPLERS


def test_a_ratio_keeps_about_its_share_of_traces():
    source = random.Random(1)
    sampler = Sampler("traceidratio", 0.25)
    kept = sum(sampler.keeps(source.getrandbits(128), None) for _ in range(4000))
    assert 900 < kept < 1100


def test_the_same_trace_is_kept_or_not_wherever_it_comes_by():
    low, high = Sampler("traceidratio", 0.1), Sampler("traceidratio", 0.5)
    source = random.Random(2)
    for _ in range(1000):
        trace = source.getrandbits(128)
        assert high.keeps(trace, None) or not low.keeps(trace, None)


@pytest.mark.parametrize(
    ("name", "ratio"), [("sometimes", 1.0), ("", 1.0), ("traceidratio", 1.5), ("traceidratio", -0.1)]
)
def test_what_is_no_sampler_is_refused(name, ratio):
    with pytest.raises(ArgumentError):
        Sampler(name, ratio)


def test_a_ratio_that_is_no_number_is_refused():
    with pytest.raises(ArgumentError):
        Sampler("traceidratio", float("nan"))
