"""The methods of a dataset that give a value in place of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError, DataError
from mainstay.data.chunks import Chunk
from mainstay.data.functions.function import RowFailure
from mainstay.data.functions.steps import in_python, name_of
from mainstay.data.functions.values import as_element
from mainstay.data.iteration import dressed
from mainstay.data.operations.arguments import function_of
from mainstay.data.plan import Operation
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.structures import Structure, describe, skeleton_of

if TYPE_CHECKING:
    from mainstay.data.iteration import ChunkIterator


class Reduction:
    """What all elements come to."""

    _plan: Operation

    if TYPE_CHECKING:

        def iterate_chunks(self, state: bytes | None = None) -> ChunkIterator:  # noqa: D102
            ...

    def reduce(self, initial_state: Structure, reduce_func: Callable[[Any, Any], Any], name: str | None = None) -> Any:
        """Return what a function makes of the elements, one after the other.

        Args:
            initial_state: What comes with the first element: arrays in any structure.
            reduce_func: Makes the next state of a state and an element.
            name: Taken for TensorFlow's programs; nothing reports a reduction.

        Returns:
            The last state; arrays of it have `numpy()`.

        Raises:
            ArgumentError: The dataset has no end.
            DataError: The function changes the structure of the state.

        Example:
            >>> import numpy as np
            >>> from mainstay.data import Dataset
            >>> int(Dataset.range(5).reduce(np.int64(0), lambda total, x: total + x))
            10
        """
        function_of(reduce_func, "reduce_func")
        if self._plan.cardinality == INFINITE_CARDINALITY:
            raise ArgumentError("an infinite dataset cannot be reduced", fix="take(count) some of its elements first")
        state = as_element(initial_state)
        skeleton = skeleton_of(state)
        chunks = self.iterate_chunks()
        try:
            while (chunk := chunks.piece()) is not None:
                with RowFailure(f"reduce {name_of(reduce_func)}", chunk) as at, in_python(chunk.columns):
                    for at.index, element in enumerate(chunk.rows()):
                        state = as_element(reduce_func(state, element))
                        if skeleton_of(state) != skeleton:
                            raise DataError(
                                "the function of reduce changes the structure of the state",
                                expected=describe(as_element(initial_state)),
                                received=describe(state),
                            )
        finally:
            chunks.close()
        return next(dressed(Chunk.of_rows([state])).rows())

    def get_single_element(self, name: str | None = None) -> Any:
        """Return the only element.

        Args:
            name: Taken for TensorFlow's programs.

        Raises:
            DataError: There is none, or more than one.

        Example:
            >>> from mainstay.data import Dataset
            >>> Dataset.range(5, 7).batch(9).get_single_element().tolist()
            [5, 6]
        """
        chunks = self.iterate_chunks()
        try:
            first, second = chunks.piece(1), chunks.piece(1)
        finally:
            chunks.close()
        if first is None or second is not None:
            raise DataError(
                "the dataset has more than one element" if first is not None else "the dataset is empty",
                expected="exactly one element",
            )
        return next(dressed(first).rows())
