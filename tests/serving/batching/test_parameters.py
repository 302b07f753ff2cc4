import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, FormatError, StorageError
from mainstay.serving import BatchingOptions
from mainstay.serving.batching.parameters import (
    PER_MODEL_FILE,
    options_of_version,
    options_with_flags,
    read_parameters,
)

EXAMPLE = """
# as TF Serving's guide has it
max_batch_size { value: 128 }
batch_timeout_micros { value: 2500 }
max_enqueued_batches { value: 1000000 }
num_batch_threads { value: 8 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 16
allowed_batch_sizes: 128
pad_variable_length_inputs: true
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="batching.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_of_tensorflow_serving_is_read(file):
    options = read_parameters(file(EXAMPLE), BatchingOptions(execution="thread"))
    assert options == BatchingOptions(
        max_batch_size=128,
        batch_timeout_seconds=0.0025,
        max_enqueued_batches=1000000,
        num_batch_threads=8,
        thread_pool_name="pool",
        allowed_batch_sizes=(16, 128),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=False,
        execution="thread",
    )


def test_what_a_file_leaves_out_is_as_tensorflow_serving_has_it(file):
    options = read_parameters(file(""))
    assert (options.max_batch_size, options.max_enqueued_batches) == (1000, 10)
    assert (options.batch_timeout_seconds, options.num_batch_threads) == (0.0, BatchingOptions().num_batch_threads)
    assert options.request_rows == options.execution_rows == 1000


def test_large_requests_are_split_where_the_file_says_so(file):
    text = "max_batch_size { value: 100 } enable_large_batch_splitting { value: true } "
    options = read_parameters(file(text))
    assert (options.request_rows, options.execution_rows) == (100, 100)
    options = read_parameters(file(text + "max_execution_batch_size { value: 10 } allowed_batch_sizes: [4, 10]"))
    assert (options.request_rows, options.execution_rows) == (100, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 3", "this is no tensorflow.serving.BatchingParameters"),
        ("max_batch_size { value: -3 }", "max_batch_size is out of range"),
        ("max_batch_sise { value: 3 }", "this is no tensorflow.serving.BatchingParameters"),
        ("max_batch_size { value: 3", "this is no tensorflow.serving.BatchingParameters"),
        ("num_batch_threads { value: 0 }", "num_batch_threads is out of range"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_seconds is out of range"),
        ("allowed_batch_sizes: 8", "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [4, 2, 4]", "monotonically increasing"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(file, text, message):
    path = file(text)
    with pytest.raises(FormatError, match=message) as refused:
        read_parameters(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_a_matter_of_storage(tmp_path):
    with pytest.raises(StorageError):
        read_parameters(tmp_path / "absent")


@given(text=st.text(st.sampled_from('max_btchsize{}:[]value 0123-"\n'), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text)
    with contextlib.suppress(FormatError):
        assert read_parameters(path).max_batch_size >= 1


def test_a_file_without_batching_is_refused_in_tensorflows_words(file):
    for enabled in (False, None):
        with pytest.raises(ArgumentError) as refused:
            options_with_flags(BatchingOptions(), enable_batching=enabled, parameters_file=file(EXAMPLE))
        assert refused.value.summary == (
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )


def test_flags_become_options(file):
    options = options_with_flags(
        BatchingOptions(), enable_batching=True, parameters_file=file(EXAMPLE), per_model_parameters=True
    )
    assert (options.enabled, options.per_model_parameters, options.max_batch_size) == (True, True, 128)
    assert options_with_flags(BatchingOptions(), enable_batching=False).enabled is False
    assert options_with_flags(BatchingOptions(), enable_batching=None) == BatchingOptions()


def test_a_version_may_have_parameters_of_its_own(file, tmp_path):
    server = BatchingOptions(num_batch_threads=3, thread_pool_name="ours", aging_seconds=2.0, per_model_parameters=True)
    assert options_of_version(tmp_path, server) is server
    file(EXAMPLE, PER_MODEL_FILE)
    options = options_of_version(tmp_path, server)
    assert (options.max_batch_size, options.num_batch_threads, options.thread_pool_name) == (128, 3, "ours")
    assert options.aging_seconds == 2.0
    without = BatchingOptions()
    assert options_of_version(tmp_path, without) is without


def test_a_wrong_file_of_a_version_refuses_it(file, tmp_path):
    file("max_batch_size { value: 0 }", PER_MODEL_FILE)
    with pytest.raises(FormatError, match="max_batch_size is out of range"):
        options_of_version(tmp_path, BatchingOptions(per_model_parameters=True))
