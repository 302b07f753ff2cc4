"""Names of tensors and the keys of TensorFlow's checkpoints stand for each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError
from mainstay.saved_model.tensor_names import by_name, checkpoint_key, tensor_name


@given(st.text())
def test_every_name_comes_back_from_its_key(name: str) -> None:
    assert tensor_name(checkpoint_key(name)) == name


def test_a_key_of_the_first_format_is_the_name_itself() -> None:
    assert tensor_name("dense/kernel..0") == "dense/kernel..0"


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(FormatError, match="one name"):
        by_name({"w": 1, checkpoint_key("w"): 2})
