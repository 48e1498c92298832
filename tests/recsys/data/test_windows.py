"""Windows against slices of lists."""

import tracemalloc

import numpy as np
import pytest

from minimamba.recsys.data.windows import batches, cut, cut_all, window

from ..helpers import random_sequences


@pytest.mark.parametrize("length", [1, 3, 20])
def test_windows_are_the_last_items_before_the_target(length):
    seqs = random_sequences(np.random.default_rng(1))
    rows = np.setdiff1d(np.arange(len(seqs.items)), seqs.offsets)
    batch, every = cut(seqs, rows, length), cut_all(seqs, rows, length)
    for i, row in enumerate(rows):
        begin = seqs.offsets[seqs.offsets <= row].max()
        past = seqs.items[begin:row][-length:].tolist()
        assert batch.item_seq[i].tolist() == past + [0] * (length - len(past))
        assert batch.lengths[i] == len(past) and batch.target[i] == seqs.items[row]
        following = [*past[1:], seqs.items[row]]
        assert every.target[i].tolist() == following + [0] * (length - len(past))


def test_batches_cover_all_rows_in_order_and_keep_the_short_one():
    seqs = random_sequences(np.random.default_rng(2))
    rows = np.setdiff1d(np.arange(len(seqs.items)), seqs.offsets)[::-1]
    found = list(batches(seqs, rows, 4, 7))
    assert np.concatenate([batch.row for batch in found]).tolist() == rows.tolist()
    assert {len(batch.row) for batch in found[:-1]} == {7}


def test_memory_does_not_grow_with_rows_times_length():
    seqs = random_sequences(np.random.default_rng(3), users=2000, items=50, longest=30)
    rows = np.setdiff1d(np.arange(len(seqs.items)), seqs.offsets)
    tracemalloc.start()
    for batch in batches(seqs, rows, 200, 16):
        assert batch.item_seq.shape[1] == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.02 * len(rows) * 200 * 8


def test_a_long_history_is_cut_at_its_old_end():
    item_seq, lengths = window([1, 2, 3, 4], 3)
    assert item_seq.tolist() == [[2, 3, 4]] and lengths.tolist() == [3]
