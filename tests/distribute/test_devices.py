"""Names of devices, and what is wrong with a list of them."""

import jax
import pytest

from mainstay.core import ArgumentError, SetupError
from mainstay.distribute.devices import name_of, resolve_device, resolve_devices


@pytest.mark.parametrize(
    "name", ["cpu", "cpu:0", "/cpu:0", "CPU:0", "/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
)
def test_each_way_to_write_a_device_means_it(name: str) -> None:
    assert resolve_device(name) is jax.devices("cpu")[0]
    assert name_of(resolve_device(name)) == "cpu:0"


def test_a_device_of_jax_means_itself() -> None:
    assert resolve_device(jax.devices()[0]) is jax.devices()[0]


@pytest.mark.parametrize("name", ["", "cpu:", "cpu:x", "npu:0", "cpu:0:1", "xcpu:0", 3, None])
def test_a_name_of_another_form_is_refused(name: object) -> None:
    with pytest.raises(ArgumentError, match=r"a device has another name\n.*/gpu:0"):
        resolve_device(name)  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_refused_with_the_way_to_get_it() -> None:
    with pytest.raises(SetupError, match=r"no device cpu:640\n(.|\n)*xla_force_host_platform_device_count=N before"):
        resolve_device("cpu:640")
    with pytest.raises(SetupError, match=r"no device tpu:0\n  expected: no device of the kind tpu"):
        resolve_device("tpu:0")


def test_a_flag_that_came_after_jax_had_started_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1024")
    with pytest.raises(SetupError, match="it was changed after JAX had counted its devices"):
        resolve_device("cpu:640")


def test_all_local_devices_are_taken_by_default() -> None:
    assert resolve_devices(None) == tuple(jax.local_devices())


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([], "a strategy needs a device"),
        (["cpu:0", "/device:CPU:0"], r"a device is named twice\n(.|\n)*cpu:0, cpu:0"),
        ("cpu:0", "devices are given as a list"),
        (3, "devices are given as a list"),
    ],
)
def test_a_wrong_list_is_refused(devices: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        resolve_devices(devices)  # type: ignore[arg-type]


def test_devices_of_different_kinds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherDevice:
        platform, id = "gpu", 0

    monkeypatch.setattr(
        "mainstay.distribute.devices.resolve_device",
        lambda name: OtherDevice() if name == "gpu:0" else jax.devices()[0],
    )
    with pytest.raises(ArgumentError, match=r"of different kinds\n(.|\n)*received: cpu:0, gpu:0"):
        resolve_devices(["cpu:0", "gpu:0"])
