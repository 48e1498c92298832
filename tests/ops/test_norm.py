"""What the norms take out of their input, and what their gradients therefore cannot contain."""

import numpy as np
import pytest

from minimamba.ops.norm import (
    NormParams,
    RMSNormParams,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)

EPS = np.finfo(float).eps
PLAIN = NormParams(np.ones(8), np.zeros(8))


def draw(seed=0):
    return np.random.default_rng(seed).standard_normal((3, 5, 8))


def test_layer_norm_gives_mean_zero_and_variance_one():
    y, _ = layer_norm(draw(), PLAIN, eps=0.0)
    # Eight numbers near 1: some ten roundings of 2e-16.
    assert abs(y.mean(axis=-1)).max() <= 10 * EPS
    assert abs((y * y).mean(axis=-1) - 1).max() <= 10 * EPS


def test_layer_norm_forgets_shift_and_scale():
    x = draw()
    y, moved = layer_norm(x, PLAIN, eps=0.0)[0], layer_norm(8 * x + 4, PLAIN, eps=0.0)[0]
    # Adding 4 to 8 x rounds at 32; divided by 8 times the deviation of a row, at least 0.3 here.
    np.testing.assert_allclose(moved, y, rtol=0, atol=32 * 8 * EPS)


def test_eps_is_added_to_the_biased_variance_inside_the_root():
    x = np.array([[1.0, -1.0]])  # variance 1 if divided by 2, 2 if divided by 1
    p = NormParams(np.ones(2), np.zeros(2))
    assert np.array_equal(layer_norm(x, p, eps=3.0)[0], x / 2)  # 1 / sqrt(1 + 3)
    assert np.array_equal(rms_norm(x, RMSNormParams(np.ones(2)), eps=3.0)[0], x / 2)


def test_a_constant_row_becomes_the_bias_and_has_a_finite_gradient():
    p = NormParams(np.ones(8), np.arange(8.0))
    y, cache = layer_norm(np.full((1, 8), 5.0), p, eps=1e-12)
    dx, _ = layer_norm_backward(draw()[0, :1], cache)
    assert np.array_equal(y[0], p.bias) and np.isfinite(dx).all()


def test_the_gradient_of_layer_norm_has_no_part_that_it_takes_out():
    x, dy = draw(), draw(1)
    dx, _ = layer_norm_backward(dy, layer_norm(x, PLAIN, eps=0.0)[1])
    # Shifting or scaling a row changes nothing, so dx is orthogonal to 1 and to x: sums of eight
    # products whose magnitudes stay below 40.
    assert abs(dx.sum(axis=-1)).max() <= 8 * 40 * EPS
    assert abs((dx * x).sum(axis=-1)).max() <= 8 * 40 * EPS


def test_rms_norm_forgets_scale_but_not_shift():
    x, p = draw(), RMSNormParams(np.ones(8))
    y, cache = rms_norm(x, p, eps=0.0)
    assert abs(rms_norm(4 * x, p, eps=0.0)[0] - y).max() == 0  # a power of two rounds nowhere
    assert abs(rms_norm(x + 1, p, eps=0.0)[0] - y).max() > 0.1
    dx, _ = rms_norm_backward(draw(1), cache)
    assert abs((dx * x).sum(axis=-1)).max() <= 8 * 40 * EPS


def test_layer_norm_is_rms_norm_of_the_centered_row():
    x = draw()
    centered = x - x.mean(axis=-1, keepdims=True)
    expected = rms_norm(centered, RMSNormParams(np.ones(8)), eps=1e-5)[0]
    np.testing.assert_allclose(layer_norm(x, PLAIN)[0], expected, rtol=0, atol=10 * EPS)


@pytest.mark.parametrize("op, p", [(layer_norm, PLAIN), (rms_norm, RMSNormParams(np.ones(8)))])
def test_a_wrong_width_is_named(op, p):
    with pytest.raises(ValueError, match=rf"{op.__name__}: x has 7 channels, the weight is \(8,\)"):
        op(draw()[..., :7], p)
