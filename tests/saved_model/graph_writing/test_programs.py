"""Forms of programs: plain where each primitive is, one call where asked for, refused where it must be plain."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder
from mainstay.saved_model.graph_writing.programs import choose_form
from mainstay.saved_model.graph_writing.xla_module import call_program
from mainstay.saved_model.program import Program


def program(function) -> Program:
    return Program(b"", (), (), ("cpu",), 10, jaxpr=jax.make_jaxpr(function)(jnp.ones((2, 2))))


def test_auto_takes_plain_operations_where_there_are_some() -> None:
    assert choose_form(program(jnp.sin), "auto").name == "ops"
    form = choose_form(program(jnp.linalg.inv), "auto")
    assert form.name == "xla"
    assert "lu: " in form.reason


def test_plain_operations_that_were_asked_for_are_there_or_the_program_is_refused() -> None:
    assert choose_form(program(jnp.sin), "ops").name == "ops"
    with pytest.raises(ModelError, match="lu: "):
        choose_form(program(jnp.linalg.inv), "ops")


def test_one_call_is_one_call() -> None:
    assert choose_form(program(jnp.sin), "xla").name == "xla"


def test_a_calling_convention_that_tensorflow_does_not_know_is_refused() -> None:
    newer = SimpleNamespace(calling_convention=11)
    with pytest.raises(ModelError, match="calling convention"):
        call_program(FunctionBuilder("f"), newer, [])
