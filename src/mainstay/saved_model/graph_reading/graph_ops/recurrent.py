"""Recurrent cells and layers that TensorFlow computes in one operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@dataclass(frozen=True)
class _Lstm:
    """An LSTM cell.

    Args:
        weights: `[inputs + units, 4 * units]`, the gates side by side.
        peepholes: What the state adds to the gates i, f and o, `[units]` each, or None.
        bias: `[4 * units]`.
        order: The gates in the order in which they stand: i(n), c(andidate), f(orget), o(ut).
        forget_bias: What is added to the forget gate.
        clip: The limit of the state, none where it is not above zero.
    """

    weights: Any
    peepholes: tuple[Any, Any, Any] | None
    bias: Any
    order: str
    forget_bias: float
    clip: float

    def step(self, x: Any, state: Any, hidden: Any) -> tuple[Any, ...]:
        """Return the gates and states i, cs, f, o, ci, co and h after one more input."""
        gates = jnp.concatenate([x, hidden], 1) @ self.weights + self.bias
        parts = dict(zip(self.order, jnp.split(gates, 4, axis=1), strict=True))
        into, forget = parts["i"], parts["f"] + jnp.asarray(self.forget_bias, x.dtype)
        if self.peepholes is not None:
            into, forget = into + state * self.peepholes[0], forget + state * self.peepholes[1]
        into, forget, candidate = jax.nn.sigmoid(into), jax.nn.sigmoid(forget), jnp.tanh(parts["c"])
        new = candidate * into + state * forget
        if self.clip > 0:
            new = jnp.clip(new, -self.clip, self.clip)
        out = parts["o"] if self.peepholes is None else parts["o"] + new * self.peepholes[2]
        out, squashed = jax.nn.sigmoid(out), jnp.tanh(new)
        return into, new, forget, out, candidate, squashed, out * squashed


def _lstm(node: OpNode, values: tuple[Value, ...], order: str, *, bias: float, clip: float) -> _Lstm:
    weights, into, forget, out, offset = map(jnp.asarray, values)
    peepholes = (into, forget, out) if node.attr("use_peephole", False) else None
    clip = node.attr("cell_clip", clip)
    return _Lstm(weights, peepholes, offset, order, node.attr("forget_bias", bias), clip)


@graph_op("LSTMBlockCell")
def lstm_block_cell(node: OpNode, x: Value, state: Value, hidden: Value, *values: Value) -> Value:
    """Return gates and states of an LSTM cell after one more input."""
    cell = _lstm(node, values, "icfo", bias=1.0, clip=3.0)
    return cell.step(*map(jnp.asarray, (x, state, hidden)))


def _block(cell: _Lstm, length: Value, x: Any, state: Any, hidden: Any) -> tuple[Any, ...]:
    def step(carried: tuple[Any, Any], given: tuple[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
        value, time = given
        results = cell.step(value, *carried)
        runs = time < length
        kept = (jnp.where(runs, results[1], carried[0]), jnp.where(runs, results[6], carried[1]))
        return kept, tuple(jnp.where(runs, each, 0) for each in results)

    times = jnp.arange(x.shape[0], dtype=jnp.int64)
    _, outputs = lax.scan(step, (state, hidden), (x, times))
    return outputs


@graph_op("BlockLSTM")
def block_lstm(node: OpNode, length: Value, x: Value, state: Value, hidden: Value, *values: Value) -> Value:
    """Return gates and states of an LSTM layer after each input, `[time, batch, units]`; zeros past the length."""
    cell = _lstm(node, values, "icfo", bias=1.0, clip=3.0)
    return _block(cell, jnp.asarray(length), *map(jnp.asarray, (x, state, hidden)))


@graph_op("BlockLSTMV2")
def block_lstm_v2(node: OpNode, length: Value, x: Value, state: Value, hidden: Value, *values: Value) -> Value:
    """Return gates and states of an LSTM layer after each input, `[time, batch, units]`; zeros past the length."""
    cell = _lstm(node, values, "ifco", bias=0.0, clip=0.0)
    return _block(cell, jnp.asarray(length), *map(jnp.asarray, (x, state, hidden)))


@graph_op("GRUBlockCell")
def gru_block_cell(_node: OpNode, x: Value, hidden: Value, *values: Value) -> Value:
    """Return gates and state of a GRU cell after one more input."""
    gates, candidates, gate_bias, candidate_bias = map(jnp.asarray, values)
    x, hidden = jnp.asarray(x), jnp.asarray(hidden)
    both = jax.nn.sigmoid(jnp.concatenate([x, hidden], 1) @ gates + gate_bias)
    reset, update = jnp.split(both, 2, axis=1)
    candidate = jnp.tanh(jnp.concatenate([x, reset * hidden], 1) @ candidates + candidate_bias)
    return reset, update, candidate, update * hidden + (1 - update) * candidate
