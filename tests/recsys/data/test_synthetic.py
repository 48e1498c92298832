"""The built-in log and its best possible score, against enumeration and simulation."""

import itertools

import numpy as np
import pytest

from minimamba.recsys.baselines import best_possible, best_scorer, markov, popularity
from minimamba.recsys.data import synthetic
from minimamba.recsys.data.prepare import leave_one_out, prepare
from minimamba.recsys.data.synthetic import (
    Process,
    emissions,
    predictive,
    simulate,
    synthetic_log,
    transition,
)
from minimamba.recsys.metrics import summarize
from minimamba.recsys.protocol import evaluate


@pytest.fixture
def tiny(monkeypatch):
    """A process small enough to sum over every hidden path."""
    monkeypatch.setattr(synthetic, "INTERESTS", ("jazz", "rock"))
    monkeypatch.setattr(synthetic, "PHASES", ("am", "pm", "night"))
    return Process(users=2, shortest=4, longest=4, per_interest=2, per_phase=1, lag=2)


def chance_of_click(process, clicks, t, interest, phase):
    """P(x_t | hidden state, history), from the description alone."""
    by_interest, by_phase = emissions(process)
    x, items = clicks[t], by_interest.shape[1]
    own = process.interest + (process.repeat if t < process.lag else 0)
    chance = own * by_interest[interest, x] + process.periodic * by_phase[phase, x]
    chance += process.noise / items
    if t >= process.lag:
        chance += process.repeat * (x == clicks[t - process.lag])
    return chance


def chance_of_history(process, clicks):
    """P(x_1, ..., x_t): the sum over every path of the hidden states."""
    chain, total = transition(process), 0.0
    interests, phases = len(chain), len(synthetic.PHASES)
    for path in itertools.product(range(interests), repeat=len(clicks)):
        for start in range(phases):
            chance = 1 / (interests * phases)
            for t, interest in enumerate(path):
                if t:
                    chance *= chain[path[t - 1], interest]
                chance *= chance_of_click(process, clicks, t, interest, (start + t) % phases)
            total += chance
    return total


def test_the_filter_equals_the_sum_over_every_hidden_path(tiny):
    clicks, lengths = simulate(tiny, 0)
    for row, length in zip(clicks, lengths, strict=True):
        for seen in range(length):
            history = row[None, :seen] if seen else np.zeros((1, 1), int)
            found = predictive(tiny, history, np.array([seen]))[0]
            joint = [chance_of_history(tiny, [*row[:seen], v]) for v in range(len(found))]
            np.testing.assert_allclose(found, np.array(joint) / sum(joint), rtol=1e-12)


def test_chances_sum_to_one_and_padding_is_ignored():
    process = Process(users=20)
    clicks, lengths = simulate(process, 1)
    found = predictive(process, clicks, lengths)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    spoiled = np.where(np.arange(clicks.shape[1]) < lengths[:, None], clicks, 0)
    assert (predictive(process, spoiled, lengths) == found).all()


@pytest.fixture(scope="module")
def built_in():
    process = Process()
    seqs = prepare(synthetic_log(process)[0], core=1)
    return process, seqs, leave_one_out(seqs)


def test_the_log_is_the_same_every_time():
    one, two, other = (synthetic_log(Process(users=5), seed)[0] for seed in (1, 1, 2))
    assert (one.item == two.item).all() and one.items == two.items
    assert len(one.item) != len(other.item) or (one.item != other.item).any()


def test_popularity_is_below_markov_is_below_the_best_possible(built_in):
    process, seqs, split = built_in
    found = {
        make.__name__: summarize(evaluate(make(seqs, split), seqs, split.test).rank)
        for make in (popularity, markov)
    }
    best = best_possible(process, seqs, split.test)
    for name, value in best.items():
        assert found["popularity"][name] * 1.3 < found["markov"][name] < 0.6 * value


def test_the_expected_score_is_what_the_best_ranking_gets(built_in):
    process, seqs, split = built_in
    rows = np.concatenate([split.train[::7], split.valid, split.test])
    ranks = evaluate(best_scorer(process, seqs), seqs, rows, length=process.longest).rank
    expected = best_possible(process, seqs, rows)
    for name, value in summarize(ranks).items():
        assert value == pytest.approx(expected[name], abs=3 * 0.5 / np.sqrt(len(rows)))


def test_every_item_of_the_process_is_in_the_log(built_in):
    process, seqs, _ = built_in
    assert sorted(seqs.names[1:]) == sorted(process.names)
