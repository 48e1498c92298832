"""How a score becomes a rank, and which rows count: the name belongs beside every number.

P1 (paper's, as RecBole runs it): every item is ranked, item 0 never, the history is not masked.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minimamba.arrays import to_host
from minimamba.errors import InputError
from minimamba.recsys.data.windows import batches
from minimamba.recsys.metrics import summarize

NEGATIVES = 100


class Protocol(NamedTuple):
    """A rule that says which items compete with the target."""

    name: str
    meaning: str
    compete: Callable  # (seqs, batch, items, seed) -> (b, v) bool, or None: all but item 0


class Ranking(NamedTuple):
    """Ranks under one protocol."""

    protocol: str
    rank: np.ndarray  # (rows,) int64, 1 is best
    tied: float  # share of rows where another competing item has the target's score


def history(seqs, batch):
    """Return (index of the row, item) of every event before the targets, whole histories."""
    count = batch.row - batch.start
    index = np.repeat(np.arange(len(count)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return index, seqs.items[np.repeat(batch.start, count) + within]


def everything(seqs, batch, items, seed):
    """Let every item compete."""
    return None


def unseen(seqs, batch, items, seed):
    """Let the items outside the history compete, and the target whether it is outside or not."""
    chosen = np.ones((len(batch.row), items), bool)
    chosen[history(seqs, batch)] = False
    chosen[np.arange(len(batch.row)), batch.target] = True
    return chosen


def draw(seqs, batch, items, seed):
    """Let `NEGATIVES` unseen items compete; the draw depends on the seed and the row alone."""
    allowed = unseen(seqs, batch, items, seed)
    allowed[:, 0] = False
    allowed[np.arange(len(batch.row)), batch.target] = False
    chosen = np.zeros_like(allowed)
    for i, row in enumerate(batch.row):
        free = np.flatnonzero(allowed[i])
        rng = np.random.default_rng([seed, int(row)])
        chosen[i, rng.choice(free, min(NEGATIVES, len(free)), replace=False)] = True
    chosen[np.arange(len(batch.row)), batch.target] = True
    return chosen


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("P1", "full ranking over all items, history not masked", everything),
        Protocol("masked", "full ranking, items of the history left out", unseen),
        Protocol("sampled", f"target among {NEGATIVES} seeded unseen items, no repeats", draw),
    )
}


def rank_rows(scores, target, chosen=None):
    """Rank the target of each row: 1 + #greater + #equal with a smaller id.

    Parameters
    ----------
    scores : array, shape (b, v)
        Column 0 is the padding item and never competes.
    target : int array, shape (b,)
    chosen : bool array, shape (b, v), optional
        The items that compete; all by default.

    Returns
    -------
    rank : int array, shape (b,)
    tied : bool array, shape (b,)
        Whether another competing item has the target's score.

    Examples
    --------
    >>> rank_rows(np.array([[9.0, 1.0, 3.0, 3.0]]), np.array([3]))
    (array([2]), array([ True]))
    """
    scores = np.array(to_host(scores))
    check_scores(scores[:, 1:])
    compete = np.ones(scores.shape, bool) if chosen is None else chosen.copy()
    compete[:, 0] = False
    own = scores[np.arange(len(target)), target][:, None]
    equal = (scores == own) & compete
    smaller = np.arange(scores.shape[1]) < target[:, None]
    rank = 1 + ((scores > own) & compete).sum(1) + (equal & smaller).sum(1)
    return rank, equal.sum(1) > 1


def check_scores(scores):
    """Refuse scores without an order: NaN, or one value for all items of a row."""
    broken = np.isnan(scores).any(1)
    if broken.any():
        raise InputError(f"the scores of row {broken.argmax()} contain NaN; nothing was ranked")
    constant = (scores == scores[:, :1]).all(1) & (scores.shape[1] > 1)
    if constant.any():
        raise InputError(
            f"all scores of row {constant.argmax()} are equal; a ranking by them means nothing"
        )


def evaluate(score, seqs, rows, protocol="P1", length=50, size=256, seed=0):
    """Rank the targets of some rows.

    Parameters
    ----------
    score : callable
        (item_seq (b, l), lengths (b,)) -> scores (b, v), v counting the padding item.
    seqs : Sequences
    rows : int array, shape (rows,)
        Places of the targets.
    protocol : str
        A name in `PROTOCOLS`.
    length, size, seed : int
        Window, rows at a time, and the seed of the sampled protocol.

    Returns
    -------
    ranking : Ranking
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol {protocol!r} is not known; choose {', '.join(PROTOCOLS)}")
    if not len(rows):
        raise InputError("there is no row to evaluate; every history may be too short")
    ranks, ties = [], []
    for batch in batches(seqs, rows, length, size):
        chosen = PROTOCOLS[protocol].compete(seqs, batch, len(seqs.names), seed)
        rank, tied = rank_rows(score(batch.item_seq, batch.lengths), batch.target, chosen)
        ranks.append(rank)
        ties.append(tied)
    return Ranking(protocol, np.concatenate(ranks), float(np.concatenate(ties).mean()))


def measure(score, seqs, rows, config, ks=(5, 10, 20)):
    """Return the metrics at every k and the share of ties of some rows, as a Config says."""
    settings, length = config.evaluate, config.model.length
    ranking = evaluate(score, seqs, rows, settings.protocol, length, settings.batch, settings.seed)
    return summarize(ranking.rank, ks), ranking.tied
