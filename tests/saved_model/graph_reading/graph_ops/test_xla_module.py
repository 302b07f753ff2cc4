"""StableHLO inside of a graph runs at the shapes that come, and holds nothing that could call out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from mainstay.core import FormatError, ModelError

F32 = np.dtype(np.float32)


def module_of(function, shapes: str, platforms=("cpu",)):
    specs = export.symbolic_args_specs((np.zeros((1, 3), np.float32),), shapes)
    with jax.enable_x64(False):
        return export.export(jax.jit(function), platforms=platforms)(*specs).mlir_module_serialized


def attributes(module: bytes, platforms=(b"CPU",), results=1):
    return {"module": module, "version": 10, "platforms": platforms, "Tin": (F32,), "Tout": (F32,) * results}


@pytest.mark.parametrize("platforms", [("cpu",), ("cpu", "cuda", "tpu")])
@pytest.mark.parametrize("traced", [False, True])
def test_a_module_runs_at_the_shapes_that_come(platforms, traced, run) -> None:
    module = module_of(lambda x: (jnp.concatenate([x, x]).sum(1), x @ x.T), "b, 3", platforms)
    attrs = attributes(module, tuple(name.upper().encode() for name in platforms), 2)
    for rows in (2, 5):
        x = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
        program = jax.jit(lambda x: run("XlaCallModule", x, **attrs)) if traced else None
        sums, products = program(x) if program else run("XlaCallModule", x, **attrs)
        assert np.asarray(sums).tolist() == np.concatenate([x, x]).sum(1).tolist()
        assert np.asarray(products).tolist() == (x @ x.T).tolist()


def test_a_module_with_known_results_may_be_part_of_a_symbolic_program(run) -> None:
    module = module_of(lambda x: x.sum(), "b, 3")
    (batch,) = export.symbolic_shape("b")
    program = jax.jit(lambda x: run("XlaCallModule", x, **attributes(module)))
    exported = export.export(program)(jax.ShapeDtypeStruct((batch, 3), np.float32))
    assert np.asarray(exported.call(jnp.ones((4, 3), jnp.float32))[0]) == 12


def test_a_module_whose_results_have_open_shapes_may_not(run) -> None:
    module = module_of(lambda x: x * 2, "b, 3")
    (batch,) = export.symbolic_shape("b")
    program = jax.jit(lambda x: run("XlaCallModule", x, **attributes(module)))
    with pytest.raises(ModelError, match="symbolic"):
        export.export(program)(jax.ShapeDtypeStruct((batch, 3), np.float32))


def test_a_module_that_calls_back_into_python_is_refused(run) -> None:
    module = module_of(lambda x: x, "b, 3")
    assert b"shape_assertion" in module
    hostile = module.replace(b"shape_assertion", b"python_callback")
    with pytest.raises(FormatError, match="not run here"):
        run("XlaCallModule", np.zeros((2, 3), np.float32), **attributes(hostile))


@pytest.mark.parametrize("module", [b"", b"nonsense", b"ML\xefR" + bytes(40)])
def test_bytes_that_are_no_module_are_refused(module, run) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        run("XlaCallModule", np.zeros((2, 3), np.float32), **attributes(module))


def test_what_old_writers_of_modules_used_is_refused(run) -> None:
    module = module_of(lambda x: x, "b, 3")
    with pytest.raises(ModelError, match="not read"):
        run("XlaCallModule", np.zeros((2, 3), np.float32), **attributes(module), dim_args_spec=(b"0.0",))
