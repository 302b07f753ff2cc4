"""The models in PyTorch, from the modules that its users reach for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from rivals.cases import Case


def build(case: Case) -> nn.Module:
    """Return the model of a case, which gives logits; images are channels first, as PyTorch has them."""
    model: nn.Module = {
        "mlp": Mlp,
        "cnn": Cnn,
        "resnet": ResNet,
        "resnet50": ResNet50,
        "wide_deep": WideDeep,
        "transformer": Transformer,
        "lstm": Lstm,
    }[case.architecture](case.classes, **case.sizes)
    return model


class Mlp(nn.Sequential):
    def __init__(self, classes: int, *, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))


class Cnn(nn.Sequential):
    def __init__(self, classes: int, *, side: int, filters: tuple[int, int], dropout: float) -> None:
        left = ((side - 2) // 2 - 2) // 2
        super().__init__(
            nn.Conv2d(1, filters[0], 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(filters[0], filters[1], 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(left * left * filters[1], classes),
        )


def convolved(before: int, channels: int, kernel: int = 3, strides: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, channels, kernel, strides, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


class Block(nn.Module):
    def __init__(self, before: int, channels: int, strides: int) -> None:
        super().__init__()
        self.first, self.second = convolved(before, channels, 3, strides), convolved(channels, channels)
        self.short = nn.Identity() if strides == 1 else convolved(before, channels, 1, strides)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.short(value) + self.second(torch.relu(self.first(value))))


class ResNet(nn.Sequential):
    def __init__(self, classes: int, *, side: int, filters: tuple[int, int]) -> None:
        super().__init__(
            convolved(3, filters[0]),
            nn.ReLU(),
            Block(filters[0], filters[0], 1),
            Block(filters[0], filters[1], 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(filters[1], classes),
        )


class Bottleneck(nn.Module):
    def __init__(self, before: int, channels: int, strides: int, *, projected: bool) -> None:
        super().__init__()
        self.first, self.last = convolved(before, channels, 1), convolved(channels, 4 * channels, 1)
        self.middle = convolved(channels, channels, 3, strides)
        self.short = convolved(before, 4 * channels, 1, strides) if projected else nn.Identity()

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.middle(torch.relu(self.first(value))))
        return torch.relu(self.short(value) + self.last(inner))


class ResNet50(nn.Sequential):
    def __init__(self, classes: int, *, side: int, width: int, blocks: tuple[int, ...]) -> None:
        layers, before = [convolved(3, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], width
        for stage, count in enumerate(blocks):
            for index in range(count):
                channels, strides = width * 2**stage, 2 if stage and not index else 1
                layers.append(Bottleneck(before, channels, strides, projected=not index))
                before = 4 * channels
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class WideDeep(nn.Module):
    def __init__(
        self, classes: int, *, features: int, vocabulary: int, embedding: int, numbers: int, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Embedding(vocabulary, classes) for _ in range(features))
        self.deep = nn.ModuleList(nn.Embedding(vocabulary, embedding) for _ in range(features))
        widths = (features * embedding + numbers, *hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))

    def forward(self, ids: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        deep = torch.cat([table(ids[:, index]) for index, table in enumerate(self.deep)] + [values], dim=1)
        wide = sum(table(ids[:, index]) for index, table in enumerate(self.wide))
        return wide + self.head(deep)


class Transformer(nn.Module):
    def __init__(self, classes: int, *, width: int, length: int, vocabulary: int, **sizes: Any) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.05)
        layer = nn.TransformerEncoderLayer(
            width,
            sizes["heads"],
            sizes["inner"],
            sizes["dropout"],
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, sizes["layers"], enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.tokens(tokens) + self.positions).mean(1))


class Lstm(nn.Module):
    def __init__(self, classes: int, *, length: int, vocabulary: int, embedding: int, units: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, embedding)
        self.cell = nn.LSTM(embedding, units, batch_first=True)
        # PyTorch adds two biases; one of them stays at zero, so that as many numbers are trained as elsewhere.
        nn.init.zeros_(self.cell.bias_hh_l0).requires_grad_(False)
        self.head = nn.Linear(units, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(self.tokens(tokens))[0][:, -1])
