"""The echo block and its parts: where dropout acts, and that reading one row equals reading all."""

import numpy as np
import pytest

from minimamba.blocks.bidirectional import (
    bidirectional,
    bidirectional_backward,
    bidirectional_read,
    bidirectional_read_backward,
)
from minimamba.blocks.echo import echo_block, echo_block_read
from minimamba.blocks.residual import dropped_residual_norm, residual_norm
from minimamba.blocks.sequence import at, at_backward, flip_valid, flip_window
from minimamba.ops.norm import NormParams, layer_norm
from minimamba.trees import tree_leaves
from tests.models.helpers import random_echo

LENGTHS = np.array([7, 1, 4, 7, 6])
X = np.random.default_rng(0).normal(size=(5, 7, 4))
PARAMS = random_echo(1, length=7, inner=2).layers[0]


def always_drop(rate=0.5):
    return rate, np.random.default_rng(3)


@pytest.mark.parametrize("flip", [flip_window, flip_valid])
def test_reading_one_row_equals_reading_it_from_the_whole(flip):
    row, c_row = bidirectional_read(X, LENGTHS, PARAMS.mixers[0], flip=flip)
    full, c_full = bidirectional(X, LENGTHS, PARAMS.mixers[0], flip=flip)
    np.testing.assert_allclose(row, at(full, LENGTHS - 1), rtol=0, atol=1e-11)
    dy = np.random.default_rng(2).normal(size=row.shape)
    dx, dp = bidirectional_read_backward(dy, c_row)
    dx_full, dp_full = bidirectional_backward(at_backward(dy, LENGTHS - 1, 7), c_full)
    np.testing.assert_allclose(dx, dx_full, rtol=0, atol=1e-11)
    for (path, one), (_, other) in zip(tree_leaves(dp), tree_leaves(dp_full), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11, err_msg=path)


def test_the_block_read_at_one_row_equals_the_block():
    row, _ = echo_block_read(X, LENGTHS, PARAMS)
    full, _ = echo_block(X, LENGTHS, PARAMS)
    np.testing.assert_allclose(row, at(full, LENGTHS - 1), rtol=0, atol=1e-11)


def test_a_window_turned_round_exchanges_the_branches():
    p = PARAMS.mixers[0]
    swapped = p._replace(
        causal=p.anticausal, anticausal=p.causal,
        causal_norm=p.anticausal_norm, anticausal_norm=p.causal_norm,
    )  # fmt: skip
    y, _ = bidirectional(X, LENGTHS, p)
    turned, _ = bidirectional(X[:, ::-1], LENGTHS, swapped)
    np.testing.assert_allclose(turned[:, ::-1], y, rtol=0, atol=1e-12)


def test_dropout_acts_on_the_sub_layer_in_one_residual_and_on_the_sum_in_the_other():
    x, y, p = np.full((1, 1000), 3.0), np.ones((1, 1000)), NormParams(np.ones(1000), np.zeros(1000))
    kept, _ = residual_norm(y, x, p, *always_drop())
    dropped, _ = dropped_residual_norm(y, x, p, *always_drop())
    # x + 0 or x + 2 in the one, 0 or 2 (x + y) in the other: two values each, by the same mask
    for found, low, high in ((kept, 3.0, 5.0), (dropped, 0.0, 8.0)):
        mask = np.where(found > found.mean(), high, low)
        np.testing.assert_allclose(found, layer_norm(mask, p, 1e-12)[0], rtol=1e-12)


def test_evaluation_is_training_without_a_generator():
    assert (echo_block(X, LENGTHS, PARAMS, 0.5)[0] == echo_block(X, LENGTHS, PARAMS)[0]).all()
