"""Filters, order, numbers and splits, against loops that say the same thing slowly."""

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.recsys.data.formats import read_log
from minimamba.recsys.data.prepare import (
    global_time,
    k_core,
    leave_one_out,
    minimum_rating,
    prepare,
    sequences,
)
from minimamba.recsys.data.readers import Log

from ..helpers import make_sequences, real


def random_log(rng, events=60, users=8, items=9):
    user, item = rng.integers(users, size=events), rng.integers(items, size=events)
    rating, time = rng.integers(1, 6, events).astype(float), rng.integers(12, size=events)
    names = [[f"{kind}{i}" for i in range(n)] for kind, n in (("u", users), ("i", items))]
    return Log(user, item, rating, time, *names)


def slow_core(pairs, core):
    while True:
        users, items = [u for u, _ in pairs], [i for _, i in pairs]
        kept = [(u, i) for u, i in pairs if users.count(u) >= core and items.count(i) >= core]
        if kept == pairs:
            return kept
        pairs = kept


@pytest.mark.parametrize("seed", range(5))
def test_the_core_is_iterated_until_nothing_changes(seed):
    log = random_log(np.random.default_rng(seed), events=80)
    found = k_core(log, 6)
    pairs = slow_core(list(zip(log.user.tolist(), log.item.tolist(), strict=True)), 6)
    assert 0 < len(pairs) < 80
    assert list(zip(found.user.tolist(), found.item.tolist(), strict=True)) == pairs


def test_one_pass_would_not_be_enough():
    log = Log(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), None, None, ["a", "b"], ["x", "y"])
    lonely = log._replace(user=np.array([0, 0, 1, 2]))  # user 2's leaving takes item x with it
    assert k_core(log, 2).user.size == 4
    with pytest.raises(InputError, match="no user is left after the 2-core"):
        k_core(lonely._replace(users=["a", "b", "c"]), 2)


def test_a_minimum_rating_needs_ratings():
    log = random_log(np.random.default_rng(0))
    assert (minimum_rating(log, 4).rating >= 4).all()
    assert minimum_rating(log, 0) is log
    with pytest.raises(InputError, match=r"min_rating is 4, but this log has no ratings"):
        minimum_rating(log._replace(rating=None), 4)


def test_ties_keep_the_order_of_the_file_and_ids_go_by_appearance():
    log = Log(
        user=np.array([1, 0, 1, 0, 1]),
        item=np.array([2, 0, 1, 2, 0]),
        rating=None,
        time=np.array([7, 5, 7, 5, 3]),
        users=["ann", "bob"],
        items=["tea", "jam", "egg"],
    )
    seqs = sequences(log)
    assert seqs.users == ["bob", "ann"] and seqs.names == ["", "egg", "tea", "jam"]
    history = [seqs.names[i] for i in seqs.items]
    assert history == ["tea", "egg", "jam", "tea", "egg"]  # bob: 3 then 7, 7 as in the file
    assert seqs.times.tolist() == [3, 7, 7, 5, 5] and seqs.offsets.tolist() == [0, 3, 5]


def test_large_times_are_not_rounded():
    late = 2**53
    log = Log(
        np.zeros(2, int), np.array([0, 1]), None, np.array([late + 1, late]), ["u"], ["a", "b"]
    )
    assert [sequences(log).names[i] for i in sequences(log).items] == ["b", "a"]


def test_without_times_the_order_of_the_file_is_kept():
    log = Log(np.array([0, 1, 0]), np.array([0, 1, 1]), None, None, ["u", "w"], ["a", "b"])
    seqs = sequences(log)
    assert seqs.items.tolist() == [1, 2, 2] and seqs.times is None


def test_leave_one_out_rows_as_in_p1():
    seqs = make_sequences([[1, 2, 3, 4, 5], [1, 2], [1, 2, 3], [4], [1, 2, 3, 4]])
    train, valid, test = leave_one_out(seqs)
    assert test.tolist() == [4, 9, 14]  # last rows, but of the user with one row
    assert valid.tolist() == [3, 13]  # second last rows of users with three rows or more
    assert train.tolist() == [1, 2, 6, 8, 12]


def test_a_global_split_never_trains_on_the_future():
    rng = np.random.default_rng(3)
    log = random_log(rng, events=400)
    seqs = sequences(log)
    train, valid, test = global_time(seqs)
    assert seqs.times[train].max() < seqs.times[valid].min()
    assert seqs.times[valid].max() < seqs.times[test].min()
    rows = np.sort(np.concatenate([train, valid, test]))
    assert rows.tolist() == [i for i in range(400) if i not in seqs.offsets]
    with pytest.raises(InputError, match="needs times"):
        global_time(seqs._replace(times=None))


def test_a_global_split_cuts_at_the_quantiles_of_all_events():
    log = Log(np.repeat([0, 1], 101), np.zeros(202, int), None, np.arange(202), ["u", "w"], ["a"])
    train, valid, test = global_time(sequences(log))
    assert test.tolist() == list(range(180, 202)) and valid.tolist() == list(range(160, 180))
    assert train.tolist() == [i for i in range(1, 160) if i != 101]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("names", "raw", "core"),
    [
        (("ml-100k", "u.data"), (943, 1682, 100_000), (943, 1349, 99_287)),
        (("ml-100k", "ml-100k.inter"), (943, 1682, 100_000), (943, 1349, 99_287)),
        (("ml-latest-small", "ratings.clean.csv"), (610, 9724, 100_836), (610, 3650, 90_274)),
        (("beauty", "beauty_user_item.txt"), (40_226, 54_542, 353_962), (22_363, 12_101, 198_502)),
        (
            ("beauty", "beauty_5core_sequences.txt"),
            (22_363, 12_101, 198_502),
            (22_363, 12_101, 198_502),
        ),
        (("lastfm", "lastfm_sequences.txt"), (1090, 3646, 52_551), (1090, 3646, 52_551)),
    ],
)
def test_real_logs_have_the_known_counts(names, raw, core):
    log, _ = read_log(real(*names))
    assert (len(log.users), len(log.items), len(log.user)) == raw
    seqs = prepare(log)
    assert (len(seqs.users), len(seqs.names) - 1, len(seqs.items)) == core
    rows = leave_one_out(seqs)
    assert len(rows.train) == core[2] - 3 * core[0]
