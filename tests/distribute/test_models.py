"""A Keras model belongs to the strategy it was created under, and to no other."""

import copy
import threading

import numpy as np
import pytest

from mainstay import keras
from mainstay.core import DataError, ModelError
from mainstay.distribute import MirroredStrategy, OneDeviceStrategy, Strategy, get_replica_context, get_strategy

X = np.linspace(0, 1, 24, dtype="float32").reshape(8, 3)
Y = X.sum(1)


def make(compiled: bool = True) -> keras.Model:  # type: ignore[name-defined]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    if compiled:
        model.compile("sgd", "mse")
    return model


def on_mesh(model: keras.Model) -> bool:  # type: ignore[name-defined]
    placement = model.distribute_strategy.placement or MirroredStrategy(["cpu:0"]).placement
    return all(placement.holds(variable) for variable in [*model.variables, *model.optimizer.variables])


@pytest.fixture
def strategy() -> MirroredStrategy:
    return MirroredStrategy(["cpu:0"])


def test_a_model_works_under_its_strategy_after_the_scope(strategy: MirroredStrategy) -> None:
    seen = []

    class Look(keras.callbacks.Callback):  # type: ignore[name-defined]
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            seen.append((get_strategy(), get_replica_context()))

    with strategy.scope():
        model = make()
    model.fit(X, Y, verbose=0, callbacks=[Look()])
    assert seen == [(strategy, None)]
    assert model.distribute_strategy is strategy
    assert on_mesh(model)


def test_a_model_of_no_strategy_is_left_alone(strategy: MirroredStrategy) -> None:
    model = make()
    with strategy.scope():
        make()
    model.fit(X, Y, verbose=0)
    assert not on_mesh(model)
    assert type(model.distribute_strategy) is Strategy


def test_steps_run_as_the_only_replica(strategy: MirroredStrategy) -> None:
    seen = []

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x: object) -> object:
            return self.dense(x)

        def train_step(self, state: object, data: object) -> object:
            context = get_replica_context()
            seen.append((get_strategy().num_replicas_in_sync, context is not None))
            return super().train_step(state, data)

    with strategy.scope():
        model = Own()
        model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert seen == [(1, True)]


def test_what_is_built_later_lives_on_the_devices_too(strategy: MirroredStrategy) -> None:
    with strategy.scope():
        called = keras.Sequential([keras.layers.Dense(1)])
        built = keras.Sequential([keras.layers.Dense(1)])
        inputs = keras.Input((3,))
        functional = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    called(X)
    built.build((None, 3))
    for model in (called, built, functional):
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        assert on_mesh(model)
        assert model.distribute_strategy is strategy


def test_a_model_from_outside_cannot_be_compiled_or_used_in_a_scope(strategy: MirroredStrategy) -> None:
    plain, compiled = make(compiled=False), make()
    with strategy.scope():
        with pytest.raises(
            ModelError, match=r"not created under(.|\n)*outside of every strategy(.|\n)*create and comp"
        ):
            plain.compile("sgd", "mse")
        for use in (compiled.fit, compiled.evaluate, compiled.train_on_batch, compiled.test_on_batch):
            with pytest.raises(ModelError, match="not created under"):
                use(X, Y)
        for use in (compiled.predict, compiled.predict_on_batch):
            with pytest.raises(ModelError, match="not created under"):
                use(X)


def test_a_model_cannot_be_used_under_another_strategy(strategy: MirroredStrategy) -> None:
    with strategy.scope():
        model = make()
    with OneDeviceStrategy("cpu:0").scope(), pytest.raises(ModelError, match=r"of another MirroredStrategy\(cpu:0\)"):
        model.evaluate(X, Y)


@pytest.mark.parametrize("part", ["layer", "optimizer", "metric"])
def test_parts_from_outside_are_refused_at_compile(strategy: MirroredStrategy, part: str) -> None:
    layer, optimizer, metric = keras.layers.Dense(1), keras.optimizers.Adam(), keras.metrics.MeanSquaredError()
    layer.build((None, 3))
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), layer if part == "layer" else keras.layers.Dense(1)])
        with pytest.raises(ModelError, match=r"the variable '.*' was created outside(.|\n)*create layers, optimizers"):
            model.compile(
                optimizer if part == "optimizer" else "adam", "mse", metrics=[metric] if part == "metric" else None
            )


def test_an_optimizer_from_outside_is_refused_at_fit(strategy: MirroredStrategy) -> None:
    with strategy.scope():
        model = make()
    model.optimizer = keras.optimizers.SGD()
    with pytest.raises(ModelError, match=r"the variable '.*iteration' was created outside"):
        model.fit(X, Y, verbose=0)


def test_clearing_the_session_inside_of_a_scope_is_refused(strategy: MirroredStrategy) -> None:
    with strategy.scope():
        keras.utils.clear_session()
        with pytest.raises(
            ModelError, match=r"changed or cleared inside of the scope(.|\n)*before the scope is entered"
        ):
            make()
    with strategy.scope():
        assert on_mesh(make())


def test_saving_loading_and_copying_work_under_a_strategy(strategy: MirroredStrategy, tmp_path: object) -> None:
    with strategy.scope():
        model = make()
    model.fit(X, Y, verbose=0)
    model.save(f"{tmp_path}/model.keras")
    model.save_weights(f"{tmp_path}/model.weights.h5")
    wanted = model.predict(X, verbose=0)
    plain = keras.models.load_model(f"{tmp_path}/model.keras")
    with strategy.scope():
        loaded = keras.models.load_model(f"{tmp_path}/model.keras")
    for other in (plain, loaded, copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(X, verbose=0), wanted)
        other.fit(X, Y, verbose=0)
    assert on_mesh(loaded)
    assert not on_mesh(plain)
    model.fit(X, Y, verbose=0)
    model.load_weights(f"{tmp_path}/model.weights.h5")
    np.testing.assert_array_equal(model.predict(X, verbose=0), wanted)
    assert on_mesh(model)


def test_a_copy_of_a_strategy_is_the_strategy(strategy: MirroredStrategy) -> None:
    assert copy.deepcopy([strategy])[0] is strategy
    assert repr(strategy) == "MirroredStrategy(cpu:0)"


def test_a_distributed_dataset_can_be_fitted(strategy: MirroredStrategy) -> None:
    dataset = strategy.experimental_distribute_dataset([(X[:5], Y[:5]), (X[5:], Y[5:])])
    with strategy.scope():
        model, same = make(), make()
    same.set_weights(model.get_weights())
    history = model.fit(dataset, epochs=2, validation_data=dataset, verbose=0).history
    expected = same.fit(X, Y, epochs=2, batch_size=5, shuffle=False, validation_data=(X, Y), verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-6)
    assert len(model.predict(dataset, verbose=0)) == 8


def test_models_of_two_threads_do_not_disturb_each_other(strategy: MirroredStrategy) -> None:
    other, results = OneDeviceStrategy("cpu:0"), {}

    def work(name: str, own: Strategy | None) -> None:
        model = make() if own is None else own.run(make)
        model.fit(X, Y, epochs=3, verbose=0)
        results[name] = (model.distribute_strategy, on_mesh(model))

    jobs = {"first": strategy, "second": other, "none": None}
    threads = [threading.Thread(target=work, args=job) for job in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["first"] == (strategy, True)
    assert results["second"] == (other, True)
    assert results["none"][1] is False


def test_fitting_a_batch_whose_arrays_differ_is_refused(strategy: MirroredStrategy) -> None:
    with strategy.scope():
        model = make()
    with pytest.raises(ValueError, match="cardinality"):
        model.fit(X, Y[:5], verbose=0)
    with pytest.raises(DataError, match=r"differ in their number of rows(.|\n)*\$\[0\] \[8, 3\], \$\[1\] \[5\]"):
        model.train_on_batch(X, Y[:5])
