"""Exercises of tutorial 11: the parts of EchoMamba4Rec."""

import numpy as np
from check.grade import exercise

from minimamba.blocks.sequence import flip_valid as library_flip_valid
from minimamba.blocks.sequence import flip_window
from minimamba.ops.embedding import embedding, embedding_backward
from minimamba.ops.glu import GLUParams, glu, glu_backward
from minimamba.ops.linear import LinearParams
from minimamba.ops.loss import softmax_cross_entropy, softmax_cross_entropy_backward
from minimamba.ops.norm import NormParams, layer_norm, layer_norm_backward
from minimamba.ops.recurrence import recurrence


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


norm_gradient = exercise(
    "The gradient of a layer norm",
    _norm_gradient,
    _draw_norm,
    "with g = dy * weight take out its mean and its part along x_hat, then scale, Eq. (11.4).",
    "mean and spread are taken for constants, but both depend on x: two terms are missing.",
    _norm_part(0, 0),
    "the mean depends on x: take the mean of g out as well.",
    _norm_part(0, 1),
    "the spread depends on x: take out x_hat times the mean of g x_hat as well.",
    _norm_part(1, 0),
    "the weight is forgotten: what arrives at x_hat is dy * weight.",
    lambda dy, x, weight: _norm_gradient(dy / weight, x, weight),
    "the weight comes last in the forward pass, so first here: g = dy * weight.",
    lambda dy, x, weight: _norm_gradient(dy / weight, x, weight) * weight,
    "the factor rho in front is missing.",
    _norm_part(power=0),
    "rho is 1 over the spread: multiply by it, or divide by the spread.",
    _norm_part(power=-1),
    "the part along x_hat is taken away, not added.",
    _norm_part(scale=-1),
    "eps = 1e-5 stands below the square root.",
    _norm_part(eps=0.0),
    "all means run over the channels of one row, axis -1.",
    lambda dy, x, weight: _norm_gradient((dy * weight).T, x.T, np.ones(len(x))).T,
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


glu_gradients = exercise(
    "The gradients of a gated linear unit",
    _glu_gradients,
    _draw_glu,
    "go back through w2, to both factors of value * sigmoid(gate), and through w1, Eq. (11.9).",
    "the slope of the sigmoid, s (1 - s), is missing on the gate's half.",
    _glu_with(lambda du, value, gate: (du * gate, du * value)),
    "value and gate are swapped: the value's half comes first in w1.",
    _glu_with(lambda du, v, s: (du * v * s * (1 - s), du * s)),
    "the gate is a factor, not a constant: a gradient flows through it too.",
    _glu_with(lambda du, value, gate: (du * gate, 0 * du)),
    "the gradient of the gate is multiplied by the value that it let through.",
    _glu_with(lambda du, value, gate: (du * gate, du * gate * (1 - gate))),
    "the gradient of the value passes the same gate as the value did.",
    _glu_with(lambda du, v, s: (du, du * v * s * (1 - s))),
    "w2 is transposed on the way back: dw = dq @ w2.T.",
    lambda dq, x, w1, w2: (
        *_glu_gradients(dq, x, w1, w2.T)[:2],
        _glu_gradients(dq, x, w1, w2)[2],
    ),
)


def _draw_padded(rng):
    b, l, d = rng.integers(2, 5), rng.integers(4, 8), rng.integers(1, 3)
    return rng.normal(size=(b, l, d)), np.r_[l, rng.integers(2, l, size=b - 1)]


flip_valid = exercise(
    "The flip that leaves the padding in its place",
    library_flip_valid,
    _draw_padded,
    "in row i only the first lengths[i] steps turn round, Eq. (11.11).",
    "the padding is turned too, and comes first: that is flip_window.",
    flip_window,
    "the items are in the right order but moved to the end of the window.",
    lambda x, n: np.stack(
        [np.roll(r, -k, axis=0) for r, k in zip(library_flip_valid(x, n), n, strict=True)]
    ),
    "nothing is turned round.",
    lambda x, lengths: x,
    "the padding must come through unchanged; here it is zero.",
    lambda x, n: library_flip_valid(x, n) * (np.arange(x.shape[1]) < n[:, None])[..., None],
    "one step too few is turned: the last item, n - 1, goes to place 0.",
    lambda x, n: library_flip_valid(x, n - 1),
    "one step too many is turned: step n is padding already.",
    lambda x, n: library_flip_valid(x, np.minimum(n + 1, x.shape[1])),
    "every row has a length of its own.",
    lambda x, n: library_flip_valid(x, np.full_like(n, n.min())),
)


def _fading_sum(x):
    """A causal block to run in the other direction: y_t = a y_{t-1} + x_t, one a a channel."""
    decay = 1 / np.arange(2.0, 2.0 + x.shape[-1])
    return recurrence(np.broadcast_to(decay, x.shape), x, np.zeros_like(x[:, 0]))[0]


anticausal = exercise(
    "A causal block that runs from the end",
    lambda x, block: block(x[:, ::-1])[:, ::-1],
    lambda rng: (rng.normal(size=(rng.integers(2, 5), rng.integers(4, 8), 2)), _fading_sum),
    "turn the sequence round, run the block, turn the result round.",
    "the second flip is missing: step t of the result must belong to step t of x.",
    lambda x, block: block(x[:, ::-1]),
    "the first flip is missing: the block still runs from the beginning.",
    lambda x, block: block(x)[:, ::-1],
    "this is the causal direction: no flip, or one that does not turn time, axis 1.",
    lambda x, block: block(x),
    "more than time is turned round: flip axis 1 only.",
    lambda x, block: np.flip(block(np.flip(x))),
)


def _draw_logits(rng):
    b, v = rng.integers(2, 5), rng.integers(3, 8)
    scale = np.where(np.arange(b) == 0, 1000.0, 1.0)[:, None]
    return rng.normal(size=(b, v)) * scale, rng.integers(0, v, size=b)


def _dlogits(logits, target):
    return softmax_cross_entropy_backward(1.0, softmax_cross_entropy(logits, target)[1])


def _overflowing(logits, target):
    weights = np.exp(logits)
    onehot = np.eye(logits.shape[1])[target]
    return (weights / weights.sum(axis=1, keepdims=True) - onehot) / len(logits)


def _down_the_columns(logits, target):
    weights = np.exp(logits - logits.max(axis=0))
    return (weights / weights.sum(axis=0) - np.eye(logits.shape[1])[target]) / len(logits)


def _one_shift(logits, target):
    return _overflowing(logits - logits.max(), target)


dlogits = exercise(
    "The gradient of the cross entropy",
    _dlogits,
    _draw_logits,
    "the softmax, less 1 at the target, over the number of rows, Eq. (11.16).",
    "exp overflows: take the largest logit of a row away first.",
    _overflowing,
    "the loss is a mean: divide by the number of rows.",
    lambda logits, target: _dlogits(logits, target) * len(target),
    "the 1 at the target is not taken away.",
    lambda logits, target: _dlogits(logits, target) + np.eye(logits.shape[1])[target] / len(target),
    "the 1 at the target is divided by the number of rows as well.",
    lambda logits, target: (
        _dlogits(logits, target) - np.eye(logits.shape[1])[target] * (1 - 1 / len(target))
    ),
    "divide by the number of rows, not of logits.",
    lambda logits, target: _dlogits(logits, target) / logits.shape[1],
    "the softmax runs over the items of a row, axis 1.",
    _down_the_columns,
    "take away the largest logit of each row, not of all.",
    _one_shift,
)


def _draw_table(rng):
    b, l, d, v = rng.integers(2, 4), 5, rng.integers(1, 4), 6
    item_seq = rng.integers(0, v, size=(b, l))
    item_seq[:, -1], item_seq[:, :2] = 0, 1 + rng.integers(0, v - 1)  # padding, and one item twice
    return rng.normal(size=(b, l, d)), item_seq, rng.normal(size=(b, v)), rng.normal(size=(b, d))


def _looked_up(dx, item_seq, dlogits, padding=0):
    _, cache = embedding(item_seq, np.zeros((dlogits.shape[1], dx.shape[-1])), padding)
    return embedding_backward(dx, cache)


def _table(dx, item_seq, dlogits, row):
    return _looked_up(dx, item_seq, dlogits) + dlogits.T @ row


def _last_one_wins(dx, item_seq, dlogits, row):
    table = dlogits.T @ row
    table[item_seq] += dx
    table[0] = (dlogits.T @ row)[0]
    return table


def _last_one_wins_and_padding(dx, item_seq, dlogits, row):
    table = dlogits.T @ row
    table[item_seq] += dx
    return table


def _deaf_padding(dx, item_seq, dlogits, row):
    table = _table(dx, item_seq, dlogits, row)
    table[0] = 0
    return table


table_gradient = exercise(
    "The gradient of a table that is used twice",
    _table,
    _draw_table,
    "add up: dx at every place where an item stands, np.add.at, and dlogits^T row for the scores.",
    "an item that stands twice gets one of its two gradients: table[ids] += loses the "
    "others; use np.add.at.",
    _last_one_wins,
    "an item that stands twice gets one of its gradients, and the padding gets some too: "
    "use np.add.at, and drop row 0 of the lookup.",
    _last_one_wins_and_padding,
    "the table also scores the items: the term dlogits^T row is missing.",
    lambda dx, item_seq, dlogits, row: _looked_up(dx, item_seq, dlogits),
    "the table is also looked up: the rows of dx are missing.",
    lambda dx, item_seq, dlogits, row: dlogits.T @ row,
    "the padding's row gets no gradient from the lookup: drop it there.",
    lambda dx, item_seq, dlogits, row: _looked_up(dx, item_seq, dlogits, None) + dlogits.T @ row,
    "only the lookup leaves the padding's row out; its score is trained like any other.",
    _deaf_padding,
)
