"""Single operators of PyTorch, each as a function of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

Function = Callable[..., Any]

X = torch.linspace(-3.0, 3.0, 2 * 3 * 4).reshape(2, 3, 4)
P = torch.linspace(0.05, 0.95, 24).reshape(2, 3, 4)
I = (torch.arange(24) * 7 % 11 - 5).reshape(2, 3, 4).to(torch.int32)  # noqa: E741
J = (torch.arange(24) % 5 + 1).reshape(2, 3, 4).to(torch.int32)
B = X > 0
IMAGE = torch.sin(torch.arange(2.0 * 4 * 9 * 7)).reshape(2, 4, 9, 7)
PLACES = torch.tensor([[[0, 1, 2, 2], [1, 0, 0, 1], [2, 2, 1, 0]], [[1, 1, 0, 2], [0, 2, 1, 1], [2, 0, 2, 0]]])
WEIGHT = torch.cos(torch.arange(6.0 * 2 * 3 * 2)).reshape(6, 2, 3, 2)

ONE = [
    "abs",
    "atan",
    "asinh",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "isfinite",
    "isnan",
    "isinf",
    "neg",
    "reciprocal",
    "relu",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "square",
    "tan",
    "tanh",
    "trunc",
    "logical_not",
]
POSITIVE = ["log", "log10", "log1p", "log2", "rsqrt", "sqrt", "acos", "asin", "atanh"]
TWO = [
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "atan2",
    "fmod",
    "remainder",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]
WHOLE = [
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "floor_divide",
    "remainder",
    "fmod",
    "add",
    "mul",
    "maximum",
]
ACTIVATIONS = [
    "gelu",
    "elu",
    "selu",
    "celu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "relu6",
    "leaky_relu",
    "logsigmoid",
    "tanhshrink",
    "hardshrink",
    "softshrink",
]
REDUCTIONS = [
    "sum",
    "mean",
    "amax",
    "amin",
    "prod",
    "var",
    "std",
    "argmax",
    "argmin",
    "logsumexp",
    "cumsum",
    "cumprod",
    "softmax",
    "log_softmax",
]


def cases() -> dict[str, tuple[Function, tuple[torch.Tensor, ...]]]:
    """Return functions with their example inputs, by name."""
    found: dict[str, tuple[Function, tuple[torch.Tensor, ...]]] = {}
    found |= {name: (getattr(torch, name), (X,)) for name in ONE}
    found |= {f"positive_{name}": (getattr(torch, name), (P,)) for name in POSITIVE}
    found |= {f"two_{name}": (getattr(torch, name), (X, P)) for name in TWO}
    found |= {f"whole_{name}": (getattr(torch, name), (I, J)) for name in WHOLE}
    found |= {f"activation_{name}": (getattr(F, name), (X,)) for name in ACTIVATIONS}
    found |= {f"along_{name}": (lambda x, name=name: getattr(torch, name)(x, dim=1), (X,)) for name in REDUCTIONS}
    found |= {
        f"keeping_{name}": (lambda x, name=name: getattr(torch, name)(x, dim=-1, keepdim=True), (X,))
        for name in ("sum", "mean", "amax", "var", "argmax")
    }
    return found | _shapes() | _places() | _layers()


def _shapes() -> dict[str, tuple[Function, tuple[torch.Tensor, ...]]]:
    return {
        "reshape": (lambda x: x.reshape(x.shape[0], 12), (X,)),
        "flatten": (lambda x: x.flatten(1), (X,)),
        "transpose": (lambda x: x.transpose(1, 2), (X,)),
        "permute": (lambda x: x.permute(0, 2, 1), (X,)),
        "expand": (lambda x: x[:, :1].expand(-1, 5, -1), (X,)),
        "repeat": (lambda x: x.repeat(1, 2, 3), (X,)),
        "cat": (lambda x, y: torch.cat([x, y, x], 2), (X, P)),
        "stack": (lambda x, y: torch.stack([x, y], 1), (X, P)),
        "split": (lambda x: torch.split(x, 3, 2)[1], (X,)),
        "chunk": (lambda x: torch.chunk(x, 2, 2)[0], (X,)),
        "unbind": (lambda x: x.unbind(1)[2], (X,)),
        "slice": (lambda x: x[:, 1:, ::2], (X,)),
        "flip": (lambda x: x.flip(1, 2), (X,)),
        "roll": (lambda x: x.roll((1, -1), (1, 2)), (X,)),
        "pad": (lambda x: F.pad(x, (1, 2, 0, 1), value=7.0), (X,)),
        "pad_less": (lambda x: F.pad(x, (-1, 1)), (X,)),
        "reflect": (lambda x: F.pad(x, (1, 2), mode="reflect"), (X,)),
        "replicate": (lambda x: F.pad(x, (1, 2), mode="replicate"), (X,)),
        "squeeze": (lambda x: x[:, :1].squeeze(1), (X,)),
        "unsqueeze": (lambda x: x.unsqueeze(-1), (X,)),
        "triangle": (lambda x: x.tril(1), (X,)),
        "upper": (lambda x: x.triu(-1), (X,)),
        "meshless": (lambda x: x + torch.arange(4) + torch.linspace(0, 1, 4), (X,)),
        "full": (lambda x: x + torch.full((4,), 2.5) + torch.ones_like(x) + torch.zeros(4), (X,)),
        "convert": (lambda x: x.to(torch.int32).to(torch.float16).float(), (X,)),
        "mixed_dtypes": (lambda x, i: x + i, (X, I)),
        "division_of_integers": (torch.div, (I, J)),
        "truncated_division": (lambda i, j: torch.div(i, j, rounding_mode="trunc"), (I, J)),
        "floored_division": (lambda i, j: torch.div(i, j, rounding_mode="floor"), (I, J)),
        "clamp": (lambda x: x.clamp(-1, 2), (X,)),
        "clamp_min": (lambda x: x.clamp(min=0.5), (X,)),
        "alpha": (lambda x, y: torch.add(x, y, alpha=3), (X, P)),
        "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (IMAGE,)),
        "power": (lambda x: x**3 + 2**x, (X,)),
        "any_all": (lambda x: torch.stack([(x > 1).any(1), (x > -9).all(1)], 1), (X,)),
        "variance_and_mean": (lambda x: torch.var_mean(x, 1, correction=0), (X,)),
    }


def _places() -> dict[str, tuple[Function, tuple[torch.Tensor, ...]]]:
    return {
        "gather": (lambda x, p: x.gather(1, p), (X, PLACES)),
        "scatter": (lambda x, p, y: x.scatter(1, p, y), (X, PLACES[:, :1], P)),
        "scatter_add": (lambda x, p, y: x.scatter_add(1, p, y), (X, PLACES, P)),
        "index_select": (lambda x: x.index_select(2, torch.tensor([3, 0, 0])), (X,)),
        "index": (lambda x: x[:, torch.tensor([2, 0]), torch.tensor([1, 3])], (X,)),
        "index_put": (_put, (X,)),
        "embedding": (lambda p: F.embedding(p, torch.arange(12.0).reshape(3, 4)), (PLACES,)),
        "masked_fill": (lambda x: x.masked_fill(x > 1, -float("inf")), (X,)),
        "where": (lambda x, y: torch.where(x > 0, x, y), (X, P)),
        "sort": (lambda x: torch.sort(x.sin(), 2, descending=True), (X,)),
        "topk": (lambda x: torch.topk(x.sin(), 2, 1), (X,)),
        "smallest": (lambda x: torch.topk(x.sin(), 2, 2, largest=False), (X,)),
        "max_along": (lambda x: torch.max(x.sin(), 1), (X,)),
        "min_along": (lambda x: torch.min(x.sin(), 2, keepdim=True), (X,)),
        "one_hot": (lambda p: F.one_hot(p, 3).float(), (PLACES,)),
    }


def _put(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 1] = 0
    y[:, :, 2:] = y[:, :, :2]
    return y


def _layers() -> dict[str, tuple[Function, tuple[torch.Tensor, ...]]]:
    square = torch.ones(4, 4).tril().bool()
    return {
        "conv2d": (lambda x: F.conv2d(x, WEIGHT, torch.ones(6), (2, 1), (1, 2), (1, 2), 2), (IMAGE,)),
        "conv1d": (lambda x: F.conv1d(x, torch.ones(2, 3, 2), padding=1), (X,)),
        "conv3d": (lambda x: F.conv3d(x[:, None], torch.ones(2, 1, 2, 3, 3), stride=(1, 2, 1)), (IMAGE,)),
        "conv_transpose2d": (
            lambda x: F.conv_transpose2d(
                x, torch.cos(torch.arange(48.0)).reshape(4, 2, 3, 2), None, 2, 1, (1, 0), 2, 2
            ),
            (IMAGE,),
        ),
        "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), (IMAGE,)),
        "max_pool2d_up": (lambda x: F.max_pool2d(x, 2, 2, 0, 2, ceil_mode=True), (IMAGE,)),
        "max_pool1d": (lambda x: F.max_pool1d(x, 2), (X,)),
        "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), (IMAGE,)),
        "avg_pool2d_inside": (lambda x: F.avg_pool2d(x, (3, 2), 2, 1, count_include_pad=False), (IMAGE,)),
        "avg_pool2d_divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), (IMAGE,)),
        "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (IMAGE,)),
        "group_norm": (lambda x: F.group_norm(x, 2, torch.arange(4.0), torch.ones(4)), (IMAGE,)),
        "layer_norm": (lambda x: F.layer_norm(x, (3, 4), torch.ones(3, 4), None), (X,)),
        "rms_norm": (lambda x: F.rms_norm(x, (4,), torch.arange(4.0)), (X,)),
        "instance_norm": (F.instance_norm, (IMAGE,)),
        "nearest": (lambda x: F.interpolate(x, scale_factor=2), (IMAGE,)),
        "bilinear": (lambda x: F.interpolate(x, (13, 5), mode="bilinear"), (IMAGE,)),
        "bilinear_corners": (lambda x: F.interpolate(x, (13, 5), mode="bilinear", align_corners=True), (IMAGE,)),
        "attention": (lambda x: F.scaled_dot_product_attention(x, x.cos(), x.sin(), is_causal=True), (X,)),
        "attention_mask": (lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=square[:3, :3]), (X,)),
        "matmul": (lambda x, y: x @ y.transpose(1, 2), (X, P)),
        "baddbmm": (lambda x, y: torch.baddbmm(x @ y.mT, x, y.mT, beta=0.5, alpha=2), (X, P)),
        "einsum": (lambda x, y: torch.einsum("bij,bkj->bki", x, y), (X, P)),
        "linear": (lambda x: F.linear(x, torch.arange(8.0).reshape(2, 4), torch.ones(2)), (X,)),
        "prelu": (lambda x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3])), (X,)),
        "glu": (F.glu, (X,)),
        "norm": (lambda x: torch.linalg.vector_norm(x, 3, 1), (X,)),
        "normalize": (lambda x: F.normalize(x, dim=1), (X,)),
    }
