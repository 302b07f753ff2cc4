"""Sums and means over the global batch, as in TensorFlow."""

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.distribute import (
    MirroredStrategy,
    ReduceOp,
    Strategy,
    compute_average_loss,
    get_replica_context,
    scale_regularization_loss,
)

LOSSES = np.array([[1.0, 2.0], [3.0, 6.0]], "float32")


def test_a_value_over_the_global_batch_is_returned_as_it_is() -> None:
    value = {"a": 3.0, "b": LOSSES}
    assert Strategy().reduce(ReduceOp.SUM, value, axis=None) is value
    assert Strategy().reduce("mean", value, axis=None) is value


def test_an_axis_is_summed_or_averaged() -> None:
    strategy = MirroredStrategy(["cpu:0"])
    np.testing.assert_array_equal(strategy.reduce("SUM", LOSSES, axis=0), [4.0, 8.0])
    np.testing.assert_array_equal(strategy.reduce(ReduceOp.MEAN, {"a": LOSSES}, axis=0)["a"], [2.0, 4.0])
    np.testing.assert_array_equal(strategy.reduce(ReduceOp.MEAN, LOSSES, axis=-1), [1.5, 4.5])


def test_a_number_has_no_axis_to_reduce() -> None:
    with pytest.raises(ArgumentError, match=r"does not have the axis(.|\n)*received: shape \[\](.|\n)*axis=None"):
        Strategy().reduce("SUM", 3.0, axis=0)


@pytest.mark.parametrize("name", ["MAX", "", 3, None])
def test_another_reduction_is_refused(name: object) -> None:
    with pytest.raises(ArgumentError, match=r"no such reduction(.|\n)*ReduceOp\.SUM or ReduceOp\.MEAN"):
        Strategy().reduce(name, 3.0, axis=None)  # type: ignore[arg-type]
    context = get_replica_context()
    assert context is not None
    with pytest.raises(ArgumentError, match="no such reduction"):
        context.all_reduce(name, 3.0)  # type: ignore[arg-type]


def test_a_gathered_value_is_the_value() -> None:
    for strategy in (Strategy(), MirroredStrategy(["cpu:0"])):
        np.testing.assert_array_equal(strategy.gather(LOSSES, axis=0), LOSSES)
        with pytest.raises(ArgumentError, match="does not have the axis to gather along"):
            strategy.gather(np.float32(3), axis=0)


def test_the_local_results_are_the_one_value() -> None:
    assert MirroredStrategy(["cpu:0"]).experimental_local_results(3) == (3,)


def test_the_average_loss_divides_by_the_global_batch() -> None:
    assert float(compute_average_loss(LOSSES)) == 6.0
    assert float(compute_average_loss(LOSSES, global_batch_size=4)) == 3.0
    assert float(compute_average_loss(LOSSES, sample_weight=[1.0, 2.0])) == 10.5
    assert float(compute_average_loss(LOSSES, sample_weight=2.0)) == 12.0
    assert compute_average_loss(np.ones(3, "float16")).dtype == "float16"


def test_the_average_of_one_number_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r'per_example_loss(.|\n)*reduction="none"'):
        compute_average_loss(3.0)


def test_a_regularization_loss_is_added_once() -> None:
    assert float(scale_regularization_loss(0.5)) == 0.5
    assert float(scale_regularization_loss(np.array([0.5, 1.0]))) == 1.5
