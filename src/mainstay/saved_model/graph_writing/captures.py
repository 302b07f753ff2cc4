"""Captures: the variables, tables and files that a function of the graph holds on to."""

from __future__ import annotations

from dataclasses import dataclass

from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that functions hold on to.

    Args:
        number: Its number in the object graph.
        handle: The tensor of the main graph that stands for it.
    """

    number: int
    handle: Ref


class Captures:
    """What one function holds on to: its last arguments, in the order in which they were asked for.

    Args:
        builder: The function; all its other arguments are there already.

    Attributes:
        resources: What it holds on to so far.
    """

    def __init__(self, builder: FunctionBuilder) -> None:
        self.builder = builder
        self.resources: list[Resource] = []
        self._refs: dict[int, Ref] = {}

    def hold(self, resource: Resource) -> Ref:
        """Return what a resource is within the function."""
        if resource.number not in self._refs:
            handle = resource.handle
            name = f"capture_{len(self.resources)}"
            self._refs[resource.number] = self.builder.argument(name, handle.dtype, handle.shape)
            self.resources.append(resource)
        return self._refs[resource.number]
