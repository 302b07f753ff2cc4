"""If, Case and While of TensorFlow 2, on values that are known and that XLA traces, and those of TensorFlow 1."""

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import BOOL, FLOAT, INT, STRING, FunctionAttr, const, node

from mainstay.core import FormatError

X = node("x", "Placeholder", dtype=FLOAT)
P = node("p", "Placeholder", dtype=BOOL)


def unary(name: str, op: str, kind=FLOAT, **attrs):
    return make.function(
        name, [node("y", op, "x", **({"T": kind} | attrs))], inputs={"x": kind}, outputs={"y": ("y:y:0", kind)}
    )


BRANCHES = [unary("neg", "Neg"), unary("square", "Square")]
FEEDS = {"x": ("x:0", FLOAT), "p": ("p:0", BOOL)}


def conditional(op: str = "If"):
    attrs = {"then_branch": FunctionAttr("square"), "else_branch": FunctionAttr("neg")}
    return node("z", op, "p", "x", Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **attrs)


@pytest.mark.parametrize("op", ["If", "StatelessIf"])
def test_a_conditional_takes_its_branch(loaded, op: str) -> None:
    run = loaded([X, P, conditional(op)], FEEDS, {"z": ("z:0", FLOAT)}, functions=BRANCHES)
    assert run(x=[2.0, 3.0], p=True)["z"].tolist() == [4, 9]
    assert run(x=[2.0, 3.0], p=False)["z"].tolist() == [-2, -3]


def test_a_conditional_that_is_always_true_is_its_branch(loaded) -> None:
    run = loaded(
        [X, const("p", np.True_), conditional()], {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)}, functions=BRANCHES
    )
    assert run([2.0])["z"].tolist() == [4]
    assert len(run.program.partition.stages) == 1


def test_branches_may_differ_in_their_shapes(loaded) -> None:
    reduced = make.function(
        "sum",
        [const("axis", 0), node("y", "Sum", "x", "axis:output:0", T=FLOAT, Tidx=INT)],
        inputs={"x": FLOAT},
        outputs={"y": ("y:output:0", FLOAT)},
    )
    attrs = {"then_branch": FunctionAttr("sum"), "else_branch": FunctionAttr("neg")}
    nodes = [X, P, node("z", "If", "p", "x", Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **attrs)]
    run = loaded(nodes, FEEDS, {"z": ("z:0", FLOAT)}, functions=[reduced, *BRANCHES])
    assert run(x=[2.0, 3.0], p=True)["z"] == 5
    assert run(x=[2.0, 3.0], p=False)["z"].tolist() == [-2, -3]


def test_a_case_out_of_range_takes_the_last_branch(loaded) -> None:
    branches = [FunctionAttr("neg"), FunctionAttr("square")]
    nodes = [
        X,
        node("i", "Placeholder", dtype=INT),
        node("z", "Case", "i", "x", Tin=[FLOAT], Tout=[FLOAT], branches=branches),
    ]
    run = loaded(nodes, {"x": ("x:0", FLOAT), "i": ("i:0", INT)}, {"z": ("z:0", FLOAT)}, functions=BRANCHES)
    answers = [run(x=3.0, i=i)["z"].item() for i in (-1, 0, 1, 7)]
    assert answers == [9, -3, 9, 9]


KINDS = {"i": INT, "n": INT, "x": FLOAT}


def loop_functions(body_nodes, result: str):
    condition = make.function(
        "condition",
        [node("y", "Less", "i", "n", T=INT)],
        inputs=KINDS,
        outputs={"y": ("y:z:0", BOOL)},
    )
    step = [const("one", 1), node("next", "AddV2", "i", "one:output:0", T=INT)]
    body = make.function(
        "body",
        [*step, *body_nodes],
        inputs=KINDS,
        outputs={"i_out": ("next:z:0", INT), "n_out": ("n", INT), "x_out": (result, FLOAT)},
    )
    return [condition, body]


def loop(op: str = "While"):
    attrs = {"cond": FunctionAttr("condition"), "body": FunctionAttr("body"), "T": list(KINDS.values())}
    return [X, node("n", "Placeholder", dtype=INT), const("zero", 0), node("z", op, "zero", "n", "x", **attrs)]


LOOP_FEEDS = {"x": ("x:0", FLOAT), "n": ("n:0", INT)}


@pytest.mark.parametrize("op", ["While", "StatelessWhile"])
def test_a_loop_turns_while_its_condition_holds(loaded, op: str) -> None:
    functions = loop_functions([node("y", "AddV2", "x", "x", T=FLOAT)], "y:z:0")
    run = loaded(loop(op), LOOP_FEEDS, {"z": ("z:2", FLOAT), "turns": ("z:0", INT)}, functions=functions)
    for turns in (0, 3):
        answer = run(x=[1.0, 0.5], n=turns)
        assert answer["z"].tolist() == [2**turns, 0.5 * 2**turns]
        assert answer["turns"] == turns
    assert all(stage.on_device for stage in run.program.partition.stages)


def test_a_loop_whose_value_grows_turns_on_the_host(loaded) -> None:
    nodes = [const("axis", 0), node("y", "ConcatV2", "x", "x", "axis:output:0", T=FLOAT, N=2, Tidx=INT)]
    run = loaded(loop(), LOOP_FEEDS, {"z": ("z:2", FLOAT)}, functions=loop_functions(nodes, "y:output:0"))
    assert run(x=[1.0], n=3)["z"].tolist() == [1] * 8
    assert run(x=[1.0, 2.0], n=1)["z"].tolist() == [1, 2, 1, 2]


def test_a_loop_over_strings_turns_on_the_host(loaded) -> None:
    kinds = {"i": INT, "s": STRING}
    condition = make.function(
        "condition",
        [const("three", 3), node("y", "Less", "i", "three:output:0", T=INT)],
        inputs=kinds,
        outputs={"y": ("y:z:0", BOOL)},
    )
    body_nodes = [
        const("one", 1),
        const("axis", 0),
        node("next", "AddV2", "i", "one:output:0", T=INT),
        node("y", "ConcatV2", "s", "s", "axis:output:0", T=STRING, N=2, Tidx=INT),
    ]
    body = make.function(
        "body", body_nodes, inputs=kinds, outputs={"i_out": ("next:z:0", INT), "s_out": ("y:output:0", STRING)}
    )
    attrs = {"cond": FunctionAttr("condition"), "body": FunctionAttr("body"), "T": [INT, STRING]}
    nodes = [node("s", "Placeholder", dtype=STRING), const("zero", 0), node("z", "While", "zero", "s", **attrs)]
    run = loaded(nodes, {"s": ("s:0", STRING)}, {"z": ("z:1", STRING)}, functions=[condition, body])
    assert run(["é"])["z"].tolist() == ["é".encode()] * 8


def switched(pred: str = "p"):
    """``z = x² if p else -x``, as TensorFlow 1 writes it, with a constant held back by a control input."""
    return [
        X,
        P,
        node("switch", "Switch", "x", pred, T=FLOAT),
        node("pivot", "Switch", pred, pred, T=BOOL),
        node("on_true", "Identity", "pivot:1", T=BOOL),
        const("two", 2.0, "^on_true"),
        node("square", "Square", "switch:1", T=FLOAT),
        node("more", "Mul", "square", "two", T=FLOAT),
        node("neg", "Neg", "switch", T=FLOAT),
        node("z", "Merge", "neg", "more", T=FLOAT, N=2),
    ]


def test_switch_and_merge_are_a_conditional(loaded) -> None:
    run = loaded(switched(), FEEDS, {"z": ("z:0", FLOAT), "which": ("z:1", INT)})
    answer = run(x=[3.0], p=True)
    assert answer["z"].tolist() == [18]
    assert answer["which"] == 1
    answer = run(x=[3.0], p=False)
    assert answer["z"].tolist() == [-3]
    assert answer["which"] == 0


def test_a_conditional_inside_of_a_branch(loaded) -> None:
    nodes = [
        *switched()[:-2],
        node("q", "Placeholder", dtype=BOOL),
        node("q_inside", "Switch", "q", "p", T=BOOL),
        node("inner", "Switch", "switch", "q_inside:0", T=FLOAT),
        node("exp", "Exp", "inner", T=FLOAT),
        node("abs", "Abs", "inner:1", T=FLOAT),
        node("inner_z", "Merge", "exp", "abs", T=FLOAT, N=2),
        node("after", "Neg", "inner_z", T=FLOAT),
        node("z", "Merge", "after", "more", T=FLOAT, N=2),
    ]
    run = loaded(nodes, {**FEEDS, "q": ("q:0", BOOL)}, {"z": ("z:0", FLOAT)})
    assert run(x=[-3.0], p=False, q=True)["z"].tolist() == [-3]
    assert run(x=[0.0], p=False, q=False)["z"].tolist() == [-1]
    assert run(x=[-3.0], p=True, q=False)["z"].tolist() == [18]


def test_constants_alone_can_be_branches(loaded) -> None:
    nodes = [
        P,
        node("pivot", "Switch", "p", "p", T=BOOL),
        node("on_true", "Identity", "pivot:1", T=BOOL),
        node("on_false", "Identity", "pivot:0", T=BOOL),
        const("one", 1.0, "^on_true"),
        const("two", 2.0, "^on_false"),
        node("z", "Merge", "two", "one", T=FLOAT, N=2),
    ]
    run = loaded(nodes, {"p": ("p:0", BOOL)}, {"z": ("z:0", FLOAT)})
    assert [run(p)["z"].item() for p in (True, False)] == [1, 2]


def test_a_merge_without_a_switch_is_refused(loaded) -> None:
    nodes = [X, node("z", "Merge", "x", "x", T=FLOAT, N=2)]
    with pytest.raises(FormatError, match="does not end"):
        loaded(nodes, {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)})


def frame(name: str, start: str, limit: str, step: str, result: str):
    """``while i < limit: i += 1; v = step(v)`` as TensorFlow 1 writes it; `limit` and `start` come from outside."""
    n = f"{name}_"
    enter = {"frame_name": name, "is_constant": False}
    return [
        const(f"{n}zero", 0),
        node(f"{n}enter_i", "Enter", f"{n}zero", T=INT, **enter),
        node(f"{n}enter_v", "Enter", start, T=FLOAT, **enter),
        node(f"{n}limit", "Enter", limit, T=INT, frame_name=name, is_constant=True),
        node(f"{n}i", "Merge", f"{n}enter_i", f"{n}next_i", T=INT, N=2),
        node(f"{n}v", "Merge", f"{n}enter_v", f"{n}next_v", T=FLOAT, N=2),
        node(f"{n}less", "Less", f"{n}i", f"{n}limit", T=INT),
        node(f"{n}cond", "LoopCond", f"{n}less"),
        node(f"{n}switch_i", "Switch", f"{n}i", f"{n}cond", T=INT),
        node(f"{n}switch_v", "Switch", f"{n}v", f"{n}cond", T=FLOAT),
        node(f"{n}body_i", "Identity", f"{n}switch_i:1", T=INT),
        node(f"{n}body_v", "Identity", f"{n}switch_v:1", T=FLOAT),
        const(f"{n}one", 1, f"^{n}body_i"),
        node(f"{n}plus", "AddV2", f"{n}body_i", f"{n}one", T=INT),
        node(f"{n}next_i", "NextIteration", f"{n}plus", T=INT),
        node(f"{n}next_v", "NextIteration", step, T=FLOAT),
        node(f"{n}exit_v", "Exit", f"{n}switch_v", T=FLOAT),
        node(result, "Identity", f"{n}exit_v", T=FLOAT),
    ]


def test_a_loop_of_tensorflow_1(loaded) -> None:
    nodes = [
        X,
        node("n", "Placeholder", dtype=INT),
        *frame("loop", "x", "n", "double", "z"),
        node("double", "AddV2", "loop_body_v", "loop_body_v", T=FLOAT),
    ]
    run = loaded(nodes, LOOP_FEEDS, {"z": ("z:0", FLOAT)})
    assert run(x=[1.0, 2.0], n=3)["z"].tolist() == [8, 16]
    assert run(x=[1.0, 2.0], n=0)["z"].tolist() == [1, 2]


def test_a_loop_in_a_loop_with_a_conditional_inside(loaded) -> None:
    inner = [
        *frame("inner", "outer_body_v", "outer_body_i", "inner_z", "inner_result"),
        const("half", 0.5, "^inner_body_v"),
        const("ten", 10.0, "^inner_body_v"),
        node("large", "Greater", "inner_body_v", "ten", T=FLOAT),
        node("inner_switch", "Switch", "inner_body_v", "large", T=FLOAT),
        node("halved", "Mul", "inner_switch:1", "half", T=FLOAT),
        node("squared", "Square", "inner_switch", T=FLOAT),
        node("inner_z", "Merge", "squared", "halved", T=FLOAT, N=2),
    ]
    outer = [
        *frame("outer", "x", "n", "plus_one", "z"),
        const("outer_bias", 1.0, "^outer_body_v"),
        node("plus_one", "AddV2", "inner_result", "outer_bias", T=FLOAT),
    ]
    run = loaded([X, node("n", "Placeholder", dtype=INT), *outer, *inner], LOOP_FEEDS, {"z": ("z:0", FLOAT)})
    value = 2.0
    for i in range(4):
        for _ in range(i):
            value = value * 0.5 if value > 10 else value * value
        value += 1
    assert run(x=2.0, n=4)["z"] == np.float32(value)


def test_a_loop_of_tensorflow_1_without_a_condition_is_refused(loaded) -> None:
    nodes = [each for each in frame("loop", "x", "n", "loop_body_v", "z") if "cond" not in each.name]
    for each in nodes:
        if each.op == "Switch":
            each.input[1] = "loop_less"
    with pytest.raises(FormatError, match=r"condition|circle"):
        loaded([X, node("n", "Placeholder", dtype=INT), *nodes], LOOP_FEEDS, {"z": ("z:0", FLOAT)})


def test_a_loop_of_tensorflow_1_may_write_to_a_variable(loaded) -> None:
    nodes = [
        X,
        node("n", "Placeholder", dtype=INT),
        node("v", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((2,)), shared_name=b"v"),
        node("v_inside", "Enter", "v", T=make.RESOURCE, frame_name="loop", is_constant=True),
        *frame("loop", "x", "n", "double", "z"),
        node("set", "AssignVariableOp", "v_inside", "loop_body_v", dtype=FLOAT),
        node("double", "AddV2", "loop_body_v", "loop_body_v", "^set", T=FLOAT),
    ]
    tensors = {"v": np.float32([0, 0])}
    run = loaded(nodes, LOOP_FEEDS, {"z": ("z:0", FLOAT)}, tensors=tensors)
    assert run(x=[1.0, 2.0], n=3)["z"].tolist() == [8, 16]


def test_a_loop_of_tensorflow_1_that_only_writes_is_refused(loaded) -> None:
    nodes = [
        X,
        node("n", "Placeholder", dtype=INT),
        node("v", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((2,)), shared_name=b"v"),
        node("v_inside", "Enter", "v", T=make.RESOURCE, frame_name="loop", is_constant=True),
        *frame("loop", "x", "n", "double", "z"),
        node("double", "AddV2", "loop_body_v", "loop_body_v", T=FLOAT),
        node("set", "AssignVariableOp", "v_inside", "loop_body_v", dtype=FLOAT),
        node("y", "Identity", "z", "^set", T=FLOAT),
    ]
    with pytest.raises(FormatError, match="changes a variable"):
        loaded(nodes, LOOP_FEEDS, {"y": ("y:0", FLOAT)}, tensors={"v": np.float32([0, 0])})
