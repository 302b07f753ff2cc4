"""`print` that shows values when a compiled program runs, as `tf.print` does."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import jax
import numpy as np

from mainstay.framework.jax_internals import computes_at_once
from mainstay.framework.keras_internals import is_variable

tree: Any = jax.tree_util


def print(  # noqa: A001  (TensorFlow's name)
    *values: Any,
    output_stream: TextIO | None = None,
    summarize: int = 3,
    sep: str = " ",
    end: str = "\n",
) -> None:
    """Print values whenever this line runs, also in a compiled function, where Python's `print` of text runs only once.

    Arrays are shown as NumPy shows them. A compiled program does not wait for its prints: two of one program may come
    in either order, and ``jax.effects_barrier()`` waits for all of them. A function that prints cannot be saved.

    Args:
        values: Arrays, variables, text and other objects, and structures of them.
        output_stream: Where to print; None is `sys.stderr`.
        summarize: How many numbers to show at each end of each axis; -1 shows all.
        sep: What stands between the values.
        end: What stands after the last one.

    Example:
        >>> import sys
        >>> import mainstay as tf
        >>> tf.print("x:", tf.constant([1, 2, 3]), {"y": tf.Variable(2.5)}, output_stream=sys.stdout)
        x: [1 2 3] {'y': 2.5}
        >>> tf.print(tf.ops.arange(10), output_stream=sys.stdout)
        [0 1 2 ... 7 8 9]
    """
    leaves, structure = tree.tree_flatten([*values])
    leaves = [leaf.value if is_variable(leaf) else leaf for leaf in leaves]

    def show(traced: dict[int, Any]) -> None:
        """Print, with the values that the program has found."""
        shown = structure.unflatten([_Shown(traced.get(index, leaf), summarize) for index, leaf in enumerate(leaves)])
        stream = sys.stderr if output_stream is None else output_stream
        stream.write(sep.join(map(str, shown)) + end)

    if computes_at_once():
        show({})
    else:
        jax.debug.callback(
            show, {index: leaf for index, leaf in enumerate(leaves) if isinstance(leaf, jax.core.Tracer)}
        )


class _Shown:
    """A value with the text that it is shown as, alone and within a structure."""

    def __init__(self, value: Any, summarize: int) -> None:
        self._value = value
        self._summarize = summarize

    def __str__(self) -> str:
        if not isinstance(self._value, jax.Array | np.ndarray):
            return str(self._value)
        array = np.asarray(self._value)
        if array.ndim == 0:
            return str(array[()])
        count, threshold = (self._summarize, 0) if self._summarize >= 0 else (3, sys.maxsize)
        return np.array2string(array, edgeitems=count, threshold=threshold)

    def __repr__(self) -> str:
        return str(self) if isinstance(self._value, jax.Array | np.ndarray) else repr(self._value)
