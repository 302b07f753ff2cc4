"""Our own `.proto` files say what those of TF Serving, gRPC and Triton say: each field has their number and type."""

import importlib.util
import json
import os
import subprocess
from importlib import resources
from pathlib import Path

import interop_env
import pytest

from mainstay.core.protos.pool import DESCRIPTOR_SET

PROGRAM = Path(__file__).parent / "serving_grpc" / "describe.py"

NOT_IN_THEIR_PACKAGES = (
    "grpc.reflection.v1.",
    "mainstay.",
    "tensorboard.",
    "tensorflow.serving.BatchingParameters",
    "tensorflow.serving.ModelWarmupOptions",
    "tensorflow.serving.MonitoringConfig",
    "tensorflow.serving.PrometheusConfig",
    "tensorflow.serving.SSLConfig",
    "tensorflow.serving.SessionBundleConfig",
    "tensorflow.serving.internal.",
)


def of_this_part(name: str) -> bool:
    """Whether a name belongs to the server's protocols, and is in one of the packages that are installed there."""
    return name.startswith(("tensorflow.serving.", "tensorflow.error.", "grpc.", "inference.")) and not name.startswith(
        NOT_IN_THEIR_PACKAGES
    )


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, missing) -> dict[str, object]:
    """What the installed packages define."""
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    out = tmp_path_factory.mktemp("protos") / "theirs.json"
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(interop_env.python_of("serving")), str(PROGRAM), str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def ours() -> dict[str, object]:
    """What our descriptor set defines, in the same form."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    source = PROGRAM.read_text()
    start, stop = source.index("def describe("), source.index("if __name__")
    space: dict[str, object] = {}
    exec(source[start:stop], space)  # the program itself imports what is not installed here
    found: dict[str, object] = {}
    compiled = resources.files("mainstay.core.protos").joinpath(DESCRIPTOR_SET).read_bytes()
    for file in FileDescriptorSet.FromString(compiled).file:
        found |= space["describe"](file)
    return found


def test_every_field_enum_value_and_method_is_theirs(theirs) -> None:
    mine = {name: value for name, value in ours().items() if of_this_part(name)}
    assert len(mine) > 300
    wrong = {name: (value, theirs.get(name)) for name, value in mine.items() if theirs.get(name) != value}
    assert not wrong


def test_nothing_of_tf_serving_is_left_out(theirs) -> None:
    mine = ours()
    lacking = {name for name in theirs if name.startswith("tensorflow.serving.") and name not in mine}
    assert not lacking


def test_the_messages_are_not_those_of_an_installed_package() -> None:
    assert importlib.util.find_spec("tensorflow_serving") is None
