"""Whole models: an MLP, a ResNet, an encoder like BERT, a U-Net and recurrent nets, with their dynamic axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Case = tuple[nn.Module, tuple[Any, ...], Any]


class Block(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)])
        self.short = nn.Conv2d(channels, filters, 1, stride, bias=False) if stride != 1 or channels != filters else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        return torch.relu(y + (x if self.short is None else self.short(x)))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.end = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.end(self.blocks(self.pool(self.stem(image))))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(100, 32, padding_idx=0), nn.Embedding(64, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))[None]
        x = self.layers(x, src_key_padding_mask=mask == 0)
        return {"logits": self.head(x[:, 0]), "pooled": torch.tanh(x.mean(1))}


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU())
        self.middle = nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)
        self.end = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.down(x)
        return self.end(torch.cat([skip, self.up(nn.functional.leaky_relu(self.middle(skip), 0.1))], 1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layers = kind(6, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x)[0][:, -1])


def _statistics(model: nn.Module) -> nn.Module:
    """Give batch normalisations statistics of their own: untrained ones hide mistakes."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.4, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def cases() -> dict[str, Callable[[], Case]]:
    """Return makers of a model, its example inputs and its dynamic axes, by name."""
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    length = {**batch, 1: torch.export.Dim("length", min=2, max=64)}
    mlp = nn.Sequential(
        nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.5), nn.Linear(16, 3), nn.Softmax(-1)
    )
    ids, ones = torch.arange(1, 21).reshape(2, 10), torch.ones(2, 10, dtype=torch.int64)
    return {
        "mlp": lambda: (mlp.eval(), (torch.randn(2, 8),), (batch,)),
        "mlp_bfloat16": lambda: (
            nn.Sequential(nn.Linear(8, 4), nn.ReLU()).to(torch.bfloat16).eval(),
            (torch.randn(2, 8, dtype=torch.bfloat16),),
            (batch,),
        ),
        "resnet": lambda: (_statistics(ResNet()), (torch.randn(2, 3, 64, 64),), (batch,)),
        "encoder": lambda: (
            Encoder().eval(),
            (ids, ones.clone().index_fill_(1, torch.tensor([8, 9]), 0)),
            (length, length),
        ),
        "unet": lambda: (UNet().eval(), (torch.randn(2, 1, 16, 16),), (batch,)),
        "lstm": lambda: (Recurrent(nn.LSTM).eval(), (torch.randn(2, 7, 6),), (batch,)),
        "gru": lambda: (Recurrent(nn.GRU).eval(), (torch.randn(2, 7, 6),), (batch,)),
    }
