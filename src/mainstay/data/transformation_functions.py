"""The methods of a dataset that call functions of the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainstay.data.operations.arguments import function_of
from mainstay.data.operations.mapping import Filter, Map
from mainstay.data.plan import Operation

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset
    from mainstay.data.preprocessing import Preprocessing


class Functions:
    """Functions of elements, and what of them goes into a model."""

    _plan: Operation

    if TYPE_CHECKING:

        def _with(self, plan: Operation, label: str | None = None) -> Dataset: ...

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        *,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return what a function makes of each element.

        A function that JAX can trace, and that is seen to give the same when traced, runs for many elements at once;
        that is decided on the first elements and does not change the meaning. Calls of host functions in it, such as
        `io.parse_single_example`, `io.decode_raw` or a `HostGraph`, are made for whole columns. Every other function
        is called for each element, on NumPy arrays and scalars, and bytes.

        Python's numbers become int32, float32 and bool, a list becomes an array, text becomes bytes. Numbers of 64
        bits stay so. Traced, a narrower number never becomes one of 64 bits by arithmetic, as in TensorFlow:
        ``image / 255`` of uint8 is float32. Called for each element, a function follows NumPy's rules of dtypes, and
        JAX computes in 64 bits in it where the element has numbers of 64 bits.

        A function keeps the variables around it as they are now, so that those made in a loop differ, as in
        TensorFlow; what lists and other objects hold counts as it is when the dataset is first iterated. A function
        that draws random numbers, or keeps state otherwise, is called for each element in no certain order, and a few
        times more to find that out. `element_spec` calls a function on the first elements; behind a generator, that
        begins the generator once more.

        Args:
            map_func: The function; a tuple is given to it as several arguments.
            num_parallel_calls: How many calls may run at a time; None and `AUTOTUNE` let the engine decide. Functions
                that follow each other run together, and the smallest number holds for them.
            deterministic: Whether the order is kept; None leaves that to the options of the dataset.
            name: What reports call it.

        Raises:
            ArgumentError: It is no function.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.from_tensor_slices(([1.5, 2.5], [b"a", b"b"]))
            >>> list(dataset.map(lambda x, y: {"double": x * 2, "name": y}).as_numpy_iterator())
            [{'double': np.float32(3.0), 'name': b'a'}, {'double': np.float32(5.0), 'name': b'b'}]
        """
        return self._with(Map(self._plan, function_of(map_func, "map_func"), num_parallel_calls, deterministic), name)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """Return the elements for which a predicate is true.

        Args:
            predicate: Returns one boolean or number for an element; see `map` for how it is run.
            name: What reports call it.

        Raises:
            ArgumentError: It is no function.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(6).filter(lambda x: x % 2 == 0)]
            [0, 2, 4]
        """
        return self._with(Filter(self._plan, function_of(predicate, "predicate")), name)

    def preprocessing(self, since: Dataset | None = None) -> Preprocessing:
        """Return the functions of the dataset for `saved_model.save`, so that a server prepares values alike.

        They become part of the model's program, and host graphs in them a prefix of it. The order of elements,
        batches, filters and caches leave no trace; of elements ``(x, y)`` and ``(x, y, w)`` only what makes ``x`` is
        taken. The inputs of the model are then the raw values: the keys of their dict, or ``inputs``.

        Args:
            since: The dataset whose elements are the raw ones; None for the last one before nothing but `map`, `batch`
                and the like.

        Returns:
            The preprocessing, which has proven on a few elements that it gives the bits that the dataset gives.

        Raises:
            ArgumentError: There is no function or no element, or the dataset does not come from `since`.
            ModelError: A function cannot be exported, computes in 64 bits, or mixes rows or the label in; the message
                names it.

        Example:
            >>> import numpy as np
            >>> from mainstay.data import Dataset
            >>> raw = Dataset.from_tensor_slices((np.float32([[1, 2], [3, 4]]), [0, 1]))
            >>> scaled = raw.map(lambda x, y: (x / 4, y)).batch(2)
            >>> scaled.preprocessing().inputs
            (TensorSpec(shape=(None, 2), dtype='float32', name='inputs'),)
        """
        from mainstay.data.preprocessing import preprocessing_of

        return preprocessing_of(self._plan, None if since is None else since.plan)
