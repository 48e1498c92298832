"""Adam and AdamW against the formula written out for one number, and against PyTorch."""

import math

import numpy as np
import pytest

from minimamba.ops.adam import adam_init, adam_update, adamw_update, clip_by_norm, squares
from minimamba.trees import tree_leaves, tree_map


def slow_adam(p, gradients, lr, b1, b2, eps, decay=0.0):
    m = s = 0.0
    for step, g in enumerate(gradients, 1):
        p -= lr * decay * p
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g * g
        p -= lr * (m / (1 - b1**step)) / (math.sqrt(s / (1 - b2**step)) + eps)
    return p


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_equal_the_formula(decay):
    gradients = np.random.default_rng(0).normal(size=20) * 1e-3
    params = (np.array([0.7]), None)
    state = adam_init(params)
    for g in gradients:
        grads = (np.array([g]), None)
        params, state = adamw_update(params, grads, state, 0.01, (0.8, 0.95), 1e-4, decay)
    assert state.step == 20
    assert params[0][0] == pytest.approx(
        slow_adam(0.7, gradients, 0.01, 0.8, 0.95, 1e-4, decay), rel=1e-13
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arguments_are_left_alone_and_dtypes_kept(dtype):
    rng = np.random.default_rng(1)
    params = (rng.normal(size=(3, 2)).astype(dtype), (rng.normal(size=4).astype(dtype),))
    grads = tree_map(lambda p: p * 2, params)
    state = adam_update(params, grads, adam_init(params))[1]
    everything = (params, grads, state)
    before = [leaf.copy() for _, leaf in tree_leaves(everything[:2] + state[1:])]
    new, new_state = adamw_update(params, grads, state, decay=0.1)
    after = [leaf for _, leaf in tree_leaves(everything[:2] + state[1:])]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert all(leaf.dtype == dtype for _, leaf in tree_leaves((new, *new_state[1:])))


def test_a_gradient_of_another_shape_is_refused_and_not_broadcast():
    params = (np.ones(3), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"grads has \(3,\) where params has an array of \(2, 3\)"):
        adam_update(params, (np.ones(3), np.ones(3)), adam_init(params))
    with pytest.raises(ValueError, match=r"state.mean has \(2,\) where params has an array of"):
        adam_update(params, params, adam_init((np.ones(2), np.ones((2, 3)))))


def test_clipping_scales_all_leaves_by_one_factor():
    grads = (np.array([3.0, 0.0]), np.array([[4.0]]))
    norm = sum(squares(grads)) ** 0.5
    assert norm == 5.0
    clipped = clip_by_norm(grads, norm, 2.5)
    assert clipped[0][0] == pytest.approx(1.5, rel=1e-6) and clipped[1][0, 0] == pytest.approx(2.0)
    assert clip_by_norm(grads, norm, 6.0) is grads


@pytest.mark.peers
def test_updates_equal_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    start, gradients = rng.normal(size=(5, 3)), rng.normal(size=(30, 5, 3))
    for decay, make in ((0.0, torch.optim.Adam), (0.02, torch.optim.AdamW)):
        theirs = torch.nn.Parameter(torch.tensor(start))
        optimizer = make([theirs], lr=0.01, weight_decay=decay)
        params, state = (start,), adam_init((start,))
        for g in gradients:
            theirs.grad = torch.tensor(g)
            torch.nn.utils.clip_grad_norm_([theirs], 3.0)
            optimizer.step()
            clipped = clip_by_norm((g,), np.linalg.norm(g), 3.0)
            params, state = adamw_update(params, clipped, state, 0.01, decay=decay)
        np.testing.assert_allclose(params[0], theirs.detach().numpy(), rtol=1e-13, atol=1e-15)
