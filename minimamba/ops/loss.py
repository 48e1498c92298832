"""Losses: softmax cross entropy over all items, and BPR over pairs."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, check_indices
from minimamba.ops.elementwise import sigmoid, softplus


class CrossEntropyCache(NamedTuple):
    """What `softmax_cross_entropy_backward` needs."""

    weights: Array  # (b, v), exp(logits - largest logit of the row)
    total: Array  # (b,), their sums
    target: Array  # (b,), int


def softmax_cross_entropy(logits, target):
    """Return the mean over rows of -log softmax(logits)[target], Eq. (11.15).

    Official: torch.nn.functional.cross_entropy(logits, target).

    Parameters
    ----------
    logits : array, shape (b, v)
    target : array of int, shape (b,)
        In 0..v-1. May stay on the host beside CuPy logits.

    Returns
    -------
    loss : scalar
    cache : CrossEntropyCache

    Raises
    ------
    TypeError
        When the targets are not integers.
    ValueError
        When a target is not in 0..v-1, or there is not one for every row.

    Examples
    --------
    >>> loss, _ = softmax_cross_entropy(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([0, 0]))
    >>> float(loss)  # (log 2 + 0) / 2
    0.34657359027997264
    """
    xp = array_namespace(logits)
    b, v = logits.shape
    if target.shape != (b,):
        raise ValueError(f"softmax_cross_entropy: target is {target.shape}, expected {(b,)}")
    check_indices("target", target, v)
    target = xp.asarray(target)
    shifted = logits - logits.real.max(axis=1, keepdims=True)  # exp of it never overflows
    picked = shifted[xp.arange(b), target]
    weights = xp.exp(shifted)
    total = weights.sum(axis=1)
    return (xp.log(total) - picked).mean(), CrossEntropyCache(weights, total, target)


def softmax_cross_entropy_backward(dloss, cache):
    """Pull dloss back to dlogits = (softmax - onehot) dloss / b, Eq. (11.16)."""
    weights, total, target = cache
    xp = array_namespace(weights)
    b = len(target)
    share = xp.asarray(dloss, dtype=weights.dtype) / b
    dlogits = weights * (share / total)[:, None]
    dlogits[xp.arange(b), target] -= share
    return dlogits


def bpr(positive, negative):
    """Return the mean of -log sigmoid(positive - negative), Eq. (11.17).

    Parameters
    ----------
    positive, negative : array, one shape
        Scores of items that were chosen and of items that were not.

    Returns
    -------
    loss : scalar
    cache : array
        negative - positive.

    Examples
    --------
    >>> float(bpr(np.array([0.0, 1000.0]), np.array([1000.0, 0.0]))[0])
    500.0

    References
    ----------
    Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
    """
    if positive.shape != negative.shape:
        raise ValueError(f"bpr: positive is {positive.shape}, negative is {negative.shape}")
    difference = negative - positive
    return softplus(difference)[0].mean(), difference


def bpr_backward(dloss, cache):
    """Pull dloss back to (dpositive, dnegative), Eq. (11.17)."""
    difference = cache
    xp = array_namespace(difference)
    share = xp.asarray(dloss, dtype=difference.dtype) / difference.size
    dnegative = share * sigmoid(difference)[0]
    return -dnegative, dnegative
