"""How much a model may ask for before it has answered anything: bytes of values, nodes that run, nested calls.

A few bytes of a graph can state a shape that no memory holds, or functions that call each other without an end. What
follows from the graph alone is refused before it is tried. A request can still ask for much, as in TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from mainstay.core import FormatError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, implementation
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graphs.tensors import repeated_bytes

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.graph import Graph
    from mainstay.saved_model.graph_reading.library import Library

MOST_VALUE_BYTES = 1 << 32
"""How large one value may be that a node makes: more than 4 GiB is a mistake or an attack."""

MOST_RESULT_BYTES = 1 << 36
"""How large one value may turn out to be while a program is traced: XLA takes the process along when it has no room."""

_MOST_REPEATED_BYTES = 1 << 30
_MOST_STARTING_BYTES = 1 << 32
_MOST_STARTING_NODES = 100_000
_MOST_TRACED_NODES = 5_000_000
_DEEPEST = 200
_SMALL = 64


def refuse_repeats(nodes: Iterable[Any]) -> int:
    """Return how many bytes of one repeated value the constants of nodes hold.

    Args:
        nodes: `NodeDef` messages.

    Raises:
        FormatError: There are too many.
    """
    total = 0
    for node in nodes:
        if node.op == "Const" and "value" in node.attr:
            total += repeated_bytes(node.attr["value"].tensor)
            if total > _MOST_REPEATED_BYTES:
                raise FormatError(
                    "the constants of a graph repeat their values too often",
                    where=node.name,
                    expected=f"at most {_MOST_REPEATED_BYTES:,} bytes of repeated values",
                )
    return total


def _product(value: Value) -> int:
    return math.prod(max(int(each), 0) for each in np.asarray(value).ravel().tolist())


def _shaped(position: int) -> Callable[..., int]:
    return lambda _, *inputs: _product(inputs[position])


def _times(position: int, *of: int) -> Callable[..., int]:
    """Return a rule for an op that makes so many values as an input says for each element of others."""
    return lambda _, *inputs: _product(inputs[position]) * math.prod(max(np.size(inputs[each]), 1) for each in of)


def _padded(_: OpNode, value: Value, paddings: Value, *__: Value) -> int:
    pairs = np.asarray(paddings).reshape(-1, 2).tolist()
    sizes = zip(np.shape(value), pairs, strict=False)
    return math.prod(int(size) + abs(before) + abs(after) for size, (before, after) in sizes)


def _range(_: OpNode, start: Value, limit: Value, delta: Value) -> int:
    first, last, step = (float(np.asarray(each).reshape(())) for each in (start, limit, delta))
    steps = (last - first) / step if step else 0.0
    return int(min(max(steps, 0.0), 1e30)) if steps == steps else 0


def _resized(_: OpNode, images: Value, size: Value, *__: Value) -> int:
    shape = np.shape(images)
    return _product(size) * int(shape[0] * shape[-1]) if len(shape) == 4 else 0


def _cropped(_: OpNode, images: Value, boxes: Value, __: Value, size: Value) -> int:
    return _product(size) * int((np.shape(boxes) or (1,))[0] * (np.shape(images) or (1,))[-1])


def _segments(position: int) -> Callable[..., int]:
    def count(_: OpNode, data: Value, ids: Value, *rest: Value) -> int:
        return _product([ids, *rest][position - 1]) * (np.size(data) // max(np.size(ids), 1) + 1)

    return count


def _text_width(node: OpNode, value: Value, *_: Value) -> int:
    return int(max(node.attr("width", 0), node.attr("precision", 0), 0)) * np.size(value) // 8


_COUNTS: Mapping[str, Callable[..., int]] = {
    **dict.fromkeys(("Fill", "Empty", "RandomUniform", "RandomUniformInt", "RandomStandardNormal"), _shaped(0)),
    **dict.fromkeys(("TruncatedNormal", "StridedSliceGrad"), _shaped(0)),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput"), _shaped(0)),
    **dict.fromkeys(("BroadcastTo", "SparseToDense"), _shaped(1)),
    **dict.fromkeys(("RandomGamma", "RandomPoisson", "RandomPoissonV2"), _times(0, 1)),
    **dict.fromkeys(("ScatterNd", "LinSpace"), _shaped(2)),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _padded),
    **dict.fromkeys(("Tile", "OneHot", "Multinomial", "StatelessMultinomial", "DecodePaddedRaw"), _times(1, 0)),
    **dict.fromkeys(("RFFT", "IRFFT", "FFTND", "RFFTND", "IRFFTND"), _times(1, 0)),
    **dict.fromkeys(("Bincount", "DenseBincount"), _times(1)),
    **dict.fromkeys(("SparseBincount",), _times(3)),
    **dict.fromkeys(("RaggedBincount", "HistogramFixedWidth"), _times(2)),
    **dict.fromkeys(("MatrixDiagV2", "MatrixDiagV3"), lambda _, d, k, rows, columns, *__: _product([rows, columns])),
    **dict.fromkeys(("TensorListReserve",), lambda _, shape, count: _product(count) * max(_product(shape), 1)),
    **dict.fromkeys(("TensorListResize",), _shaped(1)),
    **dict.fromkeys(("TensorArrayV3",), _shaped(0)),
    **dict.fromkeys([f"UnsortedSegment{each}" for each in ("Sum", "Prod", "Max", "Min", "Join")], _segments(2)),
    **dict.fromkeys([f"SparseSegment{each}WithNumSegments" for each in ("Sum", "Mean", "SqrtN")], _segments(3)),
    **dict.fromkeys(("ResizeBilinear", "ResizeBicubic", "ResizeArea", "ResizeNearestNeighbor"), _resized),
    **dict.fromkeys(("ScaleAndTranslate",), _resized),
    **dict.fromkeys(("MatrixDiag", "BatchMatrixDiag"), lambda _, value: np.size(value) * (np.shape(value) or (1,))[-1]),
    "Diag": lambda _, value: np.size(value) ** 2,
    "CropAndResize": _cropped,
    "Range": _range,
    "AsString": _text_width,
}
"""How many elements a node makes, for the ops where an input says it instead of being as large."""


def _count(node: OpNode, inputs: Sequence[Value]) -> int:
    """Return how many elements a node makes whose inputs say it; 0 where they do not, or not yet."""
    rule = _COUNTS.get(node.op) or (_shaped(0) if node.op.startswith("StatelessRandom") else None)
    if rule is None:
        return 0
    try:
        counted = rule(node, *inputs)
        return counted if isinstance(counted, int) else 0  # while a program is exported, sizes may be symbols
    except Exception:  # a symbolic or unknown size, or a wrong number of inputs, which the op itself refuses
        return 0


def _itemsize(node: OpNode) -> int:
    kind = node.outputs[0] if node.outputs else None
    return kind.itemsize if isinstance(kind, np.dtype) else 8


def refuse_gigantic(node: OpNode, inputs: Sequence[Value]) -> None:
    """Refuse a node whose inputs ask for a value that no memory holds, before it is made.

    Raises:
        ModelError: It does.
    """
    size = _count(node, inputs) * _itemsize(node)
    if size > MOST_VALUE_BYTES:
        raise _gigantic(node, size, MOST_VALUE_BYTES)


def refuse_gigantic_result(node: OpNode, outputs: Sequence[Value]) -> None:
    """Refuse a node that, while it is traced, turns out to make a value that no memory holds.

    Raises:
        ModelError: It does.
    """
    for output in outputs:
        if isinstance(output, jax.Array) and all(isinstance(size, int) for size in output.shape):
            size = math.prod(output.shape) * output.dtype.itemsize
            if size > MOST_RESULT_BYTES:
                raise _gigantic(node, size, MOST_RESULT_BYTES)


def _gigantic(node: OpNode, size: int, most: int) -> ModelError:
    return ModelError(
        "a node makes a value that is too large",
        where=f"{node.name} ({node.op})",
        expected=f"at most {most:,} bytes",
        received=f"{size:,} bytes",
    )


def result_bytes(node: OpNode, inputs: Sequence[Value], most: int) -> int:
    """Return how many bytes a node will make; no more than a rough estimate where that is at most `most`.

    Args:
        node: The node.
        inputs: Its inputs, known ones.
        most: From where on the size has to be exact.

    Returns:
        The size; more than `most` where it cannot be told and might be large.
    """
    size = _count(node, inputs) * _itemsize(node)
    bound = math.prod(max(np.size(each), 1) for each in inputs) * 16
    small = all(np.size(each) <= _SMALL for each in inputs) and len(inputs) <= 2
    known = implementation(node.op)
    if size > most or bound <= most or small or known is None or known.kind != "device":
        return size
    arrays = [each for each in inputs if isinstance(each, np.ndarray) and each.dtype != object]
    if len(arrays) != len(inputs):
        return size
    is_fixed = [each.size <= _SMALL and each.dtype.kind in "iub" for each in arrays]
    abstract = [each for each, fixed in zip(arrays, is_fixed, strict=True) if not fixed]

    def run(*given: Any) -> Any:
        remaining = iter(given)
        return known.run(
            node, *(each if fixed else next(remaining) for each, fixed in zip(arrays, is_fixed, strict=True))
        )

    try:
        spec: Any = jax.ShapeDtypeStruct
        shapes = jax.eval_shape(run, *(spec(each.shape, each.dtype) for each in abstract))
    except Exception:  # a node that fails does so where it is run, if it is run
        return most + 1
    return sum(math.prod(each.shape) * each.dtype.itemsize for each in jax.tree.leaves(shapes))


class Budget:
    """What a model may do while it is loaded.

    Raises:
        ModelError: Asking for more; see `spend`.
    """

    def __init__(self) -> None:
        self._nodes = 0
        self._bytes = 0

    def ask(self, node: OpNode, inputs: Sequence[Value]) -> None:
        """Count a node before it runs.

        Raises:
            ModelError: Too many have run, or it makes too much.
        """
        self._nodes += 1
        known = [each for each in inputs if isinstance(each, np.ndarray | np.generic)]
        if len(known) == len(inputs):
            self._bytes += result_bytes(node, known, _MOST_STARTING_BYTES)
        if self._nodes > _MOST_STARTING_NODES or self._bytes > _MOST_STARTING_BYTES:
            raise ModelError(
                "a model does too much before it answers anything",
                where=f"{node.name} ({node.op})",
                expected=f"at most {_MOST_STARTING_NODES:,} nodes and {_MOST_STARTING_BYTES:,} bytes",
            )


@contextmanager
def refusing_deep_nesting(where: object) -> Iterator[None]:
    """Turn what Python says of functions that call each other too deeply into what the model is refused for.

    Raises:
        FormatError: They do.
    """
    try:
        yield
    except RecursionError as error:
        raise FormatError("the functions of a model call each other too deeply", where=where) from error


def refuse_endless(graphs: Iterable[Graph], library: Library) -> None:
    """Refuse graphs whose functions call themselves by way of If, Case or While, or become too many nodes when traced.

    Args:
        graphs: The graphs.
        library: The functions.

    Raises:
        FormatError: They are such.
    """
    from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
    from mainstay.saved_model.graph_reading.library import called_functions

    sizes: dict[str, int] = {}

    def size(graph: Graph, path: tuple[str, ...]) -> int:
        total = len(graph.nodes)
        for node in graph.nodes:
            if node.op.op not in CONTROL_FLOW:
                continue
            for name in called_functions(node.op.op, node.op.attrs, {}):
                if name in path or len(path) > _DEEPEST:
                    raise FormatError(
                        "a function calls itself" if name in path else "functions call each other too deeply",
                        where=" -> ".join([*path[-8:], name]),
                    )
                if name not in sizes:
                    sizes[name] = size(library.graph(name), (*path, name))
                total += sizes[name]
        if total > _MOST_TRACED_NODES:
            raise FormatError(
                "a model has too many nodes",
                where=graph.name,
                expected=f"at most {_MOST_TRACED_NODES:,} with all calls",
            )
        return total

    for graph in graphs:
        size(graph, ())
