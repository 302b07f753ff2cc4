"""`import mainstay as tf`: rooms, names and dtypes, and what to write for the names of TensorFlow that are not here."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import mainstay as tf

TABLE = json.loads(Path(tf.__file__).with_name("tensorflow_names.json").read_text())
NAMES, NOTES = TABLE["names"], TABLE["notes"]
DTYPES = [
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


@pytest.mark.parametrize("name", sorted(name for name in tf.__all__ if not name.startswith("_")))
def test_every_listed_name_is_there(name: str) -> None:
    assert getattr(tf, name) is getattr(tf, name)
    assert name in dir(tf)


def test_the_version_is_the_one_of_the_installed_package() -> None:
    assert importlib.metadata.version("mainstay") == tf.__version__


def test_ops_can_be_imported_from_the_package() -> None:
    from mainstay import ops

    assert ops is tf.keras.ops


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_goes_everywhere_where_a_dtype_is_taken(name: str) -> None:
    dtype = getattr(tf, name)
    assert dtype == name
    assert tf.TensorSpec([None], dtype).dtype == name
    assert np.zeros(2, dtype).dtype == dtype
    if not name.endswith("64"):  # JAX computes in 32 bits
        assert tf.ops.cast([0, 1], dtype).dtype == dtype
        assert tf.keras.Input([2], dtype=dtype).dtype == name


def test_the_dtype_of_text_is_that_of_objects_and_a_string_in_a_spec() -> None:
    assert tf.TensorSpec([None], tf.string).dtype == "string"
    assert np.array(["a", b"b"], tf.string).tolist() == ["a", b"b"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("reduce_mean", "write mainstay.ops.mean"),
        ("matmul", "write mainstay.ops.matmul"),
        ("concat", "write mainstay.ops.concatenate"),
        ("shape", "write mainstay.ops.shape"),
        ("nn", "for tf.nn.relu write mainstay.ops.relu"),
        ("math", "for tf.math.log write mainstay.ops.log"),
        ("random", "for tf.random.normal write mainstay.keras.random.normal"),
        ("TensorShape", "a shape is a tuple"),
        ("control_dependencies", "in the order of the program"),
        ("compat", "there is no TensorFlow 1"),
        ("debugging", "\n  for tf.debugging.assert_equal: a compiled program cannot stop"),
    ],
)
def test_a_name_of_tensorflow_that_is_not_here_says_what_to_write(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'mainstay' has no attribute '{name}'") as caught:
        getattr(tf, name)
    assert hint in str(caught.value)
    assert caught.value.name == name


@pytest.mark.parametrize("name", ["nothing_like_it", "__wrapped__"])
def test_another_name_is_simply_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'mainstay' has no attribute '{name}'$"):
        getattr(tf, name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("set_visible_devices", "set CUDA_VISIBLE_DEVICES"),
        (
            "experimental",
            "\n  for tf.config.experimental.set_memory_growth: drop it: set XLA_PYTHON",
        ),
    ],
)
def test_a_setting_of_tensorflow_that_is_not_here_says_what_to_do(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'mainstay.config' has no attribute '{name}'") as caught:
        getattr(tf.config, name)
    assert hint in str(caught.value)


def test_another_setting_is_simply_not_there() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mainstay.config' has no attribute 'nothing_like_it'$"):
        tf.config.nothing_like_it  # noqa: B018


def test_a_name_of_tf_train_that_is_not_here_says_what_to_write() -> None:
    with pytest.raises(AttributeError, match=r"'mainstay.train' has no attribute 'Checkpoint': write mainstay.keras"):
        tf.train.Checkpoint  # noqa: B018


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AutoShardPolicy", "drop it: a strategy gives each process its part"),
        ("sample_from_datasets", "write mainstay.data.Dataset.sample_from_datasets"),
    ],
)
def test_a_name_of_tf_data_experimental_that_is_not_here_says_what_to_do(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=rf"'mainstay.data.experimental' has no attribute '{name}': {hint}"):
        getattr(tf.data.experimental, name)


def resolve(name: str) -> object:
    root, *parts = name.split(".")
    value = importlib.import_module(root)
    for part in parts:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_the_table_says_to_write_exists(name: str) -> None:
    resolve(NAMES[name])


@pytest.mark.parametrize("name", sorted(NOTES))
def test_what_a_note_speaks_of_exists(name: str) -> None:
    for mentioned in re.findall(r"\b(?:mainstay|numpy)(?:\.\w+)+", NOTES[name]):
        resolve(mentioned)


def test_the_table_names_nothing_that_is_here_and_nothing_twice() -> None:
    assert sorted({*NAMES, *NOTES} & set(tf.__all__)) == []
    assert sorted(set(NAMES) & set(NOTES)) == []
