"""A logged request and its answer: what the request log keeps of a call, and its form as TF Serving's PredictionLog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mainstay.core import message_class
from mainstay.serving.batching.chunks import Chunk, merge
from mainstay.serving.grpc.tensor_proto import as_bytes, encode_tensor
from mainstay.serving.plans import InputPlan

Array: TypeAlias = np.ndarray[Any, Any]


class LoggedRequest(NamedTuple):
    """A request with its answer; the time of its end is in seconds of the loop's clock."""

    model: str
    version: int
    signature: str
    method: str
    rate: float
    plans: Sequence[InputPlan]
    chunk: Chunk
    outputs: Mapping[str, Array]
    ended: float
    request_id: str
    trace: str
    size: int

    def inputs(self) -> dict[str, tuple[Array, Array | None]]:
        """Return the inputs by name: their values, `[rows, ...]`, and where one is missing, `[rows]` bool."""
        columns = merge([self.chunk], self.plans)
        return {plan.name: (column.values, column.missing) for plan, column in zip(self.plans, columns, strict=True)}


def prediction_log(request: LoggedRequest, wall: float) -> bytes:
    """Return a logged request as a ``tensorflow.serving.PredictionLog``.

    A value that is missing, which a tensor cannot say, is the zero of its dtype in a `PredictLog`.

    Args:
        request: The request.
        wall: What the loop's clock is behind the time of day, in seconds.
    """
    log = message_class("tensorflow.serving.PredictionLog")()
    _fill_spec(log.log_metadata.model_spec, request)
    log.log_metadata.sampling_config.sampling_rate = request.rate
    log.log_metadata.timestamp_secs = int(request.ended + wall)
    if request.method == "Classify":
        _fill_spec(log.classify_log.request.model_spec, request)
        _fill_examples(log.classify_log.request.input, request)
        _fill_spec(log.classify_log.response.model_spec, request)
        _fill_classes(log.classify_log.response.result, request)
    elif request.method == "Regress":
        _fill_spec(log.regress_log.request.model_spec, request)
        _fill_examples(log.regress_log.request.input, request)
        _fill_spec(log.regress_log.response.model_spec, request)
        for value in _flat(request.outputs.get("outputs")):
            log.regress_log.response.result.regressions.add().value = value
    else:
        _fill_spec(log.predict_log.request.model_spec, request)
        for name, (values, _) in request.inputs().items():
            log.predict_log.request.inputs[name].ParseFromString(encode_tensor(values, content=True))
        _fill_spec(log.predict_log.response.model_spec, request)
        for name, values in request.outputs.items():
            log.predict_log.response.outputs[name].ParseFromString(encode_tensor(values, content=True))
    encoded: bytes = log.SerializeToString()
    return encoded


def _fill_spec(spec: Any, request: LoggedRequest) -> None:
    spec.name = request.model
    spec.version.value = request.version
    spec.signature_name = request.signature


def _fill_examples(given: Any, request: LoggedRequest) -> None:
    """Write the rows as the tf.Examples that they were read from, or as such that are read the same way."""
    examples = given.example_list.examples
    inputs = request.inputs()
    if len(inputs) == 1 and request.plans[0].dtype == "string" and not request.plans[0].inner:
        for serialized in next(iter(inputs.values()))[0].tolist():
            examples.add().ParseFromString(as_bytes(serialized))
        return
    for row in range(request.chunk.rows):
        features = examples.add().features.feature
        for name, (values, missing) in inputs.items():
            if missing is None or not missing[row]:
                _fill_feature(features[name], np.asarray(values[row]))


def _fill_feature(feature: Any, value: Array) -> None:
    values = value.reshape(-1)
    if value.dtype.kind in "OSU":
        feature.bytes_list.value.extend([as_bytes(text) for text in values.tolist()])
    elif value.dtype.kind in "biu":
        feature.int64_list.value.extend(values.astype(np.int64).tolist())
    else:
        feature.float_list.value.extend(values.astype(np.float32).tolist())


def _fill_classes(result: Any, request: LoggedRequest) -> None:
    scores, labels = request.outputs.get("scores"), request.outputs.get("classes")
    for row in range(request.chunk.rows):
        classes = result.classifications.add().classes
        row_scores = _flat(None if scores is None else scores[row])
        row_labels = [] if labels is None else np.asarray(labels[row]).reshape(-1).tolist()
        for place in range(max(len(row_scores), len(row_labels))):
            found = classes.add()
            if place < len(row_labels):
                found.label = as_bytes(row_labels[place]).decode("utf-8", "replace")
            if place < len(row_scores):
                found.score = row_scores[place]


def _flat(values: Array | None) -> list[float]:
    return [] if values is None else np.asarray(values).reshape(-1).astype(np.float32).tolist()


def size_of(chunk: Chunk, outputs: Iterable[Array]) -> int:
    """Return about how many bytes a request and its answer hold."""
    parts = sum(getattr(getattr(part, "values", part), "nbytes", 0) or 64 * chunk.rows for part in chunk.parts)
    return parts + sum(array.nbytes for array in outputs)
