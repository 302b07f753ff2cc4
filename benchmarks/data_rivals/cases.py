"""What is measured: the workloads of an input pipeline, who can do each, and what Mainstay sets out to reach."""

from __future__ import annotations

from dataclasses import dataclass

TITLES = {
    "mainstay": "Mainstay",
    "mainstay-numpy": "Mainstay without its C library",
    "mainstay-rows": "Mainstay, element by element",
    "mainstay-processes": "Mainstay, 2 processes",
    "tensorflow": "tf.data",
    "tensorflow-rows": "tf.data, element by element",
    "tensorflow-lines": "tf.data, decode_csv of batches of lines",
    "tensorflow-quick": "tf.data, quicker decoding, other pixels",
    "grain": "Grain",
    "grain-processes": "Grain, 2 processes",
    "torch": "PyTorch",
    "torch-processes": "PyTorch, 2 processes",
    "torch-bulk": "PyTorch, indexed by batches",
}
"""The engines, by the framework and the way it is used."""


@dataclass(frozen=True)
class Goal:
    """How many times the rows of the best of some rivals an engine sets out to deliver."""

    rivals: tuple[str, ...]
    times: float
    engine: str = "mainstay"


@dataclass(frozen=True)
class Case:
    """One workload. `kind` is `stream`, `memory` (what a shuffle of very many rows adds) or `fit`."""

    name: str
    title: str
    batch: int
    engines: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    kind: str = "stream"


_TENSORFLOW = ("tensorflow", "tensorflow-rows")
_GRAIN = ("grain", "grain-processes")
_TORCH = ("torch", "torch-processes")
_EVERYONE = ("mainstay", "tensorflow", "grain", "torch", "torch-bulk")
_MEMORY = ("mainstay", "grain", "torch")

# Grain's processes share out the files of TFRecord and Parquet, and here there is one. Lines of CSV that are decoded by
# batches are no goal: a line break within quotes, which CSV allows, breaks them. Nor are pictures whose colours are
# repeated where all others interpolate them: they are shown beside the rest.
CASES = {
    case.name: case
    for case in (
        Case("arrays32", "arrays of 1M × 32 float32, shuffled, batch 32", 32, _EVERYONE, (Goal(_TENSORFLOW, 10),)),
        Case("arrays512", "arrays of 1M × 32 float32, shuffled, batch 512", 512, _EVERYONE, (Goal(_TENSORFLOW, 10),)),
        Case("log1p", "the same, shuffled, with log1p, batch 512", 512,
             ("mainstay", *_TENSORFLOW, "grain", "torch", "torch-bulk")),
        Case("examples", "TFRecord of tf.Example, 18 features, batch 256", 256,
             ("mainstay", "mainstay-rows", "mainstay-numpy", *_TENSORFLOW, "grain", *_TORCH),
             (Goal(_TENSORFLOW, 5), Goal(_TENSORFLOW, 2, "mainstay-numpy"))),
        Case("csv", "CSV, 18 columns, batch 512", 512, ("mainstay", "tensorflow", "tensorflow-lines"),
             (Goal(("tensorflow",), 10),)),
        Case("parquet", "Parquet, 8 of 18 columns, shuffled, batch 512", 512,
             ("mainstay", "tensorflow", "grain", "torch", "torch-bulk"), (Goal(_TENSORFLOW, 20),)),
        Case("images", "JPEG, decoded, resized to 224, batch 64", 64,
             ("mainstay", "mainstay-rows", "tensorflow", "tensorflow-quick", *_GRAIN, *_TORCH),
             (Goal(("tensorflow", *_GRAIN, *_TORCH), 1.2),)),
        Case("python", "a Python function of 20 µs a row, batch 256", 256,
             ("mainstay", "mainstay-processes", "tensorflow", *_GRAIN, *_TORCH), (Goal(_TENSORFLOW, 5),)),
        Case("range", "100M indices, shuffled, batch 4096", 4096, _MEMORY, kind="memory"),
        Case("memmap", "a memory map of 100M int32, shuffled, batch 4096", 4096, _MEMORY, kind="memory"),
        Case("fit", "`fit` of an MLP 32-64-10 on 200,000 rows, batch 128", 128, ("mainstay",), kind="fit"),
    )
}  # fmt: skip
