"""Declaring steps: what annotations mean, what is refused, and that the function stays a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstay.core import PipelineError
from mainstay.pipeline import ArtifactType, Code, In, InList, Out, step
from mainstay.pipeline.step import spec_of


class Table(ArtifactType):
    """A table."""


class Page(ArtifactType):
    """A page."""

    suffix = ".html"


class Odd(ArtifactType):
    """A kind whose suffix leads elsewhere."""

    suffix = "/../x"


@step
def whole(
    *,
    table: In[Table],
    extra: In[Table] | None = None,
    parts: InList[Table],
    rest: InList[Table] | None = None,
    function: Code | None = None,
    epochs: int = 10,
    names: list[str],
    page: Out[Page],
) -> None:
    page.write_text(f"{table.name} {epochs}")


def test_annotations_say_what_each_parameter_is():
    spec = spec_of(whole)
    assert spec.name == "whole"
    assert spec.path.endswith("test_step:whole")
    assert spec.version == 1
    assert {name: (p.type, p.many, p.optional) for name, p in spec.inputs.items()} == {
        "table": (Table, False, False),
        "extra": (Table, False, True),
        "parts": (Table, True, False),
        "rest": (Table, True, True),
    }
    assert spec.outputs == {"page": Page}
    assert {name: (p.required, p.default, p.code) for name, p in spec.parameters.items()} == {
        "function": (False, None, True),
        "epochs": (False, 10, False),
        "names": (True, None, False),
    }


def test_a_step_can_be_called_as_the_plain_function_that_it_is(tmp_path):
    whole(table=Path("a.csv"), parts=(), names=[], epochs=2, page=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "a.csv 2"
    assert whole.__doc__ is None
    assert whole.__name__ == "whole"


def test_a_version_can_be_given():
    @step(version=3)
    def versioned(*, table: Out[Table]) -> None: ...

    assert spec_of(versioned).version == 3


def test_a_function_without_the_decorator_is_no_step():
    with pytest.raises(PipelineError, match="not a step") as caught:
        spec_of(print)
    assert "@step" in caught.value.fix


def without_annotation(*, table, out: Out[Table]) -> None: ...
def without_output(*, table: In[Table]) -> None: ...
def with_rest(*, out: Out[Table], **rest: int) -> None: ...
def with_positional(table: In[Table], /, *, out: Out[Table]) -> None: ...
def with_path(*, table: Path, out: Out[Table]) -> None: ...
def with_unknown_name(*, table: Nowhere, out: Out[Table]) -> None: ...  # noqa: F821
def with_reserved_name(*, name: str, out: Out[Table]) -> None: ...
def with_wrong_default(*, epochs: int = "ten", out: Out[Table]) -> None: ...  # type: ignore[assignment]
def with_input_default(*, table: In[Table] = Path("x"), out: Out[Table]) -> None: ...
def with_none_for_required(*, table: In[Table] = None, out: Out[Table]) -> None: ...
def with_optional_without_default(*, table: In[Table] | None, out: Out[Table]) -> None: ...
def with_output_default(*, out: Out[Table] = Path("x")) -> None: ...
def with_optional_output(*, out: Out[Table] | None) -> None: ...
def with_wrong_kind(*, table: In[int], out: Out[Table]) -> None: ...
def with_odd_suffix(*, out: Out[Odd]) -> None: ...
def with_default_code(*, function: Code = "a.py:f", out: Out[Table]) -> None: ...
def with_mixed_union(*, table: In[Table] | int, out: Out[Table]) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (without_annotation, "no annotation"),
        (without_output, "needs an output"),
        (with_rest, "named parameters only"),
        (with_positional, "named parameters only"),
        (with_path, "JSON cannot carry"),
        (with_unknown_name, "annotations of a step cannot be read"),
        (with_reserved_name, "reserved name"),
        (with_wrong_default, "wrong type"),
        (with_input_default, "default of an input"),
        (with_none_for_required, "default of an input"),
        (with_optional_without_default, "default of an input"),
        (with_output_default, "never optional"),
        (with_optional_output, "never optional"),
        (with_wrong_kind, "kind of artifact"),
        (with_odd_suffix, "kind of artifact"),
        (with_default_code, "default of a function's name"),
        (with_mixed_union, "JSON cannot carry"),
    ],
)
def test_a_function_that_cannot_be_a_step_is_refused_naming_it(function, message):
    with pytest.raises(PipelineError, match=message) as caught:
        step(function)
    assert function.__name__ in str(caught.value)


@pytest.mark.parametrize("version", [1.5, "2", True])
def test_a_version_that_is_no_whole_number_is_refused(version: Any):
    with pytest.raises(PipelineError, match="whole number"):
        step(version=version)(without_output)


def test_what_is_no_function_is_refused():
    with pytest.raises(PipelineError, match="plain function"):
        step(print)


def test_a_function_that_reads_variables_around_it_is_refused():
    hidden = 3

    def sly(*, out: Out[Table]) -> None:
        out.write_text(str(hidden))

    with pytest.raises(PipelineError, match="no cache key can see") as caught:
        step(sly)
    assert caught.value.received == "hidden"
