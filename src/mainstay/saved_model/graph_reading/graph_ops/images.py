"""Images: resizing, cropping, projective transforms, colours."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops import resizing
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers


def _rules(node: OpNode) -> dict[str, bool]:
    return {"corners": bool(node.attr("align_corners", False)), "centers": bool(node.attr("half_pixel_centers", False))}


@graph_op("ResizeBilinear")
def resize_bilinear(node: OpNode, images: Value, size: Value) -> Value:
    """Resize by linear interpolation, to float32."""
    x = jnp.asarray(images).astype(jnp.float32)
    height, width = integers(size)
    if (height, width) == x.shape[1:3]:
        return x
    top, bottom, down = resizing.linear(x.shape[1], height, **_rules(node))
    left, right, across = resizing.linear(x.shape[2], width, **_rules(node))
    across = jnp.asarray(across)[None, None, :, None]
    down = jnp.asarray(down)[None, :, None, None]
    wide_left, wide_right = x[:, :, left], x[:, :, right]
    wide = wide_left + (wide_right - wide_left) * across
    above, below = wide[:, top], wide[:, bottom]
    return above + (below - above) * down


@graph_op("ResizeNearestNeighbor")
def resize_nearest_neighbor(node: OpNode, images: Value, size: Value) -> Value:
    """Resize by repeating or leaving out pixels."""
    x = jnp.asarray(images)
    for axis, wanted in zip((1, 2), integers(size), strict=True):
        chosen = resizing.nearest(x.shape[axis], wanted, **_rules(node))
        x = _chosen(x, chosen, axis)
    return x


def _chosen(x: Any, chosen: Any, axis: int) -> Any:
    """Return pixels of an axis; where each is repeated as often as the others, that is a broadcast and no gather."""
    whole = x.shape[axis]
    if isinstance(chosen, np.ndarray) and isinstance(whole, int) and whole:
        times, rest = divmod(chosen.size, whole)
        if times and not rest and np.array_equal(chosen, np.arange(chosen.size) // times):
            return x if times == 1 else jnp.repeat(x, times, axis)
    return jnp.take(x, jnp.asarray(chosen), axis)


@graph_op("ResizeBicubic")
def resize_bicubic(node: OpNode, images: Value, size: Value) -> Value:
    """Resize by cubic interpolation, to float32."""
    x = jnp.asarray(images).astype(jnp.float32)
    for axis, wanted in zip((2, 1), reversed(integers(size)), strict=True):
        shape = [-1 if each == axis else 1 for each in range(4)]
        read = resizing.cubic(x.shape[axis], wanted, **_rules(node))
        x = sum(jnp.take(x, jnp.asarray(index), axis) * jnp.asarray(weight).reshape(shape) for index, weight in read)  # type: ignore[assignment]
    return x


@graph_op("ResizeArea")
def resize_area(node: OpNode, images: Value, size: Value) -> Value:
    """Resize by averaging the pixels that each new one covers, to float32."""
    x = jnp.asarray(images).astype(jnp.float32)
    height, width = integers(size)
    corners = bool(node.attr("align_corners", False))
    if not all(isinstance(each, int) for each in (height, width, *x.shape[1:3])):
        raise ModelError("images are resized by area to sizes that are not known", where=node.name)
    rows = resizing.area(x.shape[1], height, corners=corners)
    columns = resizing.area(x.shape[2], width, corners=corners)
    return jnp.einsum("yh,bhwc,xw->byxc", rows, x, columns, precision="highest")


@graph_op("ScaleAndTranslate")
def scale_and_translate(node: OpNode, images: Value, size: Value, scale: Value, translation: Value) -> Value:
    """Scale and move images with a kernel that may be widened where they shrink, to float32."""
    x = jnp.asarray(images).astype(jnp.float32)
    kernel, widened = node.text("kernel_type"), node.attr("antialias", True)
    sign = 1 if widened else -1
    weights = [
        resizing.spans(
            x.shape[axis + 1], wanted, jnp.asarray(scale)[axis] * sign, jnp.asarray(translation)[axis], kernel
        )
        for axis, wanted in enumerate(integers(size))
    ]
    return jnp.einsum("yh,bhwc,xw->byxc", weights[0], x, weights[1], precision="highest")


@graph_op("CropAndResize")
def crop_and_resize(node: OpNode, images: Value, boxes: Value, owners: Value, size: Value) -> Value:
    """Cut boxes out of images and resize each, to float32; what lies outside of its image has one value."""
    x = jnp.asarray(images).astype(jnp.float32)
    boxes, owners = jnp.asarray(boxes), jnp.asarray(owners)
    rows, columns = integers(size)
    y = _box_positions(boxes[:, 0], boxes[:, 2], x.shape[1], rows)
    across = _box_positions(boxes[:, 1], boxes[:, 3], x.shape[2], columns)
    inside = _inside(y, x.shape[1])[:, :, None] & _inside(across, x.shape[2])[:, None, :]
    batch = owners[:, None, None]

    def read(row: Any, column: Any) -> Any:
        row = jnp.clip(row, 0, x.shape[1] - 1).astype(jnp.int32)[:, :, None]
        column = jnp.clip(column, 0, x.shape[2] - 1).astype(jnp.int32)[:, None, :]
        return x[batch, row, column]

    if node.attr("method", b"bilinear") == b"nearest":
        values = read(_round(y), _round(across))
    else:
        top, left = jnp.floor(y), jnp.floor(across)
        bottom, right = jnp.ceil(y), jnp.ceil(across)
        sideways, down = (across - left)[:, None, :, None], (y - top)[:, :, None, None]
        above = read(top, left) + (read(top, right) - read(top, left)) * sideways
        below = read(bottom, left) + (read(bottom, right) - read(bottom, left)) * sideways
        values = above + (below - above) * down
    outside = jnp.asarray(node.attr("extrapolation_value", 0.0), jnp.float32)
    return jnp.where(inside[..., None], values, outside)


def _round(x: Any) -> Any:
    """Round as C does: halves go away from zero."""
    return jnp.trunc(x + jnp.sign(x) * jnp.asarray(0.5, x.dtype))


def _box_positions(begin: Any, end: Any, whole: Any, wanted: Any) -> Any:
    last = jnp.asarray(whole - 1, jnp.float32)
    if isinstance(wanted, int) and wanted <= 1:
        return jnp.broadcast_to((0.5 * (begin + end) * last)[:, None], (begin.shape[0], wanted))
    step = (end - begin) * last / jnp.asarray(wanted - 1, jnp.float32)
    return begin[:, None] * last + jnp.arange(wanted, dtype=jnp.float32) * step[:, None]


def _inside(places: Any, whole: Any) -> Any:
    return (places >= 0) & (places <= whole - 1)


@graph_op("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def projective_transform(node: OpNode, images: Value, transforms: Value, size: Value, *fill: Value) -> Value:
    """Read each pixel of the result at a projected place in its image."""
    x, matrices = jnp.asarray(images), jnp.asarray(transforms)
    rows, columns = integers(size)
    row, column = (each.astype(jnp.float32) for each in jnp.meshgrid(*map(jnp.arange, (rows, columns)), indexing="ij"))
    a = [matrices[:, index, None, None] for index in range(8)]
    depth = a[6] * column + a[7] * row + 1
    safe = jnp.where(depth == 0, 1, depth)
    y = (a[3] * column + a[4] * row + a[5]) / safe
    across = (a[0] * column + a[1] * row + a[2]) / safe
    mode = node.text("fill_mode") if node.attr("fill_mode") else "CONSTANT"
    y, across = _folded(y, x.shape[1], mode), _folded(across, x.shape[2], mode)
    outside = jnp.asarray(fill[0] if fill else 0, x.dtype)
    reader = _Reader(x, outside)
    values = reader.nearest(y, across) if node.text("interpolation") == "NEAREST" else reader.linear(y, across)
    return jnp.where((depth == 0)[..., None], outside, values)


def _folded(places: Any, whole: int, mode: str) -> Any:
    """Bring places outside of an image back into it, as the mode says."""
    if mode == "CONSTANT":
        return places
    if mode == "REFLECT":
        period = jnp.asarray(2 * whole, places.dtype)
        below = jnp.where(places < -period, places + period * jnp.trunc(-places / period), places)
        below = jnp.where(below < -whole, below + period, -below - 1)
        above = places - period * jnp.trunc(places / period)
        above = jnp.where(above >= whole, period - above - 1, above)
        places = jnp.where(places < 0, below, jnp.where(places > whole - 1, above, places))
    elif mode == "WRAP" and whole > 1:
        below = places + whole * (jnp.trunc(-places / (whole - 1)) + 1)
        above = places - whole * jnp.trunc(places / (whole - 1))
        places = jnp.where(places < 0, below, jnp.where(places > whole - 1, above, places))
    elif mode not in ("WRAP", "NEAREST"):
        raise ModelError(
            "an image is continued in an unknown way", expected="CONSTANT, REFLECT, WRAP, NEAREST", received=mode
        )
    return jnp.clip(places, 0, whole - 1)


class _Reader:
    """Reads pixels of images; outside there is one value."""

    def __init__(self, images: Any, outside: Any) -> None:
        self._images = images
        self._outside = outside

    def pixels(self, row: Any, column: Any) -> Any:
        height, width = self._images.shape[1:3]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        batch = jnp.arange(self._images.shape[0])[:, None, None]
        row = jnp.clip(row, 0, height - 1).astype(jnp.int32)
        column = jnp.clip(column, 0, width - 1).astype(jnp.int32)
        return jnp.where(inside[..., None], self._images[batch, row, column], self._outside)

    def nearest(self, y: Any, x: Any) -> Any:
        return self.pixels(_round(y), _round(x))

    def linear(self, y: Any, x: Any) -> Any:
        top, left = jnp.floor(y), jnp.floor(x)
        across, down = (x - left)[..., None], (y - top)[..., None]
        above = (1 - across) * self.pixels(top, left) + across * self.pixels(top, left + 1)
        below = (1 - across) * self.pixels(top + 1, left) + across * self.pixels(top + 1, left + 1)
        return ((1 - down) * above + down * below).astype(self._images.dtype)


@graph_op("RGBToHSV")
def rgb_to_hsv(_node: OpNode, x: Value) -> Value:
    """Return hue, saturation and value of colours."""
    return _hsv(jnp.asarray(x))


def _hsv(x: Any) -> Any:
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = jnp.max(x, -1)
    spread = value - jnp.min(x, -1)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    unit = 1 / (6 * jnp.where(spread > 0, spread, 1))
    hue = jnp.where(
        red == value,
        unit * (green - blue),
        jnp.where(green == value, unit * (blue - red) + 2 / 6, unit * (red - green) + 4 / 6),
    )
    hue = jnp.where(spread > 0, hue, 0)
    return jnp.stack([jnp.where(hue < 0, hue + 1, hue), saturation, value], -1).astype(x.dtype)


@graph_op("HSVToRGB")
def hsv_to_rgb(_node: OpNode, x: Value) -> Value:
    """Return red, green and blue of colours."""
    return _rgb(jnp.asarray(x))


def _rgb(x: Any) -> Any:
    hue, saturation, value = x[..., 0] * 6, x[..., 1], x[..., 2]
    parts = [jnp.abs(hue - 3) - 1, 2 - jnp.abs(hue - 2), 2 - jnp.abs(hue - 4)]
    mixed = [(1 - saturation + saturation * jnp.clip(part, 0, 1)) * value for part in parts]
    return jnp.stack(mixed, -1).astype(x.dtype)


@graph_op("AdjustContrastv2")
def adjust_contrast(_node: OpNode, images: Value, factor: Value) -> Value:
    """Move each channel away from its mean."""
    x = jnp.asarray(images)
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, (-3, -2), keepdims=True)
    return ((wide - mean) * jnp.asarray(factor, jnp.float32) + mean).astype(x.dtype)


@graph_op("AdjustHue")
def adjust_hue(_node: OpNode, images: Value, delta: Value) -> Value:
    """Turn the hue of colours."""
    x = jnp.asarray(images)
    hsv = _hsv(x.astype(jnp.float32))
    hue = hsv[..., 0] + jnp.asarray(delta, jnp.float32)
    return _rgb(jnp.stack([hue - jnp.floor(hue), hsv[..., 1], hsv[..., 2]], -1)).astype(x.dtype)


@graph_op("AdjustSaturation")
def adjust_saturation(_node: OpNode, images: Value, scale: Value) -> Value:
    """Multiply the saturation of colours."""
    x = jnp.asarray(images)
    hsv = _hsv(x.astype(jnp.float32))
    saturation = jnp.clip(hsv[..., 1] * jnp.asarray(scale, jnp.float32), 0, 1)
    return _rgb(jnp.stack([hsv[..., 0], saturation, hsv[..., 2]], -1)).astype(x.dtype)
