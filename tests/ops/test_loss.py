"""The losses at the edges of their range."""

from decimal import Decimal, localcontext
from math import log

import numpy as np
import pytest

from minimamba.ops.loss import (
    bpr,
    bpr_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)

EPS = np.finfo(float).eps


def draw(b=4, v=6):
    rng = np.random.default_rng(17)
    return 3 * rng.standard_normal((b, v)), rng.integers(0, v, b)


def test_cross_entropy_is_its_definition_in_forty_digits():
    logits, target = draw()
    with localcontext() as context:
        context.prec = 40
        rows = [[Decimal(float(x)) for x in row] for row in logits]
        terms = [sum(x.exp() for x in r).ln() - r[t] for r, t in zip(rows, target, strict=True)]
        truth = float(sum(terms) / len(terms))
    # Logits up to 10 are shifted, six exponentials summed, four rows averaged: 20 roundings at 10.
    assert abs(softmax_cross_entropy(logits, target)[0] - truth) <= 20 * 10 * EPS


def test_equal_logits_cost_the_logarithm_of_their_number():
    loss, _ = softmax_cross_entropy(np.full((3, 1000), 7.0), np.array([0, 500, 999]))
    assert abs(loss - log(1000)) <= 10 * EPS


def test_a_shift_of_a_row_changes_nothing():
    logits, target = draw()
    shifted = logits + np.array([[0.0], [1024], [-1024], [0.5]])
    loss, other = (softmax_cross_entropy(x, target)[0] for x in (logits, shifted))
    assert abs(loss - other) <= 2 * 1034 * EPS  # the shifted logits are rounded at 1034


def test_huge_logits_give_a_finite_loss_and_gradient():
    logits = np.array([[1e300, 0.0, -1e300], [1e4, 2e4, 0.0]])
    loss, cache = softmax_cross_entropy(logits, np.array([0, 0]))
    assert loss == 5000.0  # (0 + 10000) / 2
    dlogits = softmax_cross_entropy_backward(1.0, cache)
    assert np.array_equal(dlogits, [[0, 0, 0], [-0.5, 0.5, 0]])


def test_the_gradient_of_every_row_sums_to_zero():
    logits, target = draw()
    dlogits = softmax_cross_entropy_backward(1.0, softmax_cross_entropy(logits, target)[1])
    assert abs(dlogits.sum(axis=1)).max() <= 8 * EPS
    assert (dlogits[np.arange(4), target] < 0).all()


@pytest.mark.parametrize("dloss", [2.0, np.float64(2), np.array(2.0)])
def test_a_wide_dloss_does_not_widen_the_gradient(dloss):
    logits, target = draw()
    _, cache = softmax_cross_entropy(logits.astype(np.float32), target)
    assert softmax_cross_entropy_backward(dloss, cache).dtype == np.float32
    _, cache = bpr(*logits.astype(np.float32)[:2])
    assert bpr_backward(dloss, cache)[0].dtype == np.float32


@pytest.mark.parametrize(
    "target, error, words",
    [
        ([0, 6, 0, 0], ValueError, r"target must lie in 0\.\.5, got values from 0 to 6"),
        ([0, -1, 0, 0], ValueError, r"got values from -1 to 0"),
        ([0.0, 1.0, 0.0, 0.0], TypeError, "target must be integers"),
        ([0, 1], ValueError, r"target is \(2,\), expected \(4,\)"),
    ],
)
def test_a_target_that_is_no_item_of_its_row_is_refused(target, error, words):
    with pytest.raises(error, match=words):
        softmax_cross_entropy(draw()[0], np.array(target))


def test_bpr_counts_the_wrong_way_round_by_its_distance_and_the_right_way_by_nothing():
    loss, cache = bpr(np.array([1e300, 0.0]), np.array([0.0, 1e5]))
    assert loss == 50000.0
    dpositive, dnegative = bpr_backward(1.0, cache)
    assert dpositive.tolist() == [0, -0.5] and dnegative.tolist() == [0, 0.5]


def test_bpr_of_equal_scores_is_log_two():
    loss, _ = bpr(np.ones((2, 3)), np.ones((2, 3)))
    assert abs(loss - log(2)) <= 4 * EPS


def test_bpr_is_cross_entropy_between_the_two():
    (positive, negative), _ = draw(b=2)
    pairs = np.stack([positive, negative], axis=1)
    expected, _ = softmax_cross_entropy(pairs, np.zeros(6, int))
    assert abs(bpr(positive, negative)[0] - expected) <= 10 * 10 * EPS


def test_bpr_of_different_shapes_is_refused():
    with pytest.raises(ValueError, match=r"positive is \(2,\), negative is \(3,\)"):
        bpr(np.ones(2), np.ones(3))
