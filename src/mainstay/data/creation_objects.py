"""Datasets of single elements, of generators, of objects with rows, and of what was saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.data.operations.reading import of_source
from mainstay.data.snapshots.reading import open_snapshot, source_of
from mainstay.data.snapshots.shards import Shards
from mainstay.data.snapshots.writing import compression_of
from mainstay.data.sources.arrays import ArraySource
from mainstay.data.sources.generator import GeneratorSource
from mainstay.data.sources.sequence import SequenceSource
from mainstay.data.sources.tensors import TensorsSource, argument_of
from mainstay.data.structures import Structure, flatten, map_structure, pack, skeleton_of

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class ObjectCreation:
    """The class methods of `Dataset` that begin a plan with objects of Python."""

    @staticmethod
    def from_tensors(tensors: Structure, name: str | None = None) -> Dataset:
        """Return a dataset of one element.

        Args:
            tensors: The element: arrays, numbers, text, lists or `mainstay.io.Ragged` in any structure.
            name: What reports call it.

        Raises:
            DataError: Something in it is neither numbers nor text.

        Example:
            >>> from mainstay.data import Dataset
            >>> [x.tolist() for x in Dataset.from_tensors([1, 2, 3])]
            [[1, 2, 3]]
        """
        return of_source(TensorsSource(tensors), name)

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Structure | None = None,
        output_shapes: Structure | None = None,
        args: Sequence[Any] | None = None,
        output_signature: Structure | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return what a generator yields.

        The function is called once for every pass, and its generator is pulled by one thread at a time and closed when
        the pass ends, early or not. A pass that is resumed begins it anew and passes over the elements before, unless
        what the function returns keeps its own state (`get_state` and `set_state`, or `state_dict` and
        `load_state_dict`).

        Args:
            generator: A function that returns an iterable, a new one on every call: not the iterable itself.
            output_types: The dtypes of the elements in their structure, where `output_signature` is not given.
            output_shapes: Their shapes, in the same structure; without them the first element tells the number of axes.
            args: What the function is called with, converted as TensorFlow does: to arrays, NumPy scalars and bytes.
            output_signature: The specs of the elements in their structure: `TensorSpec`, `RaggedTensorSpec`. Elements
                are converted to them as far as no value changes but for the rounding of floats. Without any of the
                three, the first element tells what all are to look like; asking for `element_spec` before a pass
                begins one, which the next pass goes on with.
            name: What reports call it.

        Raises:
            ArgumentError: `generator` is no function; the signature is given twice.

        Example:
            >>> from mainstay.core import TensorSpec
            >>> from mainstay.data import Dataset
            >>> def count(stop):
            ...     yield from range(stop)
            >>> dataset = Dataset.from_generator(count, args=(3,), output_signature=TensorSpec((), "int64"))
            >>> [int(x) for x in dataset]
            [0, 1, 2]
        """
        if output_signature is not None and (output_types is not None or output_shapes is not None):
            raise ArgumentError(
                "the elements are described twice", where="output_signature", fix="leave output_types and shapes out"
            )
        if output_shapes is not None and output_types is None:
            raise ArgumentError("shapes need dtypes", where="output_types", fix="use output_signature instead of both")
        specs = output_signature if output_types is None else _specs(output_types, output_shapes)
        return of_source(GeneratorSource(generator, specs, tuple(map(argument_of, args or ()))), name)

    @staticmethod
    def from_source(
        source: Any, element_spec: Structure | None = None, *, thread_safe: bool = True, name: str | None = None
    ) -> Dataset:
        """Return the rows of an object that has a length and gives rows by index.

        That is what datasets of Grain, PyTorch, ArrayRecord and Hugging Face are, lists, and arrays of h5py. Rows are
        arrays, numbers, text, images or tensors, in dicts and tuples. Shuffling, sharding and resuming are arithmetic
        on the indices.

        Args:
            source: The object: `__len__` and `__getitem__`; `__getitems__` is used where it is there.
            element_spec: The specs of the rows in their structure; without them, a few rows tell.
            thread_safe: Whether rows may be fetched by several threads at a time.
            name: What reports call it.

        Raises:
            ArgumentError: It has no length, or no rows by index; use `from_generator` for what can only be iterated.

        Example:
            >>> from mainstay.data import Dataset
            >>> class Squares:
            ...     def __len__(self):
            ...         return 4
            ...     def __getitem__(self, index):
            ...         return {"x": index, "y": index**2}
            >>> [int(row["y"]) for row in Dataset.from_source(Squares())]
            [0, 1, 4, 9]
        """
        if isinstance(source, np.ndarray):
            return of_source(ArraySource(source), name)
        return of_source(SequenceSource(source, element_spec, thread_safe=thread_safe), name)

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        element_spec: Structure | None = None,
        compression: str | None = None,
        reader_func: Callable[[Dataset], Dataset] | None = None,
    ) -> Dataset:
        """Return what `Dataset.save` wrote, in the order in which it was saved, one shard after the other.

        Files are mapped into memory, and each is verified by its digest before it is first read. Without compression
        the elements have addresses: a shuffle is global and takes no memory.

        Args:
            path: The folder.
            element_spec: What the elements are expected to look like, as in `element_spec`; None takes what is there.
            compression: How it is expected to be compressed; None takes what is there.
            reader_func: Is given the dataset of the shards, each a dataset, and returns the dataset of the elements.

        Raises:
            StorageError: There is no snapshot.
            IntegrityError: A file is missing, was added, truncated or edited; for the content of a file that is found
                out when it is first read.
            FormatError: It is of an unknown version.
            ArgumentError: It holds other elements, or is compressed otherwise.

        Example:
            >>> import tempfile
            >>> from mainstay.data import Dataset
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Dataset.range(3).save(f"{folder}/numbers")
            ...     [int(x) for x in Dataset.load(f"{folder}/numbers")]
            [0, 1, 2]
        """
        snapshot = open_snapshot(path)
        manifest = snapshot.manifest
        if element_spec is not None and element_spec != manifest.spec:
            raise ArgumentError(
                "the snapshot holds other elements", where=path, expected=element_spec, received=manifest.spec
            )
        if compression is not None and compression_of(compression) != manifest.compression:
            raise ArgumentError(
                "the snapshot is compressed otherwise", where=path, expected=compression, received=manifest.compression
            )
        if reader_func is None:
            return of_source(source_of(snapshot), None)
        return reader_func(of_source(Shards(snapshot), None))


def _specs(types: Structure, shapes: Structure | None) -> Structure:
    """Return specs of TensorFlow's two structures; a dtype alone where the number of axes is not said."""
    dtypes = map_structure(lambda dtype: TensorSpec((), dtype).dtype, types)
    if shapes is None:
        return dtypes
    found = _shapes(skeleton_of(types), shapes)
    if len(found) != len(flatten(dtypes)):
        raise ArgumentError("dtypes and shapes have different structures", expected=types, received=shapes)
    leaves = [
        dtype if shape is None else TensorSpec(tuple(shape), dtype)
        for dtype, shape in zip(flatten(dtypes), found, strict=True)
    ]
    return pack(skeleton_of(dtypes), leaves)


def _shapes(skeleton: Structure, shapes: Structure) -> list[Any]:
    """Return the shapes at the leaves of a structure, in which a tuple may itself be a shape."""
    if isinstance(skeleton, int):
        return [shapes]
    if isinstance(skeleton, tuple) and isinstance(shapes, (tuple, list)) and len(shapes) == len(skeleton):
        return [found for inner, item in zip(skeleton, shapes, strict=True) for found in _shapes(inner, item)]
    if isinstance(skeleton, dict) and isinstance(shapes, dict) and shapes.keys() == skeleton.keys():
        return [found for key in sorted(skeleton) for found in _shapes(skeleton[key], shapes[key])]
    raise ArgumentError("dtypes and shapes have different structures", where="output_shapes", received=shapes)
