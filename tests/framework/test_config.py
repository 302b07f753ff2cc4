"""Settings of the process: functions as plain Python, and the devices there are."""

import jax
import pytest

from mainstay.core import ArgumentError
from mainstay.framework import config, list_logical_devices, list_physical_devices


def test_the_devices_are_listed_under_tensorflow_s_names() -> None:
    count = len(jax.local_devices(backend="cpu"))
    assert [device.name for device in list_physical_devices("CPU")] == [
        f"/physical_device:CPU:{index}" for index in range(count)
    ]
    assert {device.device_type for device in list_logical_devices("CPU")} == {"CPU"}
    assert list_logical_devices("CPU")[0].name == "/device:CPU:0"
    assert list_physical_devices("TPU") == []
    assert list_physical_devices()[:count] == list_physical_devices("CPU")


def test_an_unknown_type_of_device_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no such type of device"):
        list_physical_devices("NPU")


def test_running_eagerly_is_a_switch_for_the_whole_process() -> None:
    assert config.functions_run_eagerly() is False
    config.run_functions_eagerly(True)
    try:
        assert config.functions_run_eagerly() is True
    finally:
        config.run_functions_eagerly(False)
    assert config.functions_run_eagerly() is False
