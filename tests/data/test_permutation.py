"""The permutation is one, is the same for ever, and mixes as well as NumPy's."""

import numpy as np
import pytest

from mainstay.data import permutation
from mainstay.data.permutation import permute


def whole(length: int, key: int) -> np.ndarray:
    return permute(np.arange(length, dtype=np.int64), length, key)


@pytest.mark.parametrize(
    "length", [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 257, 1000, 1023, 4097, 65537]
)
def test_it_is_a_bijection(length: int) -> None:
    for key in (0, 1, 2**64 - 1):
        assert np.array_equal(np.sort(whole(length, key)), np.arange(length))


def test_it_never_changes() -> None:
    assert whole(10, 7).tolist() == [4, 8, 1, 5, 7, 0, 6, 9, 3, 2]
    far = permute(np.array([0, 1, 10**11]), 10**12, 123456789)
    assert far.tolist() == [726333601389, 427154415563, 366569749928]


def test_the_c_and_the_numpy_path_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = (2, 5, 100, 1000, 99991)
    native = [whole(length, 11).tolist() for length in lengths]
    monkeypatch.setattr(permutation, "native_function", lambda *_: None)
    assert [whole(length, 11).tolist() for length in lengths] == native


def test_neighbours_come_to_lie_anywhere() -> None:
    order = whole(100_000, 3).astype(np.float64)
    serial = np.corrcoef(order[:-1], order[1:])[0, 1]
    position = np.corrcoef(order, np.arange(len(order)))[0, 1]
    assert abs(serial) < 0.01
    assert abs(position) < 0.01


def test_batches_have_the_means_of_random_ones() -> None:
    means = whole(100_000, 5).reshape(-1, 100).mean(axis=1)
    ideal = np.sqrt((100_000**2 - 1) / 12 / 100)
    assert 0.9 < means.std() / ideal < 1.1


def test_keys_give_different_orders_and_each_place_each_row() -> None:
    firsts = np.bincount([permute(np.array([0]), 10, key)[0] for key in range(2000)], minlength=10)
    assert ((firsts - 200) ** 2 / 200).sum() < 27.9


def test_positions_may_come_in_any_order() -> None:
    order = whole(50, 9)
    picked = np.array([49, 0, 7, 7])
    assert permute(picked, 50, 9).tolist() == order[picked].tolist()
