"""TFRecord files, which each world writes and both read."""

import struct

import numpy as np
from encoding import elements, fails, spec, values

RECORDS = [b"one", b"", bytes(range(256)) * 40, b"vier"]
COMPRESSIONS = ("", "GZIP", "ZLIB")


def _write(tf, folder):
    """Write the same records in every compression."""
    for compression in COMPRESSIONS:
        name = f"{compression or 'plain'}.tfrecord"
        with tf.io.TFRecordWriter(str(folder / name), compression or None) as writer:
            for record in RECORDS:
                writer.write(record)


def _read(tf, folder, world):
    found = {}
    for compression in COMPRESSIONS:
        name = compression or "plain"
        data = tf.data.TFRecordDataset(str(folder / world / f"{name}.tfrecord"), compression_type=compression)
        found[name] = [elements(data), spec(data)]
    return found


def files_of_tensorflow(tf, folder):
    return _read(tf, folder, "tensorflow")


def files_of_mainstay(tf, folder):
    return _read(tf, folder, "mainstay")


def plain_files_are_the_same_to_the_byte(tf, folder):
    one, other = ((folder / world / "plain.tfrecord").read_bytes() for world in ("tensorflow", "mainstay"))
    return one == other


def several_files_in_a_row(tf, folder):
    path = str(folder / "tensorflow" / "plain.tfrecord")
    return values(tf.data.TFRecordDataset([path, path]).take(6))


def files_named_by_a_dataset(tf, folder):
    paths = tf.data.Dataset.from_tensor_slices([str(folder / "tensorflow" / "plain.tfrecord")] * 2)
    return [len(values(tf.data.TFRecordDataset(paths))), len(values(paths.interleave(tf.data.TFRecordDataset)))]


def parallel_reads(tf, folder):
    path = str(folder / "tensorflow" / "plain.tfrecord")
    return sorted(values(tf.data.TFRecordDataset([path] * 3, num_parallel_reads=2)))


def _damaged(tf, folder, change):
    data = bytearray((folder / "tensorflow" / "plain.tfrecord").read_bytes())
    change(data)
    path = folder / f"damaged-{tf.__name__}.tfrecord"
    path.write_bytes(data)
    return fails(lambda: list(tf.data.TFRecordDataset(str(path))))


def damage_is_found(tf, folder):
    def flip(at):
        def change(data):
            data[at] ^= 1

        return change

    def cut(count):
        def change(data):
            del data[-count:]

        return change

    def long(data):
        data[:8] = struct.pack("<Q", 1 << 60)

    changes = {
        "length": flip(0),
        "crc of the length": flip(8),
        "data": flip(12),
        "crc of the data": flip(15),
        "cut in a crc": cut(2),
        "cut in the data": cut(6),
        "a length of an exabyte": long,
    }
    return {name: _damaged(tf, folder, change) for name, change in changes.items()}


def an_empty_file_has_no_records(tf, folder):
    path = folder / "empty.tfrecord"
    path.write_bytes(b"")
    return values(tf.data.TFRecordDataset(str(path)))


def a_missing_file_is_refused(tf, folder):
    return fails(lambda: list(tf.data.TFRecordDataset(str(folder / "none.tfrecord"))))


def another_compression_is_refused(tf, folder):
    path = str(folder / "tensorflow" / "plain.tfrecord")
    zipped = str(folder / "tensorflow" / "GZIP.tfrecord")
    return [
        fails(lambda: list(tf.data.TFRecordDataset(path, compression_type="GZIP"))),
        fails(lambda: list(tf.data.TFRecordDataset(zipped))),
    ]


def read_shuffle_and_batch(tf, folder):
    path = str(folder / "tensorflow" / "plain.tfrecord")
    data = tf.data.TFRecordDataset(path).repeat(2).batch(3)
    return [[len(np.asarray(batch)) for batch in data], spec(data)]
