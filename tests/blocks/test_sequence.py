"""Flips are their own inverses and adjoints; reading and putting back are adjoint."""

import numpy as np
import pytest

from minimamba.blocks.sequence import at, at_backward, flip_valid, flip_window, read_ends, read_last
from minimamba.gradcheck import check_adjoint

LENGTHS = np.array([6, 1, 4])
X = np.random.default_rng(0).normal(size=(3, 6, 2))


@pytest.mark.parametrize("flip", [flip_window, flip_valid])
def test_a_flip_is_its_own_inverse_and_its_own_adjoint(flip):
    np.testing.assert_array_equal(flip(flip(X, LENGTHS), LENGTHS), X)
    turn = lambda x: flip(x, LENGTHS)  # noqa: E731
    check_adjoint(turn, turn, X, X[::-1])


def test_the_valid_flip_leaves_the_padding_and_turns_each_history():
    turned = flip_valid(X, LENGTHS)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_array_equal(turned[row, :n], X[row, :n][::-1])
        np.testing.assert_array_equal(turned[row, n:], X[row, n:])


def test_both_flips_agree_where_there_is_no_padding():
    full = np.full(3, 6)
    np.testing.assert_array_equal(flip_valid(X, full), flip_window(X, full))


def test_putting_back_is_the_adjoint_of_reading():
    position = np.array([5, 0, 2])
    dy = np.random.default_rng(1).normal(size=(3, 2))
    check_adjoint(lambda x: at(x, position), lambda dy: at_backward(dy, position, 6), X, dy)


def test_read_outs_are_the_last_item_and_for_the_ends_also_the_first():
    assert [list(p) for p in read_last(LENGTHS)] == [[5, 0, 3], [5, 0, 3]]
    assert [list(p) for p in read_ends(LENGTHS)] == [[5, 0, 3], [0, 0, 0]]
