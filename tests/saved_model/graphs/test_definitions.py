"""The facts of TensorFlow's ops."""

import numpy as np
import pytest

from mainstay.core import FormatError
from mainstay.saved_model.graphs.definitions import _facts, definition


def test_every_definition_can_be_read() -> None:
    assert len(_facts()) > 900
    for name in _facts():
        found = definition(name)
        assert found is not None
        for argument in (*found.inputs, *found.outputs):
            attrs = (argument.type_attr, argument.number_attr, argument.type_list_attr)
            assert {attr for attr in attrs if attr} <= found.attributes.keys(), name
        assert found.defaults.keys() <= found.attributes.keys()


def test_ops_that_nobody_knows_have_no_definition() -> None:
    assert definition("Mystery") is None
    assert definition("ResourceApplyAdam") is None


def test_outputs_follow_from_attributes() -> None:
    split = definition("Split")
    assert split.output_kinds({"num_split": 3, "T": np.dtype(np.int8)}) == (np.dtype(np.int8),) * 3
    parse = definition("ParseExampleV2")
    attrs = {
        **parse.defaults,
        "num_sparse": 2,
        "sparse_types": ("string", np.dtype(np.float32)),
        "Tdense": (np.dtype(np.int64),),
        "ragged_value_types": (),
        "ragged_split_types": (),
    }
    assert parse.output_starts(attrs)["dense_values"] == 6
    assert parse.output_kinds(attrs)[2:4] == ("string", np.dtype(np.float32))


@pytest.mark.parametrize("attrs", [{}, {"num_split": -1, "T": np.dtype(np.int8)}, {"num_split": 10**9, "T": "string"}])
def test_attributes_that_cannot_be_are_refused(attrs: dict) -> None:
    with pytest.raises(FormatError):
        definition("Split").output_kinds(attrs)


def test_defaults_are_values_of_python() -> None:
    assert definition("Cast").defaults == {"Truncate": False}
    assert definition("ConcatV2").defaults == {"Tidx": np.dtype(np.int32)}
    assert definition("MaxPool").defaults["data_format"] == b"NHWC"
    assert definition("Conv2D").defaults["dilations"] == (1, 1, 1, 1)
    assert not definition("AddV2").stateful
    assert definition("VarHandleOp").stateful
