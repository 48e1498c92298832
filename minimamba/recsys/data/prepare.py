"""From a log to sequences of ids: filters, the k-core, the order of events, the splits."""

from typing import NamedTuple

import numpy as np

from minimamba.errors import InputError


class Sequences(NamedTuple):
    """Every user's history, one after the other; item 0 is the padding item."""

    items: np.ndarray  # (n,) int32, user after user, in order of time
    offsets: np.ndarray  # (users + 1,) int64; user u owns items[offsets[u] : offsets[u + 1]]
    times: np.ndarray | None  # (n,) int64
    users: list  # of str, user u's name in the log
    names: list  # of str, item i's name in the log; names[0] is the padding item


class Split(NamedTuple):
    """Rows to train on, validate on and test on; a row is the place of its target in `items`."""

    train: np.ndarray  # (rows,) int64
    valid: np.ndarray
    test: np.ndarray


def keep(log, chosen):
    """Keep the chosen events (a mask) of a log."""
    rating = None if log.rating is None else log.rating[chosen]
    time = None if log.time is None else log.time[chosen]
    return log._replace(user=log.user[chosen], item=log.item[chosen], rating=rating, time=time)


def minimum_rating(log, least):
    """Keep events rated `least` or better; 0 keeps all."""
    if not least:
        return log
    if log.rating is None:
        raise InputError(f"data.min_rating is {least}, but this log has no ratings")
    return keep(log, log.rating >= least)


def k_core(log, core):
    """Keep users and items with at least `core` events, again and again until nothing changes."""
    while True:
        users = np.bincount(log.user, minlength=len(log.users))
        items = np.bincount(log.item, minlength=len(log.items))
        chosen = (users[log.user] >= core) & (items[log.item] >= core)
        if chosen.all():
            break
        log = keep(log, chosen)
    if not log.user.size:
        raise InputError(f"no user is left after the {core}-core; try a smaller data.core")
    return log


def renumber(codes, names):
    """Number the codes that occur from 0 by first appearance; return them with their names."""
    present, first = np.unique(codes, return_index=True)
    order = present[np.argsort(first)]
    rank = np.zeros(len(names), np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], [names[code] for code in order]


def sequences(log):
    """Order a log by user and time (stable: ties keep file order) and number it by appearance.

    Examples
    --------
    >>> from minimamba.recsys.data.readers import Log
    >>> events = Log(np.array([0, 1, 0]), np.array([0, 1, 1]), None, np.array([9, 5, 3]),
    ...              ["ann", "bob"], ["tea", "jam"])
    >>> found = sequences(events)
    >>> found.items, found.offsets, found.names
    (array([2, 1, 2], dtype=int32), array([0, 2, 3]), ['', 'tea', 'jam'])
    """
    user, users = renumber(log.user, log.users)
    item, names = renumber(log.item, log.items)
    time = np.zeros(len(user), np.int64) if log.time is None else log.time
    order = np.lexsort((time, user))  # stable: equal times keep the order of the file
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user))])
    times = None if log.time is None else log.time[order]
    return Sequences((item[order] + 1).astype(np.int32), offsets, times, users, ["", *names])


def prepare(log, min_rating=0.0, core=5):
    """Filter, order and number a log; see `minimum_rating`, `k_core` and `sequences`."""
    return sequences(k_core(minimum_rating(log, min_rating), core))


def owner(seqs):
    """Return the user of every event, (n,)."""
    return np.repeat(np.arange(len(seqs.users)), np.diff(seqs.offsets))


def leave_one_out(seqs):
    """Test on every user's last event, validate on the one before, train on the others.

    Every event but a user's first is the target of one row, its history the input. A user with
    one row gives it to training, with two rows to training and test (protocol P1).
    """
    position = np.arange(len(seqs.items)) - seqs.offsets[owner(seqs)]
    size = np.diff(seqs.offsets)[owner(seqs)]
    row = position > 0
    test = row & (position == size - 1) & (size > 2)
    valid = row & (position == size - 2) & (size > 3)
    train = row & ~test & ~valid
    return Split(*map(np.flatnonzero, (train, valid, test)))


def global_time(seqs, valid_share=0.1, test_share=0.1):
    """Test on the newest events of the whole log, validate on those before them.

    No model is trained on an event that is later than one it is tested on, which
    `leave_one_out` does not promise.
    """
    if seqs.times is None:
        raise InputError("data.split = 'global_time' needs times, and this log has none")
    newest = np.sort(seqs.times)
    last = len(newest) - 1
    first_valid = newest[int(last * (1 - valid_share - test_share))]
    first_test = newest[int(last * (1 - test_share))]
    row = np.arange(len(seqs.items)) > seqs.offsets[owner(seqs)]
    test = row & (seqs.times >= first_test)
    valid = row & (seqs.times >= first_valid) & ~test
    return Split(*map(np.flatnonzero, (row & ~valid & ~test, valid, test)))


SPLITS = {"leave_one_out": leave_one_out, "global_time": global_time}
