"""Cache keys: stable under order, sensitive to everything that matters, and able to say what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.metadata import Execution
from mainstay.pipeline.cache import CacheKey, ending, explain
from mainstay.pipeline.environment import KEYED, describe_environment, keyed_part

KEY = CacheKey(
    step="train",
    function="steps:train",
    version=1,
    code="c" * 64,
    parameters={"epochs": 3, "names": ["a", "b"], "deep": {"x": 1, "y": {"z": None}}},
    inputs={"examples": [["e" * 64, ""]], "extra": []},
    environment={"python": "3.11.2", "jax": "0.10.2"},
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)
parameters = st.dictionaries(st.text(max_size=3), plain, max_size=5)


def reordered(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        items = [(key, reordered(item, random)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)
    return [reordered(item, random) for item in value] if isinstance(value, list) else value


@given(values=parameters, random=st.randoms(use_true_random=False))
def test_the_order_of_mappings_does_not_matter(values, random):
    key = replace(KEY, parameters=values)
    other = replace(
        key,
        parameters=reordered(values, random),
        inputs=reordered(dict(key.inputs), random),
        environment=reordered(dict(key.environment), random),
    )
    assert key.digest() == other.digest()


@given(one=parameters, two=parameters)
def test_keys_are_equal_exactly_when_the_parameters_are(one, two):
    equal = repr(reordered_by_name(one)) == repr(reordered_by_name(two))
    assert (replace(KEY, parameters=one).digest() == replace(KEY, parameters=two).digest()) == equal


def reordered_by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered_by_name(value[key]) for key in sorted(value)}
    return [reordered_by_name(item) for item in value] if isinstance(value, list) else value


def test_the_key_is_the_same_in_every_process_and_release():
    assert KEY.digest() == "82f237cb8084ae043774909b387f66cff32218cea0a9575c15b9f00a761e8f37"


CHANGES = [
    ({"step": "other"}, None),
    ({"function": "steps:fit"}, "code changed"),
    ({"version": 2}, "version changed"),
    ({"code": "d" * 64}, "code changed"),
    ({"parameters": {**KEY.parameters, "epochs": 4}}, "parameters changed: epochs"),
    ({"parameters": {**KEY.parameters, "epochs": 3.0}}, None),
    ({"parameters": {**KEY.parameters, "seed": None}}, "parameters changed: seed"),
    ({"parameters": {**KEY.parameters, "names": ["b", "a"]}}, "parameters changed: names"),
    ({"inputs": {**KEY.inputs, "examples": [["f" * 64, ""]]}}, "inputs changed: examples"),
    ({"inputs": {**KEY.inputs, "examples": [["e" * 64, ".csv"]]}}, "inputs changed: examples"),
    ({"inputs": {"examples": [["e" * 64, ""]]}}, "inputs changed: extra"),
    ({"environment": {**KEY.environment, "jax": "0.11.0"}}, "environment changed: jax"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_everything_that_matters_changes_the_key_and_is_named(change, reason):
    changed = replace(KEY, **change)
    assert changed.digest() != KEY.digest()
    if reason:
        assert explain(changed, execution(KEY)) == reason


def execution(key: CacheKey) -> Execution:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    recorded = {
        "version": key.version,
        "parameters": dict(key.parameters),
        "inputs": dict(key.inputs),
        "environment": dict(key.environment),
    }
    return Execution(type=key.function, name=key.step, state="complete", started=time, finished=time,
                     code_digest=key.code, properties={"key": recorded})  # fmt: skip


def test_several_changes_are_all_named_and_a_first_run_says_so():
    changed = replace(KEY, code="d" * 64, parameters={}, environment={})
    assert explain(changed, execution(KEY)) == (
        "parameters changed: deep, epochs, names; code changed; environment changed: jax, python"
    )
    assert explain(KEY, None) == "never run before"
    assert explain(KEY, execution(KEY)) == "its result is not recorded"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", ".csv"),
        ("A.CSV", ".csv"),
        ("a.2020.01.csv", ".csv"),
        ("a.csv.gz", ".csv.gz"),
        ("a.gz", ".gz"),
        ("folder", ""),
        (".hidden", ""),
    ],
)
def test_the_ending_of_a_name_is_what_says_its_format(name, expected):
    assert ending(PurePath(name)) == expected


def test_the_environment_names_versions_without_importing_anything():
    found = describe_environment()
    assert set(KEYED) <= set(found)
    assert {"platform", "machine", "mainstay"} <= set(found)
    assert set(keyed_part(found)) == set(KEYED)
    assert all(found[name] for name in KEYED)
