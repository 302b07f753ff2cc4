"""Packaging: host graph, model and answers become one artifact with sealed golden requests, proven afresh."""

from __future__ import annotations

import dataclasses
import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay import saved_model
from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode, columns_from_batch
from mainstay.io import ArrowFile
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.model import build_model
from mainstay.pipeline.components.transform import read_problem

OUTPUT_OF = {"regression": "prediction", "classification": "probabilities"}
GOLDEN_ROWS = 32
TOLERANCE = 4e-6
"""How far an answer may be from its sealed one: on some processors a sum in float32 depends on the batch size."""


def golden_batch(file: ArrowFile) -> pa.RecordBatch:
    """Return up to 32 rows to seal: those with the most missing values first, then the first ones.

    Args:
        file: The evaluation split.
    """
    batch = file.read(0)
    gaps = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if column.null_count:
            gaps += column.is_null().to_numpy(zero_copy_only=False)
    order = np.argsort(-gaps, kind="stable")[: GOLDEN_ROWS // 4]
    rest = np.setdiff1d(np.arange(batch.num_rows), order)[: GOLDEN_ROWS - len(order)]
    return batch.take(pa.array(np.concatenate([order, rest])))


def answers_graph(label: Label) -> HostGraph | None:
    """Return the host graph behind a classifier, which names the most probable class; None for regression."""
    if label.task == "regression":
        return None
    name = OUTPUT_OF["classification"]
    classes = "\n".join(label.class_names) + "\n"
    return HostGraph(
        [HostInput(TensorSpec([None, len(label.classes)], "float32", name))],
        [
            HostNode("ArgMax", "best", (name,)),
            HostNode("Gather", "label", ("best",), {"asset": "classes.txt", "dtype": label.dtype}),
        ],
        {"label": "label", name: name},
        {"classes.txt": classes.encode()},
    )


def trained_function(features: Path, *, model: Path, graph: HostGraph, reference: str | None) -> Any:
    """Return the trained model behind its host graph as a `saved_model.ServingFunction`.

    Args:
        features: The folder of `transform.transform_examples`.
        model: The file of the trained weights.
        graph: The host graph in front of it.
        reference: The user's model function, or None for the default model.
    """
    described, label = read_problem(features)
    built = build_model(described, label, reference=reference)
    built.load_weights(model)
    function = saved_model.from_keras_model(built, output_names=(OUTPUT_OF[label.task],))
    return dataclasses.replace(function, prefix=graph, suffix=answers_graph(label), tolerance=TOLERANCE)


def package_model(
    path: Path, *, function: Any, golden: pa.RecordBatch, sidecars: dict[str, bytes], provenance: dict[str, Any]
) -> None:
    """Write the artifact and prove it: a fresh process loads it and must reproduce the golden answers.

    Args:
        path: Where the artifact goes.
        function: What `trained_function` gave.
        golden: Rows to seal with their answers.
        sidecars: Further files of the artifact by name, such as ``schema.pbtxt``.
        provenance: What the artifact was made from, as JSON values.

    Raises:
        ArtifactError: The fresh process refused the artifact.
    """
    signatures = {
        "serving_default": function,
        "transform_features": saved_model.ServingFunction(None, (), {}, prefix=function.prefix),
    }
    names = {item.spec.name for item in function.prefix.inputs}
    rows = {name: column for name, column in columns_from_batch(golden).items() if name in names}
    saved_model.save(signatures, path, golden=rows, sidecars=sidecars, provenance=provenance)
    saved_model.verify_in_fresh_process(path)


def example_request(graph: HostGraph, golden: pa.RecordBatch) -> dict[str, Any]:
    """Return the body of a request for the row of `golden` with the fewest missing values.

    Args:
        graph: The host graph that reads the row.
        golden: Rows to choose from.
    """
    names = [item.spec.name for item in graph.inputs]
    rows = golden.select(names).to_pylist()
    row = min(rows, key=lambda row: sum(value is None or _is_wild(value) for value in row.values()))
    return {"instances": [{name: _plain(value) for name, value in row.items() if value is not None}]}


def _is_wild(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return 0.0 if _is_wild(value) else value
