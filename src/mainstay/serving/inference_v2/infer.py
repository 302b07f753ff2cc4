"""An inference request, whatever protocol brought it: its tensors become rows, and outputs are chosen as it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mainstay.core import NotFoundError, RequestError, UnsupportedError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import CRITICALITIES, Call
from mainstay.serving.engine import Engine
from mainstay.serving.inference_v2.tensor_data import DATATYPES, datatype_of
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.tensors import tensor_chunk

Array: TypeAlias = np.ndarray[Any, Any]

_MOST_MICROSECONDS = 10**12


class RequestedOutput(NamedTuple):
    """An output that a request asks for.

    Attributes:
        name: Its name.
        binary: Whether it is wanted as raw bytes; None where the request does not say.
        classes: How many classes are wanted in its place, the likeliest first; 0 for the values themselves.
    """

    name: str
    binary: bool | None = None
    classes: int = 0


@dataclass(slots=True)
class InferRequest:
    """What a request says.

    Args:
        inputs: Its tensors by name; strings are arrays of object.
        outputs: The outputs that it asks for; empty for all.
        parameters: Its parameters, of which ``signature_name``, ``timeout`` (microseconds) and ``priority`` count.
        name: Its ``id``, which the answer repeats.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def signature(self) -> str:
        """The name of the signature that it calls; empty for the default one.

        Raises:
            RequestError: It is no string.
        """
        value = self.parameters.get("signature_name", "")
        if not isinstance(value, str):
            raise RequestError(
                "the parameter signature_name is no string", where="$.parameters.signature_name", expected="a string"
            )
        return value


def version_of(text: str) -> int | None:
    """Return the number of a version that is asked for; None for an empty text.

    Raises:
        RequestError: It is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise RequestError(f"failed to get model version from specified version string '{text[:64]}'")
    return int(text)


def find(engine: Engine, call: Call) -> Servable:
    """Return the version that answers a call, which is kept loaded until the call is finished.

    Raises:
        NotFoundError: There is none.
    """
    try:
        return engine.route(call)
    except NotFoundError as error:
        raise unknown_model(call.model, call.version) from error


def unknown_model(model: str, version: int | None) -> NotFoundError:
    """Return the refusal of a model or version that is not served, in Triton's words."""
    asked = "" if version is None else f" version {version}"
    return NotFoundError(f"Request for unknown model: '{model}'{asked} is not found")


def apply_parameters(call: Call, parameters: Mapping[str, Any]) -> None:
    """Let the parameters of a request say how long it waits and how urgent it is.

    Raises:
        RequestError: One is out of its range.
        UnsupportedError: It belongs to a sequence.
    """
    if parameters.get("sequence_id") not in (None, 0, ""):
        raise UnsupportedError("sequences of requests are not served: every request stands for itself")
    timeout = _whole(parameters, "timeout", _MOST_MICROSECONDS)
    if timeout:
        deadline = call.received + timeout / 1e6
        call.deadline = deadline if call.deadline is None else min(call.deadline, deadline)
    priority = _whole(parameters, "priority", 1 << 64)
    if priority:  # the protocol counts from 1, the most urgent; 0 stands for the usual one
        call.priority = min(priority, len(CRITICALITIES)) - 1


def _whole(parameters: Mapping[str, Any], name: str, most: int) -> int:
    value = parameters.get(name, 0)
    if type(value) is not int or not 0 <= value <= most:
        raise RequestError(
            f"the parameter {name} is out of range", where=f"$.parameters.{name}", expected=f"0 to {most}"
        )
    return value


def chunk_of(inputs: Mapping[str, Array], endpoint: Endpoint, model: str) -> Chunk:
    """Return the rows of a request.

    Args:
        inputs: Its tensors by name.
        endpoint: The signature that they are for.
        model: The model's name, for errors.

    Raises:
        RequestError: An input is missing, unknown, or of another datatype or shape.
    """
    plans = {plan.name: plan for plan in endpoint.plans}
    for name in inputs:
        if name not in plans:
            raise RequestError(
                f"unexpected inference input '{name}' for model '{model}'",
                where="$.inputs",
                expected=f"{', '.join(plans)}",
            )
    lacking = [plan.name for plan in endpoint.plans if not plan.optional and plan.name not in inputs]
    if lacking:
        raise RequestError(
            f"expected {len(plans)} inputs but got {len(inputs)} inputs for model '{model}'. Got input(s) "
            f"{sorted(inputs)}, but missing required input(s) {lacking}. Please provide all required input(s).",
            where="$.inputs",
        )
    for name, array in inputs.items():
        want, have = DATATYPES[plans[name].dtype], datatype_of(array)
        if want != have:
            raise RequestError(
                f"inference input '{name}' data-type is '{have}', but model '{model}' expects '{want}'",
                where="$.inputs",
            )
    return tensor_chunk(endpoint, inputs)


def check_outputs(requested: Sequence[RequestedOutput], endpoint: Endpoint, model: str) -> None:
    """Refuse an output that the signature does not have, or that is asked for twice: an answer is not to be many times
    as large as what the model gives.

    Raises:
        RequestError: There is one.
    """
    known = {spec.name for spec in endpoint.signature.outputs}
    seen: set[str] = set()
    for item in requested:
        if item.name not in known:
            raise RequestError(
                f"unexpected inference output '{item.name}' for model '{model}'",
                where="$.outputs",
                expected=f"{', '.join(sorted(known))}",
            )
        if item.name in seen:
            raise RequestError(f"output '{item.name}' comes twice", where="$.outputs")
        seen.add(item.name)


def chosen(outputs: Outputs, requested: Sequence[RequestedOutput]) -> list[tuple[RequestedOutput, Array]]:
    """Return the outputs that a request asks for, in its order; all of them where it asks for none."""
    if not requested:
        return [(RequestedOutput(name), array) for name, array in outputs.arrays.items()]
    return [
        (item, _classes(outputs.arrays[item.name], item) if item.classes else outputs.arrays[item.name])
        for item in requested
    ]


def _classes(array: Array, item: RequestedOutput) -> Array:
    """Return the likeliest classes of each row as Triton's extension writes them: ``value:index``."""
    if array.ndim == 0 or array.dtype.kind in "OSU":
        raise RequestError(f"output '{item.name}' has no classes", where="$.outputs", expected="an output of numbers")
    scores = array.reshape(-1, array.shape[-1]).astype(np.float64)
    count = min(item.classes, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    show: Callable[[int, int], bytes] = lambda row, index: b"%f:%d" % (scores[row, index], index)  # noqa: E731
    texts = [show(row, index) for row, indexes in enumerate(best.tolist()) for index in indexes]
    found = np.empty(len(texts), object)
    found[:] = texts
    return found.reshape(*array.shape[:-1], count)
