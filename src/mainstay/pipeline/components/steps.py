"""The standard steps of the road: what each takes and gives, with the work itself behind late imports.

A run that reuses everything must not wait for JAX, so nothing heavy is imported until a step really runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainstay.core import write_json
from mainstay.pipeline.artifacts import ArtifactType, In, Out
from mainstay.pipeline.step import step


class TableFiles(ArtifactType):
    """A user's table: CSV or Parquet files."""


class Examples(ArtifactType):
    """Typed rows in three splits."""


class Statistics(ArtifactType):
    """Statistics of every split."""


class SchemaFile(ArtifactType):
    """What the training rows look like, as a schema."""


class Anomalies(ArtifactType):
    """What in the held-out rows contradicts the schema."""


class LabelFile(ArtifactType):
    """What is predicted."""


class TransformGraph(ArtifactType):
    """The analysed preprocessing function: a host graph with its assets."""


class Features(ArtifactType):
    """Packed features of the training and validation rows."""


class TrainedModel(ArtifactType):
    """A trained Keras model and its learning curve."""


class Artifact(ArtifactType):
    """A saved model, verified."""


class EvaluationFile(ArtifactType):
    """What the saved model is worth."""


class ReportPage(ArtifactType):
    """The report of a run."""


@step
def ingest(
    *, table: In[TableFiles], location: Sequence[str], label: str, exclude: Sequence[str], examples: Out[Examples]
) -> None:
    """Type the rows of a table and split them by their content."""
    from mainstay.pipeline.components.ingest import ingest_table

    ingest_table(list(location), label=label, exclude=exclude, folder=examples)


@step
def inspect(*, examples: In[Examples], statistics: Out[Statistics]) -> None:
    """Compute the statistics of every split in one pass."""
    from mainstay.pipeline.components.inspect import compute_statistics

    compute_statistics(examples, folder=statistics)


@step
def derive(
    *,
    examples: In[Examples],
    statistics: In[Statistics],
    label: str,
    task: str,
    schema: Out[SchemaFile],
    target: Out[LabelFile],
) -> None:
    """Derive the schema of the training rows and what the label is."""
    from mainstay.pipeline.components.inspect import derive_schema, inspect_label

    inspect_label(examples, column=label, task=task, path=target)
    derive_schema(statistics, path=schema)


@step
def validate(*, statistics: In[Statistics], schema: In[SchemaFile], anomalies: Out[Anomalies]) -> None:
    """Hold the held-out rows against the schema."""
    from mainstay.pipeline.components.inspect import find_anomalies

    find_anomalies(statistics, schema=schema, path=anomalies)


@step
def analyze(
    *,
    examples: In[Examples],
    statistics: In[Statistics],
    schema: In[SchemaFile],
    target: In[LabelFile],
    preprocessing: str | None,
    graph: Out[TransformGraph],
) -> None:
    """Analyse the preprocessing function over the training rows."""
    from mainstay.pipeline.components.transform import analyze_examples

    analyze_examples(
        examples, statistics=statistics, schema=schema, label=target, reference=preprocessing, folder=graph
    )
