"""Dropout and its mask."""

import numpy as np
import pytest

from minimamba.ops.dropout import dropout, dropout_backward


def rng():
    return np.random.default_rng(3)


def test_evaluation_is_the_identity():
    x = np.ones((2, 3))
    for y, mask in (dropout(x), dropout(x, 0.5, None), dropout(x, 0.0, rng())):
        assert y is x and mask is None and dropout_backward(x, mask) is x


def test_the_kept_share_and_the_mean_are_as_promised():
    rate, size = 0.3, 100_000
    y, _ = dropout(np.ones(size), rate, rng())
    kept = (y != 0).mean()
    five_sigma = 5 * (rate * (1 - rate) / size) ** 0.5  # once in two million, and the seed is fixed
    assert abs(kept - (1 - rate)) < five_sigma
    assert abs(y.mean() - 1) < five_sigma / (1 - rate)
    assert set(y.tolist()) == {0.0, 1 / (1 - rate)}


def test_every_precision_drops_the_same_entries():
    narrow, _ = dropout(np.ones((4, 5), np.float32), 0.4, rng())
    wide, _ = dropout(np.ones((4, 5)), 0.4, rng())
    assert np.array_equal(narrow == 0, wide == 0) and narrow.dtype == np.float32


def test_the_gradient_passes_where_the_value_passed():
    x = np.ones((4, 5))
    y, mask = dropout(x, 0.4, rng())
    assert np.array_equal(dropout_backward(x, mask), y)


def test_two_sites_that_share_a_generator_drop_different_entries():
    shared = rng()
    one, two = (dropout(np.ones(100), 0.5, shared)[0] for _ in "12")
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_that_is_no_share_is_refused_even_in_evaluation(rate):
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\), got"):
        dropout(np.ones(3), rate)
