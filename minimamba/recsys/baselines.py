"""What a model must beat, popularity and a Markov chain, and the best that it can reach.

Each makes a function (item_seq, lengths) -> scores (b, v), as `evaluate` wants them.
"""

import numpy as np

from minimamba.recsys.data.synthetic import predictive
from minimamba.recsys.data.windows import batches
from minimamba.recsys.metrics import METRICS


def train_events(seqs, split):
    """Return the places of the events that training may see: its targets and users' first items."""
    return np.union1d(split.train, seqs.offsets[:-1])


def popularity(seqs, split):
    """Score every item by its count in the training events.

    Examples
    --------
    >>> from minimamba.recsys.data.prepare import Sequences, Split
    >>> seqs = Sequences(np.array([1, 2, 2, 1]), np.array([0, 4]), None, ["ann"], ["", "a", "b"])
    >>> score = popularity(seqs, Split(np.array([1, 2]), np.array([]), np.array([3])))
    >>> score(np.array([[1]]), np.array([1]))
    array([[0., 1., 2.]])
    """
    seen = seqs.items[train_events(seqs, split)]
    count = np.bincount(seen, minlength=len(seqs.names)).astype(float)
    return lambda item_seq, lengths: np.tile(count, (len(item_seq), 1))


def markov(seqs, split):
    """Score every item by how often it followed the last one; popularity decides among equals.

    The counts are kept sparse: one number for each pair that occurred.
    """
    items = len(seqs.names)
    before = seqs.items[split.train - 1].astype(np.int64)
    pairs, count = np.unique(before * items + seqs.items[split.train], return_counts=True)
    begins = np.searchsorted(pairs, np.arange(items + 1) * items)
    popular = popularity(seqs, split)
    total = len(seqs.items) + 1

    def score(item_seq, lengths):
        scores = popular(item_seq, lengths) / total  # below 1: never outweighs one transition
        for row, last in zip(scores, item_seq[np.arange(len(lengths)), lengths - 1], strict=True):
            found = slice(begins[last], begins[last + 1])
            row[pairs[found] % items] += count[found]
        return scores

    return score


BASELINES = {"popularity": popularity, "Markov chain": markov}


def catalogue(process, seqs):
    """Return the process's number of every item of a prepared log, (v - 1,)."""
    number = {name: i for i, name in enumerate(process.names)}
    return np.array([number[name] for name in seqs.names[1:]])


def best_scorer(process, seqs):
    """Return (item_seq, lengths) -> scores of the best possible ranking; wants whole histories."""
    numbers = catalogue(process, seqs)

    def score(item_seq, lengths):
        chances = predictive(process, numbers[item_seq - 1], lengths)
        return np.concatenate([np.zeros((len(chances), 1)), chances[:, numbers]], axis=1)

    return score


def best_possible(process, seqs, rows, k=10):
    """Return the expected metrics of the best ranking, given the histories of some rows.

    `seqs` is prepared from the process's log with every item kept; the metrics are named as those
    of `summarize`.
    """
    score, sums = best_scorer(process, seqs), np.zeros(k)
    for batch in batches(seqs, rows, process.longest, 1024):
        chances = score(batch.item_seq, batch.lengths)
        sums += -np.sort(-chances, axis=1)[:, :k].sum(0)
    at_rank = sums / len(rows)  # chance that the target has rank 1, ..., k
    ranks = np.arange(1, k + 1)
    return {
        f"{name}@{k}": float(sum(at_rank[r - 1] * f(np.array([r]), k) for r in ranks))
        for name, f in METRICS.items()
    }
