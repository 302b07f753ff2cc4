"""Lists of tensors, as loops fill them: TensorList, and the TensorArray of TensorFlow 1.

A list is a value here that operations return changed. A TensorArray is a resource in TensorFlow; its handle only names
it, and the list itself is what flows along its `flow`, which puts writes and reads in order there as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import DataError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import scalar_size
from mainstay.saved_model.graph_reading.graph_ops.indexing import take
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import (
    Size,
    TensorListValue,
    Value,
    backend_of,
    integer,
    integers,
    is_known,
    known,
    shape_array,
)

Shape = tuple[Size | None, ...] | None


@dataclass(frozen=True)
class TensorArrayHandle:
    """The name of a TensorArray.

    Args:
        name: The node that made it.
        dtype: The dtype of its elements.
    """

    name: str
    dtype: Any


def _shape(value: Value) -> Shape:
    """Return the shape of elements: -1 is an open axis, and a scalar an open rank."""
    if np.ndim(value) == 0:
        return None
    return tuple(None if isinstance(size, int) and size < 0 else size for size in integers(value))


def _is_full(shape: Shape) -> bool:
    return shape is not None and None not in shape


def _merged(one: Shape, other: Shape) -> Shape:
    if one is None or other is None or len(one) != len(other):
        return other if one is None else one
    return tuple(right if left is None else left for left, right in zip(one, other, strict=True))


def _dtype(node: OpNode) -> Any:
    return node.attr("element_dtype")


def _of_stack(stacked: Any, dtype: Any, shape: Shape = None) -> TensorListValue:
    return TensorListValue(dtype, stacked.shape[0], stacked=stacked, element_shape=shape)


def _of_elements(elements: tuple[Value, ...], dtype: Any, shape: Shape = None) -> TensorListValue:
    return TensorListValue(dtype, len(elements), elements=elements, element_shape=shape)


def _zeros(items: TensorListValue, shape: Shape) -> Any:
    """Return an element that was never set."""
    full = _merged(items.element_shape, shape)
    if not _is_full(full):
        others = [np.shape(each) for each in items.elements or () if each is not None]
        if not others:
            raise ModelError("an element of a list is read before one is set, and its shape is open")
        full = others[0]
    return _blank(full, items.dtype)


def _blank(shape: Any, dtype: Any) -> Any:
    """Return zeros, or empty strings."""
    return np.full(shape, b"", object) if isinstance(dtype, str) else jnp.zeros(shape, dtype)


def _object_at(stacked: Any, place: int) -> Any:
    """Return a row of an array of objects as an array, which a single string would not stay."""
    return stacked[place : place + 1].reshape(stacked.shape[1:])


def _stacked(items: TensorListValue, shape: Shape = None) -> Any:
    """Return all elements along a new first axis."""
    if items.stacked is not None:
        return items.stacked
    if items.elements:
        elements = [_zeros(items, shape) if each is None else each for each in items.elements]
        sizes = {np.shape(each) for each in elements}
        if len(sizes) > 1:
            raise DataError("elements of different shapes are stacked", received=sorted(map(str, sizes)))
        return backend_of(*elements).stack(elements)
    full = _merged(shape, items.element_shape)
    if not _is_full(full) and not (isinstance(items.length, int) and items.length == 0):
        raise ModelError("a list is read before an element is set, and the shape of its elements is open")
    return _blank((items.length, *[0 if size is None else size for size in full or ()]), items.dtype)


def reserved(length: Size, shape: Shape, dtype: Any) -> TensorListValue:
    """Return a list of so many elements that are not set yet."""
    if _is_full(shape) and not isinstance(dtype, str):
        return TensorListValue(dtype, length, stacked=jnp.zeros((length, *shape), dtype), element_shape=shape)  # type: ignore[misc]
    return TensorListValue(dtype, length, element_shape=shape)


def read(items: TensorListValue, index: Value, shape: Shape = None) -> Any:
    """Return an element."""
    if isinstance(items.dtype, str):
        index = known(index)
        if items.stacked is not None:
            return _object_at(items.stacked, _checked(items, index))
    if items.stacked is not None:
        if not is_known(index):
            return lax.dynamic_index_in_dim(jnp.asarray(items.stacked), index, keepdims=False)
        return items.stacked[_checked(items, index)]
    if items.elements is not None:
        if not is_known(index):
            return lax.dynamic_index_in_dim(jnp.asarray(_stacked(items, shape)), index, keepdims=False)
        element = items.elements[_checked(items, index)]
        return _zeros(items, shape) if element is None else element
    return _zeros(items, shape)


def _checked(items: TensorListValue, index: Value) -> Any:
    place = integer(index)
    if isinstance(place, int) and isinstance(items.length, int) and not 0 <= place < items.length:
        raise DataError("a list has no such element", expected=f"0 to {items.length - 1}", received=place)
    return place


def written(items: TensorListValue, index: Value, value: Value) -> TensorListValue:
    """Return a list with another element at an index."""
    index = known(index) if isinstance(items.dtype, str) else index
    if items.elements is not None and is_known(index):
        place = _checked(items, index)
        elements = (*items.elements[:place], value, *items.elements[place + 1 :])
        return _of_elements(elements, items.dtype, items.element_shape)
    if isinstance(value, np.ndarray) and value.dtype == object:
        elements = tuple(items.elements or (None,) * items.length)
        if items.stacked is not None:
            elements = tuple(_object_at(items.stacked, place) for place in range(items.length))
        return written(_of_elements(elements, items.dtype, items.element_shape), index, value)
    if items.stacked is None and items.elements is None:
        stacked = jnp.zeros((items.length, *np.shape(value)), items.dtype)
    else:
        stacked = jnp.asarray(_stacked(items, tuple(np.shape(value))))
    changed = stacked.at[index if not is_known(index) else _checked(items, index)].set(value)
    return TensorListValue(items.dtype, items.length, stacked=changed, element_shape=items.element_shape)


def _resized(items: TensorListValue, length: Size) -> TensorListValue:
    """Return a list that is cut off, or has more elements that are not set."""
    if items.stacked is None and items.elements is None:
        return TensorListValue(items.dtype, length, element_shape=items.element_shape)
    if items.elements is not None:
        elements = (*items.elements, *[None] * max(0, length - len(items.elements)))[:length]
        return _of_elements(elements, items.dtype, items.element_shape)
    stacked = items.stacked[:length]
    if length > items.length:
        stacked = jnp.concatenate([stacked, jnp.zeros((length - items.length, *stacked.shape[1:]), stacked.dtype)])
    return TensorListValue(items.dtype, length, stacked=stacked, element_shape=items.element_shape)


def _scattered(items: TensorListValue, indices: Value, rows: Value) -> TensorListValue:
    if isinstance(items.dtype, str):
        for position, place in enumerate(integers(indices)):
            items = written(items, np.asarray(place), _object_at(rows, position))
        return items
    if items.elements is not None:
        for position, place in enumerate(integers(indices)):
            items = written(items, np.asarray(place), rows[position])
        return items
    base = items.stacked
    if base is None:
        base = jnp.zeros((items.length, *np.shape(rows)[1:]), items.dtype)
    changed = jnp.asarray(base).at[jnp.asarray(indices)].set(rows)
    return TensorListValue(items.dtype, items.length, stacked=changed, element_shape=items.element_shape)


def _joined(items: TensorListValue, shape: Shape) -> tuple[Any, Any]:
    """Return all elements joined along their first axis, and how long each is there."""
    if items.elements is not None and items.elements:
        elements = [_zeros(items, shape) if each is None else each for each in items.elements]
        lengths = np.asarray([each.shape[0] for each in elements], np.int64)
        return backend_of(*elements).concatenate(elements), lengths
    whole = _stacked(items, shape)
    if whole.ndim < 2:
        return jnp.zeros((0, *[0 if size is None else size for size in (shape or ())[1:]]), items.dtype), np.zeros(
            0, np.int64
        )
    count, each = whole.shape[:2]
    return whole.reshape(count * each, *whole.shape[2:]), np.full(count, each, np.int64)


def _cut(tensor: Value, lengths: Value, dtype: Any, shape: Shape) -> TensorListValue:
    sizes = integers(lengths)
    begins = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
    pieces = tuple(tensor[int(begin) : int(begin) + size] for begin, size in zip(begins, sizes, strict=False))
    if len(set(sizes)) == 1:
        return _of_stack(backend_of(*pieces).stack(pieces), dtype, shape)
    return _of_elements(pieces, dtype, shape)


@graph_op("EmptyTensorList", kind="either")
def empty_tensor_list(node: OpNode, shape: Value, _most: Value) -> Value:
    """Return a list without elements."""
    return _of_elements((), _dtype(node), _shape(shape))


@graph_op("TensorListReserve", kind="either")
def tensor_list_reserve(node: OpNode, shape: Value, length: Value) -> Value:
    """Return a list of elements that are not set yet."""
    return reserved(integer(length), _shape(shape), _dtype(node))


@graph_op("TensorListFromTensor", kind="either")
def tensor_list_from_tensor(node: OpNode, tensor: Value, shape: Value) -> Value:
    """Return the rows of a tensor as a list."""
    return _of_stack(tensor, _dtype(node), _shape(shape))


@graph_op("TensorListGetItem", kind="either")
def tensor_list_get_item(_node: OpNode, items: TensorListValue, index: Value, shape: Value) -> Value:
    """Return an element."""
    return read(items, index, _shape(shape))


@graph_op("TensorListSetItem", kind="either")
def tensor_list_set_item(node: OpNode, items: TensorListValue, index: Value, value: Value) -> Value:
    """Return a list with another element."""
    if node.attr("resize_if_index_out_of_bounds", False) and is_known(index) and integer(index) >= items.length:
        items = _resized(items, integer(index) + 1)
    return written(items, index, value)


@graph_op("TensorListStack", kind="either")
def tensor_list_stack(_node: OpNode, items: TensorListValue, shape: Value) -> Value:
    """Return all elements along a new first axis."""
    return _stacked(items, _shape(shape))


@graph_op("TensorListGather", kind="either")
def tensor_list_gather(_node: OpNode, items: TensorListValue, indices: Value, shape: Value) -> Value:
    """Return some elements along a new first axis."""
    return take(_stacked(items, _shape(shape)), indices)


@graph_op("TensorListScatter", "TensorListScatterV2", kind="either")
def tensor_list_scatter(node: OpNode, rows: Value, indices: Value, shape: Value, *length: Value) -> Value:
    """Return a list with rows as its elements at some indices."""
    count = integer(length[0]) if length else -1
    if count == -1:
        places = known(indices)
        count = int(places.max()) + 1 if places.size else 0
    return _scattered(TensorListValue(_dtype(node), count, element_shape=_shape(shape)), indices, rows)


@graph_op("TensorListScatterIntoExistingList", kind="either")
def tensor_list_scatter_into(_node: OpNode, items: TensorListValue, rows: Value, indices: Value) -> Value:
    """Return a list with rows as its elements at some indices."""
    return _scattered(items, indices, rows)


@graph_op("TensorListLength", kind="either")
def tensor_list_length(_node: OpNode, items: TensorListValue) -> Value:
    """Return the number of elements."""
    return scalar_size(items.length, np.int32)


@graph_op("TensorListElementShape", kind="either")
def tensor_list_element_shape(node: OpNode, items: TensorListValue) -> Value:
    """Return the shape of elements, -1 for an open axis or rank."""
    dtype = node.attr("shape_type", np.dtype(np.int32))
    shape = items.element_shape if items.stacked is None else tuple(items.stacked.shape[1:])
    if shape is None:
        return np.asarray(-1, dtype)
    return shape_array(tuple(-1 if size is None else size for size in shape), dtype)


@graph_op("TensorListPushBack", kind="either")
def tensor_list_push_back(_node: OpNode, items: TensorListValue, value: Value) -> Value:
    """Return a list with one more element."""
    if items.stacked is not None:
        xp = backend_of(items.stacked, value)
        return _of_stack(xp.concatenate([items.stacked, value[None]]), items.dtype, items.element_shape)
    elements = items.elements if items.elements is not None else (None,) * items.length
    return _of_elements((*elements, value), items.dtype, items.element_shape)


@graph_op("TensorListPopBack", kind="either")
def tensor_list_pop_back(_node: OpNode, items: TensorListValue, shape: Value) -> Value:
    """Return a list without its last element, and that element."""
    last = np.asarray(items.length - 1)
    value = read(items, last, _shape(shape))
    return _resized(items, items.length - 1), value


@graph_op("TensorListConcat", "TensorListConcatV2", kind="either")
def tensor_list_concat(node: OpNode, items: TensorListValue, *rest: Value) -> Value:
    """Return all elements joined along their first axis, and how long each is there."""
    return _joined(items, _shape(rest[0]) if rest else node.attr("element_shape"))


@graph_op("TensorListSplit", kind="either")
def tensor_list_split(node: OpNode, tensor: Value, shape: Value, lengths: Value) -> Value:
    """Return the parts of a tensor as a list."""
    return _cut(tensor, lengths, _dtype(node), _shape(shape))


@graph_op("TensorListResize", kind="either")
def tensor_list_resize(_node: OpNode, items: TensorListValue, length: Value) -> Value:
    """Return a list of another length."""
    return _resized(items, integer(length))


@graph_op("TensorListConcatLists", kind="either")
def tensor_list_concat_lists(_node: OpNode, first: TensorListValue, second: TensorListValue) -> Value:
    """Return a list of the elements of two."""
    if first.stacked is not None and second.stacked is not None:
        both = backend_of(first.stacked, second.stacked).concatenate([first.stacked, second.stacked])
        return _of_stack(both, first.dtype, first.element_shape)
    parts = [[read(each, np.asarray(index)) for index in range(each.length)] for each in (first, second)]
    return _of_elements((*parts[0], *parts[1]), first.dtype, first.element_shape)


@graph_op("TensorArrayV3", kind="either")
def tensor_array(node: OpNode, length: Value) -> Value:
    """Return the handle of an array of tensors, and the array."""
    dtype = node.attr("dtype")
    handle = TensorArrayHandle(node.name, dtype)
    return handle, reserved(integer(length), node.attr("element_shape"), dtype)


@graph_op("TensorArrayWriteV3", kind="either")
def tensor_array_write(_node: OpNode, _handle: Any, index: Value, value: Value, flow: TensorListValue) -> Value:
    """Return the array with another element."""
    if is_known(index) and isinstance(integer(index), int) and integer(index) >= flow.length:
        flow = _resized(flow, integer(index) + 1)
    return written(flow, index, value)


@graph_op("TensorArrayReadV3", kind="either")
def tensor_array_read(_node: OpNode, _handle: Any, index: Value, flow: TensorListValue) -> Value:
    """Return an element."""
    return read(flow, index)


@graph_op("TensorArrayGatherV3", kind="either")
def tensor_array_gather(node: OpNode, _handle: Any, indices: Value, flow: TensorListValue) -> Value:
    """Return some elements along a new first axis."""
    return take(_stacked(flow, node.attr("element_shape")), indices)


@graph_op("TensorArrayScatterV3", kind="either")
def tensor_array_scatter(_node: OpNode, _handle: Any, indices: Value, rows: Value, flow: TensorListValue) -> Value:
    """Return the array with rows as its elements at some indices."""
    if is_known(indices) and np.size(indices):
        last = int(known(indices).max()) + 1
        flow = _resized(flow, last) if isinstance(flow.length, int) and last > flow.length else flow
    return _scattered(flow, indices, rows)


@graph_op("TensorArrayConcatV3", kind="either")
def tensor_array_concat(node: OpNode, _handle: Any, flow: TensorListValue) -> Value:
    """Return all elements joined along their first axis, and how long each is there."""
    rest = node.attr("element_shape_except0")
    return _joined(flow, None if rest is None else (None, *rest))


@graph_op("TensorArraySplitV3", kind="either")
def tensor_array_split(_node: OpNode, _handle: Any, tensor: Value, lengths: Value, flow: TensorListValue) -> Value:
    """Return the array with the parts of a tensor as its elements."""
    return _cut(tensor, lengths, flow.dtype, flow.element_shape)


@graph_op("TensorArraySizeV3", kind="either")
def tensor_array_size(_node: OpNode, _handle: Any, flow: TensorListValue) -> Value:
    """Return the number of elements."""
    return scalar_size(flow.length, np.int32)


@graph_op("TensorArrayCloseV3", kind="either")
def tensor_array_close(_node: OpNode, _handle: Any) -> Value:
    """Do nothing: an array goes away with its last reference."""
    return ()
