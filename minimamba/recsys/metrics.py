"""HR, NDCG and MRR at k, of ranks that count from 1; one target a row."""

from itertools import combinations_with_replacement

import numpy as np


def hit_rate(ranks, k=10):
    """Return the share of targets among the first k.

    Examples
    --------
    >>> float(hit_rate(np.array([1, 3, 12, 40])))
    0.5
    """
    return np.mean(ranks <= k)


def ndcg(ranks, k=10):
    """Return the mean of 1 / log2(rank + 1) within the first k, of 0 beyond (the ideal is 1)."""
    return np.mean(np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0))


def mrr(ranks, k=10):
    """Return the mean of 1 / rank within the first k, of 0 beyond."""
    return np.mean(np.where(ranks <= k, 1.0 / ranks, 0))


METRICS = {"HR": hit_rate, "NDCG": ndcg, "MRR": mrr}
SHOWN = tuple(f"{name}@10" for name in METRICS)  # in tables and pictures


def summarize(ranks, ks=(10,)):
    """Return every metric at every k, named as in a table.

    Parameters
    ----------
    ranks : int array, shape (rows,)
    ks : sequence of int

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> summarize(np.array([1, 3, 12, 40]))
    {'HR@10': 0.5, 'NDCG@10': 0.375, 'MRR@10': 0.3333333333333333}
    """
    ranks = np.asarray(ranks)
    if not ranks.size:
        raise ValueError("ranks is empty; at least one row was expected")
    return {f"{name}@{k}": float(f(ranks, k)) for k in ks for name, f in METRICS.items()}


def ndcg_bounds(hr, mrr, k=10):
    """Return the least and the greatest NDCG@k that fit a hit rate and an MRR.

    A rank r in 1..k has the point (1/r, 1/log2(r+1)); a table is a mixture of such points with
    weights that sum to HR, so its NDCG lies in their convex hull above MRR. A printed table that
    leaves the bounds holds a typo.

    Examples
    --------
    >>> [round(bound, 4) for bound in ndcg_bounds(0.3215, 0.1458)]
    [0.1827, 0.1911]
    """
    if not 0 < hr <= 1 or not hr / k - 1e-12 <= mrr <= hr + 1e-12:
        raise ValueError(f"hr = {hr} and mrr = {mrr} fit no ranking; hr/k <= mrr <= hr <= 1")
    x = 1 / np.arange(1, k + 1)
    y = 1 / np.log2(np.arange(1, k + 1) + 1)
    at = np.clip(mrr / hr, x[-1], x[0])
    chords = []
    for i, j in combinations_with_replacement(range(k), 2):  # x[i] >= x[j]
        if x[j] <= at <= x[i]:
            share = (at - x[j]) / (x[i] - x[j]) if i != j else 1.0
            chords.append(hr * (share * y[i] + (1 - share) * y[j]))
    return float(min(chords)), float(max(chords))
