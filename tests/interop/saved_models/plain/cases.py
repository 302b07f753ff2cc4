"""Functions of every primitive that becomes plain TensorFlow ops."""

from tests.interop.saved_models.plain import arrays, numbers
from tests.interop.saved_models.plain.graphs import Case


def cases() -> list[Case]:
    """All of them."""
    found = [
        *numbers.unary(),
        *numbers.binary(),
        *numbers.integer_arithmetic(),
        *numbers.conversions(),
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
    return found
