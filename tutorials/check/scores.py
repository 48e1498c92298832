"""Exercises of tutorial 11 on the scores: the gradient of the loss, and that of the table."""

import numpy as np
from check.grade import Exercise, Mistake

from minimamba.ops.embedding import embedding, embedding_backward
from minimamba.ops.loss import softmax_cross_entropy, softmax_cross_entropy_backward


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


dlogits = Exercise(
    "The gradient of the cross entropy",
    _dlogits,
    _draw_logits,
    "the softmax, less 1 at the target, over the number of rows, Eq. (11.16).",
    (
        Mistake("exp overflows: take the largest logit of a row away first.", _overflowing),
        Mistake(
            "the loss is a mean: divide by the number of rows.",
            lambda logits, target: _dlogits(logits, target) * len(target),
        ),
        Mistake(
            "the 1 at the target is not taken away.",
            lambda logits, target: (
                _dlogits(logits, target) + np.eye(logits.shape[1])[target] / len(target)
            ),
        ),
        Mistake(
            "the 1 at the target is divided by the number of rows as well.",
            lambda logits, target: (
                _dlogits(logits, target) - np.eye(logits.shape[1])[target] * (1 - 1 / len(target))
            ),
        ),
        Mistake(
            "divide by the number of rows, not of logits.",
            lambda logits, target: _dlogits(logits, target) / logits.shape[1],
        ),
        Mistake("the softmax runs over the items of a row, axis 1.", _down_the_columns),
        Mistake("take away the largest logit of each row, not of all.", _one_shift),
    ),
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


table_gradient = Exercise(
    "The gradient of a table that is used twice",
    _table,
    _draw_table,
    "add up: dx at every place where an item stands, np.add.at, and dlogits^T row for the scores.",
    (
        Mistake(
            "an item that stands twice gets one of its two gradients: table[ids] += loses the "
            "others; use np.add.at.",
            _last_one_wins,
        ),
        Mistake(
            "an item that stands twice gets one of its gradients, and the padding gets some too: "
            "use np.add.at, and drop row 0 of the lookup.",
            _last_one_wins_and_padding,
        ),
        Mistake(
            "the table also scores the items: the term dlogits^T row is missing.",
            lambda dx, item_seq, dlogits, row: _looked_up(dx, item_seq, dlogits),
        ),
        Mistake(
            "the table is also looked up: the rows of dx are missing.",
            lambda dx, item_seq, dlogits, row: dlogits.T @ row,
        ),
        Mistake(
            "the padding's row gets no gradient from the lookup: drop it there.",
            lambda dx, item_seq, dlogits, row: (
                _looked_up(dx, item_seq, dlogits, None) + dlogits.T @ row
            ),
        ),
        Mistake(
            "only the lookup leaves the padding's row out; its score is trained like any other.",
            _deaf_padding,
        ),
    ),
)
