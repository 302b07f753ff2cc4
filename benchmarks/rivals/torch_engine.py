"""PyTorch: the loop of its tutorials over tensors, eager or with the model under `torch.compile`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rivals.cases import Case, batches, data
from rivals.torch_models import build
from rivals.worker import Clock

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def tensor(values: np.ndarray) -> torch.Tensor:
    """Return the values as PyTorch wants them: on the device, images channels first (on a GPU in name only)."""
    if values.ndim == 4:
        values = np.moveaxis(values, -1, 1)
    return torch.from_numpy(values if DEVICE == "cuda" else np.ascontiguousarray(values)).to(DEVICE)


class Engine:
    def __init__(self, case: Case, *, compiled: bool) -> None:
        self.case = case
        inputs, labels = data(case)
        self.inputs, self.labels = [tensor(item) for item in inputs], tensor(labels).long()
        self.resident = [([tensor(item) for item in x], tensor(labels).long()) for x, labels in batches(case)]
        self.trained, self.ready = self.model(), self.model().eval()
        self.optimizer = torch.optim.Adam((p for p in self.trained.parameters() if p.requires_grad), lr=1e-3)
        wrap: Any = torch.compile if compiled else lambda model: model
        self.train_model, self.infer_model = wrap(self.trained), wrap(self.ready)

    def model(self) -> torch.nn.Module:
        model = build(self.case).to(DEVICE)
        return model.to(memory_format=torch.channels_last) if DEVICE == "cuda" else model

    def precision(self) -> torch.autocast:
        return torch.autocast(DEVICE, torch.bfloat16, enabled=self.case.mixed)

    def parameters(self, task: str) -> int:
        return sum(parameter.numel() for parameter in self.trained.parameters() if parameter.requires_grad)

    def train(self, inputs: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision():
            loss = functional.cross_entropy(self.train_model(*inputs), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def fit(self, clock: Clock, epochs: int) -> None:
        clock.start()
        for _ in range(epochs):
            total = torch.zeros((), device=DEVICE)
            for rows in torch.randperm(len(self.labels), device=DEVICE).split(self.case.batch):
                total += self.train([item[rows] for item in self.inputs], self.labels[rows])
            float(total)
        clock.stop()

    def step(self, clock: Clock, steps: int) -> None:
        clock.start()
        for index in range(steps):
            loss = self.train(*self.resident[index % len(self.resident)])
        float(loss)
        clock.stop()

    @torch.inference_mode()
    def predict(self, clock: Clock, passes: int) -> None:
        clock.start()
        for _ in range(passes):
            cuts = range(0, len(self.labels), self.case.batch)
            with self.precision():
                answers = [self.infer_model(*(item[i : i + self.case.batch] for item in self.inputs)) for i in cuts]
            torch.cat(answers).float().cpu().numpy()
        clock.stop()

    @torch.inference_mode()
    def call(self, clock: Clock, calls: int) -> None:
        clock.start()
        with self.precision():
            for index in range(calls):
                answer = self.infer_model(*self.resident[index % len(self.resident)][0])
        float(answer[0, 0])
        clock.stop()
