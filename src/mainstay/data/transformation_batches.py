"""The methods of a dataset that put several elements together, and take them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.data.operations.arguments import function_of, positive
from mainstay.data.operations.batching import Batch, Rebatch, Unbatch
from mainstay.data.operations.bucketing import BucketBySequenceLength, Buckets
from mainstay.data.operations.grouping import GroupByWindow
from mainstay.data.operations.padding import PaddedBatch, Padding
from mainstay.data.operations.ragged_batching import RaggedBatch
from mainstay.data.operations.windows import Span, Window
from mainstay.data.plan import Operation
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Batches:
    """Batches, windows and groups."""

    _plan: Operation

    if TYPE_CHECKING:

        def _with(self, plan: Operation, label: str | None = None) -> Dataset: ...

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return batches of consecutive elements.

        Args:
            batch_size: How many elements make a batch.
            drop_remainder: Whether a last batch that is not full is left out.
            num_parallel_calls: Taken for TensorFlow's programs: batches are views of what is read in parallel anyway.
            deterministic: Likewise; the order is always kept.
            name: What reports call it.

        Raises:
            ArgumentError: The size is below 1.
            DataError: While iterating: elements of one batch have different shapes; it says which.

        Example:
            >>> from mainstay.data import Dataset
            >>> [x.tolist() for x in Dataset.range(5).batch(2)]
            [[0, 1], [2, 3], [4]]
        """
        return self._with(Batch(self._plan, positive(batch_size, "batch_size"), bool(drop_remainder)), name)

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Structure = None,
        padding_values: Structure = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Return batches of elements of different shapes, filled up to one shape.

        Args:
            batch_size: How many elements make a batch.
            padded_shapes: The shape of each component in the structure of the elements, with None or -1 for an axis
                as long as the longest element of the batch; None for that in every axis.
            padding_values: What fills up: one value for all components or a structure of them; None for 0, False and
                the empty string.
            drop_remainder: Whether a last batch that is not full is left out.
            name: What reports call it.

        Raises:
            ArgumentError: The size is below 1. While iterating: shapes or values do not fit the elements.
            DataError: While iterating: an element is larger than its shape; it says which.

        Example:
            >>> from mainstay.data import Dataset
            >>> from mainstay.io import Ragged
            >>> dataset = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3]]))
            >>> [x.tolist() for x in dataset.padded_batch(2, padding_values=-1)]
            [[[1, -1], [2, 3]]]
        """
        padding = Padding(padded_shapes, padding_values)
        size = positive(batch_size, "batch_size")
        return self._with(PaddedBatch(self._plan, size, padding, drop_remainder=bool(drop_remainder)), name)

    def ragged_batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        row_splits_dtype: Any = "int64",
        name: str | None = None,
    ) -> Dataset:
        """Return batches of elements of different shapes as lists; nothing is filled up.

        Args:
            batch_size: How many elements make a batch.
            drop_remainder: Whether a last batch that is not full is left out.
            row_splits_dtype: int64 or int32.
            name: What reports call it.

        Returns:
            Each component whose spec has an axis of any length becomes a `mainstay.io.Ragged`, the others arrays.

        Raises:
            ArgumentError: The size is below 1, or the dtype is another one.

        Example:
            >>> from mainstay.data import Dataset
            >>> from mainstay.io import Ragged
            >>> dataset = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3], []]))
            >>> [x.to_list() for x in dataset.ragged_batch(2)]
            [[[1], [2, 3]], [[]]]
        """
        dtype = str(getattr(row_splits_dtype, "name", row_splits_dtype))
        if dtype not in ("int64", "int32"):
            raise ArgumentError(
                "row splits are int64 or int32", where="row_splits_dtype", received=repr(row_splits_dtype)
            )
        size = positive(batch_size, "batch_size")
        operation = RaggedBatch(self._plan, size, drop_remainder=bool(drop_remainder), splits_dtype=dtype)
        return self._with(operation, name)

    def unbatch(self, name: str | None = None) -> Dataset:
        """Return the rows of batches, one after the other.

        Args:
            name: What reports call it.

        Raises:
            DataError: While iterating: an element has no axis, or its components have different numbers of rows.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.from_tensor_slices([[1, 2], [3, 4]]).unbatch()]
            [1, 2, 3, 4]
        """
        return self._with(Unbatch(self._plan), name)

    def rebatch(
        self, batch_size: int | Sequence[int], drop_remainder: bool = False, name: str | None = None
    ) -> Dataset:
        """Return batches of another size, of the same rows.

        Args:
            batch_size: How many rows make a batch; several sizes take turns.
            drop_remainder: Whether a last batch that is not full is left out.
            name: What reports call it.

        Raises:
            ArgumentError: A size is below 1, or there is none.

        Example:
            >>> from mainstay.data import Dataset
            >>> [x.tolist() for x in Dataset.range(6).batch(4).rebatch([2, 1])]
            [[0, 1], [2], [3, 4], [5]]
        """
        several = isinstance(batch_size, Sequence) or getattr(batch_size, "shape", ()) != ()
        given: Any = list(batch_size) if several else [batch_size]  # type: ignore[arg-type]
        sizes = [positive(size, "batch_size") for size in given]
        if not sizes:
            raise ArgumentError("there is no size", where="batch_size", expected="one or more", received=batch_size)
        return self._with(Rebatch(self._plan, sizes, bool(drop_remainder)), name)

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Return datasets of consecutive elements.

        Each component of an element becomes a dataset of its own, as in TensorFlow; `flat_map` puts them together:
        ``dataset.window(5, shift=1, drop_remainder=True).flat_map(lambda window: window.batch(5))``.

        Args:
            size: How many elements a window has.
            shift: How many elements further the next window begins; `size` unless given.
            stride: How many elements further the next element of a window is.
            drop_remainder: Whether windows at the end that have fewer elements are left out.
            name: What reports call it.

        Raises:
            ArgumentError: A number is below 1.

        Example:
            >>> from mainstay.data import Dataset
            >>> [[int(x) for x in window] for window in Dataset.range(4).window(2, shift=1, drop_remainder=True)]
            [[0, 1], [1, 2], [2, 3]]
        """
        number = positive(size, "size")
        step = number if shift is None else positive(shift, "shift")
        span = Span(number, step, positive(stride, "stride"), bool(drop_remainder))
        return self._with(Window(self._plan, span), name)

    def group_by_window(
        self,
        key_func: Callable[..., Any],
        reduce_func: Callable[[Any, Any], Any],
        window_size: int | None = None,
        window_size_func: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return what a function makes of groups of elements with the same key.

        Args:
            key_func: Gives the key of an element, a whole number.
            reduce_func: Makes a dataset of a key and the dataset of the elements of a group.
            window_size: How many elements make a group; at the end, groups may have fewer.
            window_size_func: Gives that number for a key; one of the two is needed.
            name: What reports call it.

        Raises:
            ArgumentError: None or both of the sizes are given.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.range(6).group_by_window(lambda x: x % 2, lambda key, d: d.batch(3), window_size=3)
            >>> [x.tolist() for x in dataset]
            [[0, 2, 4], [1, 3, 5]]
        """
        if (window_size is None) == (window_size_func is None):
            raise ArgumentError(
                "a group has one size",
                where="group_by_window",
                expected="window_size or window_size_func",
                received="both" if window_size is not None else "neither",
            )
        fixed = None if window_size is None else positive(window_size, "window_size")
        size = (lambda _: fixed) if window_size_func is None else function_of(window_size_func, "window_size_func")
        key, reduce = function_of(key_func, "key_func"), function_of(reduce_func, "reduce_func")
        return self._with(GroupByWindow(self._plan, key, reduce, size), name)

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable[..., Any],
        bucket_boundaries: Sequence[int],
        bucket_batch_sizes: Sequence[int],
        padded_shapes: Structure = None,
        padding_values: Structure = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Return batches of elements of similar length, filled up to the longest one.

        Args:
            element_length_func: Gives the length of an element, a whole number.
            bucket_boundaries: Where the next bucket begins, in rising order.
            bucket_batch_sizes: How many elements make a batch in each bucket: one more than there are boundaries.
            padded_shapes: As in `padded_batch`.
            padding_values: As in `padded_batch`.
            pad_to_bucket_boundary: Whether axes of any length are made as long as the longest element that the bucket
                takes, one less than its boundary.
            no_padding: Whether elements are only put together; those of one batch then need one shape.
            drop_remainder: Whether batches at the end that are not full are left out.
            name: What reports call it.

        Raises:
            ArgumentError: The numbers of boundaries and sizes do not fit, or boundaries do not rise.
            DataError: While iterating: an element is as long as the last boundary while filling up to boundaries.

        Example:
            >>> from mainstay.data import Dataset
            >>> from mainstay.io import Ragged
            >>> dataset = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3, 4], [5, 6], [7, 8, 9, 9]]))
            >>> [x.tolist() for x in dataset.bucket_by_sequence_length(len, [3], [2, 2])]
            [[[1, 0], [5, 6]], [[2, 3, 4, 0], [7, 8, 9, 9]]]
        """
        boundaries = [positive(boundary, "bucket_boundaries") for boundary in bucket_boundaries]
        sizes = [positive(size, "bucket_batch_sizes") for size in bucket_batch_sizes]
        if len(sizes) != len(boundaries) + 1 or sorted(set(boundaries)) != boundaries:
            raise ArgumentError(
                "there is one size for each bucket, and one bucket more than boundaries, which rise",
                where="bucket_batch_sizes",
                expected=f"{len(boundaries) + 1} sizes for {boundaries}",
                received=sizes,
            )
        buckets = Buckets(
            tuple(boundaries),
            tuple(sizes),
            padding=None if no_padding else Padding(padded_shapes, padding_values),
            to_boundary=bool(pad_to_bucket_boundary),
            drop_remainder=bool(drop_remainder),
        )
        length = function_of(element_length_func, "element_length_func")
        return self._with(BucketBySequenceLength(self._plan, length, buckets), name)

    def sparse_batch(self, batch_size: int, row_shape: Any, name: str | None = None) -> Dataset:
        """Refuse: there are no sparse tensors here.

        Raises:
            ArgumentError: Always; it says what to use.
        """
        raise ArgumentError(
            "there are no sparse tensors here",
            where="sparse_batch",
            fix="use ragged_batch for rows of different lengths, or padded_batch",
        )
