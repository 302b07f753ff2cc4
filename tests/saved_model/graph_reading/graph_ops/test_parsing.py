"""Examples become tensors; malformed ones are told with node, record and feature."""

import numpy as np
import pytest

from mainstay.core import DataError, RequestError
from mainstay.io import Ragged, serialize_examples

NONE = np.zeros(0, object)


def test_dense_sparse_and_ragged_features_are_parsed(run, text):
    columns = {"age": np.array([31, 64]), "tags": Ragged.from_rows([[b"a"], [b"b", b"c"]])}
    records = serialize_examples(columns).to_pylist()
    kinds = {"Tdense": (np.dtype(np.int64),), "dense_shapes": ((),), "ragged_value_types": (), "ragged_split_types": ()}
    places, values, shape, age = run(
        "ParseExampleV2",
        text(*records),
        NONE,
        text("tags"),
        text("age"),
        NONE,
        np.int64([]),
        num_sparse=1,
        sparse_types=("string",),
        **kinds,
    )
    assert age.tolist() == [31, 64]
    assert values.tolist() == [b"a", b"b", b"c"]
    assert places.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert shape.tolist() == [2, 2]


@pytest.mark.parametrize("record", [b"", b"\x0a\xff", b"\xff" * 20])
def test_a_record_that_lacks_a_feature_or_is_damaged_is_refused(run, text, record):
    kinds = {"Tdense": (np.dtype(np.int64),), "dense_shapes": ((),), "sparse_types": (), "ragged_value_types": ()}
    with pytest.raises(DataError, match=r"a/node \(ParseExampleV2\), .*record 0"):
        run(
            "ParseExampleV2",
            text(record),
            NONE,
            NONE,
            text("age"),
            NONE,
            np.int64([]),
            num_sparse=0,
            ragged_split_types=(),
            **kinds,
        )


def test_a_name_that_is_no_text_is_refused(run, text):
    with pytest.raises(RequestError, match="not UTF-8"):
        run(
            "ParseSingleExample",
            text("").reshape(()),
            sparse_keys=(b"\xff",),
            dense_keys=(),
            num_sparse=1,
            sparse_types=("string",),
            Tdense=(),
            dense_shapes=(),
        )
