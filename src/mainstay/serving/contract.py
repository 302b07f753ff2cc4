"""What the server asks of a model: the part of a loaded artifact that it uses, as protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mainstay.core import Signature
from mainstay.hostops import Column, HostInput


@runtime_checkable
class ServedSignature(Protocol):
    """One named function of a model, ready to run on whole batches."""

    @property
    def signature(self) -> Signature:
        """The specs of what it takes and gives."""

    @property
    def inputs(self) -> tuple[HostInput, ...]:
        """What a request carries, in the order in which `run` takes it."""

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes that are compiled, ascending; a batch is padded to the next one."""

    def run(self, columns: list[Column]) -> dict[str, np.ndarray[Any, Any]]:
        """Run it on columns of one length, in the order of `inputs`.

        Returns:
            The outputs by name, each `[rows, ...]`.
        """

    def warm_up(self, buckets: Sequence[int] | None = None) -> None:
        """Compile for these batch sizes, so that no request waits for a compiler."""


@runtime_checkable
class SampledSignature(Protocol):
    """A signature that knows rows which it answers, such as the golden ones of an artifact."""

    def example(self, rows: int) -> list[Column]:
        """Return that many rows, in the order of `inputs`, as `run` takes them."""


@runtime_checkable
class ServedModel(Protocol):
    """A model in memory."""

    @property
    def signatures(self) -> Mapping[str, ServedSignature]:
        """Its functions by name."""


@runtime_checkable
class PaddingSignature(Protocol):
    """A signature that takes batches which are padded already, so that rows are copied once."""

    @property
    def takes_padding(self) -> bool:
        """Whether it does."""

    def run_padded(self, columns: list[Column], rows: int) -> dict[str, np.ndarray[Any, Any]]:
        """Run it on columns whose length is one of `buckets`, of which only the first rows count.

        Returns:
            The outputs by name, each `[rows, ...]`.
        """


@runtime_checkable
class WholeSignature(Protocol):
    """A signature that takes the tensors of one request as they are, whatever their shapes."""

    def run_whole(self, tensors: Sequence[np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run it on just these tensors, in the order of `inputs`.

        Returns:
            The outputs by name, of any shape.

        Raises:
            RequestError: A tensor has the wrong dtype, or a shape that it does not take.
        """


@runtime_checkable
class ResizableSignature(Protocol):
    """A signature whose batch sizes can be chosen."""

    def use_buckets(self, buckets: Sequence[int]) -> None:
        """Compile these batch sizes from now on, ascending."""
