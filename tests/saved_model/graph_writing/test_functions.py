"""Functions of a graph: names, attributes that follow from operands, and what is refused."""

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library
from mainstay.saved_model.graphs.attributes import read_attribute

FLOAT, ROWS = np.dtype("float32"), (None,)


@pytest.fixture
def builder() -> FunctionBuilder:
    """A function with nothing in it."""
    return FunctionBuilder("f")


def node_of(builder: FunctionBuilder, name: str):
    """A node of the finished function."""
    return next(node for node in builder.finish({}).node_def if node.name == name)


def test_attributes_for_dtypes_and_numbers_follow_from_the_operands(builder) -> None:
    x = builder.argument("x", FLOAT, (None, 2))
    (joined,) = builder.op("ConcatV2", [x, x, builder.constant(np.int32(1))], [(FLOAT, (None, 4))])
    assert joined.text == "ConcatV2:output:0"
    attrs = {name: read_attribute(value) for name, value in node_of(builder, "ConcatV2").attr.items()}
    assert attrs == {"N": 2, "T": FLOAT, "_output_shapes": ((None, 4),)}


def test_outputs_of_a_list_are_numbered_within_their_argument(builder) -> None:
    x = builder.argument("x", FLOAT, ROWS)
    found = builder.op("TopKV2", [x, builder.constant(np.int32(2))], [(FLOAT, (2,)), (np.int32, (2,))])
    assert [ref.text for ref in found] == ["TopKV2:values:0", "TopKV2:indices:0"]
    parts = builder.op("Split", [builder.constant(np.int32(0)), x], [(FLOAT, ROWS)] * 3)
    assert [ref.text for ref in parts] == [f"Split:output:{index}" for index in range(3)]
    assert node_of(builder, "Split").attr["num_split"].i == 3


def test_two_lists_of_one_length_share_what_is_there(builder) -> None:
    indices = [builder.argument(f"i{n}", np.int32, ROWS) for n in range(2)]
    values = [builder.argument(f"v{n}", FLOAT, ROWS) for n in range(2)]
    builder.op("DynamicStitch", indices + values, [(FLOAT, ROWS)])
    assert node_of(builder, "DynamicStitch").attr["N"].i == 2


def test_an_equal_constant_is_made_once_and_another_dtype_or_shape_is_another(builder) -> None:
    first = builder.constant(np.float32([0.0]))
    assert builder.constant(np.float32([0.0])) == first
    others = [np.float32([-0.0]), np.float32(0.0), np.int32([0]), np.array([b"0"], object)]
    assert len({first.text, *(builder.constant(value).text for value in others)}) == 5
    assert builder.constant(["a", b"b"]).dtype == "string"


def test_names_are_unique_and_such_as_a_graph_may_have(builder) -> None:
    texts = [builder.argument(name, FLOAT, ROWS).text for name in ("age (years)", "age_years", "7", "größe", "")]
    assert texts == ["age_years", "age_years_1", "arg_7", "gr_e", "arg"]
    function = builder.finish({})
    assert function.arg_attr[0].attr["_user_specified_name"].s == b"age (years)"


@pytest.mark.parametrize(
    ("op", "dtypes", "attrs", "fragment"),
    [
        ("NoSuchOp", [], {}, "NoSuchOp"),
        ("AddV2", [FLOAT], {}, "1 operands"),
        ("AddV2", [FLOAT, np.dtype("int32")], {}, "T is"),
        ("StringLower", [FLOAT], {}, "input is float32"),
        ("Cast", [np.dtype("int8")], {"Kind": 1}, "no attribute 'Kind'"),
        ("StringToHashBucketFast", ["string"], {}, "'num_buckets' does not follow"),
    ],
)
def test_a_node_that_does_not_fit_its_operation_is_refused(builder, op, dtypes, attrs, fragment) -> None:
    inputs = [builder.argument("x", dtype, ROWS) for dtype in dtypes]
    given = "string" if op == "StringLower" else np.int64 if "Hash" in op else FLOAT
    with pytest.raises(ArgumentError, match=fragment):
        builder.op(op, inputs, [(given, ROWS)], attrs=attrs)


def test_plain_values_become_what_the_attribute_is_declared_as(builder) -> None:
    x = builder.argument("x", FLOAT, ROWS)
    builder.one("LeakyRelu", [x], FLOAT, ROWS, alpha=1)
    builder.one("Placeholder", [], np.int8, None, shape=[None, 1])
    assert node_of(builder, "LeakyRelu").attr["alpha"].WhichOneof("value") == "f"
    assert [dim.size for dim in node_of(builder, "Placeholder").attr["shape"].shape.dim] == [-1, 1]


def test_an_attribute_that_has_its_default_is_left_out(builder) -> None:
    x = builder.argument("x", FLOAT, ROWS)
    builder.one("Cast", [x], np.int32, ROWS, name="plain", Truncate=False)
    builder.one("Cast", [x], np.int32, ROWS, name="cut", Truncate=True)
    builder.one("StringJoin", [builder.constant("a")], "string", (), name="joined", separator="")
    builder.one("Shape", [x], np.int32, (1,), name="short", out_type=np.int32)
    builder.one("Shape", [x], np.int64, (1,), name="long", out_type=np.int64)
    nodes = {node.name: set(node.attr) - {"_output_shapes"} for node in builder.finish({}).node_def}
    assert nodes["plain"] == {"SrcT", "DstT"}
    assert nodes["cut"] == {"SrcT", "DstT", "Truncate"}
    assert nodes["joined"] == {"N"}
    assert (nodes["short"], nodes["long"]) == ({"T"}, {"T", "out_type"})


def test_effects_run_before_a_function_is_done_and_make_it_stateful(builder) -> None:
    handle = builder.argument("handle", "resource", ())
    x = builder.argument("x", FLOAT, ROWS)
    builder.op("AssignVariableOp", [handle, x], [], stateful=True)
    function = builder.finish({"x": x})
    assert function.signature.is_stateful
    assert dict(function.control_ret) == {"AssignVariableOp": "AssignVariableOp"}
    assert list(function.node_def[-1].input) == ["x", "^AssignVariableOp"]


def test_two_functions_of_a_library_have_two_names() -> None:
    library = Library()
    names = [library.unique("body") for _ in range(3)]
    assert len(set(names)) == 3
    library.add(FunctionBuilder(names[0]).finish({}))
    with pytest.raises(ArgumentError, match="one name"):
        library.add(FunctionBuilder(names[0]).finish({}))
