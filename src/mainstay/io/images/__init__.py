"""Image files to arrays and back, and arrays to another size, with the results of `tf.io` and `tf.image`."""

from mainstay.io.images.batches import ImageForm, decode_images
from mainstay.io.images.contents import MAX_PIXELS
from mainstay.io.images.decoding import decode_bmp, decode_gif, decode_image, decode_jpeg, decode_png
from mainstay.io.images.encoding import encode_jpeg, encode_png
from mainstay.io.images.folders import IMAGE_SUFFIXES, ImageFolder, list_image_folder
from mainstay.io.images.resizing import resize_images

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageFolder",
    "ImageForm",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_images",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "list_image_folder",
    "resize_images",
]
