"""Exported programs, made by hand in the form in which PyTorch has them: what is read, and what is refused and how."""

import operator
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, ModelError, ParityError
from mainstay.saved_model import from_torch, load, save
from mainstay.saved_model.torch_programs.registry import find_operator, operator_names


class Tensor:
    """A tensor as far as a program shows one."""

    def __init__(self, array: Any, dtype: str = "") -> None:
        self.array = np.asarray(array)
        self.dtype = f"torch.{dtype or self.array.dtype}"

    def detach(self) -> "Tensor":
        return self

    cpu = contiguous = float = detach

    def numpy(self) -> Any:
        return self.array


class Dynamic:
    """A length that is not known; it is no int."""


class TensorArgument(SimpleNamespace):
    pass


class ConstantArgument(SimpleNamespace):
    pass


def node(op: str, name: str, target: Any = "", args: Any = (), kwargs: Any = None, dtype: str = "float32") -> Any:
    shape = (Dynamic(), 2)
    meta = {"val": SimpleNamespace(shape=shape, dtype=f"torch.{dtype}"), "stack_trace": None}
    return SimpleNamespace(op=op, name=name, target=target, args=args, kwargs=kwargs or {}, meta=meta)


def program(
    body: Callable[[Any, Any], list[Any]] | None = None,
    *,
    example: Any = ([[1.0, 2.0]],),
    answer: Any = ([[11.0, 22.0]],),
    results: int = 1,
) -> Any:
    """Return a program ``x * w``, or one with another body."""
    x, weight = node("placeholder", "x"), node("placeholder", "p_w")
    nodes = body(x, weight) if body else [node("call_function", "mul", "aten.mul.Tensor", (x, weight))]
    output = node("output", "output", args=(tuple(nodes[-results:]),))
    kind = SimpleNamespace
    made = SimpleNamespace(
        graph=SimpleNamespace(nodes=[weight, x, *nodes, output]),
        graph_signature=SimpleNamespace(
            input_specs=[
                SimpleNamespace(kind=kind(name="PARAMETER"), arg=TensorArgument(name="p_w"), target="layer.w"),
                SimpleNamespace(kind=kind(name="USER_INPUT"), arg=TensorArgument(name="x"), target=None),
            ],
            output_specs=[
                SimpleNamespace(kind=kind(name="USER_OUTPUT"), arg=TensorArgument(name=item.name), target=None)
                for item in nodes[-results:]
            ],
        ),
        state_dict={"layer.w": Tensor(np.array([11.0, 11.0], np.float32))},
        constants={},
        example_inputs=(tuple(Tensor(np.array(item, np.float32)) for item in example), {}),
        call_spec=SimpleNamespace(out_spec=SimpleNamespace(type=tuple, context=None)),
    )
    made.module = lambda: lambda *_: tuple(Tensor(np.array(item, np.float32)) for item in answer)
    made.run_decompositions = lambda: made
    return made


def test_a_program_is_converted_saved_and_loaded(tmp_path: Path) -> None:
    function = from_torch(program())
    assert [spec.name for spec in function.inputs] == ["x"]
    assert list(function.weights) == ["layer.w"]
    save(function, tmp_path / "m")
    answer = load(tmp_path / "m").signatures["serving_default"](x=[[1.0, 2.0], [0.0, 3.0]])
    np.testing.assert_array_equal(answer["output_0"], [[11.0, 22.0], [0.0, 33.0]])


def test_outputs_are_named_by_the_caller_or_by_the_keys_of_a_dict() -> None:
    made = program()
    made.call_spec.out_spec = SimpleNamespace(type=dict, context=["logits"])
    made.module = lambda: lambda *_: {"logits": Tensor(np.array([[11.0, 22.0]], np.float32))}
    one = np.ones((1, 2), np.float32)
    for function, name in ((from_torch(made), "logits"), (from_torch(program(), output_names=["y"]), "y")):
        call: Any = function.function
        assert list(call({"layer.w": one[0]}, {"x": one})) == [name]
    for names in (["a", "b"], []):
        with pytest.raises(ArgumentError, match="output"):
            from_torch(program(), output_names=names)


def test_an_answer_other_than_pytorchs_is_refused() -> None:
    with pytest.raises(ParityError, match="differs from PyTorch's"):
        from_torch(program(answer=([[11.0, 22.1]],)))
    with pytest.raises(ParityError, match="differs from PyTorch's"):
        from_torch(program(answer=([[11.0, float("nan")]],)))
    with pytest.raises(ParityError, match="another shape"):
        from_torch(program(answer=([11.0, 22.0],)))
    from_torch(program(answer=([[11.0, 22.1]],)), check=False)


def test_an_operator_that_is_not_known_is_named_with_its_line() -> None:
    def body(x: Any, weight: Any) -> list[Any]:
        made = node("call_function", "odd", "aten.odd.default", (x, weight))
        made.meta["stack_trace"] = '  File "model.py", line 7, in forward\n    return odd(x, w)\n'
        return [made]

    with pytest.raises(ModelError, match="not supported") as error:
        from_torch(program(body))
    assert error.value.where == 'File "model.py", line 7, in forward, node odd'
    assert "aten.odd.default" in str(error.value)


def test_a_branch_of_the_graph_is_named() -> None:
    def body(x: Any, weight: Any) -> list[Any]:
        return [node("call_module", "inner", "submodule", (x, weight))]

    with pytest.raises(ModelError, match="call_module submodule"):
        from_torch(program(body))


def test_an_operator_that_fails_is_named() -> None:
    def body(x: Any, weight: Any) -> list[Any]:
        return [node("call_function", "product", "aten.mm.default", (x, x))]

    with pytest.raises(ModelError, match="cannot be done") as error:
        from_torch(program(body))
    assert error.value.where == "node product"


def test_a_program_in_training_mode_is_refused() -> None:
    made = program()
    made.graph_signature.output_specs.insert(
        0,
        SimpleNamespace(kind=SimpleNamespace(name="BUFFER_MUTATION"), arg=TensorArgument(name="m"), target="norm.mean"),
    )
    with pytest.raises(ModelError, match=r"norm\.mean"):
        from_torch(made)


def test_a_fixed_batch_is_refused_and_the_fix_is_named() -> None:
    made = program()
    made.graph.nodes[1].meta["val"].shape = (3, 2)
    with pytest.raises(ModelError, match="batch size of an input is fixed") as error:
        from_torch(made)
    assert "dynamic_shapes" in str(error.value)


def test_an_input_that_is_no_tensor_is_refused_unless_it_is_nothing() -> None:
    made = program()
    extra = SimpleNamespace(
        kind=SimpleNamespace(name="USER_INPUT"), arg=ConstantArgument(name="flag", value=True), target=None
    )
    made.graph_signature.input_specs.append(extra)
    with pytest.raises(ModelError, match="no tensor"):
        from_torch(made)
    extra.arg.value = None
    from_torch(made)


def test_dtypes_without_an_equal_are_refused() -> None:
    made = program()
    made.state_dict["layer.w"].dtype = "torch.complex64"
    with pytest.raises(ModelError, match="dtype"):
        from_torch(made)


def test_what_is_no_program_is_refused() -> None:
    for value in (None, 7, lambda x: x):
        with pytest.raises(ArgumentError, match="no exported program"):
            from_torch(value)


def test_lengths_of_axes_are_computed_by_pythons_operators() -> None:
    def body(x: Any, weight: Any) -> list[Any]:
        rows = node("call_function", "rows", "aten.sym_size.int", (x, 0))
        twice = node("call_function", "twice", operator.mul, (rows, 2))
        flat = node("call_function", "flat", "aten.view.default", (x, [twice]))
        back = node("call_function", "back", "aten.view.default", (flat, [rows, 2]))
        for item in (rows, twice):
            item.meta["val"] = 2
        return [rows, twice, flat, back]

    from_torch(program(body, answer=([[1.0, 2.0]],)))


def test_an_overload_goes_before_the_operator() -> None:
    assert find_operator("aten.mul.Tensor") is find_operator("aten.mul.Scalar") is not None
    assert find_operator("aten.nothing.default") is None
    assert len(operator_names()) > 200
