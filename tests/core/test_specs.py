"""Specs are plain values: checked when made, equal by content, the same after a journey through JSON."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import DTYPES, ArgumentError, Signature, TensorSpec

SPECS = st.builds(
    TensorSpec,
    st.lists(st.none() | st.integers(0, 2**40), max_size=5),
    st.sampled_from(DTYPES),
    st.text(min_size=1, max_size=20),
)
GROUPS = st.lists(SPECS, max_size=5, unique_by=lambda spec: spec.name)


@given(SPECS)
def test_a_spec_is_the_same_after_json(spec: TensorSpec) -> None:
    assert TensorSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@given(GROUPS, GROUPS)
def test_a_signature_is_the_same_after_json(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> None:
    signature = Signature(tuple(inputs), tuple(outputs))
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature
    assert list(signature) == [tuple(inputs), tuple(outputs)]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float32, "float32"),
        (np.dtype("int64"), "int64"),
        (np.dtype(object), "string"),
        (np.bool_, "bool"),
        (bool, "bool"),
        (int, "int32"),
        (float, "float32"),
        (str, "string"),
        (bytes, "string"),
        ("bfloat16", "bfloat16"),
    ],
)
def test_a_dtype_may_be_given_as_people_write_it(dtype: object, name: str) -> None:
    assert TensorSpec([None], dtype).dtype == name


@pytest.mark.parametrize("dtype", ["complex64", "", None, np.complex64, 7, "x" * 100_000])
def test_an_unknown_dtype_is_refused_with_the_known_ones(dtype: object) -> None:
    with pytest.raises(ArgumentError, match=r"unknown dtype\n  expected: one of bool, int8") as caught:
        TensorSpec([], dtype)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("shape", [[-1], [None, -3], [1.5], ["3"], "ab", 5, [[1]], None])
def test_what_is_no_shape_is_refused(shape: object) -> None:
    with pytest.raises(ArgumentError, match="this is no shape"):
        TensorSpec(shape)


def test_a_shape_may_hold_numpy_integers_and_a_spec_is_hashable() -> None:
    assert TensorSpec((np.int32(3), None)) == TensorSpec([3, None])
    assert len({TensorSpec([3]), TensorSpec([3]), TensorSpec([4])}) == 2


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TensorSpec([3]).dtype = "int64"


@pytest.mark.parametrize("names", [["x", "x"], [""], ["x", ""]])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_the_names_of_a_signature_are_given_and_unique(side: str, names: list[str]) -> None:
    specs = tuple(TensorSpec([], "float32", name) for name in names)
    with pytest.raises(ArgumentError, match=f"the {side} of a signature need unique names"):
        Signature(**{"inputs": (), "outputs": (), side: specs})
