"""Small random programs give the same numbers as Python, converted and compiled."""

import linecache
from collections.abc import Callable
from itertools import count

import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.framework.autograph import convert

NAMES = ("a", "b", "c")
NUMBER = count()
VALUES = st.one_of(st.sampled_from(NAMES), st.integers(-3, 3).map(str))
EXPRESSIONS = st.one_of(
    VALUES,
    st.tuples(VALUES, st.sampled_from("+-*"), VALUES).map(lambda p: f"(({p[0]} {p[1]} {p[2]}) % 17)"),
    st.tuples(VALUES, VALUES, VALUES).map(lambda p: f"({p[0]} if {p[1]} > 0 else {p[2]})"),
)
CONDITIONS = st.one_of(
    st.tuples(VALUES, st.sampled_from(("<", ">", "==", "!=")), VALUES).map(" ".join),
    st.tuples(VALUES, VALUES, VALUES).map(lambda p: f"{p[0]} < {p[1]} <= {p[2]}"),
    st.tuples(VALUES, VALUES).map(lambda p: f"{p[0]} > 1 and not {p[1]} > 2"),
    st.tuples(VALUES, VALUES).map(lambda p: f"{p[0]} > 1 or {p[1]} < 0"),
)


def indented(block: str) -> str:
    return "\n".join("    " + line for line in block.splitlines())


ASSIGNMENTS = st.tuples(st.sampled_from(NAMES), st.sampled_from(("=", "+=", "-=")), EXPRESSIONS).map(" ".join)


@st.composite
def blocks(draw: st.DrawFn, depth: int, loop: bool) -> str:
    statements = [draw(statement(depth, loop)) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.integers(0, 5)) == 0:
        jumps = ["return " + draw(EXPRESSIONS)] + (["break", "continue"] if loop else [])
        statements.append(draw(st.sampled_from(jumps)))
    return "\n".join(statements)


@st.composite
def statement(draw: st.DrawFn, depth: int, loop: bool) -> str:
    kind = draw(st.sampled_from(("assign", "if", "if", "for", "while", "range", "try"))) if depth else "assign"
    if kind == "assign":
        return draw(ASSIGNMENTS)
    if kind == "if":
        text = f"if {draw(CONDITIONS)}:\n{indented(draw(blocks(depth - 1, loop)))}"
        if draw(st.booleans()):
            text += f"\nelse:\n{indented(draw(blocks(depth - 1, loop)))}"
        return text
    if kind == "try":
        ends = [f"\n{word}:\n{indented(draw(ASSIGNMENTS))}" for word in ("except KeyError", "else", "finally")]
        return f"try:\n{indented(draw(blocks(depth - 1, loop)))}{''.join(ends)}"
    name = f"i{depth}"  # a loop around this one counts with another name
    body = draw(blocks(depth - 1, True))
    if kind == "while":
        body = f"{name} += 1\n{body}"
        text = f"{name} = 0\nwhile {name} < 4 and ({draw(CONDITIONS)}):\n{indented(body)}"
    else:
        bound = draw(st.integers(0, 3)) if kind == "range" else f"{draw(st.sampled_from(NAMES))} % 4"
        text = f"for {name} in range({bound}):\n{indented(body)}"
    if draw(st.integers(0, 3)) == 0:
        text += f"\nelse:\n{indented(draw(ASSIGNMENTS))}"
    return text


def compiled_from(text: str) -> Callable[..., object]:
    """Make a function of a text, whose source is found as that of a file would be."""
    filename = f"<program {next(NUMBER)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Callable[..., object]] = {}
    exec(compile(text, filename, "exec"), namespace)
    return namespace["program"]


@settings(max_examples=80)
@given(blocks(3, False), st.tuples(*[st.integers(-4, 4)] * 3))
def test_a_random_program_means_the_same_compiled(body: str, values: tuple[int, int, int]) -> None:
    program = compiled_from(f"def program(a, b, c):\n{indented(body)}\n    return a + 10 * b + 100 * c\n")
    converted = convert(program)
    others = (values[1], values[2], values[0])
    wanted = [program(*values), program(*others)]
    assert [converted(*values), converted(*others)] == wanted
    run = jax.jit(converted)
    assert [int(run(*map(jnp.int32, given))) for given in (values, others)] == [
        (number + 2**31) % 2**32 - 2**31 for number in wanted
    ]
