"""What is used from inside JAX is there and behaves; if not, these tests say what moved."""

from types import SimpleNamespace

import jax
import jax._src as inside
import jax.numpy as jnp
import pytest

from mainstay.core import SetupError
from mainstay.framework import SUPPORTED_JAX, GradientTape
from mainstay.framework import jax_internals as internals


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3])


def behaves(condition: bool, what: str) -> None:
    lowest, highest = SUPPORTED_JAX
    assert condition, f"jax {jax.__version__}: {what}; Mainstay supports jax from {lowest} to {highest}"


def test_everything_that_is_used_is_where_it_is_expected() -> None:
    moved = internals.moved_internals(inside)
    behaves(not moved, "; ".join(moved))


def test_the_installed_version_is_in_the_supported_range() -> None:
    lowest, highest = map(version, SUPPORTED_JAX)
    behaves(lowest <= version(jax.__version__) <= highest, "the version is outside of the range the tests ran on")


def test_a_changed_layout_is_named_and_refused() -> None:
    core = SimpleNamespace(
        **{name: getattr(inside.core, name) for name in dir(inside.core) if not name.startswith("__")}
    )
    del core.eval_trace
    core.eval_jaxpr = lambda jaxpr, *args: None
    changed = SimpleNamespace(
        array=inside.array, compilation_cache=inside.compilation_cache, config=inside.config, core=core
    )
    moved = internals.moved_internals(changed)
    assert moved == [
        "jax._src.core.eval_jaxpr takes (jaxpr, args) and not (jaxpr, consts, args, propagate_source_info)",
        "jax._src.core.eval_trace is gone",
    ]
    with pytest.raises(SetupError, match="eval_trace is gone") as error:
        internals.require_supported_layout(moved)
    assert error.value.expected == "jax from 0.10.0 to 0.10.2"
    internals.require_supported_layout([])


def intercepted(run, *arguments):
    """Run a function and return the names of the primitives that reach an intercepting trace, and its result."""
    seen = []

    def intercept(primitive, operands, params):
        seen.append((primitive.name, list(operands), params))
        with internals.running_in(trace.parent):
            return primitive.bind(*operands, **params)

    trace = internals.start_intercepting(intercept)
    try:
        result = run(*arguments)
    finally:
        stopped = internals.stop_intercepting(trace)
    behaves(stopped, "the current trace is not the one that was set")
    return seen, result


def test_primitives_arrive_with_the_operands_of_the_caller() -> None:
    x = jnp.ones(3)
    seen, y = intercepted(jax.lax.sin, x)
    behaves([name for name, _, _ in seen] == ["sin"], "a primitive does not reach the current trace")
    behaves(seen[0][1][0] is x, "an operand is not the caller's own array")
    behaves(isinstance(y, jax.Array) and not isinstance(y, jax.core.Tracer), "a result is boxed")


def test_a_jitted_function_does_not_bypass_the_trace() -> None:
    program = jax.jit(lambda x: jnp.sin(x) * 2.0)
    x = jnp.ones(3)
    for _ in range(3):
        program(x)
    for _ in range(3):
        seen, _ = intercepted(program, x)
        behaves([name for name, _, _ in seen] == ["jit"], "the fast path of jit bypasses the current trace")
    [found] = internals.subprograms(seen[0][2])
    opened, constants = internals.open_program(found)
    behaves(len(opened.eqns) == 2 and not constants, "the program of jit is not among its parameters")
    behaves(float(internals.run_program(found, [x])[0][0]) == float(program(x)[0]), "a program does not run")


def test_custom_rules_arrive_with_their_functions() -> None:
    by_jvp = jax.custom_jvp(lambda x: x * 2.0)
    by_jvp.defjvp(lambda primals, tangents: (primals[0] * 2.0, tangents[0] * 5.0))
    by_vjp = jax.custom_vjp(lambda x: x * 2.0)
    by_vjp.defvjp(lambda x: (x * 2.0, None), lambda _, g: (g * 5.0,))
    for fun, name, number in ((by_jvp, "custom_jvp_call", 2), (by_vjp, "custom_vjp_call", 3)):
        seen, y = intercepted(fun, jnp.float32(3.0))
        behaves([name for name, _, _ in seen] == [name], f"{name} does not reach the current trace")
        behaves(len(seen[0][2]["subfuns"]) == number, f"{name} comes with other functions")
        behaves(float(y) == 6.0, f"{name} does not run")


def half(x, static):
    return x * 0.5


half.__module__ = "mainstay.framework.kernels"
softened = jax.custom_jvp(half, nondiff_argnums=(1,))
softened.defjvp(lambda static, primals, tangents: (primals[0] * 0.5, tangents[0] * 0.5))


def test_rules_of_jax_and_mainstay_are_known_and_those_of_users_are_not() -> None:
    keys = []
    for x in (jnp.ones(3), jnp.zeros(3), jnp.ones(2)):
        seen, _ = intercepted(jax.nn.relu, x)
        keys.append(internals.known_rule(seen[0][2], seen[0][1]))
    behaves(None not in keys, "jax.nn.relu is not known")
    assert keys[0] == keys[1] != keys[2]
    assert hash(keys[0]) == hash(keys[1])
    seen, _ = intercepted(softened, jnp.ones(3), (2, "a"))
    keys = [internals.known_rule(seen[0][2], seen[0][1])]
    for static in ((2, "a"), (3, "a")):
        again, _ = intercepted(softened, jnp.ones(3), static)
        keys.append(internals.known_rule(again[0][2], again[0][1]))
    behaves(None not in keys, "arguments that are not differentiated are wrapped in another way")
    assert keys[0] == keys[1] != keys[2]
    seen, _ = intercepted(softened, jnp.ones(3), [jnp.ones(3)])
    assert internals.known_rule(seen[0][2], seen[0][1]) is None
    users = jax.custom_jvp(lambda x: x)
    users.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
    seen, _ = intercepted(users, jnp.ones(3))
    assert internals.known_rule(seen[0][2], seen[0][1]) is None


def test_only_the_innermost_trace_can_be_stopped() -> None:
    outer = internals.start_intercepting(lambda *_: None)
    inner = internals.start_intercepting(lambda *_: None)
    assert not internals.stop_intercepting(outer)
    assert internals.stop_intercepting(inner)
    assert internals.stop_intercepting(outer)
    assert internals.runs_eagerly()


def test_it_is_known_whether_operations_run_at_once() -> None:
    assert internals.runs_eagerly()
    with GradientTape():
        assert not internals.runs_eagerly()
        with internals.outside_of_traces():
            assert internals.runs_eagerly()
    found = []
    jax.jit(lambda x: found.append((internals.runs_eagerly(), internals.current_trace())) or x)(1.0)
    assert found[0][0] is False


def test_inexact_values_are_those_that_may_have_a_gradient() -> None:
    values = [jnp.float32(1), jnp.bfloat16(1), jnp.complex64(1), jnp.int32(1), jnp.bool_(1), jax.random.key(0), 1.0]
    assert [internals.is_inexact(value) for value in values] == [True, True, True, False, False, False, False]


def test_the_users_line_is_found_below_libraries() -> None:
    lines = []
    jax.eval_shape(lambda x: lines.append(internals.user_frame()) or x, 1.0)
    assert lines[0].rpartition(":")[0] == __file__
