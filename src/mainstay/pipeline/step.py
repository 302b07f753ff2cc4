"""Steps: plain functions whose annotations say what they read, write and depend on."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from mainstay.core import PipelineError
from mainstay.pipeline.artifacts import ArtifactType
from mainstay.pipeline.marks import CodeMark, InputMark, OutputMark
from mainstay.pipeline.parameters import check_annotation, conform

Function = TypeVar("Function", bound=Callable[..., None])
_ATTRIBUTE = "__mainstay_step__"
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]+)*")
_RESERVED = {"name"}


@dataclass(frozen=True)
class InputPort:
    """An input of a step.

    Args:
        type: The kind of artifact that it takes.
        many: Whether it takes any number of them.
        optional: Whether it may be left out; the function then receives None.
    """

    type: type[ArtifactType]
    many: bool
    optional: bool


@dataclass(frozen=True)
class Parameter:
    """A parameter of a step that is a plain value.

    Args:
        hint: Its annotation.
        required: Whether it has no default.
        default: Its default, in the form of `parameters.conform`.
        code: Whether it names a function in a user's file.
    """

    hint: Any
    required: bool
    default: Any
    code: bool


@dataclass(frozen=True)
class StepSpec:
    """What a step takes and gives, read from its function.

    Args:
        name: The function's name.
        path: Its module and qualified name, such as ``steps:train``.
        version: The version that the decorator was given.
        function: The function.
        inputs: Its inputs by name.
        outputs: The kind of artifact of each output by name.
        parameters: Its parameters by name.
    """

    name: str
    path: str
    version: int
    function: Callable[..., None]
    inputs: Mapping[str, InputPort]
    outputs: Mapping[str, type[ArtifactType]]
    parameters: Mapping[str, Parameter]


@overload
def step(function: Function, /) -> Function: ...
@overload
def step(*, version: int = 1) -> Callable[[Function], Function]: ...
def step(function: Function | None = None, /, *, version: int = 1) -> Function | Callable[[Function], Function]:
    """Declare a function to be a step; the function itself stays as it is and can be called with plain paths.

    A parameter annotated `In` or `InList` is an input, one annotated `Out` an output, one annotated `Code` names a
    function of the user's; all others are plain JSON-able values. Everything that a result depends on must come
    through them or through code: a step must not read files, clocks or the environment on the side.

    Args:
        function: A function of a module, without closure.
        version: Raise it when results change for a reason that code, parameters and inputs do not show.

    Raises:
        PipelineError: The function cannot be a step.

    Example:
        >>> from pathlib import Path
        >>> from mainstay.pipeline import ArtifactType, Out, step
        >>> class Greeting(ArtifactType):
        ...     '''A text.'''
        >>> @step
        ... def greet(*, name_of: str = "world", text: Out[Greeting]) -> None:
        ...     text.write_text(f"Hello, {name_of}")
    """
    if function is None:
        return lambda given: step_with(given, version)
    return step_with(function, version)


def step_with(function: Function, version: int) -> Function:
    """Read the step's declaration once and keep it on the function."""
    setattr(function, _ATTRIBUTE, _read(function, version))
    return function


def spec_of(function: Callable[..., None]) -> StepSpec:
    """Return the declaration of a step.

    Raises:
        PipelineError: The function is no step.
    """
    spec = getattr(function, _ATTRIBUTE, None)
    if not isinstance(spec, StepSpec):
        name = getattr(function, "__name__", type(function).__name__)
        raise PipelineError("not a step", received=name, fix="put @step above the function")
    return spec


def _read(function: Callable[..., None], version: int) -> StepSpec:
    if not isinstance(function, types.FunctionType):
        raise PipelineError("a step is a plain function", received=type(function).__name__)
    where = f"{function.__module__}:{function.__qualname__}"
    if function.__code__.co_freevars:
        raise PipelineError(
            "a step reads variables of the function around it, which no cache key can see",
            where=where,
            received=", ".join(function.__code__.co_freevars),
            fix="pass them as parameters",
        )
    if isinstance(version, bool) or not isinstance(version, int):
        raise PipelineError("the version of a step is a whole number", where=where, received=repr(version))
    inputs: dict[str, InputPort] = {}
    outputs: dict[str, type[ArtifactType]] = {}
    parameters: dict[str, Parameter] = {}
    for parameter, hint in _annotations(function, where):
        place = f"{where}({parameter.name})"
        mark, optional = _mark(hint)
        if isinstance(mark, InputMark):
            inputs[parameter.name] = _input(mark, optional, parameter, place)
        elif isinstance(mark, OutputMark):
            outputs[parameter.name] = _output(mark, optional, parameter, place)
        else:
            parameters[parameter.name] = _parameter(hint, isinstance(mark, CodeMark), parameter, place)
    if not outputs:
        raise PipelineError(
            "a step needs an output, or there is nothing to reuse", where=where, fix="add a parameter of type Out[...]"
        )
    return StepSpec(function.__name__, where, version, function, inputs, outputs, parameters)


def _annotations(function: Callable[..., None], where: str) -> list[tuple[inspect.Parameter, Any]]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise PipelineError(
            "the annotations of a step cannot be read",
            where=where,
            received=str(error),
            fix="annotate with names that the module itself has when it is imported",
        ) from error
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PipelineError("a step takes named parameters only", where=where, received=str(parameter))
        if parameter.name not in hints or parameter.name in _RESERVED:
            raise PipelineError(
                "a parameter of a step has no annotation" if parameter.name not in hints else "a reserved name",
                where=f"{where}({parameter.name})",
                fix="annotate it" if parameter.name not in hints else "give the parameter another name",
            )
        found.append((parameter, hints[parameter.name]))
    return found


def _mark(hint: Any) -> tuple[Any, bool]:
    """Return the mark that an annotation carries, if any, and whether None may stand for it."""
    if get_origin(hint) in (Union, types.UnionType):
        marks = [mark for member in get_args(hint) if (mark := _mark(member)[0]) is not None]
        return (marks[0], True) if marks and set(get_args(hint)[1:]) == {type(None)} else (None, False)
    if get_origin(hint) is Annotated:
        marks = [mark for mark in hint.__metadata__ if isinstance(mark, InputMark | OutputMark | CodeMark)]
        return (marks[0] if marks else None), False
    return None, False


def _kind(mark: InputMark | OutputMark, where: str) -> type[ArtifactType]:
    kind = mark.type
    if not isinstance(kind, type) or not issubclass(kind, ArtifactType) or not _SUFFIX.fullmatch(kind.suffix):
        raise PipelineError(
            "an input or output needs a kind of artifact",
            where=where,
            expected="a subclass of ArtifactType whose suffix is empty or looks like .html",
            received=repr(kind),
        )
    return kind


def _input(mark: InputMark, optional: bool, parameter: inspect.Parameter, where: str) -> InputPort:
    has_default = parameter.default is not parameter.empty
    if has_default != optional or (has_default and parameter.default is not None):
        raise PipelineError(
            "only None can be the default of an input", where=where, fix="write In[...] | None = None, or no default"
        )
    return InputPort(_kind(mark, where), mark.many, optional)


def _output(mark: OutputMark, optional: bool, parameter: inspect.Parameter, where: str) -> type[ArtifactType]:
    if optional or parameter.default is not parameter.empty:
        raise PipelineError("an output is never optional and has no default", where=where)
    return _kind(mark, where)


def _parameter(hint: Any, code: bool, parameter: inspect.Parameter, where: str) -> Parameter:
    check_annotation(hint, where)
    required = parameter.default is parameter.empty
    default = None if required else conform(parameter.default, hint, where)
    if code and default is not None:
        raise PipelineError("only None can be the default of a function's name", where=where)
    return Parameter(hint, required, default, code)
