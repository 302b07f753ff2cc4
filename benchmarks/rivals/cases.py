"""What is trained: the sizes of each model, which every framework reads, and seeded data. Needs NumPy only."""

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


def data(case: Case) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the inputs of one epoch, channels last, and labels as int32; the same in every framework."""
    random, rows, sizes = np.random.default_rng(0), case.batch * case.epoch, case.sizes
    labels = random.integers(0, case.classes, rows, dtype=np.int32)
    match case.architecture:
        case "mlp":
            return (random.random((rows, sizes["inputs"]), dtype=np.float32),), labels
        case "cnn":
            return (random.random((rows, sizes["side"], sizes["side"], 1), dtype=np.float32),), labels
        case "resnet":
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
