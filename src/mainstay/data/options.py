"""Options of a dataset, with the names of `tf.data.Options`: those that mean something here, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from mainstay.core import ArgumentError
from mainstay.data.execution.settings import WORKERS, Settings
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.structures import Structure

_T = TypeVar("_T", bound="OptionGroup")

Check = Callable[[Any, str], Any]


def _switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(
            "this option is either on or off", where=name, expected="True or False", received=repr(value)
        )
    return value


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError("this option is a number", where=name, expected="1 or more", received=repr(value))
    return value


def _workers(value: Any, name: str) -> str:
    if value not in WORKERS:
        raise ArgumentError(
            "there are no such workers", where=name, expected=" or ".join(WORKERS), received=repr(value)
        )
    return str(value)


class OptionGroup:
    """Some options; each is None as long as nobody has set it."""

    _name: ClassVar[str]
    _checks: ClassVar[dict[str, Check]]
    _groups: ClassVar[dict[str, type[OptionGroup]]] = {}
    _meaningless: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        for name in self._checks:
            object.__setattr__(self, name, None)
        for name, group in self._groups.items():
            object.__setattr__(self, name, group())

    def __setattr__(self, name: str, value: Any) -> None:
        where = f"{self._name}.{name}"
        if name in self._groups:
            if type(value) is not self._groups[name]:
                raise ArgumentError(
                    "this is a group of options",
                    where=where,
                    expected=self._groups[name].__name__,
                    received=repr(value),
                )
        elif name in self._checks:
            value = None if value is None else self._checks[name](value, where)
        else:
            raise self._unknown(name)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._unknown(name)

    def _unknown(self, name: str) -> ArgumentError:
        reason = self._meaningless.get(name)
        return ArgumentError(
            f"this option means nothing here: {reason}" if reason else "there is no such option",
            where=f"{self._name}.{name}",
            expected=", ".join([*self._checks, *(f"{group}.*" for group in self._groups)]),
            received=name,
        )

    def _merged(self: _T, other: _T) -> _T:
        """Return the options of both; where both are set, those of the other."""
        merged = type(self)()
        for name in self._checks:
            value = getattr(other, name)
            setattr(merged, name, getattr(self, name) if value is None else value)
        for name in self._groups:
            setattr(merged, name, getattr(self, name)._merged(getattr(other, name)))
        return merged

    def _set(self) -> dict[str, Any]:
        values = {name: value for name in self._checks if (value := getattr(self, name)) is not None}
        for group in self._groups:
            values |= {f"{group}.{name}": value for name, value in getattr(self, group)._set().items()}
        return values

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._set() == other._set()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._set().items())})"


class AutotuneOptions(OptionGroup):
    """What is tuned while a dataset runs, and within which limits.

    Attributes:
        enabled: Whether queues and workers follow what is measured; True unless set. Else every stage works a fixed
            number of chunks ahead, and row functions stay in threads unless `Options.workers` says otherwise.
        cpu_budget: How many cores may be used: threads, and worker processes. All that there are, unless set.
        ram_budget: How many bytes all stages may hold ahead of need. 512 MiB unless set, or a quarter of the memory.
    """

    enabled: bool | None
    cpu_budget: int | None
    ram_budget: int | None

    _name = "options.autotune"
    _checks: ClassVar[dict[str, Check]] = {"enabled": _switch, "cpu_budget": _count, "ram_budget": _count}
    _meaningless: ClassVar[dict[str, str]] = {
        "autotune_algorithm": "there is one way of tuning, a feedback loop at each stage",
        "initial_parallelism": "a stage begins with two chunks at a time and grows as it is waited for",
        "min_parallelism": "a stage begins with two chunks at a time and grows as it is waited for",
    }


class ThreadingOptions(OptionGroup):
    """How many threads a dataset has.

    Attributes:
        private_threadpool_size: How many threads run the tasks of the dataset, whatever `num_parallel_calls` asks for.
    """

    private_threadpool_size: int | None

    _name = "options.threading"
    _checks: ClassVar[dict[str, Check]] = {"private_threadpool_size": _count}
    _meaningless: ClassVar[dict[str, str]] = {
        "max_intra_op_parallelism": "one task uses one thread, and XLA's threads are shared by the whole process",
    }


class Options(OptionGroup):
    """How a dataset runs; what it gives does not depend on it, but for the order where `deterministic` is False.

    Attributes:
        deterministic: Whether operations that do not say so themselves keep the order; True unless set.
        workers: ``auto``: row functions run in worker processes where that is measured to be quicker. ``threads``:
            never. ``processes``: always; the first elements wait until the processes have started.
        autotune: Limits, and whether anything is tuned; an `AutotuneOptions`.
        threading: The number of threads; a `ThreadingOptions`.

    Example:
        >>> from mainstay.data import Dataset, Options
        >>> options = Options()
        >>> options.autotune.ram_budget = 64 << 20
        >>> options.workers = "threads"
        >>> Dataset.range(3).with_options(options).options()
        Options(workers='threads', autotune.ram_budget=67108864)
    """

    deterministic: bool | None
    workers: str | None
    autotune: AutotuneOptions
    threading: ThreadingOptions

    _name = "options"
    _checks: ClassVar[dict[str, Check]] = {"deterministic": _switch, "workers": _workers}
    _groups: ClassVar[dict[str, type[OptionGroup]]] = {"autotune": AutotuneOptions, "threading": ThreadingOptions}
    _meaningless: ClassVar[dict[str, str]] = {
        "dataset_name": "every operation takes a name of its own, with name=",
        "experimental_deterministic": "it is called deterministic",
        "experimental_distribute": "how a dataset is shared among processes is said with shard, or by the strategy",
        "experimental_external_state_policy": "a state is a place in the data; what functions hold is never part of it",
        "experimental_optimization": "functions are always fused and run on many elements where that changes no result",
        "experimental_service": "there is no data service",
        "experimental_slack": "batches go to the device while the step before them runs",
        "experimental_symbolic_checkpoint": "a state is always a few bytes: no buffer is part of it",
        "experimental_threading": "it is called threading",
        "experimental_warm_start": "chunks are begun as soon as an iterator is first asked for an element",
        "framework_type": "there is one framework",
    }

    def merge(self, options: Options) -> Options:
        """Return these options and others; where both are set, the others hold.

        Raises:
            ArgumentError: The others are no options.
        """
        return self._merged(checked(options))


def checked(options: Any) -> Options:
    """Return options.

    Raises:
        ArgumentError: They are none.
    """
    if not isinstance(options, Options):
        raise ArgumentError("these are no options", expected="mainstay.data.Options", received=repr(options))
    return options


class WithOptions(Operation):
    """The same elements, with options for how they are made.

    Args:
        upstream: The elements.
        options: The options; later changes to them do not count.
    """

    name = "with_options"
    changes_nothing = True

    def __init__(self, upstream: Operation, options: Options) -> None:
        self.inputs = (upstream,)
        self.options = Options().merge(options)

    @property
    def spec(self) -> Structure:
        """That of the elements."""
        return self.inputs[0].spec

    @property
    def cardinality(self) -> int:
        """That of the elements."""
        return self.inputs[0].cardinality

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage of the elements: options hold for the whole plan."""
        return planner.lower(self.inputs[0])


def options_of(plan: Operation) -> Options:
    """Return the options of a plan: those of its inputs, overruled by those that were set later."""
    merged = Options()
    for source in plan.inputs:
        merged = merged.merge(options_of(source))
    return merged.merge(plan.options) if isinstance(plan, WithOptions) else merged


def settings_of(options: Options) -> Settings:
    """Return what options mean for the engine."""
    chosen: dict[str, Any] = {
        "threads": options.threading.private_threadpool_size or options.autotune.cpu_budget,
        "is_fixed": options.threading.private_threadpool_size is not None or None,
        "processes": options.autotune.cpu_budget,
        "workers": options.workers,
        "ram_budget": options.autotune.ram_budget,
        "is_tuned": options.autotune.enabled,
        "deterministic": options.deterministic,
    }
    return Settings(**{name: value for name, value in chosen.items() if value is not None})
