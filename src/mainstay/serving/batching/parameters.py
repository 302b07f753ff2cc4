"""TF Serving's batching parameters: the text files `--batching_parameters_file` and `batching_params.pbtxt`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, FormatError
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.operations.text_protos import read_text_proto

PER_MODEL_FILE = "batching_params.pbtxt"
"""The file in the folder of a version that has its own parameters."""

_MESSAGE = "tensorflow.serving.BatchingParameters"

# What TF Serving takes for a parameter that its file leaves out.
_TENSORFLOW_BATCH_SIZE = 1000
_TENSORFLOW_ENQUEUED_BATCHES = 10


def read_parameters(path: str | os.PathLike[str], options: BatchingOptions | None = None) -> BatchingOptions:
    """Return the options that a file of batching parameters asks for.

    What the file leaves out is as TF Serving has it: at most 1000 rows, no timeout, 10 batches that wait, and requests
    that are too large are refused.

    Args:
        path: The file, a `tensorflow.serving.BatchingParameters` in text form.
        options: What parameters files know nothing of, such as `execution`, is taken from here.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is no such message, or its values are refused; `where` says which.
    """
    message = read_text_proto(path, _MESSAGE)
    try:
        return replace(options or BatchingOptions(), **_values(message))
    except ArgumentError as error:
        where = os.fspath(path) if error.where is None else f"{os.fspath(path)}: {error.where}"
        raise FormatError(
            error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix
        ) from error


def options_with_flags(
    options: BatchingOptions,
    *,
    enable_batching: bool | None,
    parameters_file: str | os.PathLike[str] | None = None,
    per_model_parameters: bool = False,
) -> BatchingOptions:
    """Return the options that TF Serving's flags ask for.

    Args:
        options: What the flags say nothing of.
        enable_batching: ``--enable_batching``; None where it is not given: requests are batched then, and TF Serving's
            files are refused as it refuses them.
        parameters_file: ``--batching_parameters_file``, or None.
        per_model_parameters: ``--enable_per_model_batching_parameters``.

    Raises:
        ArgumentError: There is a file without batching.
        StorageError: The file cannot be read.
        FormatError: The file is refused.
    """
    if parameters_file is not None and not enable_batching:
        raise ArgumentError(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
            where="--batching_parameters_file",
            received=os.fspath(parameters_file),
            fix="pass --enable_batching as well",
        )
    enabled = options.enabled if enable_batching is None else enable_batching
    found = replace(options, enabled=enabled, per_model_parameters=per_model_parameters)
    return found if parameters_file is None else read_parameters(parameters_file, found)


def options_of_version(folder: Path, options: BatchingOptions) -> BatchingOptions:
    """Return the options of one version of a model: its own, where they count and it has any.

    The number of threads and their name stay what they are, since all models share the threads.

    Args:
        folder: The version's folder.
        options: The server's options.

    Raises:
        StorageError: The version's file cannot be read.
        FormatError: The version's file is refused.
    """
    file = folder / PER_MODEL_FILE
    if not (options.enabled and options.per_model_parameters and file.is_file()):
        return options
    threads = options.num_batch_threads, options.thread_pool_name
    return replace(read_parameters(file, options), num_batch_threads=threads[0], thread_pool_name=threads[1])


def _values(message: Any) -> dict[str, Any]:
    """Return the options that a message states, and what TF Serving takes for those that it does not."""

    def given(name: str, default: Any) -> Any:
        return getattr(message, name).value if message.HasField(name) else default

    most = given("max_batch_size", _TENSORFLOW_BATCH_SIZE)
    split = given("enable_large_batch_splitting", False)
    values: dict[str, Any] = {
        "max_batch_size": most,
        "batch_timeout_seconds": given("batch_timeout_micros", 0) / 1e6,
        "max_enqueued_batches": given("max_enqueued_batches", _TENSORFLOW_ENQUEUED_BATCHES),
        "allowed_batch_sizes": tuple(message.allowed_batch_sizes),
        "pad_variable_length_inputs": message.pad_variable_length_inputs,
        "enable_large_batch_splitting": split,
        # Only where requests are split does the size of an execution differ from that of a request.
        "max_execution_batch_size": given("max_execution_batch_size", most) if split else None,
    }
    for field, name in (("num_batch_threads", "num_batch_threads"), ("thread_pool_name", "thread_pool_name")):
        if message.HasField(field):
            values[name] = getattr(message, field).value
    return values
