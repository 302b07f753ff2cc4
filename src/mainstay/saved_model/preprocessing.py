"""The preprocessing of a dataset in front of a model: one program, with a seam that keeps the bits of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mainstay.core import ArgumentError, TensorSpec
from mainstay.data import Preprocessing
from mainstay.saved_model.serving_function import Arrays, ServingFunction, fits


def with_preprocessing(function: ServingFunction, preprocessing: Preprocessing) -> ServingFunction:
    """Return a serving function that takes raw values.

    Args:
        function: What takes the features, without a host prefix.
        preprocessing: What makes them; a dict is matched with the inputs by name, a single array with a single input,
            a tuple in order.

    Raises:
        ArgumentError: The features are not the inputs of the function.
    """
    names = [spec.name for spec in function.inputs]
    pure = function.function

    def serve(weights: Arrays, inputs: Arrays) -> Arrays:
        if pure is None:
            raise TypeError("a host prefix alone has no features")
        features = _named(preprocessing(inputs), names)
        return pure(weights, {name: features[name] for name in names})

    _check(function.inputs, preprocessing)
    return replace(function, function=serve, inputs=preprocessing.inputs, prefix=preprocessing.prefix)


def features_alone(function: ServingFunction, preprocessing: Preprocessing) -> ServingFunction:
    """Return a serving function that gives the features, by the names of the inputs that they are for."""
    names = [spec.name for spec in function.inputs]

    def transform(weights: Arrays, inputs: Arrays) -> Arrays:  # noqa: ARG001
        features = _named(preprocessing(inputs), names)
        return {name: features[name] for name in names}

    return ServingFunction(transform, preprocessing.inputs, {}, prefix=preprocessing.prefix)


def _named(features: Any, names: list[str]) -> Mapping[str, Any]:
    if isinstance(features, Mapping):
        return features
    return dict(zip(names, features if isinstance(features, tuple) else (features,), strict=True))


def _check(inputs: tuple[TensorSpec, ...], preprocessing: Preprocessing) -> None:
    """Refuse features that are not what a model takes."""
    names = [spec.name for spec in inputs]
    features = preprocessing.features
    given = len(features) if isinstance(features, tuple) else 1
    if isinstance(features, Mapping):
        missing = [name for name in names if name not in features]
    else:
        missing = names[given:] if given < len(names) else [] if given == len(names) else ["nothing more"]
    if missing:
        raise ArgumentError(
            "the preprocessing does not make the inputs of the model",
            expected=", ".join(names),
            received=", ".join(map(str, features)) if isinstance(features, Mapping) else f"{given} without a name",
            fix="return a dict with the names of the model's inputs from the last map",
        )
    made = _named(features, names)
    for spec in inputs:
        if not fits(made[spec.name], spec):
            raise ArgumentError(
                "the preprocessing makes an input of the model in another form",
                where=spec.name,
                expected=spec,
                received=made[spec.name],
                fix="cast or reshape it in the last map",
            )
