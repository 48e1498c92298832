"""The Mamba block: a sequence, its chunks and its steps are one."""

import numpy as np
import pytest

from minimamba.blocks.init import delta_log_uniform, delta_released, init_mamba
from minimamba.blocks.mamba import MambaState, mamba, mamba_backward, mamba_step, zero_state
from minimamba.ops.elementwise import softplus
from minimamba.trees import tree_leaves, tree_map

CLOSE = dict(rtol=0, atol=1e-12)  # some 50 sums and products of numbers near 1


def draw(seed=0, b=3, l=8, **sizes):
    rng = np.random.default_rng(seed)
    p = init_mamba(rng, width=4, **{"state": 3, **sizes})
    p = tree_map(lambda w: w + 0.3 * rng.normal(size=w.shape), p)
    return rng.normal(size=(b, l, 4)), p


@pytest.mark.parametrize("sizes", [{}, {"conv": 1}, {"conv": 6, "expand": 3}, {"state": 1}])
def test_steps_equal_the_sequence(sizes):
    x, p = draw(**sizes)
    y, end, _ = mamba(x, p)
    state = zero_state(len(x), p)
    for t in range(x.shape[1]):
        y_t, state = mamba_step(x[:, t], p, state)
        np.testing.assert_allclose(y_t, y[:, t], **CLOSE)
    for one, other in zip(state, end, strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_a_sequence_continues_from_its_state(cut):
    x, p = draw(1)
    y, end, _ = mamba(x, p)
    first, middle, _ = mamba(x[:, :cut], p)
    rest, last, _ = mamba(x[:, cut:], p, middle)
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), y, **CLOSE)
    for one, other in zip(last, end, strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_gradients_flow_through_the_state_between_two_chunks(cut):
    x, p = draw(2)
    y, end, whole = mamba(x, p)
    rng = np.random.default_rng(3)
    dy, dend = rng.normal(size=y.shape), tree_map(lambda s: rng.normal(size=s.shape), end)
    dx, dp, _ = mamba_backward(dy, dend, whole)
    _, middle, first = mamba(x[:, :cut], p)
    _, _, second = mamba(x[:, cut:], p, middle)
    dx_2, dp_2, dmiddle = mamba_backward(dy[:, cut:], dend, second)
    dx_1, dp_1, _ = mamba_backward(dy[:, :cut], dmiddle, first)
    np.testing.assert_allclose(np.concatenate([dx_1, dx_2], axis=1), dx, **CLOSE)
    for (path, g), (_, one), (_, two) in zip(*map(tree_leaves, (dp, dp_1, dp_2)), strict=True):
        np.testing.assert_allclose(one + two, g, rtol=1e-11, atol=1e-11, err_msg=path)


def test_it_is_causal():
    x, p = draw(4)
    moved = x.copy()
    moved[:, 5:] += 1
    assert (mamba(x, p)[0][:, :5] == mamba(moved, p)[0][:, :5]).all()


def test_the_zero_state_is_the_state_before_the_first_step():
    x, p = draw(8)
    y, _, _ = mamba(x, p)
    with_zeros, _, _ = mamba(x, p, zero_state(len(x), p))
    assert (y == with_zeros).all()
    assert isinstance(zero_state(2, p), MambaState)


def test_the_released_start_gives_every_channel_one_step_size():
    p = init_mamba(np.random.default_rng(0), width=64, init=delta_released)
    np.testing.assert_array_equal(p.dt_proj.bias, 0)
    assert softplus(p.dt_proj.bias)[0][0] == np.log(2)


def test_mambas_start_spreads_step_sizes_log_uniformly():
    p = init_mamba(np.random.default_rng(0), width=512, init=delta_log_uniform)
    step = np.log10(softplus(p.dt_proj.bias)[0])
    assert step.min() > -3.001 and step.max() < -0.999
    # The mean of 1024 numbers uniform in [-3, -1] has a standard deviation of 0.018.
    assert abs(step.mean() + 2) < 0.1
