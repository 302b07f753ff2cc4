"""An LSTM whose weight gradients are one matrix product over all time steps instead of one per step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.switch import is_static, kernels_enabled

_LEAST_UNITS = 256
"""Below, the products per step are so small that adding them up costs nothing."""

Carry = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def lstm_sequence(inputs: jax.Array, weights: tuple[jax.Array, jax.Array, jax.Array], state: Carry) -> Carry:
    """Return the outputs of all steps and the last cell state of an LSTM with its usual activations.

    The numbers are those of Keras' own loop. Differentiable forward and backward, any number of times.

    Args:
        inputs: `[steps, batch, features]`.
        weights: The kernel `[features, 4 * units]`, the recurrent kernel `[units, 4 * units]` and the bias
            `[4 * units]`; the gates are input, forget, cell and output.
        state: The output and the cell state before the first step, `[batch, units]`.

    Returns:
        Outputs `[steps, batch, units]` and a cell state `[batch, units]`.
    """

    def step(carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        enter, forget, new, leave = _gates(x, carry[0], weights)
        cell = forget * carry[1] + enter * new
        output = leave * jnp.tanh(cell)
        return (output, cell), output

    (_, cell), outputs = lax.scan(step, state, inputs)
    return outputs, cell


@lstm_sequence.defjvp
def _lstm_sequence_jvp(primals: Any, tangents: Any) -> tuple[Carry, Carry]:
    """The loop once more, keeping the slopes of the gates; then a loop that is linear in the tangents.

    What the tangents of inputs and weights add to the gates is known before the linear loop starts. Its transpose,
    which is the backward pass, so has the gradients of the weights after the loop, in one product each.
    """
    inputs, weights, state = primals
    moved_inputs, moved_weights, moved_state = tangents

    def step(carry: Carry, x: jax.Array) -> Any:
        enter, forget, new, leave = _gates(x, carry[0], weights)
        cell = forget * carry[1] + enter * new
        bent = jnp.tanh(cell)
        slopes = (
            new * enter * (1 - enter),
            carry[1] * forget * (1 - forget),
            enter * (1 - new * new),
            bent * leave * (1 - leave),
        )
        output = leave * bent
        return (output, cell), (output, carry[0], jnp.concatenate(slopes, -1), forget, leave * (1 - bent * bent))

    (_, cell), (outputs, before, slopes, forgets, leaves) = lax.scan(step, state, inputs)
    moved_gates = moved_inputs @ weights[0] + inputs @ moved_weights[0] + before @ moved_weights[1] + moved_weights[2]

    def move(carry: Carry, step: Any) -> tuple[Carry, jax.Array]:
        gates, slope, forget, leave = step
        enter, kept, new, left = jnp.split((gates + carry[0] @ weights[1]) * slope, 4, -1)
        cell = forget * carry[1] + enter + kept + new
        output = leave * cell + left
        return (output, cell), output

    (_, moved_cell), moved = lax.scan(move, moved_state, (moved_gates, slopes, forgets, leaves))
    return (outputs, cell), (moved, moved_cell)


def lstm_with(plain: Callable[..., Any], tanh: Any, sigmoid: Any) -> Callable[..., Any]:
    """Return Keras' `lstm` for the usual activations without a mask, with `plain` for everything else."""

    def lstm(
        inputs: Any,
        initial_state_h: Any,
        initial_state_c: Any,
        mask: Any,
        kernel: Any,
        recurrent_kernel: Any,
        bias: Any,
        activation: Any,
        recurrent_activation: Any,
        return_sequences: bool = False,
        go_backwards: bool = False,
        unroll: bool = False,
    ) -> Any:
        usual = mask is None and not unroll and activation is tanh and recurrent_activation is sigmoid
        weights = tuple(jnp.asarray(weight) for weight in (kernel, recurrent_kernel, bias) if weight is not None)
        arrays = tuple(jnp.asarray(array) for array in (inputs, initial_state_h, initial_state_c))
        if usual and kernels_enabled() and _covered(*arrays, *weights):
            if bias is None:
                weights = (*weights, jnp.zeros(weights[0].shape[-1], weights[0].dtype))
            sequence = jnp.swapaxes(arrays[0], 0, 1)
            sequence = jnp.flip(sequence, 0) if go_backwards else sequence
            outputs, cell = lstm_sequence(sequence, weights, arrays[1:])
            last = outputs[-1]
            return last, jnp.swapaxes(outputs, 0, 1) if return_sequences else last[:, None], [last, cell]
        return plain(
            inputs,
            initial_state_h,
            initial_state_c,
            mask,
            kernel,
            recurrent_kernel,
            bias,
            activation,
            recurrent_activation,
            return_sequences,
            go_backwards,
            unroll,
        )

    return lstm


def _covered(inputs: jax.Array, output: jax.Array, cell: jax.Array, kernel: jax.Array, *others: jax.Array) -> bool:
    arrays = (inputs, output, cell, kernel, *others)
    usual = all(array.dtype == jnp.float32 for array in arrays) and (inputs.ndim, output.ndim, cell.ndim) == (3, 2, 2)
    return usual and is_static(*arrays) and output.shape[-1] >= _LEAST_UNITS


def _gates(x: jax.Array, output: jax.Array, weights: tuple[jax.Array, jax.Array, jax.Array]) -> list[jax.Array]:
    enter, forget, new, leave = jnp.split(x @ weights[0] + output @ weights[1] + weights[2], 4, -1)
    return [jax.nn.sigmoid(enter), jax.nn.sigmoid(forget), jnp.tanh(new), jax.nn.sigmoid(leave)]
