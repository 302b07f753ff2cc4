"""Warm-up: the requests that a version brings along, run before it answers anybody.

The file is TF Serving's: ``assets.extra/tf_serving_warmup_requests``, a TFRecord file of ``PredictionLog``. A request
that fails, or a file that is damaged, fails the version: it would fail its users as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from mainstay.core import DataError, RequestError, UnsupportedError, message_class
from mainstay.io import read_record_blocks
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.examples import CLASSIFY_METHOD, REGRESS_METHOD, example_chunk, find_classes, find_values
from mainstay.serving.grpc.example_methods import examples_of
from mainstay.serving.grpc.predict import find_endpoint
from mainstay.serving.grpc.tensor_proto import decode_tensor
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.status import logger
from mainstay.serving.tensors import check_names, tensor_chunk

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000

_LOG_NUMBERS = {"session_run_log": 5, "predict_streamed_log": 7}
_FIND: dict[str, Callable[[Endpoint], object]] = {CLASSIFY_METHOD: find_classes, REGRESS_METHOD: find_values}

Work: TypeAlias = tuple[Endpoint, Chunk]
"""Rows, and the signature that they are for."""

Sizes: TypeAlias = Mapping[str, Sequence[int]]
"""Batch sizes by signature."""

NO_SIZES: Sizes = {}


def warm_up(
    folder: Path, servable: Servable, *, iterations: int = 1, sizes: Sizes = NO_SIZES, open_shapes_only: bool = False
) -> int:
    """Run the warm-up requests of a version, if it has any.

    Args:
        folder: The version's folder.
        servable: The version; nobody else uses it yet.
        iterations: How often each request is run.
        sizes: By signature, the batch sizes in which the first row of each Predict request is run as well.
        open_shapes_only: Whether only signatures are asked whose inputs may have any shape: what the others run was
            compiled before.

    Returns:
        How many records there were.

    Raises:
        DataError: The file is damaged, has a record that is no PredictionLog, or too many.
        UnsupportedError: A record is of a kind that is not run.
        RequestError: A request is refused.
    """
    path = folder / FILE
    if not path.is_file():
        return 0
    count = 0
    for record in _records(path):
        count += 1
        if count > MOST_RECORDS:
            raise DataError(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}")
        try:
            log = message_class("tensorflow.serving.PredictionLog").FromString(record)
        except DecodeError as error:
            raise DataError(f"Failed to parse warmup record {count} from {path}") from error
        for _ in range(iterations):
            for endpoint, chunks in _runs(log, servable, sizes):
                if not open_shapes_only or _has_open_shapes(endpoint):
                    endpoint.batcher.run_apart(chunks)
    logger.info("%d warm-up requests of %s were run", count, folder)
    return count


def _records(path: Path) -> Iterator[bytes]:
    for block in read_record_blocks(path):
        block.check()
        for start, length in zip(block.offsets.tolist(), block.lengths.tolist(), strict=True):
            yield block.data[start : start + length].tobytes()


def _has_open_shapes(endpoint: Endpoint) -> bool:
    return not endpoint.batched or any(plan.free or None in plan.inner for plan in endpoint.plans)


def _runs(log: Any, servable: Servable, sizes: Sizes) -> Iterator[tuple[Endpoint, list[Chunk]]]:
    """Yield what a record runs: rows, and the signature that they are for."""
    kind = log.WhichOneof("log_type")
    if kind in _LOG_NUMBERS:
        raise UnsupportedError(f"Unsupported log_type for warmup: {_LOG_NUMBERS[kind]}")
    if kind is None:
        return
    for endpoint, chunk in _work(kind, getattr(log, kind).request, servable):
        yield endpoint, [chunk]
        if kind == "predict_log" and endpoint.batched and chunk.rows and not chunk.whole:
            one = chunk.slice(0, 1)
            for size in sizes.get(endpoint.name, ()):
                yield endpoint, [one] * size


def _work(kind: str, request: Any, servable: Servable) -> list[Work]:
    """Return what a request asks of which signature, checked as a request of a client is."""
    if kind == "predict_log":
        endpoint = find_endpoint(servable, request.model_spec.signature_name)
        check_names(endpoint, request.inputs)
        tensors = {name: decode_tensor(proto, name) for name, proto in request.inputs.items()}
        return [(endpoint, tensor_chunk(endpoint, tensors))]
    if kind == "multi_inference_log":
        asked = [(task.method_name, task.model_spec.signature_name) for task in request.tasks]
    else:
        method = CLASSIFY_METHOD if kind == "classify_log" else REGRESS_METHOD
        asked = [(method, request.model_spec.signature_name)]
    serialized = examples_of(_serialized(request.input))
    found = []
    for method, name in asked:
        if method not in _FIND:
            raise UnsupportedError(f"Unsupported signature method_name: {method}")
        endpoint = servable.endpoint(name)
        _FIND[method](endpoint)
        found.append((endpoint, example_chunk(endpoint, serialized)))
    return found


def _serialized(given: Any) -> Any:
    """Return an ``Input`` with its examples as bytes."""
    try:
        return message_class("tensorflow.serving.internal.SerializedInput").FromString(given.SerializeToString())
    except DecodeError as error:
        raise RequestError("the examples of a request cannot be read", received=error) from error
