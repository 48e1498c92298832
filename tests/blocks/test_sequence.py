"""Flips are their own inverses and adjoints."""

import numpy as np
import pytest

from minimamba.blocks.sequence import flip_valid, flip_window
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
