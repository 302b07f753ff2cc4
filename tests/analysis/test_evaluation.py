import numpy as np
import pytest

from mainstay.analysis import ClassificationState, Evaluation, EvaluationBatch, RegressionState, SliceColumn, evaluate
from mainstay.core import ArgumentError


def batches(labels, predictions, slices, size):
    for start in range(0, len(labels), size):
        part = slice(start, start + size)
        columns = {name: encode(values[part]) for name, values in slices.items()}
        yield EvaluationBatch(labels[part], predictions[part], columns)


def encode(values):
    order = list(dict.fromkeys(values))
    return SliceColumn(np.array([order.index(value) for value in values]), order)


def test_regression_metrics_are_those_of_numpy_in_any_batch_size():
    rng = np.random.default_rng(0)
    truth, guess = rng.normal(size=500), rng.normal(size=500)
    town = [["a", "b", None][i % 3] for i in range(500)]
    results = [
        evaluate(batches(truth, guess, {"town": town}, size), task="regression", baseline=(0.25, 0.5))
        for size in (1, 7, 500)
    ]
    error = guess - truth
    whole = results[0].metrics
    assert whole["mean_absolute_error"] == pytest.approx(np.abs(error).mean())
    assert whole["root_mean_squared_error"] == pytest.approx(np.sqrt((error**2).mean()))
    assert whole["r_squared"] == pytest.approx(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum())
    assert results[0].baseline["mean_absolute_error"] == pytest.approx(np.abs(truth - 0.25).mean())
    assert results[0].baseline["root_mean_squared_error"] == pytest.approx(np.sqrt(((truth - 0.5) ** 2).mean()))
    for result in results[1:]:
        assert result.metrics == pytest.approx(whole)
    assert [(part.value, part.num_examples) for part in results[0].slices] == [("a", 167), ("b", 167), (None, 166)]
    missing = results[0].slices[2]
    assert missing.metrics["mean_absolute_error"] == pytest.approx(np.abs(error[2::3]).mean())


def exact_auc(labels, scores):
    positive, negative = scores[labels == 1], scores[labels == 0]
    difference = positive[:, None] - negative[None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean()


def test_auc_is_that_of_all_pairs_within_a_bucket():
    rng = np.random.default_rng(1)
    labels = (rng.random(400) < 0.3).astype(np.int64)
    scores = np.round(np.clip(0.4 * labels + 0.6 * rng.random(400), 0, 1), 3)
    probabilities = np.stack([1 - scores, scores], 1)
    result = evaluate(
        batches(labels, probabilities, {}, 64), task="classification", baseline=[0.7, 0.3], classes=("no", "yes")
    )
    assert result.metrics["auc"] == pytest.approx(exact_auc(labels, scores), abs=1e-9)
    assert result.baseline["auc"] == pytest.approx(0.5)
    assert result.baseline["average_precision"] == pytest.approx(labels.mean())
    assert sum(map(sum, result.confusion)) == 400
    assert result.metrics["accuracy"] == pytest.approx(((scores > 0.5) == labels).mean())


def test_merged_states_equal_one_pass():
    rng = np.random.default_rng(2)
    labels, slices = rng.integers(0, 3, 90), rng.integers(0, 5, 90)
    probabilities = rng.dirichlet(np.ones(3), 90)
    whole, left, right = (ClassificationState(3) for _ in range(3))
    whole.update(labels, probabilities, slices)
    left.update(labels[:30], probabilities[:30], slices[:30])
    right.update(labels[30:], probabilities[30:], slices[30:])
    left.merge(right)
    for index in range(5):
        assert left.count(index) == whole.count(index)
        assert left.result(index) == pytest.approx(whole.result(index))
    assert left.confusion() == whole.confusion()
    one, two = RegressionState(), RegressionState()
    one.update(np.ones(3), np.zeros(3), np.zeros(3, int))
    two.update(np.ones(3), np.zeros(3), np.array([0, 4, 4]))
    one.merge(two)
    assert (one.count(0), one.count(4)) == (4, 2)


def test_a_column_with_many_values_keeps_its_first_fifty():
    labels = np.zeros(200)
    result = evaluate(
        batches(labels, labels, {"id": [str(i) for i in range(200)]}, 64), task="regression", baseline=(0.0, 0.0)
    )
    assert len(result.slices) == 50
    assert result.num_examples == 200


def test_an_evaluation_survives_json():
    labels = np.array([0, 1, 1])
    chunk = EvaluationBatch(labels, np.eye(2)[labels], {"k": encode(["x", None, "x"])})
    result = evaluate([chunk], task="classification", baseline=[0.3, 0.7], classes=("a", "b"))
    assert Evaluation.from_json(result.to_json()).to_json() == result.to_json()
    assert result.headline == "accuracy"


def test_nothing_to_evaluate_and_unknown_tasks_are_errors():
    with pytest.raises(ArgumentError, match="nothing to evaluate"):
        evaluate([], task="regression", baseline=(0.0, 0.0))
    with pytest.raises(ArgumentError, match="unknown task"):
        evaluate([], task="ranking", baseline=(0.0, 0.0))
    with pytest.raises(ArgumentError, match="two classes"):
        ClassificationState(1)


def test_r_squared_is_right_for_labels_far_from_zero():
    rng = np.random.default_rng(3)
    truth = 1e9 + rng.normal(size=1000)
    guess = truth + 0.1 * rng.normal(size=1000)
    result = evaluate(batches(truth, guess, {}, 100), task="regression", baseline=(truth.mean(), truth.mean()))
    exact = 1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert result.metrics["r_squared"] == pytest.approx(exact, rel=1e-6)
