import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mainstay.core import ArgumentError, DataError
from mainstay.io import decode_bmp, decode_gif, decode_image, decode_jpeg, decode_png, encode_jpeg, encode_png


def test_every_format_is_told_by_its_contents(files):
    image = files.pixels()
    assert np.array_equal(decode_image(files.saved(image, "PNG")), image)
    assert np.array_equal(decode_image(files.saved(image, "BMP")), image)
    assert decode_image(files.saved(image, "GIF")).shape == (1, 5, 7, 3)
    assert decode_image(files.saved(image, "GIF"), expand_animations=False).shape == (5, 7, 3)
    assert decode_image(files.saved(files.smooth(), "JPEG")).shape == (40, 56, 3)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_format_is_converted_to_every_number_of_channels(files, kind, channels):
    decoded = decode_image(files.saved(files.smooth(), kind), channels, expand_animations=False)
    assert decoded.shape == (40, 56, channels)
    if channels == 4:
        assert (decoded[..., 3] == 255).all()


def test_contents_may_be_any_bytes_and_nothing_else(files):
    file, image = files.saved(files.pixels(), "PNG"), files.pixels()
    held = np.empty((), object)
    held[()] = file
    for contents in (file, bytearray(file), memoryview(file), held):
        assert np.array_equal(decode_image(contents), image)
    with pytest.raises(ArgumentError, match="read_bytes"):
        decode_image("photo.png")


@pytest.mark.parametrize("contents", [b"", b"hello, I am a text", b"\x89PN"])
def test_what_is_no_image_is_refused(contents):
    with pytest.raises(DataError, match="image"):
        decode_image(contents)


def test_arguments_out_of_range_are_refused(files):
    file = files.saved(files.smooth(), "JPEG")
    for call in (
        lambda: decode_image(file, 2),
        lambda: decode_image(file, dtype="int32"),
        lambda: decode_jpeg(file, ratio=3),
        lambda: decode_jpeg(file, dct_method="FLOAT"),
        lambda: decode_png(file, dtype="float32"),
    ):
        with pytest.raises(ArgumentError):
            call()


def test_floats_lie_between_zero_and_one_and_wider_integers_fill_their_range(files):
    image = files.pixels()
    assert np.allclose(decode_image(files.saved(image, "PNG"), dtype="float32"), image / 255)
    assert np.array_equal(decode_image(files.saved(image, "PNG"), dtype="uint16"), image.astype(np.uint16) * 257)
    assert np.array_equal(decode_image(files.saved(image, "BMP"), dtype="uint16"), image.astype(np.uint16) * 256)
    assert np.allclose(decode_image(files.saved(image, "BMP"), dtype="float32"), image / 255)


def test_a_decoder_takes_what_tensorflows_takes(files):
    png, jpeg = files.saved(files.pixels(), "PNG"), files.saved(files.smooth(), "JPEG")
    still, bmp = files.saved(files.pixels(), "GIF"), files.saved(files.pixels(), "BMP")
    moving = files.gif([(0, 0, 6, 4, [0, 1, 2, 3] * 6, None, 0)] * 2)
    assert decode_jpeg(png).shape == decode_png(still).shape == (5, 7, 3)
    assert decode_gif(jpeg).shape == (1, 40, 56, 3)
    assert decode_bmp(bmp).shape == (5, 7, 3)
    for call in (lambda: decode_bmp(png), lambda: decode_png(bmp), lambda: decode_gif(bmp)):
        with pytest.raises(DataError, match="use decode_"):
            call()
    with pytest.raises(DataError, match=r"GIF of 2 frames"):
        decode_jpeg(moving)


class TestJpeg:
    def test_pixels_are_close_to_what_was_encoded(self, files):
        image = files.smooth()
        assert np.abs(decode_jpeg(encode_jpeg(image, quality=100)).astype(int) - image).mean() < 1.5

    def test_a_gray_file_is_gray_and_turns_to_colour_when_asked(self, files):
        gray = encode_jpeg(files.smooth()[..., :1])
        assert decode_jpeg(gray).shape == (40, 56, 1)
        assert np.array_equal(decode_jpeg(gray, 3), np.repeat(decode_jpeg(gray), 3, axis=-1))

    @pytest.mark.parametrize(("ratio", "shape"), [(1, (41, 57)), (2, (21, 29)), (4, (11, 15)), (8, (6, 8))])
    def test_a_ratio_divides_the_size_rounded_up(self, files, ratio, shape):
        assert decode_jpeg(encode_jpeg(files.smooth(41, 57)), ratio=ratio).shape[:2] == shape

    def test_the_accurate_method_is_the_one_that_pillow_uses(self, files):
        file = encode_jpeg(files.smooth())
        with Image.open(io.BytesIO(file)) as image:
            assert np.array_equal(decode_jpeg(file, dct_method="INTEGER_ACCURATE"), np.asarray(image))
        assert not np.array_equal(decode_jpeg(file), decode_jpeg(file, dct_method="INTEGER_ACCURATE"))

    def test_colour_can_be_repeated_in_place_of_interpolated(self, files):
        file = files.saved(files.pixels(16, 16), "JPEG")
        assert not np.array_equal(decode_jpeg(file), decode_jpeg(file, fancy_upscaling=False))

    def test_the_orientation_of_the_camera_is_not_applied(self, files):
        exif = Image.Exif()
        exif[274] = 6
        assert decode_jpeg(files.saved(files.smooth(), "JPEG", exif=exif)).shape == (40, 56, 3)

    def test_inks_become_colours(self, files):
        image = Image.fromarray(files.smooth())
        inks = decode_jpeg(files.saved(image.convert("CMYK"), "JPEG", quality=100, subsampling=0))
        assert inks.shape == (40, 56, 3)
        assert np.abs(inks.astype(int) - files.smooth()).mean() < 3
        assert decode_jpeg(files.saved(image.convert("CMYK"), "JPEG"), 1).shape == (40, 56, 1)

    def test_a_file_that_is_cut_short_is_refused_unless_it_is_to_be_recovered(self, files):
        file = encode_jpeg(files.pixels(64, 64))
        with pytest.raises(DataError, match="cut short"):
            decode_jpeg(file[: len(file) // 2])
        recovered = decode_jpeg(file[: len(file) // 2], try_recover_truncated=True)
        assert np.array_equal(recovered[:8], decode_jpeg(file)[:8])

    @pytest.mark.parametrize("channels", [0, 1, 3])
    def test_colours_at_an_unusual_size_are_decoded_too(self, files, channels):
        file = bytearray(files.saved(files.smooth(), "JPEG", subsampling=0))
        file[file.index(b"\xff\xc0") + 11] = 0x31  # three times the width of the colours: TurboJPEG has no name for it
        assert decode_jpeg(bytes(file), channels).shape == (40, 56, channels or 3)
        assert decode_jpeg(files.saved(files.smooth(), "JPEG", subsampling="4:1:1"), channels).shape[:2] == (40, 56)

    def test_damage_that_libjpeg_bears_is_borne_as_in_tensorflow(self, files):
        file = bytearray(encode_jpeg(files.pixels(64, 64)))
        file[-200:-197] = b"\xff\xd0\x55"
        assert decode_jpeg(bytes(file)).shape == (64, 64, 3)

    @pytest.mark.parametrize("length", [3, 4, 20, 200])
    def test_a_header_that_is_cut_short_is_refused(self, files, length):
        with pytest.raises(DataError, match="JPEG"):
            decode_jpeg(encode_jpeg(files.smooth())[:length])

    def test_a_size_beyond_the_limit_is_refused_before_it_is_decoded(self, files):
        file = bytearray(encode_jpeg(files.smooth()))
        place = file.index(b"\xff\xc0") + 5
        file[place : place + 4] = struct.pack(">HH", 65000, 65000)
        with pytest.raises(DataError, match="too large"):
            decode_jpeg(bytes(file))


class TestPng:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_what_is_encoded_is_decoded(self, channels, dtype):
        image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (9, 6, channels)).astype(dtype)
        assert np.array_equal(decode_png(encode_png(image), dtype=dtype), image)

    @pytest.mark.parametrize("filtering", [0, 1, 2, 3, 4])
    @pytest.mark.parametrize("interlace", [0, 1])
    def test_sixteen_bits_agree_with_pillows_eight(self, files, filtering, interlace):
        rng = np.random.default_rng(filtering)
        passes = [(1, 1), (1, 1), (1, 2), (2, 1), (1, 3), (3, 2), (2, 5)]  # of Adam7 on 5 by 5 pixels
        sizes = passes if interlace else [(5, 5)]
        lines = b"".join(bytes([filtering]) + rng.bytes(6 * columns) for rows, columns in sizes for _ in range(rows))
        file = files.png((5, 5), 16, 2, lines, interlace=interlace)
        assert np.array_equal(decode_png(file, dtype="uint16") >> 8, decode_png(file))

    def test_palettes_and_their_alpha_become_colours(self, files):
        palette = Image.fromarray(files.pixels()).quantize(16)
        plain = decode_png(files.saved(palette, "PNG"))
        assert np.array_equal(plain, np.asarray(palette.convert("RGB")))
        alpha = decode_png(files.saved(palette, "PNG", transparency=bytes([0, 128])))
        assert alpha.shape == (5, 7, 4)
        assert {0, 128, 255} == set(alpha[..., 3].ravel().tolist())

    def test_a_transparent_colour_shows_when_alpha_is_asked_for(self, files):
        image = files.pixels()
        file = files.saved(image, "PNG", transparency=tuple(image[0, 0].tolist()))
        assert decode_png(file).shape == (5, 7, 3)
        alpha = decode_png(file, 4)[..., 3]
        assert alpha[0, 0] == 0
        assert (alpha.ravel()[1:] == 255).all()

    def test_few_bits_of_gray_fill_the_range(self, files):
        assert decode_png(files.png((1, 4), 2, 0, b"\0\x1b")).ravel().tolist() == [0, 85, 170, 255]
        assert decode_png(files.png((1, 2), 4, 0, b"\0\x0f")).ravel().tolist() == [0, 255]
        assert decode_png(files.png((1, 2), 1, 0, b"\0\x40")).ravel().tolist() == [0, 255]

    def test_alpha_is_dropped_and_not_blended(self, files):
        image = files.pixels(channels=4)
        assert np.array_equal(decode_png(files.saved(image, "PNG"), 3), image[..., :3])

    @pytest.mark.parametrize("sixteen", [False, True])
    def test_every_way_of_cutting_it_short_is_refused(self, files, sixteen):
        image = files.pixels().astype(np.uint16) * 257 if sixteen else files.pixels()
        file, dtype = encode_png(image), "uint16" if sixteen else "uint8"
        for length in range(8, len(file), 3):
            with pytest.raises(DataError):
                decode_png(file[:length], dtype=dtype)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_a_flipped_byte_is_found_by_the_checksum(self, dtype):
        file = bytearray(encode_png(np.arange(64, dtype=np.uint16).reshape(8, 8, 1) * 999))
        file[60] ^= 1
        with pytest.raises(DataError, match="PNG"):
            decode_png(bytes(file), dtype=dtype)

    def test_a_small_file_that_claims_to_be_huge_is_refused(self, files):
        with pytest.raises(DataError, match=r"60,000 by 60,000 pixels"):
            decode_png(files.png((60000, 60000), 8, 2, b"\0"))
        with pytest.raises(DataError, match="no pixels"):
            decode_png(files.png((0, 5), 8, 2, b""))


class TestGif:
    def test_a_frame_lies_on_the_one_before(self, files):
        first, second = decode_gif(
            files.gif([(0, 0, 6, 4, [0, 1, 2, 3] * 6, None, 0), (1, 1, 3, 2, [3, 3, 2, 2, 1, 1], 2, 0)])
        )
        expected = first.copy()
        expected[1, 1:3], expected[2, 2:4] = [255, 255, 255], [200, 100, 50]
        assert np.array_equal(second, expected)

    def test_what_the_first_frame_leaves_open_is_black(self, files):
        (frame,) = decode_gif(files.gif([(0, 0, 6, 4, [0, 1, 2, 3] * 6, 1, 0)]))
        assert frame[0, :4].tolist() == [[10, 20, 30], [0, 0, 0], [0, 255, 0], [255, 255, 255]]

    def test_a_file_that_is_cut_short_is_refused(self, files):
        file = files.gif([(0, 0, 6, 4, [0, 1, 2, 3] * 6, None, 0)] * 2)
        for length in (8, 20, 40):
            with pytest.raises(DataError, match="GIF"):
                decode_gif(file[:length])

    def test_many_large_frames_are_refused(self, files):
        with pytest.raises(DataError, match="2 frames"):
            decode_gif(files.gif([(0, 0, 2, 2, [0, 1, 2, 3], None, 0)] * 2, size=(12000, 12000)))


class TestBmp:
    def test_alpha_is_read(self, files):
        image = files.pixels(channels=4)
        assert np.array_equal(decode_bmp(files.saved(image, "BMP")), image)

    def test_rows_from_the_top_are_told_by_a_negative_height(self, files):
        file = bytearray(files.saved(files.pixels(), "BMP"))
        file[22:26] = struct.pack("<i", -5)
        assert np.array_equal(decode_bmp(bytes(file)), files.pixels()[::-1])

    def test_gray_has_one_channel_and_a_palette_three(self, files):
        gray = files.pixels(channels=1)
        assert np.array_equal(decode_bmp(files.saved(gray, "BMP")), gray)
        palette = Image.fromarray(files.pixels()).quantize(16)
        assert np.array_equal(decode_bmp(files.saved(palette, "BMP")), np.asarray(palette.convert("RGB")))
        assert decode_bmp(files.saved(palette.convert("1"), "BMP")).shape == (5, 7, 1)

    @pytest.mark.parametrize("length", [2, 20, 30, 60, 100])
    def test_a_file_that_is_cut_short_is_refused(self, files, length):
        with pytest.raises(DataError, match="BMP"):
            decode_bmp(files.saved(files.pixels(), "BMP")[:length])


@given(st.sampled_from(["PNG", "BMP", "GIF", "JPEG"]), st.data())
def test_damaged_files_give_an_image_or_an_error_that_says_so(kind, data):
    file = bytearray(_file(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(file) - 1))
        file[place] = data.draw(st.integers(0, 255))
    contents = bytes(file[: data.draw(st.integers(0, len(file)))])
    try:
        decoded = decode_image(contents, 3, dtype=data.draw(st.sampled_from(["uint8", "uint16"])))
    except DataError:
        return
    assert decoded.shape[-1] == 3


def _file(kind):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(file, kind)
    return file.getvalue()
