"""Ranks under every protocol, against a loop over items."""

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.recsys.data.windows import cut
from minimamba.recsys.protocol import NEGATIVES, PROTOCOLS, evaluate, rank_rows

from .helpers import make_sequences, random_sequences


def some_rows(seqs):
    return np.setdiff1d(np.arange(len(seqs.items)), seqs.offsets)


def table_scorer(rng, items, levels=4):
    """Scores by the last item, with few levels so that there are many ties."""
    table = rng.integers(levels, size=(items, items)).astype(float)
    table[:, 1:3] = [levels, -1.0]  # no row is constant
    return lambda item_seq, lengths: table[item_seq[np.arange(len(lengths)), lengths - 1]]


def slow_rank(scores, target, candidates):
    """Say the rule once more, in words: better first, among equals the smaller id first."""
    order = sorted(candidates, key=lambda item: (-scores[item], item))
    return 1 + order.index(target)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["P1", "masked"])
def test_full_rankings_equal_a_sort(name, seed):
    rng = np.random.default_rng(seed)
    seqs = random_sequences(rng)
    rows, items = some_rows(seqs), len(seqs.names)
    score = table_scorer(rng, items)
    found = evaluate(score, seqs, rows, name, length=3, size=5)
    assert found.protocol == name
    for row, rank in zip(rows, found.rank, strict=True):
        batch = cut(seqs, np.array([row]), 3)
        target = int(seqs.items[row])
        seen = set() if name == "P1" else set(seqs.items[batch.start[0] : row].tolist())
        candidates = [i for i in range(1, items) if i == target or i not in seen]
        scores = score(batch.item_seq, batch.lengths)[0]
        assert rank == slow_rank(scores, target, candidates)


def test_masking_looks_at_the_whole_history_not_at_the_window():
    seqs = make_sequences([[3, 1, 2, 4]])
    scores = np.array([[9.0, 1.0, 1.5, 8.0, 2.0]])
    score = lambda item_seq, lengths: scores  # noqa: E731
    assert evaluate(score, seqs, np.array([3]), "P1", length=1).rank == [2]
    assert evaluate(score, seqs, np.array([3]), "masked", length=1).rank == [1]


def test_a_repeated_target_is_kept_when_the_history_is_masked():
    seqs = make_sequences([[2, 1, 2]])
    score = lambda item_seq, lengths: np.array([[0.0, 5.0, 1.0]])  # noqa: E731
    assert evaluate(score, seqs, np.array([2]), "masked", length=2).rank == [1]
    competing = PROTOCOLS["masked"].compete(seqs, cut(seqs, np.array([2]), 2), 3, 0)
    assert competing[0, 1:].tolist() == [False, True]


def test_sampled_negatives_are_clean_seeded_and_independent_of_the_batch():
    rng = np.random.default_rng(0)
    histories = [rng.permutation(np.arange(1, 301))[: rng.integers(3, 40)].tolist() for _ in "abc"]
    seqs = make_sequences([*histories, list(range(1, 301))])
    rows = np.array([2, len(histories[0]) + 1, len(histories[0]) + 2])
    compete = PROTOCOLS["sampled"].compete
    chosen = compete(seqs, cut(seqs, rows, 5), 301, 7)
    for i, row in enumerate(rows):
        batch = cut(seqs, rows[i : i + 1], 5)
        assert (compete(seqs, batch, 301, 7)[0] == chosen[i]).all()
        target, seen = seqs.items[row], seqs.items[batch.start[0] : row]
        assert chosen[i, target] and not chosen[i, 0] and chosen[i].sum() == NEGATIVES + 1
        assert not chosen[i, np.setdiff1d(seen, target)].any()
    assert (compete(seqs, cut(seqs, rows, 5), 301, 8) != chosen).any()


def test_fewer_negatives_are_drawn_when_there_are_not_enough():
    seqs = make_sequences([[1, 2, 3, 4, 5]])
    chosen = PROTOCOLS["sampled"].compete(seqs, cut(seqs, np.array([1]), 3), 6, 0)
    assert chosen.tolist() == [[False, False, True, True, True, True]]


def test_the_padding_item_never_competes_even_when_it_scores_best():
    rank, _ = rank_rows(np.array([[99.0, 1.0, 2.0]]), np.array([2]))
    assert rank.tolist() == [1]


def test_ties_are_broken_by_id_and_counted():
    scores = np.array([[0.0, 2.0, 2.0, 2.0, 1.0]] * 4)
    rank, tied = rank_rows(scores, np.array([1, 2, 3, 4]))
    assert rank.tolist() == [1, 2, 3, 4] and tied.tolist() == [True, True, True, False]


def test_the_scores_are_not_changed():
    scores = np.arange(8.0).reshape(2, 4)
    kept = scores.copy()
    rank_rows(scores, np.array([1, 2]))
    assert (scores == kept).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, 1.0, np.nan, 2.0], "row 1 contain NaN"),
        ([5.0, 1.0, 1.0, 1.0], "all scores of row 1 are equal"),
        ([0.0, -np.inf, -np.inf, -np.inf], "all scores of row 1 are equal"),
    ],
)
def test_scores_without_an_order_fail_loudly(row, message):
    scores = np.array([[0.0, 1.0, 2.0, 3.0], row])
    with pytest.raises(InputError, match=message):
        rank_rows(scores, np.array([1, 1]))


def test_unknown_protocols_and_no_rows_are_refused():
    seqs = make_sequences([[1, 2, 3]])
    with pytest.raises(InputError, match="protocol 'P9' is not known; choose P1, masked, sampled"):
        evaluate(None, seqs, np.array([1]), "P9")
    with pytest.raises(InputError, match="no row to evaluate"):
        evaluate(None, seqs, np.array([], int))
