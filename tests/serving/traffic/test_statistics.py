"""Counts of several processes add up, and what is shown fits into JSON."""

import json

import numpy as np
import pytest

from mainstay.serving.traffic.comparison import Difference
from mainstay.serving.traffic.config import Shadow
from mainstay.serving.traffic.statistics import ModelStatistics, merge_reports, plain


def statistics(requests, differing, largest):
    model = ModelStatistics()
    model.version(3).requests = requests
    counts = model.shadow(Shadow(to="canary"))
    counts.add({"y": Difference(4, differing, largest_absolute=largest, worst=0)}, [{"row": differing}])
    return model.report()


def test_reports_of_several_processes_add_up():
    merged = merge_reports([statistics(10, 1, 0.5), statistics(5, 2, 0.25)])
    assert merged["versions"]["3"]["requests"] == 15
    canary = merged["shadows"]["canary"]
    assert (canary["compared"], canary["differing"]) == (2, 2)
    assert canary["outputs"]["y"]["differing"] == 3
    assert canary["outputs"]["y"]["largest_absolute"] == 0.5
    assert [example["row"] for example in canary["examples"]] == [1, 2]


def test_weights_and_versions_that_all_processes_share_do_not_add_up():
    report = {"weights": {"a": {"weight": 3.0, "version": 7}}, "sticky": ["x-user"]}
    assert merge_reports([report, report]) == report


def test_a_report_survives_json():
    report = statistics(1, 1, 0.5)
    assert json.loads(json.dumps(report)) == report


def test_examples_are_kept_to_a_number_and_counts_stay_when_it_changes():
    model = ModelStatistics()
    for number in range(5):
        model.shadow(Shadow(to=1, examples=2)).add({}, [{"row": number}])
    assert [example["row"] for example in model.shadow(Shadow(to=1, examples=2)).examples] == [3, 4]
    changed = model.shadow(Shadow(to=1, examples=1))
    assert (changed.compared, [example["row"] for example in changed.examples]) == (5, [4])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float32(1.5), 1.5),
        (np.array(2), 2),
        (np.arange(100), list(range(16))),
        (float("inf"), "inf"),
        (b"\xff", "�"),
        ("a" * 300, "a" * 200),
        (None, None),
        (True, True),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_values_are_shown_as_json_has_them(value, shown):
    assert plain(value) == shown
