"""The pipelines in Grain: random access with its 16 threads of reading, or two processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grain
import numpy as np
from absl import flags

from data_rivals.cases import Case
from data_rivals.inputs import CHOSEN, INDICES, Inputs, arrays, python_work
from data_rivals.sources import Numbers, Pictures, Rows

# Without it, mp_prefetch of 0.2.18 asks absl for flags that nobody has parsed.
flags.FLAGS(["grain"], known_only=True)


def pipeline(case: Case, variant: str, inputs: Inputs) -> Callable[[], Iterable[Any]]:
    """Return what makes the data set of a case anew."""

    def parallel(data: Any) -> Any:
        data = data.to_iter_dataset() if isinstance(data, grain.MapDataset) else data
        return data.mp_prefetch(grain.MultiprocessingOptions(num_workers=2)) if variant == "processes" else data

    def shuffled(source: Any) -> Callable[[], Any]:
        return lambda: parallel(grain.MapDataset.source(source).shuffle(seed=1).batch(case.batch))

    match case.name:
        case "arrays32" | "arrays512":
            return shuffled(Rows(arrays()))
        case "log1p":
            source = Rows(arrays())
            return lambda: parallel(
                grain.MapDataset.source(source)
                .shuffle(seed=1)
                .map(lambda row: {"x": np.log1p(np.abs(row["x"])) * 2, "y": row["y"]})
                .batch(case.batch)
            )
        case "examples":
            from data_rivals.example_message import parsed

            records = grain.experimental.TFRecordIterDataset
            return lambda: parallel(records(inputs.tfrecord).map(parsed).batch(case.batch))
        case "parquet":
            return lambda: parallel(parquet_rows(inputs.parquet).batch(case.batch))
        case "images":
            pictures = Pictures(inputs)
            return lambda: parallel(grain.MapDataset.source(pictures).batch(case.batch))
        case "range":
            return shuffled(Numbers(INDICES))
        case "memmap":
            return shuffled(inputs.memmap())
    return lambda: parallel(
        grain.MapDataset.range(1_000_000).map(lambda value: np.int64(python_work(value))).batch(case.batch)
    )


def parquet_rows(path: str) -> Any:
    rows = grain.experimental.ParquetIterDataset(path).map(lambda row: {name: row[name] for name in CHOSEN})
    return grain.experimental.WindowShuffleIterDataset(rows, window_size=100_000, seed=1)
