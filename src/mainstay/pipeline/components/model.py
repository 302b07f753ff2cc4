"""The default model: wide and deep, for tables of numbers and categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay import keras, saved_model
from mainstay.core import ModelError
from mainstay.pipeline.components.features import Feature
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.user_code import call_user_function, load_function

HIDDEN_UNITS = (128, 64, 32)
CLIP = 5.0
"""Standardised numbers are cut here, so that one wild value in a request cannot throw a prediction far off."""

EMBEDDING_WIDTH = 8
LABEL_UNIT = "label_unit"

HUBER_DELTA = 0.2
"""Where the regression loss turns from squared to absolute error, in standard deviations of the label."""


def feature_inputs(features: Sequence[Feature]) -> dict[str, Any]:
    """Return a Keras input `[batch]` for each feature, by name."""
    return {feature.name: keras.Input((), dtype=feature.dtype, name=feature.name) for feature in features}


def wide_and_deep(features: Sequence[Feature], label: Label) -> Any:
    """Return an untrained wide-and-deep model (Cheng et al. 2016, arXiv:1606.07792).

    The wide part is linear in the numbers and in the one-hot categories; the deep part is a dense network over
    numbers and embeddings. All categories share one table, each from its own first row on: one lookup instead of one
    for each category makes the program small, quick to compile and quick to run.

    Args:
        features: What the model sees.
        label: What it learns.

    Returns:
        A Keras model from ``{feature: [batch]}`` to `[batch]` float32 in the label's unit for regression, or to
        probabilities `[batch, num_classes]` float32 for classification.
    """
    inputs = feature_inputs(features)
    units = max(len(label.classes), 1)
    wide, deep = [], []
    numbers = [inputs[feature.name] for feature in features if not feature.categorical]
    if numbers:
        clipped = keras.ops.clip(keras.ops.stack(numbers, axis=1), -CLIP, CLIP)
        wide.append(keras.layers.Dense(units, use_bias=False, name="wide_numbers")(clipped))
        deep.append(clipped)
    categories = [feature for feature in features if feature.categorical]
    if categories:
        starts = np.cumsum([0] + [feature.num_ids for feature in categories])
        rows = [int(start) - feature.min_id for start, feature in zip(starts, categories, strict=False)]
        ids = keras.ops.stack([inputs[feature.name] for feature in categories], axis=1) + np.array(rows, np.int32)
        linear = keras.layers.Embedding(int(starts[-1]), units, "zeros", name="wide_categories")(ids)
        embedded = keras.layers.Embedding(int(starts[-1]), EMBEDDING_WIDTH, name="embeddings")(ids)
        wide.append(keras.ops.sum(linear, axis=1))
        deep.append(keras.layers.Reshape((len(categories) * EMBEDDING_WIDTH,), name="embedded")(embedded))
    hidden = keras.ops.concatenate(deep, axis=1)
    for place, size in enumerate(HIDDEN_UNITS):
        hidden = keras.layers.Dense(size, activation="relu", name=f"deep_{place}")(hidden)
    logits = keras.layers.Dense(units, name="deep_output", bias_initializer=_prior(label))(hidden)
    for part in wide:
        logits = logits + part
    if label.task == "regression":
        outputs = keras.layers.Rescaling(label.std, label.mean, name=LABEL_UNIT)(keras.ops.squeeze(logits, axis=1))
    else:
        outputs = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(inputs, outputs, name="wide_and_deep")


def _prior(label: Label) -> Any:
    """Start a classifier at the share of each class, so that rare classes do not cost the first epochs."""
    if label.task == "regression":
        return "zeros"
    shares = np.clip(np.asarray(label.baseline), 1e-4, None)
    logits = np.log(shares)
    return keras.initializers.Constant((logits - logits.mean()).tolist())


def build_model(features: Sequence[Feature], label: Label, *, reference: str | None) -> Any:
    """Return the model of a run: the default one, or what a user's function returns.

    Args:
        features: What the model sees.
        label: What it learns.
        reference: ``FILE.py:function`` of a function `(features, label) -> keras.Model`, or None.

    Raises:
        ArgumentError: The reference names no function.
        ModelError: The function failed, or what it returned does not fit the features and the label.
    """
    if reference is None:
        return wide_and_deep(features, label)
    function = load_function(reference, option="--model")
    model = call_user_function(function, features, label, reference=reference, error=ModelError)
    _check(model, features, label, reference)
    return model


def _check(model: Any, features: Sequence[Feature], label: Label, reference: str) -> None:
    if not isinstance(model, keras.Model):
        raise ModelError(
            "the function did not return a Keras model",
            where=reference,
            expected="keras.Model",
            received=type(model).__name__,
        )
    names = {spec.name for spec in saved_model.from_keras_model(model).inputs}
    if names != {feature.name for feature in features}:
        raise ModelError(
            "the model's inputs are not the features",
            where=reference,
            expected=f"inputs named {', '.join(sorted(feature.name for feature in features))}",
            received=", ".join(sorted(names)),
            fix="give keras.Model a dict with a keras.Input of the feature's name for each feature",
        )
    blank = {feature.name: np.zeros(2, feature.dtype) for feature in features}
    answers = np.asarray(call_user_function(model, blank, reference=reference, error=ModelError))
    wanted: tuple[tuple[int, ...], ...] = ((2,), (2, 1)) if label.task == "regression" else ((2, len(label.classes)),)
    if answers.shape not in wanted:
        raise ModelError(
            "the model's output has the wrong shape",
            where=reference,
            expected="[batch] or [batch, 1]" if label.task == "regression" else f"[batch, {len(label.classes)}]",
            received=f"[batch, {', '.join(map(str, answers.shape[1:]))}]",
        )
    if label.task == "classification" and not _are_probabilities(answers):
        raise ModelError(
            "the model's outputs are no probabilities",
            where=reference,
            expected="values of 0 or more that add up to 1 in each row",
            received=answers[0].tolist(),
            fix="end it in a Softmax",
        )


def _are_probabilities(answers: np.ndarray[Any, Any]) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(axis=1), 1.0, atol=1e-3))


def standardised(model: Any, label: Label) -> Any:
    """Return the model with outputs of mean 0 and deviation 1, sharing its weights; a classifier as it is.

    Training on these, gradients have the same size whatever the label's unit is.
    """
    if label.task != "regression":
        return model
    if any(layer.name == LABEL_UNIT for layer in model.layers):
        return keras.Model(model.input, model.get_layer(LABEL_UNIT).input)
    return keras.Model(model.input, keras.layers.Rescaling(1 / label.std, -label.mean / label.std)(model.output))


def compile_model(model: Any, label: Label) -> None:
    """Give a model of standardised outputs an optimiser and a loss that fit the label."""
    if label.task == "regression":
        loss = keras.losses.Huber(delta=HUBER_DELTA)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(1e-3), loss=loss)
