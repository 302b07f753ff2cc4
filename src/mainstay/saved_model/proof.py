"""Proof: a saved signature answers as the function that it was made of, and in every batch size alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.hostops import Column
from mainstay.saved_model.column_archive import decode_values, encode_values
from mainstay.saved_model.golden import Golden, compare
from mainstay.saved_model.loaded_signature import LoadedSignature
from mainstay.saved_model.serving_function import ServingFunction, device_dtype


def prove(function: ServingFunction | None, signature: LoadedSignature, golden: Golden) -> None:
    """Refuse a signature that answers otherwise than its function, or otherwise in another batch size.

    Args:
        function: The function, or None where there is none to compare with.
        signature: The signature of the artifact.
        golden: Requests and the answers of the signature to them.

    Raises:
        ParityError: It does.
    """
    tolerance = 1e-6 if function is None else function.tolerance
    if signature.rows:
        golden.replay_sizes(signature, tolerance=tolerance)
    if function is None or function.function is None:
        return
    for name, values in _reference(function, signature, signature.columns(golden.columns)).items():
        compare(
            f"signature {signature.name}, output {name}, saved program against its function",
            golden.answers[name].values,
            expected=decode_values("", encode_values("", values)),
            tolerance=tolerance,
            fix="save it with a larger tolerance if the difference is harmless",
        )


def _reference(function: ServingFunction, signature: LoadedSignature, columns: list[Column]) -> dict[str, Any]:
    """Return the answers of a serving function that was never saved."""
    import jax

    if function.prefix is not None:
        values = function.prefix.run(columns)
    else:
        values = {spec.name: column.values for spec, column in zip(function.inputs, columns, strict=True)}
    if not signature.rows:
        values = {name: value[0] for name, value in values.items()}
    with np.errstate(over="ignore"):
        inputs = {spec.name: values[spec.name].astype(device_dtype(spec.dtype)) for spec in function.inputs}
    weights = {name: np.asarray(value) for name, value in function.weights.items()}
    traced: Any = function.function
    with jax.enable_x64(False):
        outputs = {name: np.asarray(value) for name, value in jax.jit(traced)(weights, inputs).items()}
    if not signature.rows:
        outputs = {name: value[None] for name, value in outputs.items()}
    if function.suffix is None:
        return outputs
    taken = [(item.spec.name, np.dtype(item.spec.dtype)) for item in function.suffix.inputs]
    return function.suffix.run([Column(outputs[name].astype(dtype, copy=False)) for name, dtype in taken])
