"""TF Serving's classify and regress: what their signatures are called and shaped, which its server checks.

Source: ``tensorflow_serving/servables/tensorflow/{classifier,regressor}.cc``. Both take serialised tf.Examples as
``inputs``. Classify gives ``classes``, `[batch, classes]` strings, ``scores``, `[batch, classes]` float32, or both;
regress gives ``outputs``, `[batch]` or `[batch, 1]` float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mainstay.saved_model.graph_writing.structured_values import Spec

SERVED_INPUT = "inputs"
"""The name of the only input that classify and regress know."""

_FLOAT = np.dtype(np.float32)


def served_names(method: str, outputs: Sequence[Spec]) -> Mapping[str, str] | str:
    """Return for each output the name that TF Serving knows it by, or why it knows none.

    Args:
        method: ``"classify"`` or ``"regress"``.
        outputs: What the signature gives.
    """
    return _regress(outputs) if method == "regress" else _classify(outputs)


def _regress(outputs: Sequence[Spec]) -> Mapping[str, str] | str:
    if len(outputs) != 1 or outputs[0].kind != _FLOAT or not _is_flat(outputs[0]):
        return "regress gives one number of float32 for each row"
    return {outputs[0].name: "outputs"}


def _classify(outputs: Sequence[Spec]) -> Mapping[str, str] | str:
    names = {spec.name: _class_name(spec) for spec in outputs}
    if None in names.values() or len(set(names.values())) < len(names) or not names:
        return "classify gives classes, strings, and scores, float32, for each row"
    widths = {spec.shape[1:] or (1,) for spec in outputs if spec.shape}
    if len(widths) > 1:
        return "classify gives as many classes as scores for each row"
    return {name: known for name, known in names.items() if known is not None}


def _class_name(spec: Spec) -> str | None:
    if not spec.shape or len(spec.shape) > 2:
        return None
    return "classes" if spec.kind == "string" else "scores" if spec.kind == _FLOAT else None


def _is_flat(spec: Spec) -> bool:
    return spec.shape is not None and (len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[1] == 1))
