"""What a caller hands to a graph that takes strings: no byte of them is lost."""

import numpy as np
import pytest

from mainstay.core import RequestError
from mainstay.saved_model.graph_reading.feeds import feed


@pytest.mark.parametrize(
    "given", [["a\0", "\0\0"], [b"a\0", b"\0\0"], ("a\0", b"\0\0"), np.array(["a\0", "\0\0"], object)]
)
def test_strings_keep_zeros_at_their_end(given) -> None:
    assert feed(given, "string", "x").tolist() == [b"a\0", b"\0\0"]


@pytest.mark.parametrize("given", [[["a"], ["b", "c"]], [1, 2], [None]])
def test_lists_that_are_no_array_of_strings_are_refused(given) -> None:
    with pytest.raises(RequestError, match="wrong dtype"):
        feed(given, "string", "x")
