"""Training loops of one's own, written as TensorFlow's users write them, give what one device gives."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import pytest

import mainstay as tf
from mainstay.core import ArgumentError
from mainstay.distribute import MirroredStrategy, ReduceOp, Strategy, compute_average_loss, scale_regularization_loss

RNG = np.random.default_rng(0)
X = RNG.random((70, 6), dtype="float32")
Y = (X[:, :3].sum(1) > X[:, 3:].sum(1)).astype("int32")
BATCH = 16
PER_EXAMPLE = tf.keras.losses.SparseCategoricalCrossentropy(reduction="none")
MEAN = tf.keras.losses.SparseCategoricalCrossentropy()

COUNTS = [1, 2, 4, 8]
Loss = Callable[[Strategy, Any, Any], Any]


def average_over_the_global_batch(strategy: Strategy, y: Any, predictions: Any) -> Any:
    return compute_average_loss(PER_EXAMPLE(y, predictions), global_batch_size=BATCH)


def average_over_the_replicas_together(strategy: Strategy, y: Any, predictions: Any) -> Any:
    return compute_average_loss(PER_EXAMPLE(y, predictions))


def sum_over_the_global_batch_size(strategy: Strategy, y: Any, predictions: Any) -> Any:
    return tf.ops.sum(PER_EXAMPLE(y, predictions)) * (1.0 / BATCH)


def mean_over_the_number_of_replicas(strategy: Strategy, y: Any, predictions: Any) -> Any:
    return MEAN(y, predictions) / strategy.num_replicas_in_sync


def mean_over_the_context(strategy: Strategy, y: Any, predictions: Any) -> Any:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(ReduceOp.SUM, MEAN(y, predictions) / context.num_replicas_in_sync)


def batches(rows: int = 64) -> Iterable[Any]:
    return [(X[i : min(i + BATCH, rows)], Y[i : min(i + BATCH, rows)]) for i in range(0, rows, BATCH)]


def train(
    count: int, loss_of: Loss, optimizer: str = "sgd", compiled: str = "outside", rows: int = 64
) -> tuple[list[float], list[np.ndarray], list[np.ndarray]]:
    """Two epochs of the tutorial's loop on `count` devices, or without a strategy for 0."""
    strategy = MirroredStrategy([f"cpu:{i}" for i in range(count)]) if count else Strategy()
    with strategy.scope():
        tf.keras.utils.set_random_seed(5)
        model = tf.keras.Sequential(
            [
                tf.keras.Input((6,)),
                tf.keras.layers.Dense(8, activation="relu"),
                tf.keras.layers.Dropout(0.2),
                tf.keras.layers.Dense(2, activation="softmax", kernel_regularizer=tf.keras.regularizers.L2(1e-2)),
            ]
        )
        chosen = tf.keras.optimizers.SGD(0.1) if optimizer == "sgd" else tf.keras.optimizers.Adam(1e-3)
        accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            predictions = model(x, training=True)
            loss = loss_of(strategy, y, predictions) + scale_regularization_loss(sum(model.losses))
        gradients = tape.gradient(loss, model.trainable_variables)
        chosen.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        accuracy.update_state(y, predictions)
        return loss

    step = tf.function(train_step) if compiled == "inside" else train_step

    def distributed_train_step(x: Any, y: Any) -> Any:
        return strategy.reduce(ReduceOp.SUM, strategy.run(step, args=(x, y)), axis=None)

    whole = tf.function(distributed_train_step) if compiled == "outside" else distributed_train_step
    dataset = strategy.experimental_distribute_dataset(batches(rows))
    losses = [float(whole(x, y)) for _ in range(2) for x, y in dataset]
    if count:
        devices = set(jax.devices()[:count])
        for variable in [*model.variables, *chosen.variables, *accuracy.variables]:
            assert variable.value.sharding.device_set == devices, variable.path
            assert variable.value.sharding.is_fully_replicated, variable.path
    weights = [np.asarray(variable.value) for variable in model.trainable_variables]
    return [*losses, float(accuracy.result())], weights, [np.asarray(v.value) for v in chosen.variables]


def check_equal(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
    scale = max(1.0, *(float(np.abs(array).max()) for array in wanted[1]))
    for part in (1, 2):
        for ours, theirs in zip(found[part], wanted[part], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * scale)


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    return {name: train(0, average_over_the_global_batch, name) for name in ("sgd", "adam")}


@pytest.mark.parametrize("count", COUNTS)
def test_the_loop_of_the_tutorial_gives_what_one_device_gives(one: dict[str, Any], count: int) -> None:
    check_equal(train(count, average_over_the_global_batch, "adam"), one["adam"])


@pytest.mark.parametrize(
    "loss_of",
    [
        average_over_the_global_batch,
        average_over_the_replicas_together,
        sum_over_the_global_batch_size,
        mean_over_the_number_of_replicas,
        mean_over_the_context,
    ],
)
def test_every_way_to_scale_a_loss_gives_what_one_device_gives(one: dict[str, Any], loss_of: Loss) -> None:
    check_equal(train(8, loss_of), one["sgd"])


@pytest.mark.parametrize("compiled", ["inside", "never"])
def test_the_step_may_be_compiled_inside_of_run_or_not_at_all(one: dict[str, Any], compiled: str) -> None:
    check_equal(train(2, average_over_the_global_batch, compiled=compiled), one["sgd"])


def test_a_last_batch_that_the_replicas_do_not_divide_is_weighted_by_its_rows() -> None:
    wanted = train(0, average_over_the_replicas_together, rows=70)
    check_equal(train(8, average_over_the_replicas_together, rows=70), wanted)


def test_values_per_example_are_reduced_over_the_global_batch() -> None:
    strategy = MirroredStrategy()
    [batch] = strategy.experimental_distribute_dataset([X[:20, 0]])
    per_example = strategy.run(tf.function(lambda x: x * 2), args=(batch,))
    np.testing.assert_allclose(strategy.reduce(ReduceOp.MEAN, per_example, axis=0), (X[:20, 0] * 2).mean(), rtol=1e-6)
    np.testing.assert_allclose(strategy.reduce("SUM", per_example, axis=0), (X[:20, 0] * 2).sum(), rtol=1e-6)
    np.testing.assert_allclose(strategy.gather(per_example, axis=0), X[:20, 0] * 2)
    [local] = strategy.experimental_local_results(per_example)
    assert local.shape == (20,)


def test_an_array_that_was_not_distributed_is_whole_on_every_device() -> None:
    strategy = MirroredStrategy()
    with strategy.scope():
        variable = tf.Variable(np.ones(6, "float32"))
    found = strategy.run(tf.function(lambda x: x @ variable.value), args=(X[:5],))
    np.testing.assert_allclose(found, X[:5].sum(1), rtol=1e-6)


def test_the_number_of_replicas_is_one_inside_of_run_and_a_function_is_traced_for_each() -> None:
    strategy = MirroredStrategy()
    count = tf.function(lambda x: x * strategy.num_replicas_in_sync)
    with strategy.scope():
        assert float(count(np.float32(1))) == 8
        assert float(strategy.run(count, args=(np.float32(1),))) == 1
        assert float(count(np.float32(1))) == 8
    assert strategy.num_replicas_in_sync == 8


def test_the_batch_of_one_strategy_is_not_for_another() -> None:
    first, second = MirroredStrategy(["cpu:0", "cpu:1"]), MirroredStrategy(["cpu:2", "cpu:3"])
    with first.scope(), pytest.raises(ArgumentError, match="another strategy is running"):
        second.run(lambda: None)
    [batch] = first.experimental_distribute_dataset([X[:4]])
    found = second.run(lambda x: x + 1, args=(batch,))
    assert found.sharding.device_set == set(jax.devices()[2:4])
