"""Where batches, values and variables lie on several devices."""

import math

import jax
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from mainstay import keras
from mainstay.core import SetupError
from mainstay.distribute import InputContext, MirroredStrategy, OneDeviceStrategy

EIGHT = MirroredStrategy()


def names(count: int) -> list[str]:
    return [f"cpu:{number}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 6, 8, 12, 16, 48])
def test_a_batch_is_split_over_as_many_devices_as_divide_it(count: int, rows: int) -> None:
    batch = np.arange(rows * 2).reshape(rows, 2)
    [placed] = MirroredStrategy(names(count)).experimental_distribute_dataset([batch])
    np.testing.assert_array_equal(placed, batch)
    parts = math.gcd(rows, count)
    assert {shard.data.shape[0] for shard in placed.addressable_shards} == {rows // parts}
    assert len({str(shard.index) for shard in placed.addressable_shards}) == (parts if rows else 1)
    assert placed.sharding.device_set == set(jax.devices()[:count])


def test_the_devices_of_a_strategy_are_those_named_in_their_order() -> None:
    strategy = MirroredStrategy(["cpu:3", "/device:CPU:1"])
    assert repr(strategy) == "MirroredStrategy(cpu:3, cpu:1)"
    [placed] = strategy.experimental_distribute_dataset([np.arange(2)])
    assert {shard.device.id: int(shard.data[0]) for shard in placed.addressable_shards} == {3: 0, 1: 1}


def test_a_sparse_array_goes_to_every_device() -> None:
    [placed] = EIGHT.experimental_distribute_dataset([(BCOO.fromdense(np.eye(8)), np.zeros(8))])
    np.testing.assert_array_equal(placed[0].todense(), np.eye(8))
    assert placed[0].data.sharding.is_fully_replicated
    assert not placed[1].sharding.is_fully_replicated


def test_a_gathered_value_is_whole_on_every_device() -> None:
    [placed] = EIGHT.experimental_distribute_dataset([np.arange(16)])
    gathered = EIGHT.gather(placed, axis=0)
    assert gathered.sharding.is_fully_replicated
    np.testing.assert_array_equal(gathered, np.arange(16))


def test_batches_per_replica_make_one_global_batch_in_order() -> None:
    def make(context: InputContext) -> list[np.ndarray]:
        assert context.num_replicas_in_sync == 8
        size = context.get_per_replica_batch_size(16)
        return [np.full(size, number) for number in range(11)]

    batches = list(EIGHT.distribute_datasets_from_function(make))
    assert [batch.shape[0] for batch in batches] == [16, 6]
    assert [int(shard.data[0]) for shard in batches[0].addressable_shards] == list(range(8))


def test_variables_of_a_scope_are_on_every_device_and_others_are_not() -> None:
    with EIGHT.scope():
        inside = keras.Variable(np.zeros(3, "float32"))
    outside = keras.Variable(np.zeros(3, "float32"))
    assert len(inside.value.sharding.device_set) == 8
    assert len(outside.value.sharding.device_set) == 1
    inside.assign(np.ones(3))
    assert len(inside.value.sharding.device_set) == 8


def test_arrays_of_one_device_are_brought_to_all_before_they_meet() -> None:
    with EIGHT.scope():
        variable = keras.Variable(np.ones(3, "float32"))
    alone = jax.device_put(np.ones(3, "float32"), jax.devices()[5])
    found = EIGHT.run(lambda a, b: variable.value + a["x"] + b, args=({"x": alone},), kwargs={"b": alone})
    np.testing.assert_array_equal(found, [3.0, 3.0, 3.0])


def test_a_device_beyond_the_last_is_refused() -> None:
    with pytest.raises(SetupError, match=r"no device cpu:8\n  expected: cpu:0, cpu:1, .*cpu:7"):
        OneDeviceStrategy("/cpu:8")
