"""Modules for XlaCallModule: as they are stored, but for composites."""

import jax
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from mainstay.core import TensorSpec
from mainstay.saved_model.export import export_program
from mainstay.saved_model.graph_writing.xla_module import without_composites

SPEC = (TensorSpec([None, 4], "float32", "x"),)


def text_of(serialized: bytes) -> str:
    context = ir.Context()
    stablehlo.register_dialect(context)
    with context:
        return str(stablehlo.deserialize_portable_artifact(context, serialized))


def test_a_composite_becomes_a_call_of_its_decomposition() -> None:
    program = export_program(lambda w, x: {"y": jax.lax.top_k(x["x"], 2)[0]}, SPEC, weights={}).program
    assert "stablehlo.composite" in text_of(program.module)
    written = text_of(without_composites(program.module))
    assert "stablehlo.composite" not in written
    assert "call @" in written
    assert without_composites(program.module).startswith(b"ML\xefR\rStableHLO_v1.9.0")


def test_a_module_without_composites_stays_as_it_is() -> None:
    program = export_program(lambda w, x: {"y": x["x"] * 2}, SPEC, weights={}).program
    assert without_composites(program.module) is program.module
