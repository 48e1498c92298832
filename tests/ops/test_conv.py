"""The causal convolution in one piece, in any two pieces, and step by step."""

import numpy as np
import pytest

from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)

# k + 1 = 5 products and sums of numbers near 1, which the two sides may order differently.
TOLERANCE = 2 * 5 * 10 * np.finfo(float).eps


def draw(b=2, l=7, e=3, k=4):
    rng = np.random.default_rng(7)
    p = ConvParams(rng.standard_normal((e, k)), rng.standard_normal(e))
    return rng.standard_normal((b, l, e)), p, rng.standard_normal((b, k - 1, e))


def naive(x, p, state):
    """Return Eq. (5.7), read letter by letter."""
    past = np.concatenate([state, x], axis=1)
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        for j in range(p.weight.shape[1]):
            y[:, t] += p.weight[:, j] * past[:, t + j]  # past[:, t + k - 1] is x_t
    return y + p.bias


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("l", [1, 2, 3, 7])
def test_it_is_its_definition(l, k):
    x, p, state = draw(l=l, k=k)
    y, last, _ = causal_conv1d(x, p, state)
    np.testing.assert_allclose(y, naive(x, p, state), rtol=0, atol=TOLERANCE)
    assert np.array_equal(last, np.concatenate([state, x], axis=1)[:, l:])


def test_the_last_tap_multiplies_the_current_step():
    x, p, _ = draw()
    only_last = p._replace(weight=p.weight * np.array([0, 0, 0, 1.0]), bias=None)
    assert np.array_equal(causal_conv1d(x, only_last)[0], x * p.weight[:, 3])


def test_no_state_is_a_past_of_zeros():
    x, p, state = draw()
    assert np.array_equal(causal_conv1d(x, p)[0], causal_conv1d(x, p, 0 * state)[0])


@pytest.mark.parametrize("cut", range(8))
def test_a_split_sequence_continues_from_its_state_also_when_a_piece_is_shorter_than_the_taps(cut):
    x, p, state = draw()
    whole, last, _ = causal_conv1d(x, p, state)
    first, between, _ = causal_conv1d(x[:, :cut], p, state)
    second, end, _ = causal_conv1d(x[:, cut:], p, between)
    assert np.array_equal(np.concatenate([first, second], axis=1), whole)
    assert np.array_equal(end, last)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_gradients_pass_through_the_state_between_two_pieces(cut):
    x, p, state = draw()
    y, last, cache = causal_conv1d(x, p, state)
    dx, dp, dstate = causal_conv1d_backward(y, last, cache)
    _, between, cache_one = causal_conv1d(x[:, :cut], p, state)
    _, _, cache_two = causal_conv1d(x[:, cut:], p, between)
    dx_two, dp_two, dbetween = causal_conv1d_backward(y[:, cut:], last, cache_two)
    dx_one, dp_one, dstate_one = causal_conv1d_backward(y[:, :cut], dbetween, cache_one)
    scale = 7 * max(1, abs(y).max()) ** 2  # seven steps in a sum
    close = dict(rtol=0, atol=scale * TOLERANCE)
    np.testing.assert_allclose(np.concatenate([dx_one, dx_two], axis=1), dx, **close)
    np.testing.assert_allclose(dp_one.weight + dp_two.weight, dp.weight, **close)
    np.testing.assert_allclose(dstate_one, dstate, **close)


@pytest.mark.parametrize("k", [1, 4])
def test_step_equals_sequence(k):
    x, p, state = draw(k=k)
    whole, last, _ = causal_conv1d(x, p, state)
    for t in range(x.shape[1]):
        y_t, state = causal_conv1d_step(x[:, t], p, state)
        np.testing.assert_allclose(y_t, whole[:, t], rtol=0, atol=TOLERANCE)
    assert np.array_equal(state, last)


def test_the_state_is_a_copy():
    x, p, _ = draw()
    _, state, cache = causal_conv1d(x, p)
    assert not np.shares_memory(state, cache.padded) and not np.shares_memory(state, x)


def test_wrong_shapes_are_named():
    x, p, state = draw()
    with pytest.raises(ValueError, match="causal_conv1d: x has 2 channels, but the weight is for"):
        causal_conv1d(x[..., :2], p)
    for call in (lambda s: causal_conv1d(x, p, s), lambda s: causal_conv1d_step(x[:, 0], p, s)):
        with pytest.raises(ValueError, match=r"the state is \(2, 2, 3\), expected \(2, 3, 3\)"):
            call(state[:, :2])
