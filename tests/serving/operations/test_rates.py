"""Limits of callers and models."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, OverloadError, RequestError
from mainstay.serving.calls import Call
from mainstay.serving.operations.rates import Rate, RateGate, RateOptions


def call(model="m", peer="10.0.0.1:1", identity="", method="Predict", size=10):
    made = Call("REST", method, model, received=0.0)
    made.peer, made.identity, made.request_bytes = peer, identity, size
    return made


@pytest.fixture
def gate(engine):
    def make(**options):
        return RateGate(RateOptions(**options), engine)

    return make


def passed(gate, *calls):
    count = 0
    for made in calls:
        try:
            gate.check(made)
            count += 1
        except OverloadError:
            pass
    return count


def test_a_caller_has_a_burst_and_then_its_rate(gate, engine):
    limited = gate(per_caller=Rate(2.0, burst=3))
    assert passed(limited, *[call()] * 5) == 3
    engine.clock += 0.5
    assert passed(limited, *[call()] * 5) == 1
    engine.clock += 100
    assert passed(limited, *[call()] * 5) == 3


def test_whoever_comes_too_early_is_told_when_to_come_back(gate, engine):
    limited = gate(per_caller=Rate(0.1))
    limited.check(call())
    engine.clock += 4.0
    with pytest.raises(OverloadError, match=r"next one may come in 6\.000 seconds") as raised:
        limited.check(call())
    assert raised.value.retry_after == pytest.approx(6.0)
    engine.clock += raised.value.retry_after
    limited.check(call())


def test_all_ports_of_an_address_are_one_caller(gate):
    limited = gate(per_caller=Rate(1.0))
    assert passed(limited, call(peer="10.0.0.1:1"), call(peer="10.0.0.1:2"), call(peer="10.0.0.2:1")) == 2
    assert passed(limited, call(peer="[::1]:1"), call(peer="[::1]:2")) == 1


def test_an_identity_is_one_caller_wherever_it_comes_from(gate):
    limited = gate(per_caller=Rate(1.0))
    assert passed(limited, call(identity="a"), call(identity="a", peer="10.0.0.9:1"), call(identity="b")) == 2


def test_nobody_can_name_themselves_after_an_address(gate):
    limited = gate(per_caller=Rate(1.0))
    assert passed(limited, call(peer="a:1"), call(identity="a")) == 2


def test_some_callers_have_their_own_rate_or_none(gate):
    limited = gate(per_caller=Rate(1.0), callers={"fast": Rate(3.0), "free": None})
    assert passed(limited, *[call(identity="fast")] * 5) == 3
    assert passed(limited, *[call(identity="free")] * 5) == 5


def test_a_model_has_its_rate_whoever_calls(gate):
    limited = gate(per_model=Rate(2.0))
    assert passed(limited, *[call(peer=f"10.0.0.{number}:1") for number in range(5)]) == 2


def test_a_request_that_is_refused_uses_nothing_up(gate, engine):
    limited = gate(per_caller=Rate(5.0), per_model=Rate(1.0))
    assert passed(limited, *[call()] * 50) == 1
    engine.clock += 1.0
    assert passed(limited, *[call()] * 50) == 1


def test_names_that_clients_make_up_take_no_memory(gate):
    limited = gate(per_model=Rate(1.0), models={"m": Rate(1.0)})
    assert passed(limited, *[call(model=f"no{number}") for number in range(100)]) == 100
    assert not limited._models


def test_the_callers_that_were_quiet_longest_are_forgotten(gate):
    limited = gate(per_caller=Rate(1.0), most_callers=10)
    passed(limited, *[call(peer=f"10.0.{number}.1:1") for number in range(100)])
    assert len(limited._callers) == 10


def test_health_is_never_limited(gate):
    limited = gate(per_caller=Rate(1.0))
    assert passed(limited, *[call(method="Health")] * 10) == 10


def test_a_request_may_be_too_large_for_its_model(gate):
    limited = gate(max_request_bytes={"m": 10})
    limited.check(call(size=10))
    limited.check(call(model="other", size=1000))
    with pytest.raises(RequestError, match="exceeds the 10 bytes that model m takes"):
        limited.check(call(size=11))


def test_a_clock_that_goes_back_gives_nothing_away(gate, engine):
    limited = gate(per_caller=Rate(1.0))
    limited.check(call())
    engine.clock -= 50
    assert passed(limited, *[call()] * 3) == 0


@settings(max_examples=40)
@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.5, 20), st.floats(1, 10))
def test_no_caller_gets_more_than_its_burst_and_its_rate(pauses, rate, burst):
    class Clock:
        now = 0.0

        def time(self):
            return self.now

    clock = Clock()
    limited = RateGate(RateOptions(per_caller=Rate(rate, burst)), clock)
    count = 0
    for pause in pauses:
        clock.now += pause
        count += passed(limited, call(model=""))
    assert count <= burst + rate * clock.now + 1e-6
    assert not pauses or count >= 1


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_a_rate_is_a_positive_number(rate):
    with pytest.raises(ArgumentError):
        Rate(rate)
    with pytest.raises(ArgumentError):
        Rate(1.0, rate)


@pytest.mark.parametrize(
    "options", [{"most_callers": 0}, {"max_request_bytes": {"m": 0}}, {"max_request_bytes": {"m": 1.5}}]
)
def test_limits_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError):
        RateOptions(**options)
