"""Metrics against loops, and the bounds that any honest table keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimamba.recsys.metrics import hit_rate, mrr, ndcg, ndcg_bounds, summarize

ranks = st.lists(st.integers(1, 40), min_size=1, max_size=30).map(np.array)


@given(ranks, st.integers(1, 20))
def test_metrics_equal_their_definitions(rank, k):
    inside = [int(r) for r in rank if r <= k]
    assert hit_rate(rank, k) == pytest.approx(len(inside) / len(rank), abs=1e-15)
    assert mrr(rank, k) == pytest.approx(sum(1 / r for r in inside) / len(rank), abs=1e-14)
    gain = sum(1 / math.log2(r + 1) for r in inside)
    assert ndcg(rank, k) == pytest.approx(gain / len(rank), abs=1e-14)


@given(ranks)
def test_ndcg_lies_within_the_bounds_that_hr_and_mrr_leave(rank):
    found = summarize(rank)
    if not found["HR@10"]:
        return
    low, high = ndcg_bounds(found["HR@10"], found["MRR@10"])
    assert low - 1e-12 <= found["NDCG@10"] <= high + 1e-12


@pytest.mark.parametrize("rank", [1, 4, 10])
def test_the_bounds_are_tight_when_all_ranks_are_equal_at_the_ends(rank):
    found = summarize(np.array([rank]))
    low, high = ndcg_bounds(found["HR@10"], found["MRR@10"])
    assert low <= found["NDCG@10"] <= high
    assert rank == 4 or high - low < 1e-12


def test_a_published_typo_is_outside_the_bounds():
    low, high = ndcg_bounds(0.3215, 0.1458)
    assert (round(low, 4), round(high, 4)) == (0.1827, 0.1911)
    assert not low <= 0.1529 <= high


def test_impossible_pairs_and_no_ranks_are_refused():
    with pytest.raises(ValueError, match="fit no ranking"):
        ndcg_bounds(0.3, 0.4)
    with pytest.raises(ValueError, match="ranks is empty"):
        summarize([])
