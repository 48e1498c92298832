"""Baselines against counts in dicts; they must not see what is held out."""

from collections import Counter

import numpy as np
import pytest

from minimamba.recsys.baselines import markov, popularity, train_events
from minimamba.recsys.data.formats import read_log
from minimamba.recsys.data.prepare import leave_one_out, prepare
from minimamba.recsys.metrics import summarize
from minimamba.recsys.protocol import evaluate

from .helpers import make_sequences, random_sequences, real


def test_popularity_counts_what_training_may_see():
    seqs = make_sequences([[1, 2, 2, 3, 1], [2, 1], [3, 3, 1, 2]])
    split = leave_one_out(seqs)
    held_out = set(split.valid) | set(split.test)
    seen = Counter(int(x) for i, x in enumerate(seqs.items) if i not in held_out)
    score = popularity(seqs, split)(np.array([[1]]), np.array([1]))
    assert score.tolist() == [[0, seen[1], seen[2], seen[3]]]
    assert set(train_events(seqs, split)) == set(range(len(seqs.items))) - held_out


@pytest.mark.parametrize("seed", range(3))
def test_markov_counts_what_followed_the_last_item(seed):
    seqs = random_sequences(np.random.default_rng(seed), users=30, items=6)
    split = leave_one_out(seqs)
    pairs = Counter((int(seqs.items[r - 1]), int(seqs.items[r])) for r in split.train)
    score = markov(seqs, split)(np.array([[5, 2, 0], [1, 0, 0]]), np.array([2, 1]))
    popular = popularity(seqs, split)(np.zeros((1, 1), int), np.array([1]))[0]
    for row, last in zip(score, (2, 1), strict=True):
        for item in range(1, 7):
            assert int(row[item]) == pairs[last, item]
            assert row[item] % 1 == pytest.approx(popular[item] / (len(seqs.items) + 1))


@pytest.mark.realdata
def test_popularity_on_movielens_is_where_others_found_it():
    seqs = prepare(read_log(real("ml-100k", "u.data"))[0])
    split = leave_one_out(seqs)
    found = summarize(evaluate(popularity(seqs, split), seqs, split.test).rank)
    assert found["HR@10"] == pytest.approx(0.0498, abs=5e-5)
