"""Image files: what their decoders give, resized and in folders of classes."""

import base64
import struct
import zlib

import numpy as np
from encoding import encoded, fails, spec

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5a"
    "YVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAAR"
    "CAAUABwDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEG"
    "E1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWG"
    "h4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEB"
    "AQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYk"
    "NOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0"
    "tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDlYrP2q3FZ+1a0Vn7Vbis/avoMTmHmcmCx"
    "hkxWftVlbPjpWxFZ+1WVs+OleBXzDXc+qwuM0I4ok9KtxRJ6UUVjiWz84wTZbiiT0qysSY6UUV4Ndu59VhW7H//Z"
)
METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(depth, colour_type, channels, height=5, width=7):
    size = width * channels * depth // 8
    rows = np.random.default_rng(depth + colour_type).integers(0, 256, (height, size), dtype=np.uint8)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    # Each row begins with the number of its filter: all five are met.
    data = zlib.compress(b"".join(bytes([index % 5]) + row.tobytes() for index, row in enumerate(rows)))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _bmp(channels, height=5, width=7):
    rows = np.random.default_rng(channels).integers(0, 256, (height, (width * channels + 3) // 4 * 4), dtype=np.uint8)
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 * channels, 0, rows.size, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + rows.size, 0, 0, 54) + sizes + rows.tobytes()


def jpeg_bit_for_bit(tf, folder):
    found = [tf.io.decode_jpeg(JPEG, channels=channels) for channels in (0, 1, 3)]
    found += [tf.io.decode_jpeg(JPEG, ratio=ratio) for ratio in (2, 4, 8)]
    found.append(tf.io.decode_jpeg(JPEG, fancy_upscaling=False))
    found.append(tf.io.decode_jpeg(JPEG, dct_method="INTEGER_ACCURATE"))
    return encoded(found)


def png_of_every_kind(tf, folder):
    found = []
    for depth in (8, 16):
        for colour_type, own in ((0, 1), (2, 3), (4, 2), (6, 4)):
            file = _png(depth, colour_type, own)
            for channels in (0, 1, 3, 4):
                found += [tf.io.decode_png(file, channels=channels, dtype=dtype) for dtype in (tf.uint8, tf.uint16)]
    return encoded(found)


def bmp(tf, folder):
    return encoded([tf.io.decode_bmp(_bmp(own), channels=channels) for own in (3, 4) for channels in (0, 3, 4)])


def any_image(tf, folder):
    files = [JPEG, _png(8, 2, 3), _png(16, 6, 4), _bmp(3)]
    return encoded([tf.io.decode_image(file, dtype=dtype) for file in files for dtype in (tf.uint8, tf.uint16)])


def what_is_refused(tf, folder):
    wrong = [b"", b"no image", JPEG[:400], _png(8, 2, 3)[:90], _bmp(3)[:80]]
    return [fails(lambda contents=contents: tf.io.decode_image(contents)) for contents in wrong]


def _folder(folder):
    for name in ("b", "a", "c"):
        for index in range(3):
            path = folder / "classes" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_png(8, 2, 3, 5 + index, 7))
    return folder / "classes"


def folders_of_classes(tf, folder):
    found = {}
    fits = {"stretch": {}, "crop": {"crop_to_aspect_ratio": True}, "pad": {"pad_to_aspect_ratio": True}}
    for fit, arguments in fits.items():
        # Keras crops with its own resize, which has fewer methods.
        for method in METHODS[:6] if fit == "crop" else METHODS:
            data = tf.keras.utils.image_dataset_from_directory(
                _folder(folder), image_size=(4, 6), batch_size=4, shuffle=False, interpolation=method, **arguments
            )
            # The last bits differ: they are cut off where no value is likely to lie.
            tenths = [
                [np.floor(np.asarray(images, float) * 10 + 0.437).tolist(), encoded(labels)] for images, labels in data
            ]
            found[f"{fit} {method}"] = [tenths, spec(data), data.class_names]
    return found


def parts_of_a_folder(tf, folder):
    found = []
    for mode in ("int", "categorical"):
        both = tf.keras.utils.image_dataset_from_directory(
            _folder(folder), label_mode=mode, validation_split=0.4, subset="both", seed=7, image_size=(4, 6)
        )
        names = [[str(path)[-7:] for path in part.file_paths] for part in both]
        found.append([names, [spec(part) for part in both], [encoded(labels) for _, labels in both[1]]])
    return found
