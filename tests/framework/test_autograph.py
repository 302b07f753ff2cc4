"""Control flow on traced values: conditions, loops, jumps, operators and built-in functions."""

# ruff: noqa: RET504, SIM108, SIM201 -- these are programs as users write them.

import io
import linecache
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from mainstay.core import ArgumentError
from mainstay.framework.autograph import convert, experimental, set_loop_options, to_code

VECTOR = np.array([1.0, -2.0, 3.0], "float32")


def agree(function: Callable[..., Any], *inputs: tuple[Any, ...]) -> None:
    """A function gives the same plain, converted, and converted and compiled."""
    converted = convert(function)
    compiled = jax.jit(converted)
    for arguments in inputs:
        wanted = function(*arguments)
        for given in (converted(*arguments), compiled(*arguments)):
            jax.tree.map(np.testing.assert_allclose, given, wanted)


def test_while_and_if_on_tensors_become_one_loop() -> None:
    def collatz(n):
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        return steps

    agree(collatz, (27,), (1,), (6,))
    program = jax.make_jaxpr(convert(collatz))(27)
    assert [equation.primitive.name for equation in program.eqns].count("while") == 1


def test_elif_takes_one_of_many_branches() -> None:
    def sign(x):
        if x > 10:
            text = 2.0
        elif x > 0:
            text = 1.0
        elif x == 0:
            text = 0.0
        else:
            text = -1.0
        return text * x

    agree(sign, (20.0,), (3.0,), (0.0,), (-5.0,))


def test_a_return_in_a_branch_ends_the_function() -> None:
    def clip(x):
        if x > 3:
            return 3.0
        if x < -3:
            return -3.0
        x = x * 2
        return x

    agree(clip, (5.0,), (-5.0,), (1.0,))


def test_a_return_in_a_python_loop_may_depend_on_a_tensor() -> None:
    def first_positive(x):
        for i in range(3):
            if x[i] > 0:
                return x[i] * 10
        return 0.0

    agree(first_positive, (VECTOR,), (-VECTOR,), (np.zeros(3, "float32"),))


def test_a_return_in_a_loop_over_a_tensor_keeps_its_value() -> None:
    def find(x, limit):
        for i, row in enumerate(x):
            if row > limit:
                return i, row * 2
        return -1, 0.0

    agree(find, (VECTOR, 0.0), (VECTOR, 2.0), (VECTOR, 9.0))


def test_break_continue_and_else_work_in_loops_over_a_tensor_range() -> None:
    def total(x, n):
        s = 0.0
        for i in range(n):
            if i == 5:
                break
            if i % 2:
                continue
            s += x * i
        else:
            s = -1.0
        return s

    agree(total, (2.0, 3), (2.0, 10), (2.0, 0))


def test_break_and_continue_work_in_while() -> None:
    def run(n):
        s = 0
        while True:
            n -= 1
            if n % 3 == 0:
                continue
            if n < 0:
                break
            s += n
        return s, n

    agree(run, (10,), (0,))


def test_jumps_inside_of_with_and_try_keep_their_order() -> None:
    events = []

    class Context:
        def __enter__(self):
            events.append("enter")

        def __exit__(self, *_):
            events.append("exit")

    def run(x):
        for i in range(4):
            with Context():
                try:
                    if i == 1:
                        continue
                    if i == 3:
                        return x * i
                except ZeroDivisionError:
                    return x
                else:
                    x = x + 1
                finally:
                    x = x + 100
        return x

    assert convert(run)(1) == run(1)
    assert events == ["enter", "exit"] * 8


def test_rows_of_a_tensor_are_scanned_and_have_gradients() -> None:
    def loss(x):
        s = 0.0
        for row in x:
            if row > 0:
                s = s + row * row
            else:
                s -= row
        return s

    agree(loss, (VECTOR,))
    program = jax.make_jaxpr(convert(loss))(VECTOR)
    assert [equation.primitive.name for equation in program.eqns] == ["scan"]
    np.testing.assert_allclose(jax.grad(convert(loss))(VECTOR), [2.0, -1.0, 6.0])


def test_a_loop_over_rows_that_breaks_has_gradients() -> None:
    def loss(x):
        s = 0.0
        for row in x:
            if row < 0:
                break
            s += row * row
        return s

    agree(loss, (VECTOR,))
    np.testing.assert_allclose(jax.jit(jax.grad(convert(loss)))(VECTOR), [2.0, 0.0, 0.0])


def test_a_bounded_while_has_gradients_and_ends_at_its_bound() -> None:
    def power(x, most):
        y = x
        while y < 100:
            set_loop_options(maximum_iterations=most)
            y = y * x
        return y

    bounded = jax.jit(convert(lambda x: power(x, 9)))
    assert float(bounded(2.0)) == 128.0
    assert float(jax.grad(bounded)(2.0)) == 7 * 2.0**6
    assert float(jax.jit(convert(lambda x: power(x, 3)))(2.0)) == 16.0
    assert convert(power)(2.0, 3) == 128.0, "a loop that Python runs has no bound"
    assert experimental.set_loop_options is set_loop_options


def test_a_bound_must_be_a_known_number() -> None:
    def run(x, most):
        while x < 10:
            set_loop_options(maximum_iterations=most)
            x = x + 1
        return x

    with pytest.raises(ArgumentError, match="maximum_iterations is not known"):
        jax.jit(convert(run))(1, 2)
    with pytest.raises(ArgumentError, match="maximum_iterations is negative"):
        jax.jit(convert(lambda x: run(x, -1)))(1)


def test_enumerate_zip_and_unpacking_go_through_rows() -> None:
    def run(x, n):
        s = 0.0
        for i, (a, b) in enumerate(zip(x, x * 2, strict=True), 1):
            s += i * a * b
        for k, c in zip(range(n), x, strict=False):
            s += k * c
        for p, q in zip(x, [1.0, 2.0, 3.0], strict=True):
            s += p * q
        return s

    agree(run, (VECTOR, 2), (VECTOR, 7))


def test_ranges_count_up_and_down_from_tensors() -> None:
    def run(start, stop, step):
        s = 0
        for i in range(start, stop, step):
            s = s * 3 + i
        return s

    agree(run, (0, 7, 2), (7, 0, -3), (3, 3, 1), (5, 1, 1), (-4, 9, 5))


@pytest.mark.parametrize(
    ("dtype", "bounds"), [("int8", (-100, 100)), ("uint8", (2, 0)), ("uint32", (5, 2)), ("uint8", (2, 9))]
)
def test_ranges_of_small_and_unsigned_integers_are_as_long_as_in_python(dtype: str, bounds: tuple[int, int]) -> None:
    def count(start, stop):
        rounds = 0
        for _ in range(start, stop):
            rounds += 1
        down = 0
        for _ in range(stop, -1, -1):
            down += 1
        return rounds, down

    given = [jnp.asarray(bound, dtype) for bound in bounds]
    assert tuple(map(int, jax.jit(convert(count))(*given))) == count(*bounds)


def test_logic_is_lazy_and_comparisons_may_be_chained() -> None:
    def run(x, y):
        inside = 0 < x < 3
        return (1 if inside and not y == 2 else 0), (x > 5 or y > 5), (x and y), (x or y)

    agree(run, (1, 2), (2, 3), (7, 0), (0, 9))


def test_a_function_with_python_values_only_stays_python() -> None:
    seen = []

    def run(x, deep):
        if deep and len(x) > 2:
            seen.append("deep")
        for i in range(len(x)):
            seen.append(i)
        return x * 2 if seen else x

    jax.jit(convert(run), static_argnums=1)(VECTOR, True)
    assert seen == ["deep", 0, 1, 2]


def test_equal_python_values_of_both_branches_stay_python() -> None:
    def run(x):
        if x > 0:
            shape, mode = (3, 1), "up"
        else:
            shape, mode = (3, 1), "up"
        return jnp.zeros(shape) + len(mode)

    assert jax.jit(convert(run))(1.0).shape == (3, 1)


def test_python_numbers_take_the_dtype_of_what_they_meet() -> None:
    def run(x):
        total = 0
        if x[0] > 100:
            scale = 1
        else:
            scale = x[0]
        for row in x:
            total += row * scale
        return total

    result = jax.jit(convert(run))(jnp.asarray(VECTOR, "bfloat16"))
    assert result.dtype == "bfloat16"
    assert float(result) == 2.0


def test_names_of_one_branch_and_of_the_loop_body_are_local_to_it() -> None:
    def run(x):
        if x > 0:
            half = x / 2
            x = half + 1
        for row in jnp.arange(3.0):
            last = row * x
        return last

    agree(run, (4.0,), (-4.0,))


def test_attributes_and_containers_are_state() -> None:
    class Box:
        value = 0.0

    def run(x):
        box, found = Box(), {"n": 0.0}
        pair = [x, x]
        if x > 0:
            box.value = x * 2
            found["n"] = x
        for row in jnp.arange(3.0):
            box.value = box.value + row
            found["n"] = found["n"] - row
            pair[1] = pair[0] + pair[1]
        return box.value, found, pair

    agree(run, (3.0,), (-3.0,))


def test_nested_functions_share_their_variables() -> None:
    def run(x):
        count = 0

        def step(k):
            nonlocal count
            if k > 0:
                count += 1
            return lambda: count if k > 1 else -count

        return step(x)(), step(x - 1)(), count

    agree(run, (2,), (1,), (0,))


def test_a_call_of_a_nested_function_in_a_branch_or_loop_changes_what_it_binds() -> None:
    def run(x):
        count, last = 0, 0

        def note(value):
            nonlocal last
            last = value

        def add(value):
            nonlocal count
            count += value
            note(count * 2)

        if x > 3:
            add(100)
        for i in range(x):
            add(i)
        while count < 20:
            add(7)
        return count, last

    agree(run, (0,), (3,), (5,))


def test_recursion_on_python_values_unrolls() -> None:
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert float(jax.jit(convert(lambda x: x * factorial(4)))(2.0)) == 48.0


def test_built_in_functions_take_traced_values() -> None:
    def run(x, v):
        numbers = int(x) + 1, float(x) / 2, bool(x), abs(x), max(x, 2), min([x, 5]), sum([x, x])
        vectors = max(v), min(v), sum(v), any(v > 2), all(v > 2), len(v), sorted(v)
        return numbers, vectors, any([x > 0, x > 5]), all(y > 0 for y in (x, x + 1))

    agree(run, (3, VECTOR), (0, VECTOR))


def test_print_shows_the_values_when_the_program_runs() -> None:
    def run(x):
        print("x:", {"x": x}, sep="", end="!\n")
        return x

    shown = io.StringIO()
    with redirect_stdout(shown):
        jax.block_until_ready(jax.jit(convert(run))(np.float32(1.5)))
        jax.effects_barrier()
    assert shown.getvalue().startswith("x:{'x': ")
    assert "1.5" in shown.getvalue()
    assert shown.getvalue().endswith("!\n")


def test_an_assertion_about_known_values_holds_and_one_about_tensors_warns_once() -> None:
    def run(x):
        assert x.shape == (3,), "three"
        assert x[0] > 5
        return x

    converted = convert(run)
    with pytest.warns(UserWarning, match="an assertion about a traced value is not checked"):
        jax.jit(converted)(VECTOR)
    jax.jit(lambda x: converted(x))(VECTOR)
    with pytest.raises(AssertionError, match="three"):
        jax.jit(converted)(VECTOR[:2])
    with pytest.raises(AssertionError):
        converted(VECTOR)


def test_deep_nesting_traces_each_branch_once() -> None:
    seen = []

    def note(x):
        seen.append(1)
        return x + 1

    def nest(depth: int) -> str:
        if depth == 0:
            return "x = note(x)\n"
        inner = nest(depth - 1).replace("\n", "\n    ").rstrip(" ")
        return f"if x > {depth}:\n    {inner}else:\n    {inner}"

    text = "def run(x):\n    " + nest(6).replace("\n", "\n    ").rstrip() + "\n    return x\n"
    linecache.cache["<nest>"] = (len(text), None, text.splitlines(keepends=True), "<nest>")
    namespace: dict[str, Any] = {"note": note}
    exec(compile(text, "<nest>", "exec"), namespace)
    jax.make_jaxpr(convert(namespace["run"]))(1.0)
    assert len(seen) == 2**6, "one trace of each of the leaves that are written"


def test_deeply_nested_loops_are_traced_few_times() -> None:
    seen = []

    def run(x):
        s = 0
        for a in x:
            for b in x:
                for c in x:
                    for d in x:
                        seen.append(1)
                        s += a * b * c * d
        return s

    result = jax.jit(convert(run))(VECTOR)
    assert float(result) == 16.0
    assert len(seen) <= 5


def test_a_traceback_shows_the_users_lines() -> None:
    def run(x):
        if x > 0:
            x = x.nothing
        return x

    with pytest.raises(AttributeError) as caught:
        jax.jit(convert(run))(1.0)
    frames = traceback.extract_tb(caught.value.__traceback__)
    mine = [frame for frame in frames if frame.filename == __file__ and frame.name == "run"]
    assert mine[-1] is frames[-1]
    assert mine[-1].line == "x = x.nothing"


def test_the_converted_code_can_be_read() -> None:
    def run(x):
        return x if x > 0 else -x

    text = to_code(run)
    assert text.startswith("def run(x):")
    assert "ag__.if_exp(x > 0, lambda: x, lambda: -x" in text
    assert to_code(convert(run)) == text
    with pytest.raises(ArgumentError, match="only functions have code"):
        to_code(3)


def test_rows_of_a_symbolic_number_are_gone_through_in_an_exported_program() -> None:
    def run(x):
        s = 0.0
        for i, row in enumerate(x):
            if row[0] > 2:
                break
            s += row.sum() * i
        return s

    (rows,) = export.symbolic_shape("rows")
    program = export.export(jax.jit(convert(run)))(jax.ShapeDtypeStruct((rows, 3), "float32"))
    for x in (np.ones((4, 3), "float32"), np.arange(9, dtype="float32").reshape(3, 3)):
        np.testing.assert_allclose(program.call(x), run(x))


TOTAL = 0.0


def test_match_walrus_del_and_globals_keep_their_meaning() -> None:
    def matched(x):
        match x.ndim:
            case 0:
                y = x
            case n if n > 1:
                y = x.sum()
            case _:
                if x[0] > 0:
                    y = x[0]
                else:
                    return -x[1]
        first, *rest = [y, 1, 2]
        del y
        return first + len(rest)

    for shape in (np.float32(3), np.ones((2, 2), "float32"), VECTOR, -VECTOR):
        agree(matched, (jnp.asarray(shape),))

    def counted(x):
        n = 0
        while (y := x - n) > 3:
            n += 1
        if (z := y * 2) > 1:
            z = z + 1
        return y, z, n

    agree(counted, (9.5,), (1.0,), (-1.0,))

    def shared(x):
        global TOTAL
        if x > 0:
            TOTAL = x * 2
        else:
            TOTAL = x
        result, TOTAL = TOTAL, 0.0
        return result

    agree(shared, (3.0,), (-3.0,))
