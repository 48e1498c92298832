"""Exercises of tutorial 11: the parts of EchoMamba4Rec."""

import numpy as np
from check.grade import Exercise, Mistake
from check.scores import dlogits, table_gradient

from minimamba.blocks.sequence import flip_valid as library_flip_valid
from minimamba.blocks.sequence import flip_window
from minimamba.ops.glu import GLUParams, glu, glu_backward
from minimamba.ops.linear import LinearParams
from minimamba.ops.norm import NormParams, layer_norm, layer_norm_backward
from minimamba.ops.recurrence import recurrence

__all__ = [
    "anticausal",
    "dlogits",
    "flip_valid",
    "glu_gradients",
    "norm_gradient",
    "table_gradient",
]


def _draw_norm(rng):
    b, d = rng.integers(2, 5), rng.integers(3, 7)
    return (*rng.normal(size=(2, b, d)), rng.uniform(0.5, 2, size=d))


def _norm_gradient(dy, x, weight):
    _, cache = layer_norm(x, NormParams(weight, np.zeros_like(weight)))
    return layer_norm_backward(dy, cache)[0]


def _norm_part(mean=1, scale=1, eps=1e-5, power=1):
    """Return the gradient of a layer norm with its terms weighted and rho to another power."""

    def wrong(dy, x, weight):
        _, (x_hat, rho, _) = layer_norm(x, NormParams(weight, np.zeros_like(weight)), eps)
        g = dy * weight
        along_one, along_x = g.mean(-1, keepdims=True), (g * x_hat).mean(-1, keepdims=True)
        return rho**power * (g - mean * along_one - scale * x_hat * along_x)

    return wrong


norm_gradient = Exercise(
    "The gradient of a layer norm",
    _norm_gradient,
    _draw_norm,
    "with g = dy * weight take out its mean and its part along x_hat, then scale, Eq. (11.4).",
    (
        Mistake(
            "mean and spread are taken for constants, but both depend on x: two terms are missing.",
            _norm_part(0, 0),
        ),
        Mistake("the mean depends on x: take the mean of g out as well.", _norm_part(0, 1)),
        Mistake(
            "the spread depends on x: take out x_hat times the mean of g x_hat as well.",
            _norm_part(1, 0),
        ),
        Mistake(
            "the weight is forgotten: what arrives at x_hat is dy * weight.",
            lambda dy, x, weight: _norm_gradient(dy / weight, x, weight),
        ),
        Mistake(
            "the weight comes last in the forward pass, so first here: g = dy * weight.",
            lambda dy, x, weight: _norm_gradient(dy / weight, x, weight) * weight,
        ),
        Mistake("the factor rho in front is missing.", _norm_part(power=0)),
        Mistake(
            "rho is 1 over the spread: multiply by it, or divide by the spread.",
            _norm_part(power=-1),
        ),
        Mistake("the part along x_hat is taken away, not added.", _norm_part(scale=-1)),
        Mistake("eps = 1e-5 stands below the square root.", _norm_part(eps=0.0)),
        Mistake(
            "all means run over the channels of one row, axis -1.",
            lambda dy, x, weight: _norm_gradient((dy * weight).T, x.T, np.ones(len(x))).T,
        ),
    ),
)


def _draw_glu(rng):
    b, d = rng.integers(2, 5), rng.integers(2, 5)
    dq, x = rng.normal(size=(2, b, d))
    return dq, x, rng.normal(size=(d, 2 * d)), rng.normal(size=(d, d))


def _glu_gradients(dq, x, w1, w2):
    _, cache = glu(x, GLUParams(LinearParams(w1, None), LinearParams(w2, None)))
    dx, dp = glu_backward(dq, cache)
    return dx, dp.fc1.weight, dp.fc2.weight


def _glu_with(change):
    """Return the gradients with (dvalue, dgate) changed by a function of (du, value, gate)."""

    def wrong(dq, x, w1, w2):
        value, raw = np.split(x @ w1, 2, axis=-1)
        gate, du = 1 / (1 + np.exp(-raw)), dq @ w2.T
        dboth = np.concatenate(change(du, value, gate), axis=-1)
        return dboth @ w1.T, x.T @ dboth, (value * gate).T @ dq

    return wrong


glu_gradients = Exercise(
    "The gradients of a gated linear unit",
    _glu_gradients,
    _draw_glu,
    "go back through w2, to both factors of value * sigmoid(gate), and through w1, Eq. (11.9).",
    (
        Mistake(
            "the slope of the sigmoid, s (1 - s), is missing on the gate's half.",
            _glu_with(lambda du, value, gate: (du * gate, du * value)),
        ),
        Mistake(
            "value and gate are swapped: the value's half comes first in w1.",
            _glu_with(lambda du, v, s: (du * v * s * (1 - s), du * s)),
        ),
        Mistake(
            "the gate is a factor, not a constant: a gradient flows through it too.",
            _glu_with(lambda du, value, gate: (du * gate, 0 * du)),
        ),
        Mistake(
            "the gradient of the gate is multiplied by the value that it let through.",
            _glu_with(lambda du, value, gate: (du * gate, du * gate * (1 - gate))),
        ),
        Mistake(
            "the gradient of the value passes the same gate as the value did.",
            _glu_with(lambda du, v, s: (du, du * v * s * (1 - s))),
        ),
        Mistake(
            "w2 is transposed on the way back: dw = dq @ w2.T.",
            lambda dq, x, w1, w2: (
                *_glu_gradients(dq, x, w1, w2.T)[:2],
                _glu_gradients(dq, x, w1, w2)[2],
            ),
        ),
    ),
)


def _draw_padded(rng):
    b, l, d = rng.integers(2, 5), rng.integers(4, 8), rng.integers(1, 3)
    return rng.normal(size=(b, l, d)), np.r_[l, rng.integers(2, l, size=b - 1)]


flip_valid = Exercise(
    "The flip that leaves the padding in its place",
    library_flip_valid,
    _draw_padded,
    "in row i only the first lengths[i] steps turn round, Eq. (11.11).",
    (
        Mistake("the padding is turned too, and comes first: that is flip_window.", flip_window),
        Mistake(
            "the items are in the right order but moved to the end of the window.",
            lambda x, n: np.stack(
                [np.roll(r, -k, axis=0) for r, k in zip(library_flip_valid(x, n), n, strict=True)]
            ),
        ),
        Mistake("nothing is turned round.", lambda x, lengths: x),
        Mistake(
            "the padding must come through unchanged; here it is zero.",
            lambda x, n: library_flip_valid(x, n) * (np.arange(x.shape[1]) < n[:, None])[..., None],
        ),
        Mistake(
            "one step too few is turned: the last item, n - 1, goes to place 0.",
            lambda x, n: library_flip_valid(x, n - 1),
        ),
        Mistake(
            "one step too many is turned: step n is padding already.",
            lambda x, n: library_flip_valid(x, np.minimum(n + 1, x.shape[1])),
        ),
        Mistake(
            "every row has a length of its own.",
            lambda x, n: library_flip_valid(x, np.full_like(n, n.min())),
        ),
    ),
)


def _fading_sum(x):
    """A causal block to run in the other direction: y_t = a y_{t-1} + x_t, one a a channel."""
    decay = 1 / np.arange(2.0, 2.0 + x.shape[-1])
    return recurrence(np.broadcast_to(decay, x.shape), x, np.zeros_like(x[:, 0]))[0]


anticausal = Exercise(
    "A causal block that runs from the end",
    lambda x, block: block(x[:, ::-1])[:, ::-1],
    lambda rng: (rng.normal(size=(rng.integers(2, 5), rng.integers(4, 8), 2)), _fading_sum),
    "turn the sequence round, run the block, turn the result round.",
    (
        Mistake(
            "the second flip is missing: step t of the result must belong to step t of x.",
            lambda x, block: block(x[:, ::-1]),
        ),
        Mistake(
            "the first flip is missing: the block still runs from the beginning.",
            lambda x, block: block(x)[:, ::-1],
        ),
        Mistake(
            "this is the causal direction: no flip, or one that does not turn time, axis 1.",
            lambda x, block: block(x),
        ),
        Mistake(
            "more than time is turned round: flip axis 1 only.",
            lambda x, block: np.flip(block(np.flip(x))),
        ),
    ),
)
