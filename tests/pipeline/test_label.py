import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.pipeline.components.label import Label, describe_label, require_columns


def describe(values, task="auto", kind=None):
    array = pa.array(values, kind)
    return describe_label("y", train=[array], everything=[array], task=task)


def test_text_and_booleans_are_classes_in_sorted_order():
    label = describe(["b", "ä", "b", "a"])
    assert (label.task, label.classes, label.dtype) == ("classification", ("a", "b", "ä"), "string")
    assert label.baseline == (0.25, 0.5, 0.25)
    assert describe([True, False, True]).classes == ("false", "true")


def test_few_whole_numbers_are_classes_and_fractions_are_a_quantity():
    assert describe([0, 1, 2, 1]).task == "classification"
    assert describe([0.0, 1.0, 1.0]).classes == (0, 1)
    quantity = describe([0.5, 1.0, 3.0])
    assert (quantity.task, quantity.baseline) == ("regression", (1.0, 1.5))
    assert describe(list(range(21))).task == "regression"
    assert describe(list(range(20))).task == "classification"


def test_the_task_can_be_chosen():
    assert describe([0, 1, 2, 1], "regression").task == "regression"
    assert describe(list(range(30)), "classification").classes == tuple(range(30))


@pytest.mark.parametrize(
    ("values", "task", "error", "message"),
    [
        ([1.5, 1.5], "auto", DataError, "same value"),
        (["x", "x"], "auto", DataError, "same value"),
        ([1, 1], "classification", DataError, "same value"),
        (["a", "b"], "regression", ArgumentError, "needs a label of numbers"),
        ([0.5, 1.0], "classification", ArgumentError, "whole numbers or text"),
        ([1.0, float("inf")], "regression", DataError, "infinite"),
        ([str(i) for i in range(1001)], "auto", DataError, "too many different values"),
        (["a\nb", "c"], "auto", DataError, "line break"),
        ([1, 2], "ranking", ArgumentError, "unknown task"),
    ],
)
def test_a_label_that_cannot_be_learnt_is_refused(values, task, error, message):
    with pytest.raises(error, match=message):
        describe(values, task)


def test_classes_are_encoded_by_their_place_and_unknown_ones_are_refused():
    label = describe(["b", "a", "c"])
    assert label.encode(pa.array(["c", "a"])).tolist() == [2, 0]
    with pytest.raises(DataError, match="none of the classes"):
        label.encode(pa.array(["d"]))
    assert np.array_equal(describe([0.5, 2.5]).encode(pa.array([1, 2])), [1.0, 2.0])


def test_a_label_survives_json():
    for label in (describe(["b", "a"]), describe([0.5, 1.5])):
        assert Label.from_json(label.to_json()) == label


def test_a_misspelt_column_is_answered_with_the_nearest_one():
    with pytest.raises(ArgumentError, match="did you mean 'tips'"):
        require_columns(["tipps"], ["fare", "tips"], option="--label")


def test_huge_whole_numbers_keep_apart():
    label = describe([2**60, 2**60 + 1, 2**60])
    assert label.classes == (2**60, 2**60 + 1)
    assert describe([2**60 + i for i in range(30)]).task == "regression"
    with pytest.raises(DataError, match="infinite"):
        describe([0.0, 1.0, float("inf")])
