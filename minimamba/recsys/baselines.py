"""What a model must beat: popularity, and the chain of what followed the last item.

Both are functions (item_seq, lengths) -> scores, as `evaluate` wants them.
"""

import numpy as np


def train_events(seqs, split):
    """Return the places of the events that training may see: its targets and users' first items."""
    return np.union1d(split.train, seqs.offsets[:-1])


def popularity(seqs, split):
    """Score every item by its count in the training events.

    Returns
    -------
    score : callable
        (item_seq, lengths) -> (b, v) float64.

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

    Returns
    -------
    score : callable
        (item_seq, lengths) -> (b, v) float64.
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
