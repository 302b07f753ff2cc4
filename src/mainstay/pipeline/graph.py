"""Pipelines: steps wired to each other and to outside files, every wire checked when it is drawn."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstay.core import PipelineError, storage_errors
from mainstay.pipeline.artifacts import ArtifactType
from mainstay.pipeline.code import split_reference
from mainstay.pipeline.events import OnEvent
from mainstay.pipeline.parameters import conform, describe
from mainstay.pipeline.results import RunResult
from mainstay.pipeline.step import InputPort, StepSpec, spec_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, eq=False)
class Source:
    """Files from outside of a pipeline.

    Args:
        name: Its name in the pipeline.
        paths: The files and folders, absolute, in order.
    """

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """A step in its place in a pipeline; ``node["model"]`` is the handle of an output.

    Args:
        name: Its name in the pipeline.
        spec: What the step takes and gives.
        inputs: What is wired to each input, by name; empty where an optional input was left out.
        parameters: The value of each parameter, by name.
    """

    name: str
    spec: StepSpec
    inputs: Mapping[str, tuple[Handle, ...]]
    parameters: Mapping[str, Any]

    def __getitem__(self, output: str) -> Handle:
        if output not in self.spec.outputs:
            raise PipelineError(
                "the step has no such output",
                where=self.name,
                expected=f"one of {', '.join(self.spec.outputs)}",
                received=repr(output),
            )
        return Handle(self, output, self.spec.outputs[output])


@dataclass(frozen=True)
class Handle:
    """What an input can be wired to: an output of a step, or outside files.

    Args:
        producer: The node or the source.
        output: The name of the node's output; empty for a source.
        type: The kind of artifact.
    """

    producer: Node | Source
    output: str
    type: type[ArtifactType]

    @property
    def num_paths(self) -> int:
        """How many paths it stands for."""
        return len(self.producer.paths) if isinstance(self.producer, Source) else 1

    def __str__(self) -> str:
        return f"{self.producer.name}.{self.output}" if self.output else self.producer.name


class Pipeline:
    """Steps, in the order in which they run.

    A step can only take what was added before it, so a pipeline cannot have a cycle.

    Args:
        name: Its name: letters, digits, ``-`` and ``_``. Runs are numbered per name.

    Raises:
        PipelineError: The name has another form.

    Example:
        >>> from mainstay.pipeline import ArtifactType, Out, Pipeline, step
        >>> class Text(ArtifactType):
        ...     '''A text.'''
        >>> @step
        ... def greet(*, whom: str = "world", text: Out[Text]) -> None:
        ...     text.write_text(f"Hello, {whom}")
        >>> pipeline = Pipeline("greeting")
        >>> greeting = pipeline.add(greet, whom="Ada")
        >>> greeting["text"].type.__name__
        'Text'
        >>> [node.name for node in pipeline.steps]
        ['greet']
    """

    def __init__(self, name: str) -> None:
        self.name = _checked_name(name, "the name of a pipeline")
        self._nodes: list[Node] = []
        self._sources: list[Source] = []

    @property
    def _members(self) -> list[Node | Source]:
        return [*self._nodes, *self._sources]

    @property
    def steps(self) -> tuple[Node, ...]:
        """The steps in the order in which they run."""
        return tuple(self._nodes)

    def source(
        self,
        name: str,
        kind: type[ArtifactType],
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    ) -> Handle:
        """Declare outside files; steps depend on their content, and on the ending of their names, not on their place.

        Args:
            name: Its name in the pipeline, unique among steps and sources.
            kind: What they are.
            paths: A file or a folder, or several in order; an input of several is declared `InList`.

        Raises:
            PipelineError: The name is taken or malformed, there is no path, or one is no file or folder.
        """
        self._claim(name)
        if not isinstance(kind, type) or not issubclass(kind, ArtifactType):
            raise PipelineError("a source needs a kind of artifact", where=name, received=repr(kind))
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        if not given:
            raise PipelineError("a source has no files", where=name, fix="check the glob or the folder")
        source = Source(name, tuple(_existing(path, name) for path in given))
        self._sources.append(source)
        return Handle(source, "", kind)

    def add(self, function: Callable[..., None], /, *, name: str | None = None, **arguments: Any) -> Node:
        """Add a step.

        Args:
            function: A function under `step`.
            name: Its name in the pipeline, unique among steps and sources; by default the function's.
            **arguments: For each input a handle, or several for an `InList`; for each parameter a value.

        Raises:
            PipelineError: An argument is missing, unknown or of the wrong kind, or the name is taken.
        """
        spec = spec_of(function)
        name = spec.name if name is None else name
        self._claim(name)
        accepted = [*spec.inputs, *spec.parameters]
        for argument in arguments:
            if argument not in accepted:
                raise _unknown(f"{name}({argument})", argument, accepted, spec)
        inputs = {key: self._wire(arguments.get(key), port, f"{name}({key})") for key, port in spec.inputs.items()}
        node = Node(name, spec, inputs, _values(spec, arguments, name))
        self._nodes.append(node)
        return node

    def run(
        self,
        folder: str | os.PathLike[str],
        *,
        quiet: bool = False,
        on_event: OnEvent | None = None,
        force: Collection[str] = (),
    ) -> RunResult:
        """Run the steps, reusing every result that is recorded in the folder for the same key and still unchanged.

        The key is made of the step's name, version and code, its parameters, the content of its inputs, and the
        versions of what computes. A step whose inputs were made anew with the same content is therefore reused.

        Args:
            folder: Where outputs, the lineage store and the lock are; made if it is not there.
            quiet: Whether steps show no progress.
            on_event: Called with each `Event`.
            force: The names of steps that run in any case.

        Returns:
            Where the outputs lie, and what became of each step.

        Raises:
            PipelineError: A step broke its contract, or another run uses the folder.
            MetadataError: The lineage store is damaged.
            StorageError: The file system refused.
            BaseException: Whatever a step raises, unchanged; its failure is recorded, earlier results stay reusable.
        """
        from mainstay.pipeline.runner import run_pipeline, run_quietly

        forced = {force} if isinstance(force, str) else set(force)
        names = [node.name for node in self._nodes]
        for name in sorted(forced - set(names)):
            raise PipelineError(
                "a step that is to run in any case is not in the pipeline",
                expected=f"one of {', '.join(names)}",
                received=name,
                fix=_did_you_mean(name, names),
            )
        self._check_apart(Path(folder))
        run = run_quietly if quiet else run_pipeline
        return run(self, Path(folder).absolute(), on_event=on_event, force=forced)

    def _check_apart(self, folder: Path) -> None:
        """Refuse a folder within a source, whose content would change with every run."""
        for source in self._sources:
            for path in source.paths:
                if folder.resolve().is_relative_to(path.resolve()):
                    raise PipelineError(
                        "the folder of a pipeline lies within one of its sources",
                        where=folder,
                        received=f"the source {source.name}: {path}",
                        fix="choose a folder elsewhere, or name the files of the source one by one",
                    )

    def _claim(self, name: str) -> None:
        _checked_name(name, "the name of a step or a source")
        taken = {item.name.lower() for item in self._members}
        if name.lower() in taken:
            raise PipelineError(
                "the name is taken", where=self.name, received=name, fix='give another one: add(..., name="...")'
            )

    def _wire(self, value: Any, port: InputPort, where: str) -> tuple[Handle, ...]:
        if value is None:
            if port.optional:
                return ()
            raise PipelineError("an input is missing", where=where, expected=f"a handle of {port.type.__name__}")
        given = tuple(value) if port.many and isinstance(value, list | tuple) else (value,)
        for handle in given:
            self._check_handle(handle, port, where)
        if not port.many and given[0].num_paths != 1:
            raise PipelineError(
                "an input takes one path",
                where=where,
                received=f"{given[0].num_paths} paths of {given[0]}",
                fix="declare the input as InList",
            )
        return given

    def _check_handle(self, handle: Any, port: InputPort, where: str) -> None:
        expected = f"a handle of {port.type.__name__}"
        if isinstance(handle, Node):
            outputs = ", ".join(f'{handle.name}["{output}"]' for output in handle.spec.outputs)
            raise PipelineError(
                "an input is wired to a whole step", where=where, expected=expected, fix=f"choose from {outputs}"
            )
        if not isinstance(handle, Handle):
            raise PipelineError(
                "an input is wired to a plain value",
                where=where,
                expected=expected,
                received=repr(handle),
                fix="declare outside files with Pipeline.source",
            )
        if not any(handle.producer is item for item in self._members):
            raise PipelineError("an input is wired to another pipeline", where=where, received=str(handle))
        if not issubclass(handle.type, port.type):
            raise PipelineError(
                "an input is wired to the wrong kind of artifact",
                where=where,
                expected=port.type.__name__,
                received=f"{handle.type.__name__} from {handle}",
            )


def _values(spec: StepSpec, arguments: Mapping[str, Any], name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, parameter in spec.parameters.items():
        where = f"{name}({key})"
        if key not in arguments and parameter.required:
            raise PipelineError("a parameter is missing", where=where, expected=describe(parameter.hint))
        value = conform(arguments[key], parameter.hint, where) if key in arguments else parameter.default
        if parameter.code and value is not None:
            file, function = split_reference(value, where)
            value = f"{file}:{function}"
        values[key] = value
    return values


def _unknown(where: str, argument: str, accepted: list[str], spec: StepSpec) -> PipelineError:
    if argument in spec.outputs:
        return PipelineError(
            "an output is not an argument", where=where, fix=f'take its handle from the node: node["{argument}"]'
        )
    return PipelineError(
        "the step has no such input or parameter",
        where=where,
        expected=", ".join(accepted) or "no arguments",
        received=argument,
        fix=_did_you_mean(argument, accepted),
    )


def _did_you_mean(name: str, names: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else None


def _checked_name(name: str, what: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PipelineError(
            f"{what} is malformed",
            expected="up to 100 letters, digits, - and _, the first a letter or digit",
            received=repr(name),
        )
    return name


def _existing(path: str | os.PathLike[str], name: str) -> Path:
    absolute = Path(path).absolute()
    with storage_errors(absolute, "read"):
        try:
            mode = os.stat(absolute).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise PipelineError("a file of a source is not there", where=name, received=os.fspath(path)) from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise PipelineError("a source is neither a file nor a folder", where=name, received=os.fspath(path))
    return absolute
