"""The files and arrays that every engine reads, the same each time: a table of taxi trips, and pictures.

    python -m data_rivals.inputs FOLDER [ROWS PICTURES]          # in the folder benchmarks/, with TensorFlow

TensorFlow writes the records and the pictures, so that no rival of it meets a file that only Mainstay can read.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = {
    "company": "string",
    "dropoff_census_tract": "int64",
    "dropoff_community_area": "int64",
    "dropoff_latitude": "float32",
    "dropoff_longitude": "float32",
    "fare": "float32",
    "payment_type": "string",
    "pickup_census_tract": "int64",
    "pickup_community_area": "int64",
    "pickup_latitude": "float32",
    "pickup_longitude": "float32",
    "tips": "float32",
    "trip_miles": "float32",
    "trip_seconds": "int64",
    "trip_start_day": "int64",
    "trip_start_hour": "int64",
    "trip_start_month": "int64",
    "trip_start_timestamp": "int64",
}
CHOSEN = ("fare", "pickup_latitude", "pickup_longitude", "tips", "trip_miles", "trip_seconds", "trip_start_hour",
          "trip_start_timestamp")  # fmt: skip
"""The columns that are read from Parquet."""

SIDE = 224
INDICES = 100_000_000


@dataclass(frozen=True)
class Inputs:
    """A folder of input files."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        """Return the path of `csv`, `parquet` or `tfrecord`."""
        if name not in ("csv", "parquet", "tfrecord"):
            raise AttributeError(name)
        return str(self.folder / f"trips.{name}")

    def pictures(self) -> list[str]:
        return sorted(str(path) for path in (self.folder / "pictures").glob("*.jpg"))

    def memmap(self) -> np.ndarray:
        """Return 100M int32 on disk; the file is made when it is first asked for, and holds no blocks but zeros."""
        path = self.folder / "indices.npy"
        mode: Any = "r+" if path.exists() else "w+"
        return np.memmap(path, np.int32, mode, shape=(INDICES,))


def arrays(rows: int = 1_000_000) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"x": random.standard_normal((rows, 32), dtype=np.float32), "y": random.integers(0, 10, rows)}


def python_work(value: int) -> int:
    """Return something that takes about 20 µs of pure Python."""
    total = 0
    for step in range(200):
        total = (total * 31 + step + value) % 1_000_003
    return total


def trips(rows: int) -> dict[str, np.ndarray]:
    """Return the columns of a table of taxi trips."""
    random = np.random.default_rng(0)
    companies = np.array([f"{name} Taxi {kind}" for name in ("Blue", "Sun", "City", "Flash", "Star", "Top")
                          for kind in ("Affiliation", "Association", "Inc.", "LLC")] + [""])  # fmt: skip
    payments = np.array(["Cash", "Credit Card", "Mobile", "Prcard", "Unknown", "No Charge", "Dispute"])
    start = random.integers(1_357_000_000, 1_480_000_000, rows)
    made: dict[str, np.ndarray] = {
        "company": companies[random.integers(0, len(companies), rows)],
        "payment_type": payments[random.integers(0, len(payments), rows)],
        "fare": random.gamma(2.0, 6.0, rows) + 3.25,
        "tips": random.gamma(0.5, 2.0, rows),
        "trip_miles": random.gamma(0.9, 4.0, rows),
        "trip_seconds": random.integers(0, 6000, rows),
        "trip_start_timestamp": start,
        "trip_start_hour": start // 3600 % 24,
        "trip_start_day": start // 86_400 % 7 + 1,
        "trip_start_month": start // 2_629_800 % 12 + 1,
    }
    for end in ("pickup", "dropoff"):
        made[f"{end}_census_tract"] = 17_031_000_000 + random.integers(10_000, 990_000, rows)
        made[f"{end}_community_area"] = random.integers(1, 78, rows)
        made[f"{end}_latitude"] = random.normal(41.88, 0.04, rows)
        made[f"{end}_longitude"] = random.normal(-87.64, 0.05, rows)
    return {name: made[name] if kind == "string" else made[name].astype(kind) for name, kind in COLUMNS.items()}


def make(folder: Path, rows: int, pictures: int) -> None:
    """Write all files into a folder that is empty."""
    import pyarrow
    from pyarrow import csv, parquet

    columns = trips(rows)
    table = pyarrow.table(columns)
    parquet.write_table(table, folder / "trips.parquet", row_group_size=65_536)
    csv.write_csv(table, folder / "trips.csv", csv.WriteOptions(quoting_style="needed"))
    write_records(folder / "trips.tfrecord", columns)
    (folder / "pictures").mkdir()
    for number in range(pictures):
        (folder / "pictures" / f"{number:05d}.jpg").write_bytes(picture(number))


def write_records(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write a record a row; of a long table the first quarter million rows, over and over."""
    import tensorflow as tf

    rows = len(columns["fare"])
    distinct = min(rows, 250_000)
    lists = [(name, kind, columns[name][:distinct].tolist()) for name, kind in COLUMNS.items()]
    records = []
    for row in range(distinct):
        example = tf.train.Example()
        for name, kind, values in lists:
            feature = example.features.feature[name]
            if kind == "string":
                feature.bytes_list.value.append(values[row].encode())
            else:
                (feature.int64_list if kind == "int64" else feature.float_list).value.append(values[row])
        records.append(example.SerializeToString(deterministic=True))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(rows):
            writer.write(records[row % distinct])


def picture(number: int) -> bytes:
    """Return a JPEG of 224 to 500 pixels a side, smooth with some noise, as photographs are."""
    import tensorflow as tf

    random = np.random.default_rng(number)
    height, width = random.integers(SIDE, 501, 2)
    coarse = random.integers(0, 256, (12, 12, 3)).astype(np.float32)
    smooth = tf.image.resize(coarse, (height, width), "bicubic").numpy() + random.normal(0, 6, (height, width, 1))
    pixels = np.clip(smooth, 0, 255).astype(np.uint8)
    return bytes(tf.io.encode_jpeg(pixels, quality=88).numpy())


if __name__ == "__main__":
    make(Path(sys.argv[1]), *(int(number) for number in sys.argv[2:] or ("1000000", "5000")))
