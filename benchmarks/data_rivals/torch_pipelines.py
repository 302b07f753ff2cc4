"""The pipelines in PyTorch's DataLoader: in the process, with two workers, or indexed by whole batches."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, default_collate, get_worker_info

from data_rivals.cases import Case
from data_rivals.inputs import INDICES, Inputs, arrays
from data_rivals.sources import Numbers, Pictures, Rows, table


class Records(IterableDataset):
    """The parsed records of a file, dealt out to the workers; strings stay Python's, since tensors hold none."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from data_rivals.example_message import parsed

        worker = get_worker_info()
        own, workers, number = (worker.id, worker.num_workers, 0) if worker else (0, 1, 0)
        with open(self.path, "rb", buffering=1 << 20) as file:
            while head := file.read(12):
                record = file.read(struct.unpack_from("<Q", head)[0])
                file.read(4)
                if number % workers == own:
                    row = parsed(record)
                    yield {name: bytes(value) if value.dtype.kind == "S" else value for name, value in row.items()}
                number += 1


def pipeline(case: Case, variant: str, inputs: Inputs) -> Callable[[], Iterable[Any]]:
    """Return what makes the loader of a case anew."""
    workers = 2 if variant == "processes" else 0

    def loader(source: Any, *, shuffle: bool = False) -> DataLoader:
        if variant == "bulk":
            order = BatchSampler(RandomSampler(source), case.batch, drop_last=False)
            return DataLoader(source, sampler=order, batch_size=None, collate_fn=tensors)
        return DataLoader(source, case.batch, shuffle=shuffle, num_workers=workers, collate_fn=default_collate)

    match case.name:
        case "arrays32" | "arrays512" | "log1p":
            rows = Rows(arrays(), log=case.name == "log1p")
            return lambda: loader(rows, shuffle=True)
        case "examples":
            return lambda: loader(Records(inputs.tfrecord))
        case "parquet":
            # Read anew for every epoch, as every other pipeline does.
            return lambda: loader(Rows(table(inputs.parquet)), shuffle=True)
        case "images":
            return lambda: loader(Pictures(inputs))
        case "range":
            return lambda: loader(Numbers(INDICES), shuffle=True)
        case "memmap":
            return lambda: loader(inputs.memmap(), shuffle=True)
    return lambda: loader(Numbers(1_000_000, work=True))


def tensors(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column) for name, column in batch.items()}
