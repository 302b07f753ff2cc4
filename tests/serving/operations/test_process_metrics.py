"""Metrics of the process."""

import os
import time

import pytest

from mainstay.serving.operations import process_metrics
from mainstay.serving.operations.exposition import render
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.process_metrics import ProcessMetrics


def collect(lint):
    metrics = Metrics()
    ProcessMetrics().collect(metrics)
    return {name: (labels, value) for (name, labels), value in lint(render(metrics)).items()}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system has no /proc")
def test_the_process_is_measured(lint):
    found = collect(lint)
    assert 0 < found["process_start_time_seconds"][1] <= time.time()
    assert found["process_cpu_seconds_total"][1] > 0
    assert 1 << 20 < found["process_resident_memory_bytes"][1] < found["process_virtual_memory_bytes"][1]
    assert 3 <= found["process_open_fds"][1] <= found["process_max_fds"][1]
    assert found["process_threads"][1] >= 1


def test_the_release_is_named(lint):
    labels, value = collect(lint)["mainstay_build_info"]
    assert value == 1
    assert all(version for _, version in labels)


def test_without_proc_the_rest_is_still_there(lint, monkeypatch, tmp_path):
    monkeypatch.setattr(process_metrics, "_PROC", tmp_path / "none")
    found = collect(lint)
    assert "process_resident_memory_bytes" not in found
    assert found["process_cpu_seconds_total"][1] > 0
    assert found["process_start_time_seconds"][1] <= time.time()
