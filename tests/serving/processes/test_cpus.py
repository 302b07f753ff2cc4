"""Lists of CPUs, the share of each worker, and processes that stay where they are put."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, SetupError
from mainstay.serving.processes.cpus import available_cpus, limit_threads, parse_cpus, pin, share_of


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("3,1", (1, 3)), ("0-2, 5", (0, 1, 2, 5)), ("1-1,1", (1,)), ("10-11", (10, 11))]
)
def test_lists_are_read(text, cpus):
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["", ",", "a", "-1", "1-", "2-1", "1..2", "1-2-3", "100000"])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(ArgumentError):
        parse_cpus(text)


@settings(max_examples=50)
@given(st.sets(st.integers(0, 200), min_size=1), st.integers(1, 30))
def test_every_cpu_has_one_worker_where_there_are_enough(cpus, workers):
    cpus = sorted(cpus)
    shares = [share_of(cpus, number, workers) for number in range(workers)]
    if len(cpus) < workers:
        assert all(share == tuple(cpus) for share in shares)
    else:
        assert [cpu for share in shares for cpu in share] == cpus
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_stays_on_its_cpus():
    one = available_cpus()[-1]
    code = f"import os; from mainstay.serving.processes.cpus import pin; pin([{one}]); print(os.sched_getaffinity(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{{{one}}}"


def test_cpus_that_are_not_there_are_an_error():
    with pytest.raises(SetupError, match="no such CPUs") as caught:
        pin([99_999])
    assert caught.value.received == "99999"


def test_the_number_of_threads_is_told_to_the_compiler(monkeypatch):
    monkeypatch.setenv("NPROC", "9")
    limit_threads(2)
    assert os.environ["NPROC"] == "2"
