"""Several steps in one program: bit for bit what single steps give, and only where nobody can tell the difference."""

from typing import Any

import jax
import numpy as np
import pytest

from mainstay import keras
from mainstay.keras.training import several_steps
from mainstay.keras.training.cost import operations

layers = keras.layers
ROWS, BATCH = 90, 8  # eleven whole batches and a last one of two rows


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((ROWS, *shape))


def mlp() -> tuple[Any, Any]:
    stack = [layers.Dense(16, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(3)]
    return keras.Sequential([keras.Input((6,)), *stack]), rows(6).astype("float32")


def wide() -> tuple[Any, Any]:
    number, token = keras.Input((4,), name="number"), keras.Input((2,), dtype="int32", name="token")
    joined = layers.Concatenate()([number, layers.Flatten()(layers.Embedding(20, 3)(token))])
    model = keras.Model({"number": number, "token": token}, layers.Dense(3, kernel_regularizer="l2")(joined))
    return model, {"number": rows(4), "token": (20 * rows(2)).astype("int64")}


def recurrent() -> tuple[Any, Any]:
    return keras.Sequential([keras.Input((5, 4)), layers.LSTM(6), layers.Dense(3)]), rows(5, 4)


LABELS = (3 * rows(seed=1)).astype("int64")
WEIGHTS = rows(seed=2)


def run(monkeypatch: pytest.MonkeyPatch, make: Any, long: float, **options: Any) -> tuple[Any, ...]:
    """Train, evaluate and predict with programs of several steps from the `long`-th step on."""
    monkeypatch.setattr(several_steps, "LONG", long)
    keras.utils.set_random_seed(11)
    model, x = make()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2, clipnorm=1.0), loss, metrics=["accuracy"])
    history = model.fit(x, LABELS, batch_size=BATCH, epochs=2, verbose=0, sample_weight=WEIGHTS, **options).history
    scores = model.evaluate(x, LABELS, batch_size=BATCH, verbose=0)
    outputs = model.predict(x, batch_size=BATCH, verbose=0)
    return model, history, scores, outputs


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was decided in each run: its kind, and the steps per program."""
    decisions = []
    decide = several_steps.steps_for

    def record(run: Any, adapter: Any) -> int:
        steps = decide(run, adapter)
        decisions.append((run.kind, steps))
        return steps

    monkeypatch.setattr("mainstay.keras.training.loops.steps_for", record)
    return decisions


@pytest.mark.parametrize("make", [mlp, wide, recurrent])
def test_the_results_are_equal_bit_for_bit(monkeypatch, chosen, assert_same_bits, make: Any) -> None:
    options = {"validation_split": 0.2} if make is mlp else {}
    single = run(monkeypatch, make, np.inf, **options)
    several = run(monkeypatch, make, 0, **options)
    assert {steps for _, steps in chosen[: len(chosen) // 2]} == {1}
    assert {steps for _, steps in chosen[len(chosen) // 2 :]} <= {8, 9, 11, 1}
    assert max(steps for kind, steps in chosen if kind == "train") > 1
    assert_same_bits(single[0], several[0])
    assert single[1] == several[1]
    assert single[2] == several[2]
    np.testing.assert_array_equal(single[3], several[3])


def test_a_short_run_keeps_to_single_steps_and_many_short_ones_do_not(monkeypatch, chosen) -> None:
    monkeypatch.setattr(several_steps, "LONG", 40)
    model, x = mlp()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(4):
        model.fit(x, LABELS, batch_size=BATCH, verbose=0)
    assert chosen == [("train", 1), ("train", 1), ("train", 1), ("train", 11)]


class Looking(keras.callbacks.Callback):
    """A callback that sees every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(batch)


def test_a_callback_that_looks_at_batches_sees_each(monkeypatch, chosen) -> None:
    looking = Looking()
    run(monkeypatch, mlp, 0, callbacks=[looking])
    assert looking.seen == list(range(12)) * 2
    assert ("train", 1) in chosen


@pytest.mark.parametrize("hook", ["on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"])
def test_a_hook_set_on_an_instance_counts_too(monkeypatch, chosen, hook: str) -> None:
    seen: list[int] = []
    callback = keras.callbacks.Callback()
    setattr(callback, hook, lambda batch, logs=None: seen.append(batch))
    run(monkeypatch, mlp, 0, callbacks=[callback])
    assert seen == list(range(12)) * 2
    assert ("train", 1) in chosen


def test_a_callback_of_epochs_alone_does_not_matter(monkeypatch, chosen) -> None:
    epochs: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    run(monkeypatch, mlp, 0, callbacks=[callback])
    assert epochs == [0, 1]
    assert ("train", 11) in chosen


def test_the_progress_bar_ends_where_it_should(monkeypatch, chosen, capsys) -> None:
    monkeypatch.setattr(several_steps, "LONG", 0)
    model, x = mlp()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, LABELS, batch_size=BATCH, verbose=1)
    assert "12/12" in capsys.readouterr().out
    assert chosen == [("train", 11)]


def test_what_the_user_chose_stays(monkeypatch, chosen) -> None:
    monkeypatch.setattr(several_steps, "LONG", 0)
    model, x = mlp()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, steps_per_execution=3)
    looking = Looking()
    model.fit(x, LABELS, batch_size=BATCH, verbose=0, callbacks=[looking])
    assert looking.seen == [2, 5, 8, 11]
    assert model.predict(x, batch_size=BATCH, verbose=0).shape == (ROWS, 3)
    assert chosen == []


@pytest.mark.parametrize("auto", [None, "auto"])
def test_none_and_auto_are_the_default(auto: Any) -> None:
    model, _ = mlp()
    model.compile("sgd", "mse", steps_per_execution=auto)
    assert model.steps_per_execution == 1


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": False}])
def test_without_a_compiled_step_there_is_nothing_to_put_together(monkeypatch, chosen, options) -> None:
    monkeypatch.setattr(several_steps, "LONG", 0)
    model, x = mlp()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    model.fit(x[:32], LABELS[:32], batch_size=BATCH, verbose=0)
    assert chosen == [("train", 1)]


def test_a_number_of_steps_per_epoch_is_kept_to(monkeypatch, chosen) -> None:
    monkeypatch.setattr(several_steps, "LONG", 0)
    model, x = mlp()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, LABELS, batch_size=BATCH, epochs=2, steps_per_epoch=6, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 12
    assert chosen == []


def test_an_early_stop_stops(monkeypatch) -> None:
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=0)
    _, history, _, _ = run(monkeypatch, mlp, 0, callbacks=[stop])
    assert len(history["loss"]) == 2


def test_an_own_step_is_put_together_too(monkeypatch, chosen) -> None:
    class Own(keras.Sequential):
        def train_step(self, state: Any, data: Any) -> Any:
            logs, state = super().train_step(state, data)
            return {**logs, "double": 2 * logs["loss"]}, state

    def make() -> tuple[Any, Any]:
        model, x = mlp()
        return Own(model.layers), x

    single, several = (run(monkeypatch, make, long)[1] for long in (np.inf, 0))
    assert single == several
    assert single["double"] == [2 * loss for loss in single["loss"]]
    assert ("train", 11) in chosen


def test_convolutions_and_large_steps_are_left_alone(monkeypatch, chosen) -> None:
    monkeypatch.setattr(several_steps, "LONG", 0)
    convolution = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    large = keras.Sequential([keras.Input((1000,)), layers.Dense(900), layers.Dense(3)])
    for model, shape in ((convolution, (6, 6, 1)), (large, (1000,))):
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(np.zeros((40, *shape), "float32"), LABELS[:40], batch_size=BATCH, verbose=0)
    assert chosen == [("train", 1), ("train", 1)]


def test_an_error_in_a_run_leaves_no_trace(monkeypatch) -> None:
    model, x = mlp()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="cardinality"):
        model.fit(x, LABELS[:3], verbose=0)
    assert several_steps.current_run() is None
    model.fit(x, LABELS, verbose=0)


def test_the_cost_of_a_step_is_counted_from_its_trace() -> None:
    a, b = np.zeros((2, 3), "float32"), np.zeros((3, 5), "float32")
    assert operations(jax.make_jaxpr(lambda a, b: a @ b)(a, b)) == 2 * 2 * 3 * 5
    assert operations(jax.make_jaxpr(jax.jit(lambda a: a + 1))(a)) == 6
    looped = jax.make_jaxpr(lambda a: jax.lax.scan(lambda c, _: (c + 1, None), a, length=7))(a)
    assert operations(looped) == 7 * 6
    either = jax.make_jaxpr(lambda a: jax.lax.cond(True, lambda a: a + 1, lambda a: a + 1 + 1, a))(a)
    assert operations(either) == 12
    assert operations(jax.make_jaxpr(lambda a: jax.numpy.sort(a))(a)) == np.inf
    assert (
        operations(jax.make_jaxpr(lambda a: jax.lax.while_loop(lambda c: c.sum() < 1, lambda c: c + 1, a))(a)) == np.inf
    )
