"""Images are decoded and encoded by the io room, and damage is told with the node."""

import numpy as np
import pytest

from mainstay.core import DataError, MainstayError, RequestError

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_a_png_comes_back(run):
    stored = run("EncodePng", np.stack([PIXELS, PIXELS[::-1]]))
    assert stored.shape == (2,)
    decoded = run("DecodePng", stored[1:].reshape(()), dtype=np.dtype(np.uint8))
    assert np.array_equal(decoded, PIXELS[::-1])


def test_a_jpeg_is_cut_to_a_window(run):
    stored = run("EncodeJpeg", PIXELS, quality=100)
    whole = run("DecodeJpeg", stored)
    assert np.array_equal(run("DecodeAndCropJpeg", stored, np.int32([1, 2, 3, 2])), whole[1:4, 2:4])
    assert run("ExtractJpegShape", stored, output_type=np.dtype(np.int32)).tolist() == [4, 5, 3]
    with pytest.raises(RequestError, match="not inside the image"):
        run("DecodeAndCropJpeg", stored, np.int32([1, 2, 4, 2]))
    assert run("EncodeJpegVariableQuality", PIXELS, np.int32(50)).item()[:2] == b"\xff\xd8"


@pytest.mark.parametrize("op", ["DecodeJpeg", "DecodePng", "DecodeGif", "DecodeBmp", "DecodeImage"])
@pytest.mark.parametrize("size", [0, 1, 20, 60])
def test_a_truncated_file_is_refused_with_its_node(run, text, op, size):
    stored = run("EncodePng", PIXELS).item()[:size]
    with pytest.raises(DataError, match=rf"a/node \({op}\)"):
        run(op, text(stored).reshape(()), dtype=np.dtype(np.uint8))


def test_what_is_no_image_is_refused(run):
    with pytest.raises(RequestError, match="three axes"):
        run("EncodePng", PIXELS[0])
    with pytest.raises(RequestError, match="format"):
        run("EncodeJpeg", PIXELS, format=b"grayscale")
    with pytest.raises(MainstayError, match="quality"):
        run("EncodeJpeg", PIXELS, quality=101)
