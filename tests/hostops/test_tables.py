"""Vocabularies, labels, buckets and the winning class."""

import math

import numpy as np
import pytest

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostGraph, HostInput, HostNode, fingerprint64

VOCABULARY = {"v.txt": "b\na\nÄÖ\n\x85x\n".encode()}


@pytest.mark.parametrize("repeat", [1, 40])
def test_tokens_become_their_line_numbers(run_op, repeat):
    words = ["a", "b", "ÄÖ", "\x85x", "zz", ""] * repeat
    got = run_op("LookupTableFindV2", ("string", words), attrs={"asset": "v.txt"}, assets=VOCABULARY)
    assert got.dtype == np.int64
    assert got.tolist() == [1, 0, 2, 3, -1, -1] * repeat
    attrs = {"asset": "v.txt", "default_value": 2**62}
    assert run_op("LookupTableFindV2", ("string", words), attrs=attrs, assets=VOCABULARY)[4] == 2**62


@pytest.mark.parametrize("repeat", [1, 40])
@pytest.mark.parametrize("buckets", [1, 7, 2**62])
def test_unknown_tokens_are_hashed_behind_the_vocabulary(run_op, repeat, buckets):
    words = ["a", "zz", "", "日本"] * repeat
    attrs = {"asset": "v.txt", "num_oov_buckets": buckets}
    got = run_op("LookupTableFindV2", ("string", words), attrs=attrs, assets=VOCABULARY)
    want = [1] + [4 + fingerprint64(word.encode()) % buckets for word in words[1:4]]
    assert got.tolist() == want * repeat


def test_the_last_line_feed_of_a_vocabulary_may_lack(run_op):
    for content in (b"a\nb", b"a\nb\n"):
        got = run_op(
            "LookupTableFindV2",
            ("string", ["b", "c"]),
            attrs={"asset": "v", "num_oov_buckets": 1},
            assets={"v": content},
        )
        assert got.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("assets", "message"),
    [({}, "not there"), ({"v.txt": b""}, "no lines"), ({"v.txt": b"a\nb\na\n"}, "a token twice")],
)
def test_a_vocabulary_that_is_not_one_is_refused(run_op, assets, message):
    with pytest.raises(TransformError, match=message):
        run_op("LookupTableFindV2", ("string", ["a"]), attrs={"asset": "v.txt"}, assets=assets)


def test_the_best_class_gets_its_label():
    labels = {"classes.txt": "no\nyes\nvielleicht ä\n".encode()}
    graph = HostGraph(
        [HostInput(TensorSpec([None, 3], "float32", "p"))],
        [HostNode("ArgMax", "best", ("p",)), HostNode("Gather", "label", ("best",), {"asset": "classes.txt"})],
        {"label": "label", "p": "p", "best": "best"},
        labels,
    )
    scores = np.array([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.1, math.nan, 0.9]], np.float32)
    got = graph({"p": scores})
    assert got["label"].tolist() == ["yes", "vielleicht ä", "no", "yes"]
    assert got["best"].tolist() == [1, 2, 0, 1]
    np.testing.assert_array_equal(got["p"], scores)
    assert graph({"p": scores[:0]})["label"].tolist() == []
    assert graph.output_specs[1] == TensorSpec([None, 3], "float32", "p")
    with pytest.raises(TransformError, match="wrong shape"):
        graph({"p": scores[:, :2]})
    with pytest.raises(TransformError, match="wrong shape"):
        graph({"p": scores[0]})


def test_labels_can_be_integers(run_op):
    attrs = {"asset": "c", "dtype": "int64"}
    got = run_op("Gather", ("int32", [2, 0]), attrs=attrs, assets={"c": b"10\n-3\n9223372036854775807\n"})
    assert got.dtype == np.int64
    assert got.tolist() == [2**63 - 1, 10]
    for content in (b"1\ntwo\n", b"9223372036854775808\n", b" 1\n", b"1_0\n"):
        with pytest.raises(TransformError, match="no numbers"):
            run_op("Gather", ("int64", [0]), attrs=attrs, assets={"c": content})


@pytest.mark.parametrize("wrong", [-1, 3, 2**62])
def test_an_id_without_a_label_is_refused_naming_the_row(run_op, wrong):
    with pytest.raises(TransformError, match=r"\$\.x0\[1\].*no label"):
        run_op("Gather", ("int64", [0, wrong]), attrs={"asset": "c"}, assets={"c": b"a\nb\nc\n"})


def test_a_missing_id_has_no_label(run_op):
    got = run_op("Gather", ("int64", [1, None]), attrs={"asset": "c"}, assets={"c": b"a\nb\n"}, optional=True)
    assert got.tolist() == ["b", ""]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_buckets_start_at_their_boundary(run_op, dtype):
    values = [-5, 0, 1, 2, 100] if dtype == "int64" else [-math.inf, 0.0, 1.0, 2.0, math.inf]
    got = run_op("Bucketize", (dtype, values), attrs={"boundaries": [0, 1.5, 2]})
    assert got.dtype == np.int64
    assert got.tolist() == [0, 1, 1, 3, 3]


def test_nan_goes_to_the_last_bucket(run_op):
    for rows in (1, 100):
        assert (
            run_op("Bucketize", ("float32", [math.nan] * rows), attrs={"boundaries": [0.0, 1.0]}).tolist() == [2] * rows
        )
    assert run_op("Bucketize", ("float32", [1.0]), attrs={"boundaries": []}).tolist() == [0]


def test_boundaries_are_float32_and_numbers_keep_their_own_precision(run_op):
    tenth = float(np.float32(0.1))
    assert run_op("Bucketize", ("float32", [0.1]), attrs={"boundaries": [0.1]}).tolist() == [1]
    assert run_op("Bucketize", ("float64", [0.1, tenth]), attrs={"boundaries": [0.1]}).tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [[1.0, 0.0], [math.nan], [math.inf], [1e39], ["1"], "12", None, [True], [10**400]])
def test_boundaries_that_are_none_are_refused(run_op, wrong):
    with pytest.raises(TransformError, match="boundaries"):
        run_op("Bucketize", ("float32", [1.0]), attrs={"boundaries": wrong})
