"""What is trained: the sizes of each model, which every framework reads, and seeded data. Needs NumPy only.

`CASES` suit a CPU. `LARGE_CASES` are for an accelerator, in bfloat16 beside float32 weights; `SMOKE_CASES` are the
same models so small that a CPU shows that they work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One model with its batch: `sizes` are its layers, `epoch` the number of batches of an epoch."""

    name: str
    title: str
    architecture: str
    batch: int
    epoch: int
    classes: int
    sizes: dict[str, Any]
    mixed: bool = False


CASES = {
    case.name: case
    for case in (
        Case("mlp32", "MLP 784-128-10, batch 32", "mlp", 32, 300, 10, {"inputs": 784, "hidden": 128, "dropout": 0.2}),
        Case("mlp512", "MLP 784-128-10, batch 512", "mlp", 512, 60, 10, {"inputs": 784, "hidden": 128, "dropout": 0.2}),
        Case("wide", "wide & deep, 8 × 10,000 ids, batch 256", "wide_deep", 256, 60, 2,
             {"features": 8, "vocabulary": 10_000, "embedding": 16, "numbers": 13, "hidden": (256, 128)}),
        Case("cnn", "CNN 28×28, batch 64", "cnn", 64, 24, 10, {"side": 28, "filters": (32, 64), "dropout": 0.5}),
        Case("resnet", "ResNet blocks 64×64, batch 8", "resnet", 8, 3, 10, {"side": 64, "filters": (64, 128)}),
        Case("transformer", "transformer encoder, 4 layers, 8 × 128 tokens", "transformer", 8, 4, 2,
             {"layers": 4, "length": 128, "vocabulary": 8_000, "width": 256, "heads": 4, "inner": 1024,
              "dropout": 0.1}),
        Case("lstm", "LSTM 128, 32 × 64 tokens", "lstm", 32, 12, 2,
             {"length": 64, "vocabulary": 5_000, "embedding": 64, "units": 128}),
    )
}  # fmt: skip


LARGE_CASES = {
    case.name: case
    for case in (
        Case("encoder", "transformer encoder, 12 layers, 32 × 512 tokens, bf16", "transformer", 32, 16, 2,
             {"layers": 12, "length": 512, "vocabulary": 32_000, "width": 768, "heads": 12, "inner": 3072,
              "dropout": 0.1}, mixed=True),
        Case("resnet50", "ResNet-50, 128 × 224×224, bf16", "resnet50", 128, 8, 1000,
             {"side": 224, "width": 64, "blocks": (3, 4, 6, 3)}, mixed=True),
    )
}  # fmt: skip

SMOKE_CASES = {
    case.name: case
    for case in (
        Case("encoder", "a tiny transformer encoder, bf16", "transformer", 2, 2, 2,
             {"layers": 1, "length": 8, "vocabulary": 50, "width": 16, "heads": 2, "inner": 32, "dropout": 0.1},
             mixed=True),
        Case("resnet50", "a tiny residual network, bf16", "resnet50", 2, 2, 10,
             {"side": 32, "width": 8, "blocks": (2, 1, 1, 1)}, mixed=True),
    )
}  # fmt: skip

SETS = {"cases": CASES, "large": LARGE_CASES, "smoke": SMOKE_CASES}


def data(case: Case) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the inputs of one epoch, channels last, and labels as int32; the same in every framework."""
    random, rows, sizes = np.random.default_rng(0), case.batch * case.epoch, case.sizes
    labels = random.integers(0, case.classes, rows, dtype=np.int32)
    match case.architecture:
        case "mlp":
            return (random.random((rows, sizes["inputs"]), dtype=np.float32),), labels
        case "cnn":
            return (random.random((rows, sizes["side"], sizes["side"], 1), dtype=np.float32),), labels
        case "resnet" | "resnet50":
            return (random.random((rows, sizes["side"], sizes["side"], 3), dtype=np.float32),), labels
        case "wide_deep":
            ids = random.integers(0, sizes["vocabulary"], (rows, sizes["features"]), dtype=np.int32)
            return (ids, random.random((rows, sizes["numbers"]), dtype=np.float32)), labels
    return (random.integers(0, sizes["vocabulary"], (rows, sizes["length"]), dtype=np.int32),), labels


def batches(case: Case, count: int = 8) -> list[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """Return the first batches of the data, at most `count`."""
    inputs, labels = data(case)
    cuts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(min(count, case.epoch))]
    return [(tuple(item[cut] for item in inputs), labels[cut]) for cut in cuts]
