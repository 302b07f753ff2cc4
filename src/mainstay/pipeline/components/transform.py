"""Transform: `preprocessing_fn` analysed over the training split, and every split turned into packed features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay import validation
from mainstay.core import TensorSpec, TransformError, track, write_bytes, write_json
from mainstay.hostops import HostGraph, HostInput, columns_from_batch
from mainstay.io import ArrowFile, ArrowWriter
from mainstay.pipeline.components.features import Array, Feature, features_of, pack, require_numbers, with_casts
from mainstay.pipeline.components.ingest import SPLITS
from mainstay.pipeline.components.inspect import read_statistics
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.preprocessing import default_preprocessing_fn, plan_columns
from mainstay.pipeline.components.user_code import load_function
from mainstay.transform import analyze


class _WithoutLabel:
    """The training split as `preprocessing_fn` may see it: the label is kept apart."""

    def __init__(self, file: ArrowFile, label: str) -> None:
        self._file = file
        self._columns = [name for name in file.schema.names if name != label]
        self.schema = pa.schema([file.schema.field(name) for name in self._columns])

    def batches(self) -> Any:
        return self._file.batches(self._columns)


def analyze_examples(
    examples: Path, *, statistics: Path, schema: Path, label: Path, reference: str | None, folder: Path
) -> None:
    """Analyse the preprocessing function over the training split and write the host graph.

    Args:
        examples: The folder of `ingest`.
        statistics: The folder of `inspect.compute_statistics`.
        schema: The schema's file.
        label: The label's file.
        reference: ``FILE.py:function`` of the user's `preprocessing_fn`, or None for the default one.
        folder: Gets ``host_graph.json``, ``assets/``, and ``plan.json``, what became of each column.

    Raises:
        TransformError: The function is wrong, or no feature is left.
    """
    train = ArrowFile(examples / "train.arrow")
    column = read_label(label).column
    if reference is None:
        plans = plan_columns(
            validation.load_schema_text(schema), read_statistics(statistics, "train"), train.schema, label=column
        )
        function = default_preprocessing_fn(plans)
        table = [{"column": p.name, "treatment": p.treatment, "reason": p.reason} for p in plans]
    else:
        function, table = load_function(reference, option="--preprocessing"), []
    with track("Analysing", unit="passes"):
        specs = _inputs(train.schema, statistics, label=column)
        graph = with_casts(analyze(_WithoutLabel(train, column), function, specs=specs))
    if not graph.outputs:
        raise TransformError("the preprocessing function gives no feature", where=reference, received="{}")
    write_json(folder / "host_graph.json", graph.to_json())
    for name, content in graph.assets.items():
        write_bytes(folder / "assets" / name, content)
    write_json(folder / "plan.json", table)


def _inputs(types: pa.Schema, statistics: Path, *, label: str) -> list[HostInput]:
    """Return what the graph reads: a column that misses a value in any split, not just in training, may miss it."""
    gaps = set()
    for split in SPLITS:
        for feature in read_statistics(statistics, split).features:
            part = feature.string_stats if feature.HasField("string_stats") else feature.num_stats
            if part.common_stats.num_missing:
                gaps.add(feature.path.step[0])
    return [
        HostInput(TensorSpec([None], _dtype(field.type), field.name), field.name in gaps)
        for field in types
        if field.name != label
    ]


def _dtype(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "string"
    if pa.types.is_null(kind):
        return "float64"
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def read_graph(folder: Path) -> HostGraph:
    """Return the host graph that `analyze_examples` wrote."""
    value = json.loads((folder / "host_graph.json").read_bytes())
    return HostGraph.from_json(value, {name: (folder / "assets" / name).read_bytes() for name in value["assets"]})


def read_label(path: Path) -> Label:
    """Return the label that `inspect.inspect_label` wrote."""
    return Label.from_json(json.loads(path.read_bytes()))


def transform_examples(examples: Path, *, graph: Path, label: Path, folder: Path) -> None:
    """Write the packed features of the training and validation splits, and what their columns mean.

    Args:
        examples: The folder of `ingest`.
        graph: The folder of `analyze_examples`.
        label: The label's file.
        folder: Gets ``train.arrow`` and ``validation.arrow`` with the columns ``numbers`` (fixed-size lists of
            float32), ``ids`` (of int32) and ``label``, standardised where it is a quantity, and ``features.json``.

    Raises:
        TransformError: A feature is not a number in some row.
    """
    host_graph, target = read_graph(graph), read_label(label)
    features = features_of(host_graph)
    splits = {split: ArrowFile(examples / f"{split}.arrow") for split in SPLITS if split != "eval"}
    folder.mkdir(parents=True, exist_ok=True)
    schema = _packed_schema(features, target)
    with track("Transforming", total=sum(file.num_rows for file in splits.values()), unit="rows") as progress:
        for split, file in splits.items():
            with ArrowWriter(folder / f"{split}.arrow", schema) as writer:
                for batch in file.batches():
                    columns: Any = host_graph(columns_from_batch(batch))
                    numbers, ids = pack(features, columns)
                    require_numbers(features, numbers, reference="preprocessing_fn")
                    labels = target.standardise(target.encode(batch.column(target.column)))
                    writer.write(_packed_batch(schema, numbers, ids, labels))
                    progress.advance(batch.num_rows)
    described = [{"name": f.name, "dtype": f.dtype, "num_ids": f.num_ids, "min_id": f.min_id} for f in features]
    write_json(folder / "features.json", {"features": described, "label": target.to_json()})


def _packed_schema(features: tuple[Feature, ...], label: Label) -> pa.Schema:
    numbers = sum(not feature.categorical for feature in features)
    return pa.schema(
        {
            "numbers": pa.list_(pa.float32(), numbers),
            "ids": pa.list_(pa.int32(), len(features) - numbers),
            "label": pa.float32() if label.task == "regression" else pa.int32(),
        }
    )


def _packed_batch(schema: pa.Schema, numbers: Array, ids: Array, labels: Array) -> pa.RecordBatch:
    rows = len(labels)
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(matrix).reshape(-1)), matrix.shape[1])
        if matrix.shape[1]
        else pa.array([[]] * rows, schema.field(name).type)
        for name, matrix in (("numbers", numbers), ("ids", ids))
    ]
    return pa.RecordBatch.from_arrays([*lists, pa.array(labels).cast(schema.field("label").type)], schema=schema)


def read_problem(folder: Path) -> tuple[tuple[Feature, ...], Label]:
    """Return the features and the label of the packed files in `folder`."""
    value = json.loads((folder / "features.json").read_bytes())
    return tuple(Feature(**feature) for feature in value["features"]), Label.from_json(value["label"])
