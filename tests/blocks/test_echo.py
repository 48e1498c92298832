"""The echo block and its parts: its two directions, and where dropout acts."""

import numpy as np

from minimamba.blocks.bidirectional import bidirectional
from minimamba.blocks.echo import echo_block
from minimamba.blocks.residual import dropped_residual_norm, residual_norm
from minimamba.ops.norm import NormParams, layer_norm
from tests.models.helpers import random_echo

LENGTHS = np.array([7, 1, 4, 7, 6])
X = np.random.default_rng(0).normal(size=(5, 7, 4))
PARAMS = random_echo(1, length=7, inner=2).layers[0]


def always_drop(rate=0.5):
    return rate, np.random.default_rng(3)


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
