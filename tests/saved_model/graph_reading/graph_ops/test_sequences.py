"""Labels of sequences are decoded and compared."""

import numpy as np
import pytest

from mainstay.core import RequestError

SCORES = np.log(np.float32([[[0.6, 0.3, 0.1]], [[0.7, 0.2, 0.1]], [[0.1, 0.1, 0.8]], [[0.1, 0.8, 0.1]]]))


def test_the_best_path_has_no_blanks_and_no_repeats(run):
    places, values, shape, total = run("CTCGreedyDecoder", SCORES, np.int32([4]), merge_repeated=True)
    assert values.tolist() == [0, 1]
    assert places.tolist() == [[0, 0], [0, 1]]
    assert shape.tolist() == [1, 2]
    assert np.isclose(total.item(), -np.log(0.6 * 0.7 * 0.8 * 0.8))
    assert run("CTCGreedyDecoder", SCORES, np.int32([2]), merge_repeated=False)[1].tolist() == [0, 0]


def test_lengths_and_blanks_that_are_none_are_refused(run):
    with pytest.raises(RequestError, match="no such length"):
        run("CTCGreedyDecoder", SCORES, np.int32([5]))
    with pytest.raises(RequestError, match="no such blank"):
        run("CTCGreedyDecoder", SCORES, np.int32([4]), blank_index=3)


def test_a_distance_counts_changes(run, text):
    kitten, sitting = text(*"kitten"), text(*"sitting")
    row = lambda size: np.stack([np.zeros(size, np.int64), np.arange(size)], axis=1)  # noqa: E731
    given = row(6), kitten, np.int64([1, 6]), row(7), sitting, np.int64([1, 7])
    assert run("EditDistance", *given, normalize=False).tolist() == [3]
    assert np.allclose(run("EditDistance", *given), [3 / 7])
