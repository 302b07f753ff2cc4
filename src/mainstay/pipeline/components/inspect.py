"""Inspection: statistics of every split, the schema of the training split, what is odd in the others, the label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from mainstay import validation
from mainstay.core import track, write_json
from mainstay.io import ArrowFile
from mainstay.pipeline.components.ingest import SPLITS
from mainstay.pipeline.components.label import describe_label
from mainstay.statistics import TableAccumulator


def compute_statistics(examples: Path, *, folder: Path) -> None:
    """Write ``train.pb``, ``validation.pb`` and ``eval.pb``, each a `DatasetFeatureStatisticsList`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {split: ArrowFile(examples / f"{split}.arrow") for split in SPLITS}
    with track("Statistics", total=sum(file.num_rows for file in files.values()), unit="rows") as progress:
        for split, file in files.items():
            accumulator = TableAccumulator(file.schema)
            for batch in file.batches():
                accumulator.update(batch)
                progress.advance(batch.num_rows)
            proto = validation.statistics_to_proto(accumulator.result(), name=split)
            validation.write_statistics(proto, folder / f"{split}.pb")


def read_statistics(folder: Path, split: str) -> Any:
    """Return the `DatasetFeatureStatistics` of a split."""
    return validation.load_statistics(folder / f"{split}.pb").datasets[0]


def derive_schema(statistics: Path, *, path: Path) -> None:
    """Write the schema of the training split to `path` as a text proto."""
    schema = validation.infer_schema(validation.load_statistics(statistics / "train.pb"))
    validation.write_schema_text(schema, path)


def find_anomalies(statistics: Path, *, schema: Path, path: Path) -> None:
    """Write what in the evaluation split contradicts the schema to `path` as a text proto."""
    anomalies = validation.validate_statistics(
        validation.load_statistics(statistics / "eval.pb"), validation.load_schema_text(schema)
    )
    validation.write_anomalies_text(anomalies, path)


def inspect_label(examples: Path, *, column: str, task: str, path: Path) -> None:
    """Write what the label is to `path` as JSON; see `label.describe_label`."""
    chunks: dict[str, list[pa.Array]] = {
        split: [batch.column(0) for batch in ArrowFile(examples / f"{split}.arrow").batches([column])]
        for split in SPLITS
    }
    everything = [chunk for split in SPLITS for chunk in chunks[split]]
    write_json(path, describe_label(column, train=chunks["train"], everything=everything, task=task).to_json())
