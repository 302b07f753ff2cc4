"""The standard steps of the road: what each takes and gives, with the work itself behind late imports.

A run that reuses everything must not wait for JAX, so nothing heavy is imported until a step really runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mainstay.core import write_json
from mainstay.pipeline.artifacts import ArtifactType, In, InList, Out
from mainstay.pipeline.marks import Code
from mainstay.pipeline.step import step


class TableFiles(ArtifactType):
    """A user's table: CSV or Parquet files."""


class Examples(ArtifactType):
    """Typed rows in three splits."""


class Statistics(ArtifactType):
    """Statistics of every split."""


class SchemaFile(ArtifactType):
    """What the training rows look like, as a schema."""

    suffix = ".pbtxt"


class Anomalies(ArtifactType):
    """What in the held-out rows contradicts the schema."""

    suffix = ".pbtxt"


class LabelFile(ArtifactType):
    """What is predicted."""

    suffix = ".json"


class TransformGraph(ArtifactType):
    """The analysed preprocessing function: a host graph with its assets."""


class Features(ArtifactType):
    """Packed features of the training and validation rows."""


class TrainedModel(ArtifactType):
    """A trained Keras model and its learning curve."""


class Artifact(ArtifactType):
    """A saved model, verified."""


class RequestFile(ArtifactType):
    """The body of a request that the saved model answers."""

    suffix = ".json"


class EvaluationFile(ArtifactType):
    """What the saved model is worth."""

    suffix = ".json"


class ReportPage(ArtifactType):
    """The report of a run."""

    suffix = ".html"


@step
def ingest(*, table: InList[TableFiles], label: str, exclude: tuple[str, ...], examples: Out[Examples]) -> None:
    """Type the rows of a table and split them by their content."""
    from mainstay.pipeline.components.ingest import ingest_table

    ingest_table(table, label=label, exclude=exclude, folder=examples)


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
    preprocessing: Code | None,
    graph: Out[TransformGraph],
) -> None:
    """Analyse the preprocessing function over the training rows."""
    from mainstay.pipeline.components.transform import analyze_examples

    analyze_examples(
        examples, statistics=statistics, schema=schema, label=target, reference=preprocessing, folder=graph
    )


@step
def transform(
    *, examples: In[Examples], graph: In[TransformGraph], target: In[LabelFile], features: Out[Features]
) -> None:
    """Turn the training and validation rows into packed features."""
    from mainstay.pipeline.components.transform import transform_examples

    transform_examples(examples, graph=graph, label=target, folder=features)


@step
def train(
    *, features: In[Features], epochs: int, seed: int, model_function: Code | None, model: Out[TrainedModel]
) -> None:
    """Train the model and keep the weights of its best epoch."""
    from mainstay.pipeline.components.train import fit, save_trained

    trained, curve = fit(features, epochs=epochs, seed=seed, reference=model_function)
    save_trained(trained, curve, folder=model)


@step
def package(
    *,
    examples: In[Examples],
    statistics: In[Statistics],
    schema: In[SchemaFile],
    graph: In[TransformGraph],
    features: In[Features],
    model: In[TrainedModel],
    model_function: Code | None,
    artifact: Out[Artifact],
    request: Out[RequestFile],
) -> None:
    """Make the artifact, seal golden requests in it, and verify it in a fresh process."""
    from mainstay.core import digest_tree
    from mainstay.io import ArrowFile
    from mainstay.pipeline.components.package import example_request, golden_batch, package_model, trained_function
    from mainstay.pipeline.components.train import WEIGHTS
    from mainstay.pipeline.components.transform import read_graph

    function = trained_function(features, model=model / WEIGHTS, graph=read_graph(graph), reference=model_function)
    golden = golden_batch(ArrowFile(examples / "eval.arrow"))
    package_model(
        artifact,
        function=function,
        golden=golden,
        sidecars={"schema.pbtxt": schema.read_bytes(), "statistics.pb": (statistics / "train.pb").read_bytes()},
        provenance={"examples": digest_tree(examples), "features": digest_tree(features), "model": digest_tree(model)},
    )
    write_json(request, example_request(function.prefix, golden))


@step
def evaluate(
    *,
    artifact: In[Artifact],
    examples: In[Examples],
    statistics: In[Statistics],
    target: In[LabelFile],
    evaluation: Out[EvaluationFile],
) -> None:
    """Measure the saved model on the held-out rows, over all of them and per slice."""
    from mainstay.pipeline.components.evaluate import choose_slices, evaluate_artifact
    from mainstay.pipeline.components.transform import read_label

    label = read_label(target)
    slices = choose_slices(statistics, label=label.column)
    result = evaluate_artifact(artifact, examples=examples, label=label, slices=slices)
    write_json(evaluation, result.to_json())


@step
def report(
    *,
    examples: In[Examples],
    statistics: In[Statistics],
    schema: In[SchemaFile],
    anomalies: In[Anomalies],
    graph: In[TransformGraph],
    model: In[TrainedModel],
    target: In[LabelFile],
    evaluation: In[EvaluationFile],
    request: In[RequestFile],
    facts: list[tuple[str, str]],
    page: Out[ReportPage],
) -> None:
    """Draw the report."""
    from mainstay import validation
    from mainstay.analysis import Evaluation
    from mainstay.core import write_text
    from mainstay.pipeline.components.inspect import read_statistics
    from mainstay.pipeline.components.report import Report, render_report
    from mainstay.pipeline.components.transform import read_label

    text = render_report(
        Report(
            dict(facts)["Model name"],
            read_label(target),
            Evaluation.from_json(read_json(evaluation)),
            read_json(model / "history.json"),
            read_statistics(statistics, "train"),
            validation.load_schema_text(schema),
            validation.load_anomalies_text(anomalies),
            read_json(graph / "plan.json"),
            read_json(examples / "summary.json"),
            dict(facts),
            read_json(request),
        )
    )
    write_text(page, text)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file that a step wrote."""
    return json.loads(path.read_bytes())
