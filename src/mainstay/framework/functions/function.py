"""`function`: calls of a Python function become calls of programs that are traced once per kind of arguments."""

from __future__ import annotations

import functools
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.framework.functions.arguments import Parameters, describe, is_identified, leaf_key, leaf_paths, watch
from mainstay.framework.functions.bound import bound_function
from mainstay.framework.functions.concrete import ConcreteFunction, needs_a_length, symbolic
from mainstay.framework.functions.failures import explained
from mainstay.framework.functions.input_signature import InputSignature
from mainstay.framework.functions.program import Program
from mainstay.framework.functions.retracing import RetracingWatch
from mainstay.framework.functions.structures import Structure, is_array, is_opaque, opened, tree
from mainstay.framework.functions.tracing import trace
from mainstay.framework.functions.varying import VaryingNumbers
from mainstay.framework.jax_internals import CONCRETE_ARRAY, jax_settings
from mainstay.framework.keras_internals import call_settings, keras_settings


class Switch:
    """Whether functions run as plain Python, for the whole process."""

    is_eager = False


switch = Switch()


class Function:
    """A Python function whose calls run as compiled programs; made by `function`, which says what its options mean."""

    def __init__(
        self,
        func: Callable[..., Any],
        input_signature: Sequence[Any] | None = None,
        *,
        autograph: bool = True,
        reduce_retracing: bool = False,
    ) -> None:
        functools.update_wrapper(self, func)
        self.python_function = func
        self.__name__ = _name_of(func)
        self._options: dict[str, Any] = {
            "input_signature": input_signature,
            "autograph": autograph,
            "reduce_retracing": reduce_retracing,
        }
        self._parameters = Parameters(func, self.__name__)
        self._signature = None if input_signature is None else InputSignature(input_signature, self._parameters)
        self._varying = VaryingNumbers() if reduce_retracing else None
        self._watch = RetracingWatch(self.__name__)
        self._lock = threading.RLock()
        self._count = 0
        # From bound arguments to their program; from calls as they are written; and the quickest way, for positional
        # arrays alone, under the settings in its head.
        self._programs: dict[Any, Program] = {}
        self._concrete_functions: dict[Any, ConcreteFunction] = {}
        self._by_call: dict[Any, tuple[Program, list[int]]] = {}
        self._quick: tuple[Any, Any, dict[Any, Any]] = (None, None, {})
        self._quick_tables: dict[Any, dict[Any, Any]] = {}
        self._identified: dict[int, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, tracing and compiling it first if it has not met arguments of this kind."""
        settings = call_settings()
        if settings[0] is not None or switch.is_eager:
            return self._run_python(args, kwargs)
        try:
            quick, context, table = self._quick
            if not kwargs and settings == quick and jax_settings() == context:
                key: list[Any] = []
                for arg in args:
                    kind = type(arg)
                    if kind is CONCRETE_ARRAY:
                        key.append(arg.aval)
                    elif kind is np.ndarray:
                        key.append(arg.dtype)
                        key.append(arg.shape)
                    else:
                        break
                else:
                    run = table.get(tuple(key))
                    if run is not None:
                        if self._watch.is_alert:
                            self._watch.add_hit()
                        return run(args)
            return self._call_any(args, kwargs)
        except Exception as error:
            raise explained(error, self.__name__, self._shown(args, kwargs))  # noqa: B904  (it has its own cause)

    def _call_any(self, args: Any, kwargs: Any) -> Any:
        """Run a call of any form."""
        leaves, treedef = tree.tree_flatten((args, kwargs))
        if any(not is_array(leaf) and is_opaque(leaf) for leaf in leaves):
            leaves, treedef = tree.tree_flatten(opened((args, kwargs)))
        settings = (jax_settings(), keras_settings())
        try:
            key = (settings, treedef, *map(leaf_key, leaves))
        except ArgumentError as error:
            raise self._unusable(args, kwargs, error) from None
        found = self._by_call.get(key)
        if found is not None:
            if self._watch.is_alert:
                self._watch.add_hit()
            program, order = found
            return program.run([leaves[index] for index in order])
        if any(isinstance(leaf, keras.KerasTensor) for leaf in leaves):
            return self._run_python(args, kwargs)
        program, operands = self._program(self._bound(args, kwargs), settings)
        self._remember(key, leaves, treedef, program, operands)
        return program.run(operands)

    def _run_python(self, args: Any, kwargs: Any) -> Any:
        """Run as a part of a trace that is going on, or as plain Python where that is asked for."""
        if switch.is_eager:
            return self.python_function(*args, **kwargs)
        if self._signature is not None:
            args, kwargs = self._signature.apply(args, kwargs)
        return self._converted(*args, **kwargs)

    @functools.cached_property
    def _converted(self) -> Callable[..., Any]:
        if not self._options["autograph"]:
            return self.python_function
        # Imported here: autograph itself stages loops in the scopes of this package.
        from mainstay.framework.autograph import convert

        return convert(self.python_function)

    def _bound(self, args: Any, kwargs: Any) -> OrderedDict[str, Any]:
        if self._signature is not None:
            args, kwargs = self._signature.apply(args, kwargs)
        return self._parameters.bind(args, kwargs)

    def _remember(self, key: Any, leaves: list[Any], treedef: Any, program: Program, operands: list[Any]) -> None:
        """Let the next call that is written like this one go to the program directly, if it can."""
        order = [index for index in self._parameters.order(treedef) if is_array(leaves[index])]
        if [id(leaves[index]) for index in order] != list(map(id, operands)):
            return
        self._by_call[key] = (program, order)
        settings = call_settings()
        is_flat = treedef == tree.tree_structure(((0,) * len(leaves), {})) and order == list(range(len(leaves)))
        if is_flat and all(map(_is_quick, leaves)) and settings[1] is None:
            table = self._quick_tables.setdefault(key[0], {})
            table[tuple(part for leaf in leaves for part in _quick_key(leaf))] = program.run
            self._quick = (settings, key[0][0], table)

    def _program(self, arguments: OrderedDict[str, Any], settings: Any) -> tuple[Program, list[Any]]:
        """Return the program for bound arguments, traced if there is none, with its operands."""
        structure, operands = self._taken_apart(arguments)
        key = _program_key(structure, operands, settings)
        program = self._programs.get(key)
        if program is None:
            with self._lock:
                program = self._programs.get(key)
                if program is None:
                    return self._trace(arguments, settings)
        if self._watch.is_alert:
            self._watch.add_hit()
        return program, operands

    def _taken_apart(self, arguments: OrderedDict[str, Any]) -> tuple[Structure, list[Any]]:
        structure, operands = Structure.of(arguments)
        if self._varying is None:
            return structure, operands
        return self._varying.promote(structure, operands, arguments)

    def _trace(self, arguments: OrderedDict[str, Any], settings: Any) -> tuple[Program, list[Any]]:
        varying: set[str] = set()
        if self._varying is not None:
            self._varying.look(arguments)
            varying = self._varying.among(arguments)
        try:
            structure, operands = self._taken_apart(arguments)
            program = self._traced(structure, operands)
        except Exception:
            if self._varying is None or not varying:
                raise
            self._varying.leave(varying)
            structure, operands = self._taken_apart(arguments)
            program = self._traced(structure, operands)
        self._programs[_program_key(structure, operands, settings)] = program
        inside = opened(arguments)
        shown = {}
        for path, leaf in zip(leaf_paths(inside), tree.tree_leaves(inside), strict=True):
            shown[path] = f"any {type(leaf).__name__}" if path in varying else describe(leaf)
        self._watch_objects(inside)
        self._watch.add_trace(shown, str(structure.treedef))
        return program, operands

    def _traced(self, structure: Structure, operands: list[Any]) -> Program:
        def run(arguments: OrderedDict[str, Any]) -> Any:
            args, kwargs = self._parameters.unbind(arguments)
            return self._converted(*args, **kwargs)

        traced = trace(run, structure, operands, name=self.__name__, may_create=self._count == 0)
        self._count += 1
        return Program(traced, self.__name__)

    def _watch_objects(self, arguments: Any) -> None:
        """Let what was traced for objects go with them."""
        for leaf in tree.tree_leaves(arguments):
            if is_identified(leaf) and id(leaf) not in self._identified:
                self._identified[id(leaf)] = watch(leaf, self._forget)

    def _forget(self, identity: int) -> None:
        """Drop what was traced for an object that is gone; its identity may be given to another."""
        self._identified.pop(identity, None)
        for table in (self._by_call, self._programs):
            for key in list(table):
                if any(isinstance(part, tuple) and part[1:] == (identity, "identity") for part in key[2:]):
                    table.pop(key, None)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return bound_function(self, instance, lambda method: Function(method, **self._options))

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """Trace the function for one kind of arguments, without running it.

        Args:
            *args: The arguments: a `TensorSpec` for an array, an array for one of its kind, or a Python value. None of
                them where the function has an `input_signature`, which then says what they are.
            **kwargs: Those by name.

        Raises:
            ArgumentError: The arguments are not what `input_signature` says.
            ModelError: With an open length (None) the function cannot be traced.
        """
        if self._signature is not None and not args and not kwargs:
            args = self._signature.specs
        try:
            return self._concrete(self._bound(args, kwargs))
        except Exception as error:
            raise explained(error, self.__name__, self._shown(args, kwargs))  # noqa: B904  (it has its own cause)

    def _concrete(self, arguments: OrderedDict[str, Any]) -> ConcreteFunction:
        structure, leaves = Structure.of(arguments, lambda leaf: is_array(leaf) or isinstance(leaf, TensorSpec))
        specs = [leaf if isinstance(leaf, TensorSpec) else TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves]
        operands = symbolic(specs)
        is_open = any(None in spec.shape for spec in specs)
        key = _program_key(structure, operands, (jax_settings(), keras_settings()))
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                try:
                    program = self._programs[key] = self._traced(structure, operands)
                except Exception as error:
                    if is_open and type(error).__module__.startswith("jax."):
                        raise needs_a_length(error, self.__name__, specs) from None
                    raise
                self._watch_objects(opened(arguments))
        call = self._run_bound if is_open else None
        concrete = ConcreteFunction(self.__name__, self._parameters, structure.fill(specs), program, call, self._inline)
        rest = [leaf for index, leaf in enumerate(structure.leaves) if index not in structure.places]
        if any(map(is_identified, rest)):  # what was traced for an object goes with it
            return concrete
        return self._concrete_functions.setdefault((structure.treedef, *specs, *map(leaf_key, rest)), concrete)

    @property
    def input_signature(self) -> tuple[Any, ...] | None:
        """The specs that the function was given for its arguments, or None."""
        return None if self._signature is None else self._signature.specs

    @property
    def concrete_functions(self) -> tuple[ConcreteFunction, ...]:
        """Those that `get_concrete_function` has given so far, each once."""
        return tuple(self._concrete_functions.values())

    def _inline(self, *args: Any, **kwargs: Any) -> Any:
        return self._run_python(args, kwargs)

    def _run_bound(self, arguments: OrderedDict[str, Any]) -> Any:
        program, operands = self._program(arguments, (jax_settings(), keras_settings()))
        return program.run(operands)

    def experimental_get_tracing_count(self) -> int:
        """Return how often the function was traced."""
        return self._count

    def pretty_printed_concrete_signatures(self) -> str:
        """Return a line for each kind of arguments that the function was traced for."""
        return "\n".join(f"{self.__name__}({program.shown})" for program in self._programs.values())

    def _shown(self, args: Any, kwargs: Any) -> str:
        """Return the arguments of a call in short."""
        try:
            arguments = opened(self._parameters.bind(args, kwargs))
        except TypeError:
            return "…"
        pairs = zip(leaf_paths(arguments), tree.tree_leaves(arguments), strict=True)
        return ", ".join(f"{path}: {describe(leaf)}" for path, leaf in pairs)

    def _unusable(self, args: Any, kwargs: Any, error: ArgumentError) -> ArgumentError:
        """Return the error with the path of the argument that has no key."""
        arguments = opened(self._parameters.bind(args, kwargs))
        for path, leaf in zip(leaf_paths(arguments), tree.tree_leaves(arguments), strict=True):
            try:
                leaf_key(leaf)
            except ArgumentError as again:
                return ArgumentError(
                    again.summary, where=path, expected=again.expected, received=again.received, fix=again.fix
                )
        return error

    def __repr__(self) -> str:
        return f"<Function {self.__name__}>"


def function(
    func: Callable[..., Any] | None = None,
    input_signature: Sequence[Any] | None = None,
    *,
    autograph: bool = True,
    jit_compile: bool | None = None,  # noqa: ARG001
    reduce_retracing: bool = False,
) -> Any:
    """Compile a Python function, as a decorator or by a call.

    The function is traced, and its program compiled by XLA, once for each kind of arguments: for each combination of
    dtypes, shapes, structure and Python values. It finds the Keras variables that the Python code reads and assigns,
    those of optimizers, metrics and seed generators too, without being told. Python's side effects happen while it is
    traced and at no other time.

    Args:
        func: The function, method or other callable.
        input_signature: A `TensorSpec`, or a structure of them, for each argument. Calls are then held against it;
            a None in a shape stands for any length, for each of which a program is compiled.
        autograph: Whether `if`, `while` and `for` over arrays become XLA's control flow.
        jit_compile: Taken for the sake of code that says it; everything is compiled, whatever it is.
        reduce_retracing: Whether a Python number that varies becomes a traced scalar from its second value on.

    Returns:
        A `Function`, or a decorator where `func` is left out.

    Raises:
        ArgumentError: The function is a generator or a coroutine, or `input_signature` does not fit it.

    Example:
        >>> import numpy as np
        >>> @function
        ... def squares(x):
        ...     print("traced")
        ...     return x * x
        >>> squares(np.arange(3)).tolist()
        traced
        [0, 1, 4]
        >>> squares(np.arange(3) + 1).tolist()
        [1, 4, 9]
    """
    if func is None:
        return functools.partial(
            function, input_signature=input_signature, autograph=autograph, reduce_retracing=reduce_retracing
        )
    if isinstance(func, Function):
        func = func.python_function
    options: dict[str, Any] = {"autograph": autograph, "reduce_retracing": reduce_retracing}
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(Function(func.__func__, input_signature, **options))
    if not callable(func):
        raise ArgumentError("function takes a callable", received=repr(func))
    if inspect.iscoroutinefunction(func) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise ArgumentError(
            "generators and coroutines cannot be compiled",
            where=_name_of(func),
            fix="compile the computation inside it, as a function of its own",
        )
    return Function(func, input_signature, **options)


def _name_of(func: Any) -> str:
    if isinstance(func, functools.partial):
        return _name_of(func.func)
    return str(getattr(func, "__name__", type(func).__name__))


def _program_key(structure: Structure, operands: list[Any], settings: Any) -> Any:
    dynamic = iter(operands)
    places = set(structure.places)
    leaves = enumerate(structure.leaves)
    keys = [_operand_key(next(dynamic)) if index in places else leaf_key(leaf) for index, leaf in leaves]
    return (settings, structure.treedef, *keys)


def _operand_key(operand: Any) -> Any:
    if type(operand) in (int, float):
        return type(operand)
    return leaf_key(operand) if is_array(operand) else (operand.shape, operand.dtype)


def _is_quick(leaf: Any) -> bool:
    return type(leaf) is CONCRETE_ARRAY or type(leaf) is np.ndarray


def _quick_key(leaf: Any) -> tuple[Any, ...]:
    return (leaf.aval,) if type(leaf) is CONCRETE_ARRAY else (leaf.dtype, leaf.shape)
