"""What a program found, as JSON that does not tell which world it comes from."""

import itertools

import numpy as np


def encoded(value):
    """An element, or any part of one, with the dtype and the shape of every array."""
    if isinstance(value, dict):
        return {key: encoded(part) for key, part in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [encoded(part) for part in value]
    if hasattr(value, "element_spec"):
        return {"dataset": elements(value)}
    if hasattr(value, "to_list"):
        flat = getattr(value, "flat_values", None)
        return {"ragged": _plain(value.to_list()), "dtype": _dtype(np.asarray(flat))}
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return {"dtype": _dtype(array), "shape": list(array.shape), "values": _plain(array.tolist())}


def _dtype(array):
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def _plain(value):
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return "nan" if value != value else value


def elements(dataset, limit=None):
    """The elements of a dataset, or the first ones."""
    return [encoded(element) for element in itertools.islice(iter(dataset), limit)]


def values(dataset, limit=None):
    """The elements of a dataset of arrays as nested lists, where dtypes and shapes are no question."""
    return [_plain(np.asarray(element.numpy()).tolist()) for element in itertools.islice(iter(dataset), limit)]


def spec(dataset):
    """The element spec and the cardinality of a dataset."""
    return {"spec": _spec(dataset.element_spec), "cardinality": int(dataset.cardinality())}


def _spec(value):
    if isinstance(value, dict):
        return {key: _spec(part) for key, part in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_spec(part) for part in value]
    if hasattr(value, "element_spec"):
        return {"dataset": _spec(value.element_spec)}
    splits = getattr(value, "ragged_rank", None)
    return [type(value).__name__, _shape(value.shape), _name(value.dtype), splits]


def _name(dtype):
    return getattr(dtype, "name", dtype)


def _shape(shape):
    """The axes, or None of a shape that is not known at all."""
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return [None if size is None else int(size) for size in shape]


_SLIPS = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, NotImplementedError)


def fails(program):
    """Whether a program is refused, and whether for want of a file; a slip such as a KeyError is no refusal."""
    try:
        program()
    except _SLIPS:
        raise
    except Exception as error:
        missing = type(error).__name__ == "NotFoundError" or "no such file" in str(error)
        return "has no such file" if missing else "is refused"
    return "is accepted"
