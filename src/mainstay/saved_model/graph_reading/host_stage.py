"""A host stage of an imported signature: functions of TensorFlow's ops, computed on NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mainstay.core import DataError, FormatError, RequestError, TransformError, message_class
from mainstay.saved_model.graph_reading.coverage import missing_ops
from mainstay.saved_model.graph_reading.evaluation import Evaluation
from mainstay.saved_model.graph_reading.feeds import answer, feed
from mainstay.saved_model.graph_reading.graph_text import INITIALISE, STAGE
from mainstay.saved_model.graph_reading.library import Library
from mainstay.saved_model.graph_reading.limits import Budget, refuse_endless, refusing_deep_nesting
from mainstay.saved_model.graph_reading.programs import Programs
from mainstay.saved_model.graph_reading.resources import Resources
from mainstay.saved_model.graphs.dtypes import kind_of_number

Array = np.ndarray[Any, Any]


class HostStage:
    """A stage that runs on the host; several threads may run it at once.

    Strings are `str` outside, with surrogates for bytes that are no UTF-8, as everywhere in artifacts.

    Args:
        content: A `tensorflow.FunctionDefLibrary`: ``stage``, the functions that it calls, and ``initialise``, which
            fills its tables.
        assets: The files of the artifact; a stage reads none, since its tables are part of it.

    Raises:
        FormatError: It is malformed, or has ops that are not read here.
    """

    def __init__(self, content: bytes, assets: Mapping[str, bytes]) -> None:
        from google.protobuf.message import DecodeError

        del assets
        try:
            message = message_class("tensorflow.FunctionDefLibrary").FromString(content)
        except DecodeError as error:
            raise FormatError("a host stage is malformed", received=error) from error
        library = Library(message.function)
        for name in (STAGE, INITIALISE):
            if name not in library.definitions:
                raise FormatError("a host stage lacks a function", expected=name)
        missing = missing_ops([library.graph(STAGE), library.graph(INITIALISE)], library)
        if missing:
            raise FormatError("a host stage has unknown ops", received=", ".join(each.op for each in missing))
        with refusing_deep_nesting("host stage"):
            refuse_endless([library.graph(STAGE), library.graph(INITIALISE)], library)
        resources = Resources()
        self._programs = Programs(library, resources)
        signature = library.definitions[STAGE].signature
        self._inputs = [(each.name, kind_of_number(each.type)) for each in signature.input_arg]
        self._outputs = [each.name for each in signature.output_arg]
        with jax.enable_x64(True):
            Evaluation(library, resources, budget=Budget()).run_function(INITIALISE, [])

    def run(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the values that the stage makes, by name.

        Args:
            values: What it takes, and others, by name.

        Raises:
            RequestError: An op refuses a value.
        """
        fed = [feed(values[name], kind, f"$.{name}") for name, kind in self._inputs]
        try:
            with jax.enable_x64(True):
                results = self._programs.eager.run_function(STAGE, fed)
        except (DataError, TransformError) as error:
            raise RequestError(
                error.summary, where=error.where, expected=error.expected, received=error.received, fix=error.fix
            ) from error
        return {name: _text(answer(value)) for name, value in zip(self._outputs, results, strict=True)}


def _text(array: Array) -> Array:
    if array.dtype != object:
        return array
    result = np.empty(array.shape, object)
    result.reshape(-1)[:] = [item.decode("utf-8", "surrogateescape") for item in array.reshape(-1).tolist()]
    return result
