"""Evaluation of what will be served: the saved artifact itself, on rows that training never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay import saved_model
from mainstay.analysis import Evaluation, EvaluationBatch, SliceColumn, evaluate
from mainstay.core import track
from mainstay.hostops import columns_from_batch
from mainstay.io import ArrowFile
from mainstay.pipeline.components.inspect import read_statistics
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.package import OUTPUT_OF

NUM_SLICING_COLUMNS = 2
MAX_DISTINCT = 20


def choose_slices(statistics: Path, *, label: str) -> tuple[str, ...]:
    """Return up to two columns to slice by: those with the fewest different values, text before numbers.

    Args:
        statistics: The folder of `inspect.compute_statistics`.
        label: The label's column, which is none of them.
    """
    candidates = []
    for place, feature in enumerate(read_statistics(statistics, "train").features):
        name = feature.path.step[0]
        textual = feature.HasField("string_stats")
        if textual:
            distinct = feature.string_stats.unique
        else:
            distinct = next((int(item.num) for item in feature.custom_stats if item.name == "num_distinct"), 0)
        if name != label and 2 <= distinct <= MAX_DISTINCT:
            candidates.append((not textual, distinct, place, name))
    return tuple(name for *_, name in sorted(candidates)[:NUM_SLICING_COLUMNS])


def _slice_column(column: pa.Array) -> SliceColumn:
    encoded = column.cast(pa.string()).dictionary_encode(null_encoding="encode")
    return SliceColumn(encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist())


def evaluate_artifact(artifact: Path, *, examples: Path, label: Label, slices: tuple[str, ...]) -> Evaluation:
    """Measure a saved model on the evaluation split.

    Args:
        artifact: The saved model.
        examples: The folder of `ingest`.
        label: What the model predicts.
        slices: The columns to slice by.
    """
    signature = saved_model.load(artifact).signatures["serving_default"]
    file = ArrowFile(examples / "eval.arrow")

    def batches() -> Any:
        with track("Evaluating", total=file.num_rows, unit="rows") as progress:
            for batch in file.batches():
                answers = signature(columns_from_batch(batch))
                parts = {name: _slice_column(batch.column(name)) for name in slices}
                truth = label.encode(batch.column(label.column))
                predictions = np.asarray(answers[OUTPUT_OF[label.task]])
                if label.task == "regression":
                    predictions = predictions.reshape(len(truth))
                yield EvaluationBatch(truth, predictions, parts)
                progress.advance(batch.num_rows)

    return evaluate(batches(), task=label.task, baseline=label.baseline, classes=label.class_names)
