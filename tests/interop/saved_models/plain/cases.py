"""Functions of every primitive that becomes plain TensorFlow ops."""

from functools import cache

from tests.interop.saved_models.plain import arithmetic, arrays
from tests.interop.saved_models.plain.graphs import Case


@cache
def cases() -> tuple[Case, ...]:
    """All of them."""
    found = [
        *arithmetic.unary(),
        *arithmetic.binary(),
        *arithmetic.integer_arithmetic(),
        *arithmetic.conversions(),
        *arrays.shapes(),
        *arrays.indexing(),
        *arrays.scatters(),
        *arrays.reductions(),
        *arrays.contractions(),
        *arrays.convolutions(),
        *arrays.pooling(),
        *arrays.sorting(),
        *arrays.control(),
        *arrays.calls(),
        *arrays.wide(),
        *arrays.images(),
    ]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    return tuple(found)
