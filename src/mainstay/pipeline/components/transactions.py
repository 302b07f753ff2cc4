"""Synthetic card transactions with a known fraud signal: the data of `mainstay demo` and of the benchmarks.

Nothing here is real. A row's fraud probability is a fixed logistic function of its columns, so that the best
possible model is known, and every row depends on `seed` and its position alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mainstay.core import ArgumentError, atomic_file

CHUNK_ROWS = 50_000
FIRST_DAY = np.datetime64("2025-01-01T00:00:00", "s")
COUNTRIES = (
    "AT", "AU", "BE", "BR", "CA", "CH", "CN", "CZ", "DE", "DK", "ES", "FI", "FR", "GB", "GR",
    "HU", "IE", "IN", "IT", "JP", "MX", "NL", "NO", "PL", "PT", "RO", "SE", "TR", "US", "ZA",
)  # fmt: skip
RISKY_COUNTRIES = ("BR", "CN", "RO", "TR", "ZA")
CATEGORIES = (
    "airline", "books", "clothing", "electronics", "fuel", "gambling", "gift cards", "grocery",
    "hotel", "jewellery", "pharmacy", "restaurant", "streaming", "taxi", "utilities",
)  # fmt: skip
RISKY_CATEGORIES = {"electronics": 0.9, "gambling": 1.3, "gift cards": 1.9, "jewellery": 1.1}
CHANNELS = ("chip", "contactless", "online", "swipe")
CARD_TYPES = ("credit", "debit", "prepaid")
CURRENCIES = ("CHF", "EUR", "GBP", "JPY", "PLN", "USD")
NUM_MERCHANTS = 400
LABEL = "is_fraud"
INTERCEPT = -9.0

Array = np.ndarray[Any, Any]


def _merchant_names() -> Array:
    first = ("Café", "Blue", "Nord", "Señor", "Golden", "Łódź", "City", "Old", "Green", "Zürich")
    second = ("Market", "Garage", "Books", "Travel", "Élan", "Pixel", "Harbour", "Bazaar")
    return np.array([f"{first[i % 10]} {second[i // 10 % 8]} {i // 80 + 1}" for i in range(NUM_MERCHANTS)], object)


def _pick(values: tuple[str, ...] | Array, indices: Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(indices.astype(np.int32)), pa.array(list(values))
    ).dictionary_decode()


def _with_missing(rng: np.random.Generator, values: Array, share: float) -> pa.Array:
    return pa.array(values, mask=rng.random(len(values)) < share)


def _chunk(seed: int, index: int, rows: int) -> pa.RecordBatch:
    rng = np.random.default_rng([seed, index])
    home = np.minimum(rng.geometric(0.12, rows) - 1, len(COUNTRIES) - 1) * 7 % len(COUNTRIES)
    abroad = rng.random(rows) < 0.12
    country = np.where(abroad, rng.integers(0, len(COUNTRIES), rows), home)
    merchant = (NUM_MERCHANTS * rng.random(rows) ** 2.5).astype(np.int64)
    category = (merchant * 7 + rng.integers(0, 2, rows)) % len(CATEGORIES)
    channel = rng.choice(len(CHANNELS), rows, p=(0.35, 0.3, 0.28, 0.07))
    amount = np.round(np.exp(rng.normal(3.2, 1.1, rows)), 2)
    seconds = (np.arange(rows) + index * CHUNK_ROWS) * 37 + rng.integers(0, 37, rows)
    hour = seconds // 3600 % 24
    distance = np.round(np.where(abroad, rng.gamma(2.0, 900.0, rows), rng.gamma(1.2, 12.0, rows)), 1)
    since_last = np.round(rng.gamma(1.1, 600.0, rows), 1)
    recent = rng.poisson(2.2, rows)
    device = np.round(rng.beta(5, 2, rows), 3)
    failed = np.minimum(rng.poisson(0.12, rows), 4)
    recurring = rng.random(rows) < 0.2
    card_age = rng.integers(1, 3650, rows)
    risk = np.array([RISKY_CATEGORIES.get(name, 0.0) for name in CATEGORIES])[category]
    signal = (
        risk
        + 0.9 * (np.log1p(amount) - 3.2)
        + 1.1 * np.isin(country, [COUNTRIES.index(name) for name in RISKY_COUNTRIES])
        + 1.2 * abroad
        + 0.8 * (channel == CHANNELS.index("online"))
        + 1.4 * failed
        + 1.5 * (since_last < 60.0)
        + 0.9 * (hour < 5)
        + 2.5 * (0.7 - device)
        - 1.6 * recurring
        - 0.0003 * card_age
    )
    logit = 2.2 * signal + INTERCEPT
    fraud = (rng.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int64)
    columns: dict[str, pa.Array] = {
        "transaction_time": pa.array(FIRST_DAY + seconds.astype("timedelta64[s]"), pa.timestamp("s")),
        "amount": pa.array(amount),
        "currency": _pick(CURRENCIES, country % len(CURRENCIES)),
        "merchant": _pick(_merchant_names(), merchant),
        "merchant_category": _pick(CATEGORIES, category),
        "merchant_country": _pick(COUNTRIES, country),
        "card_country": _pick(COUNTRIES, home),
        "channel": _pick(CHANNELS, channel),
        "card_type": _pick(CARD_TYPES, rng.integers(0, len(CARD_TYPES), rows)),
        "card_age_days": pa.array(card_age),
        "account_balance": _with_missing(rng, np.round(rng.normal(2500.0, 1800.0, rows), 2), 0.05),
        "customer_age": _with_missing(rng, rng.integers(18, 90, rows), 0.03),
        "distance_km": _with_missing(rng, distance, 0.1),
        "minutes_since_last": pa.array(since_last),
        "transactions_last_24h": pa.array(recent),
        "amount_last_24h": pa.array(np.round(recent * rng.gamma(2.0, 18.0, rows), 2)),
        "is_recurring": pa.array(recurring),
        "device_score": _with_missing(rng, device, 0.15),
        "failed_pins": pa.array(failed),
        LABEL: pa.array(fraud),
    }
    return pa.RecordBatch.from_pydict(columns)


def transactions(rows: int, *, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield synthetic card transactions in chunks of 50,000 rows and 20 columns.

    Args:
        rows: How many rows in all.
        seed: Chooses the rows; the first rows of two lengths are the same.

    Yields:
        Record batches whose column ``is_fraud`` is 1 for about 3 % of the rows.

    Raises:
        ArgumentError: `rows` is less than 1.
    """
    if rows < 1:
        raise ArgumentError("the number of rows is too small", expected="1 or more", received=rows)
    for index in range(-(-rows // CHUNK_ROWS)):
        chunk = _chunk(seed, index, CHUNK_ROWS)
        yield chunk.slice(0, min(CHUNK_ROWS, rows - index * CHUNK_ROWS))


def write_transactions(path: str | os.PathLike[str], rows: int, *, seed: int = 0) -> None:
    """Write `transactions` to a CSV file, or to a Parquet file where `path` ends in ``.parquet``.

    Raises:
        ArgumentError: `rows` is less than 1.
        StorageError: The file cannot be written.
    """
    chunks = transactions(rows, seed=seed)
    first = next(chunks)
    with atomic_file(path) as file:
        writer: Any
        if os.fspath(path).endswith(".parquet"):
            writer = pq.ParquetWriter(file, first.schema)
        else:
            writer = pa_csv.CSVWriter(file, first.schema)
        with writer:
            writer.write_batch(first)
            for chunk in chunks:
                writer.write_batch(chunk)
