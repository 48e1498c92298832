"""Windows of history, cut when a batch needs them: memory does not grow with rows times length."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Rows of training or evaluation."""

    item_seq: np.ndarray  # (b, l) int64, right-padded with 0
    lengths: np.ndarray  # (b,) int64, 1..l
    target: np.ndarray  # (b,) int64
    start: np.ndarray  # (b,) int64, where the row's user begins in Sequences.items
    row: np.ndarray  # (b,) int64, place of the target in Sequences.items


def cut(seqs, rows, length):
    """Cut the windows of some rows: the last `length` items before each target.

    Parameters
    ----------
    seqs : Sequences
    rows : array, shape (b,)
        Places of the targets.
    length : int
        Size of the window, l.

    Returns
    -------
    batch : Batch

    Examples
    --------
    >>> from minimamba.recsys.data.prepare import Sequences
    >>> seqs = Sequences(np.array([5, 6, 7, 8]), np.array([0, 4]), None, ["ann"], [])
    >>> cut(seqs, np.array([1, 3]), 2).item_seq
    array([[5, 0],
           [6, 7]])
    """
    begin = seqs.offsets[np.searchsorted(seqs.offsets, rows, side="right") - 1]
    first = np.maximum(begin, rows - length)
    lengths = rows - first
    place = np.arange(length)
    inside = place < lengths[:, None]
    item_seq = np.where(inside, seqs.items[np.where(inside, first[:, None] + place, 0)], 0)
    return Batch(item_seq.astype(np.int64), lengths, seqs.items[rows].astype(np.int64), begin, rows)


def cut_all(seqs, rows, length):
    """Cut windows whose target is the next item at every position, for causal models.

    Returns
    -------
    batch : Batch
        `target` has shape (b, l), 0 where there is no item.
    """
    batch = cut(seqs, rows, length)
    place = np.arange(length)
    inside = place < batch.lengths[:, None]
    following = (rows - batch.lengths)[:, None] + place + 1
    target = np.where(inside, seqs.items[np.where(inside, following, 0)], 0)
    return batch._replace(target=target.astype(np.int64))


def batches(seqs, rows, length, size):
    """Yield the batches of some rows in order; the short last one is kept."""
    for first in range(0, len(rows), size):
        yield cut(seqs, rows[first : first + size], length)


def window(history, length):
    """Make the single window of one history, (1, l), with its length (1,)."""
    recent = np.asarray(history[-length:], np.int64)
    item_seq = np.zeros((1, length), np.int64)
    item_seq[0, : len(recent)] = recent
    return item_seq, np.array([len(recent)])
