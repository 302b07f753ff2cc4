"""Image files to arrays and back, by the decoders of the io room."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay import io
from mainstay.core import MainstayError
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import flat, refused, scalar_string, strings
from mainstay.saved_model.graph_reading.graph_ops.parsing import located
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


def _decoded(node: OpNode, decode: Any, contents: Value, **options: Any) -> Any:
    try:
        return np.asarray(decode(scalar_string(node, contents, "contents"), **options))
    except MainstayError as error:
        raise located(node, error) from error


def _jpeg_options(node: OpNode) -> dict[str, Any]:
    return {
        "channels": node.attr("channels", 0),
        "ratio": node.attr("ratio", 1),
        "fancy_upscaling": node.attr("fancy_upscaling", True),
        "try_recover_truncated": node.attr("try_recover_truncated", False),
        "dct_method": node.text("dct_method"),
    }


@graph_op("DecodeJpeg", kind="host")
def decode_jpeg(node: OpNode, contents: Value) -> Value:
    """Decode a JPEG, or another still image."""
    return _decoded(node, io.decode_jpeg, contents, **_jpeg_options(node))


@graph_op("DecodeAndCropJpeg", kind="host")
def decode_and_crop_jpeg(node: OpNode, contents: Value, window: Value) -> Value:
    """Decode a window of a JPEG, given by its top, left, height and width."""
    image = _decoded(node, io.decode_jpeg, contents, **_jpeg_options(node))
    top, left, height, width = flat(window)
    if min(top, left) < 0 or min(height, width) < 1 or top + height > image.shape[0] or left + width > image.shape[1]:
        raise refused(node, "the window is not inside the image", expected=image.shape, received=flat(window))
    return image[top : top + height, left : left + width]


@graph_op("ExtractJpegShape", kind="host")
def extract_jpeg_shape(node: OpNode, contents: Value) -> Value:
    """Return the height, the width and the channels of a JPEG."""
    shape = _decoded(node, io.decode_jpeg, contents).shape
    return np.array(shape, node.dtype("output_type"))


@graph_op("DecodePng", kind="host")
def decode_png(node: OpNode, contents: Value) -> Value:
    """Decode a PNG, or another still image."""
    return _decoded(node, io.decode_png, contents, channels=node.attr("channels", 0), dtype=node.dtype("dtype").name)


@graph_op("DecodeBmp", kind="host")
def decode_bmp(node: OpNode, contents: Value) -> Value:
    """Decode a BMP."""
    return _decoded(node, io.decode_bmp, contents, channels=node.attr("channels", 0))


@graph_op("DecodeGif", kind="host")
def decode_gif(node: OpNode, contents: Value) -> Value:
    """Decode the frames of a GIF."""
    return _decoded(node, io.decode_gif, contents)


@graph_op("DecodeImage", kind="host")
def decode_image(node: OpNode, contents: Value) -> Value:
    """Decode an image of any format."""
    return _decoded(
        node,
        io.decode_image,
        contents,
        channels=node.attr("channels", 0),
        dtype=node.dtype("dtype").name,
        expand_animations=node.attr("expand_animations", True),
    )


def _encoded(node: OpNode, encode: Any, image: Any, **options: Any) -> bytes:
    try:
        written: bytes = encode(image, **options)
    except MainstayError as error:
        raise located(node, error) from error
    return written


@graph_op("EncodeJpeg", kind="host")
def encode_jpeg(node: OpNode, image: Value) -> Value:
    """Encode an image as JPEG."""
    form = node.text("format")
    channels = {"": (1, 3), "default": (1, 3), "grayscale": (1,), "rgb": (3,)}.get(form)
    if channels is None or np.ndim(image) != 3 or np.shape(image)[-1] not in channels:
        raise refused(node, "an image does not fit the format", expected=form, received=np.shape(image))
    written = _encoded(
        node,
        io.encode_jpeg,
        np.asarray(image),
        quality=node.attr("quality", 95),
        chroma_downsampling=node.attr("chroma_downsampling", True),
    )
    return strings([written], ())


@graph_op("EncodeJpegVariableQuality", kind="host")
def encode_jpeg_of_quality(node: OpNode, image: Value, quality: Value) -> Value:
    """Encode an image as JPEG of a given quality."""
    return strings([_encoded(node, io.encode_jpeg, np.asarray(image), quality=int(flat(quality)[0]))], ())


@graph_op("EncodePng", kind="host")
def encode_png(node: OpNode, image: Value) -> Value:
    """Encode images as PNG."""
    image = np.asarray(image)
    if image.ndim < 3:
        raise refused(node, "an image has three axes", received=list(image.shape))
    compression = node.attr("compression", -1)
    images = image.reshape(-1, *image.shape[-3:])
    written = [_encoded(node, io.encode_png, each, compression=compression) for each in images]
    return strings(written, image.shape[:-3])
